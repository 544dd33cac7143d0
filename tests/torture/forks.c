/* SPDX-License-Identifier: MIT */
/*
 * Other processes: fork, vfork, posix_spawn, system, popen, exec that fails.
 * Arguments, environments and file actions are in the heap.
 */
#include "torture.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

extern char **environ;

/* In a child of many threads: nothing but system calls. */
static void child(struct worker *w, int out, uint64_t seed, char *buf,
		  size_t bytes)
{
	int bad = 0;

	bad |= !kept_ok(w);
	for (int i = 0; i < NR_KEPT; i++) {
		fill(w->kept[i].p, w->kept[i].bytes, seed);
		bad |= !same(w->kept[i].p, w->kept[i].bytes, seed);
	}
	fill(buf, bytes, seed);
	for (size_t done = 0; done < bytes;) {
		long n = AGAIN(write(out, buf + done, bytes - done));

		if (n <= 0)
			_exit(99);
		done += (size_t)n;
	}
	_exit(bad ? 98 : 42);
}

static void forked(struct worker *w)
{
	size_t bytes = 1 + below(w, 20000);
	struct rusage *ru = get(sizeof(*ru));
	int *p = get(2 * sizeof(*p)), *status = get(sizeof(*status));
	char *buf = get(bytes);
	uint64_t seed = rnd(w);
	pid_t pid;

	MUST(pipe(p));
	pid = fork();
	if (!pid)
		child(w, p[1], seed, buf, bytes);
	CHECK(pid > 0, errno);
	MUST(close(p[1]));
	full_read(p[0], buf, bytes);
	CHECK(same(buf, bytes, seed), bytes);
	CHECK(AGAIN(wait4(pid, status, 0, ru)) == pid, errno);
	CHECK(WIFEXITED(*status) && WEXITSTATUS(*status) == 42, *status);
	CHECK(kept_ok(w), w->id);
	note(w, hash(buf, bytes));
	MUST(close(p[0]));
	free(ru);
	free(p);
	free(status);
	free(buf);
}

static void wait_ids(struct worker *w)
{
	siginfo_t *info = get(sizeof(*info));
	int code = (int)below(w, 200);
	pid_t pid = fork();

	if (!pid) {
		if (code & 1)
			_exit(code);
		signal(SIGTERM, SIG_DFL);
		raise(SIGTERM);
		_exit(code);
	}
	CHECK(AGAIN(waitid(P_PID, (id_t)pid, info, WEXITED | WNOWAIT)) == 0,
	      errno);
	CHECK(AGAIN(waitid(P_PID, (id_t)pid, info, WEXITED)) == 0, errno);
	CHECK(info->si_pid == pid, info->si_pid);
	if (code & 1)
		CHECK(info->si_code == CLD_EXITED && info->si_status == code,
		      info->si_status);
	else
		CHECK(info->si_code == CLD_KILLED && info->si_status == SIGTERM,
		      info->si_status);
	FAILS(waitpid(pid, NULL, 0), ECHILD);
	note(w, (uint64_t)info->si_status);
	free(info);
}

static char **strings(const char *const *from)
{
	size_t nr = 0;
	char **to;

	while (from[nr])
		nr++;
	to = calloc(nr + 1, sizeof(*to));
	for (size_t i = 0; i < nr; i++) {
		to[i] = malloc(strlen(from[i]) + 5000);
		strcpy(to[i], from[i]);
	}
	return to;
}

static void drop_strings(char **s)
{
	for (size_t i = 0; s[i]; i++)
		free(s[i]);
	free(s);
}

static void spawned(struct worker *w)
{
	static const char *const words[] = {
		"sh", "-c", "printf %s:%s \"$0\" \"$WORD\"", "zero", NULL};
	posix_spawn_file_actions_t *fa = get(sizeof(*fa));
	posix_spawnattr_t *attr = get(sizeof(*attr));
	char **argv = strings(words), **env = calloc(2, sizeof(*env));
	int *p = get(2 * sizeof(*p)), *status = get(sizeof(*status)), err;
	char *buf = calloc(1, 100);
	sigset_t *none = get(sizeof(*none));
	pid_t *pid = get(sizeof(*pid));

	env[0] = get(5000);
	sprintf(env[0], "WORD=%lu", (unsigned long)below(w, 1000000));
	MUST(pipe2(p, O_CLOEXEC));
	posix_spawn_file_actions_init(fa);
	posix_spawn_file_actions_adddup2(fa, p[1], 1);
	posix_spawnattr_init(attr);
	sigemptyset(none);
	posix_spawnattr_setsigmask(attr, none);
	posix_spawnattr_setflags(attr, POSIX_SPAWN_SETSIGMASK);
	err = posix_spawn(pid, "/bin/sh", fa, attr, argv, env);
	CHECK(!err, err);
	MUST(close(p[1]));
	full_read(p[0], buf, 5 + strlen(env[0] + 5));
	CHECK(!memcmp(buf, "zero:", 5) && !strcmp(buf + 5, env[0] + 5), 0);
	CHECK(AGAIN(read(p[0], buf, 1)) == 0, 1);
	CHECK(AGAIN(waitpid(*pid, status, 0)) == *pid, errno);
	CHECK(*status == 0, *status);
	note(w, hash(env[0], strlen(env[0])));
	MUST(close(p[0]));
	posix_spawn_file_actions_destroy(fa);
	posix_spawnattr_destroy(attr);
	drop_strings(argv);
	drop_strings(env);
	free(fa);
	free(attr);
	free(p);
	free(status);
	free(buf);
	free(none);
	free(pid);
}

static void vforked(struct worker *w)
{
	static const char *const words[] = {"true", NULL};
	char **argv = strings(words), *path = get(5000);
	int *status = get(sizeof(*status));
	pid_t pid;

	strcpy(path, below(w, 2) ? "/bin/true" : "/no/such/program");
	pid = vfork();
	if (!pid) {
		execve(path, argv, environ);
		_exit(errno == ENOENT ? 7 : 8);
	}
	CHECK(pid > 0, errno);
	CHECK(AGAIN(waitpid(pid, status, 0)) == pid, errno);
	CHECK(WIFEXITED(*status) &&
		      WEXITSTATUS(*status) == (path[1] == 'n' ? 7 : 0),
	      *status);
	note(w, (uint64_t)*status);
	drop_strings(argv);
	free(path);
	free(status);
}

static void exec_fails(struct worker *w)
{
	static const char *const words[] = {"nothing", "at", "all", NULL};
	char **argv = strings(words), *path = get(5000);

	strcpy(path, "/no/such/program");
	FAILS(execve(path, argv, environ), ENOENT);
	strcpy(path, w->dir);
	FAILS(execve(path, argv, argv), EACCES);
	CHECK(!strcmp(argv[2], "all"), 0);
	note(w, 2);
	drop_strings(argv);
	free(path);
}

static void shells(struct worker *w)
{
	char *cmd = get(200), *line = get(200);
	int code = (int)below(w, 100), r;
	FILE *f;

	sprintf(cmd, "exit %d", code);
	r = system(cmd);
	CHECK(WIFEXITED(r) && WEXITSTATUS(r) == code, r);
	sprintf(cmd, "echo %d; exit %d", code, code);
	f = popen(cmd, "r");
	CHECK(f, errno);
	if (f) {
		CHECK(fgets(line, 200, f) && atoi(line) == code, code);
		r = pclose(f);
		CHECK(WIFEXITED(r) && WEXITSTATUS(r) == code, r);
	}
	note(w, (uint64_t)code);
	free(cmd);
	free(line);
}

const struct op fork_ops[] = {
	{"forked", forked, 4},
	{"wait-ids", wait_ids, 4},
	{"spawned", spawned, 32},
	{"vforked", vforked, 24},
	{"exec-fails", exec_fails, 4},
	{"shells", shells, 48},
	{0},
};
