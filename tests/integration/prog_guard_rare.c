/* SPDX-License-Identifier: MIT */
/*
 * Rare things that real programs do and that a hint fault must survive.  Knows
 * nothing of numabal; run by test_guard_rare.sh.
 */
#define _GNU_SOURCE
#include "armed.h"

#include <dirent.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/perf_event.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define STACK ((size_t)64 << 10)

static sigjmp_buf env;

static void jump(int sig)
{
	siglongjmp(env, sig);
}

/* The program's own SIGSEGV, as it would be without numabal. */
static bool own_fault(void)
{
	char *volatile page =
		mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	bool got = true;

	signal(SIGSEGV, jump);
	if (!sigsetjmp(env, 1)) {
		*page = 1;
		got = false;
	}
	signal(SIGSEGV, SIG_DFL);
	munmap(page, 4096);
	return got;
}

/* The alternate stack goes, and the kernel is not told. */
static bool stack_gone(void)
{
	stack_t ss = {.ss_size = STACK}, now;
	unsigned char *p;

	ss.ss_sp = mmap(NULL, STACK, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(!sigaltstack(&ss, NULL));
	p = armed_buffer();
	CHECK(!munmap(ss.ss_sp, STACK));
	CHECK(pattern_ok(p, BUF_BYTES));
	CHECK(!sigaltstack(NULL, &now));
	CHECK(now.ss_sp == ss.ss_sp && now.ss_size == STACK && !now.ss_flags);
	munmap(p, BUF_BYTES);
	CHECK(own_fault());
	ss.ss_flags = SS_DISABLE;
	CHECK(!sigaltstack(&ss, NULL) && !sigaltstack(NULL, &now));
	CHECK(now.ss_flags == SS_DISABLE);
	return true;
}

static bool stack_protected(void)
{
	stack_t ss = {.ss_size = STACK};
	unsigned char *p;

	ss.ss_sp = mmap(NULL, STACK, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(!sigaltstack(&ss, NULL));
	p = armed_buffer();
	CHECK(!mprotect(ss.ss_sp, STACK, PROT_READ));
	CHECK(pattern_ok(p, BUF_BYTES));
	CHECK(!munmap(ss.ss_sp, STACK));
	munmap(p, BUF_BYTES);
	return true;
}

/* Reading the CPU's clock becomes a SIGSEGV, in children as well. */
static bool no_clock(void)
{
	unsigned char *p = armed_buffer();
	int status;
	pid_t pid;

	if (prctl(PR_SET_TSC, PR_TSC_SIGSEGV)) {
		printf("skip no-clock: the kernel cannot\n");
		return true;
	}
	CHECK(pattern_ok(p, BUF_BYTES));
	CHECK(own_fault());
	pid = fork();
	if (!pid)
		_exit(!(own_fault() && pattern_ok(p, BUF_BYTES)));
	CHECK(waitpid(pid, &status, 0) == pid && !status);
	CHECK(!prctl(PR_SET_TSC, PR_TSC_ENABLE));
	munmap(p, BUF_BYTES);
	return true;
}

/*
 * A filter that lets in a few calls only, for all threads: whatever else is
 * called ends the process, at once.
 */
#define ALLOW(nr)                                                              \
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, nr, 0, 1),                         \
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)

static const struct sock_filter filter[] = {
	BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
	ALLOW(SYS_read),
	ALLOW(SYS_write),
	ALLOW(SYS_clone),
	ALLOW(SYS_set_robust_list),
	ALLOW(SYS_wait4),
	ALLOW(SYS_exit_group),
	BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
};

/* What is in the way of this is in the program's own libc: see the plain run */
static void filtered(const unsigned char *p, bool by_prctl)
{
	struct sock_fprog prog = {
		.len = sizeof(filter) / sizeof(filter[0]),
		.filter = (struct sock_filter *)filter,
	};
	int status;
	pid_t pid;

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		_exit(1);
	if (by_prctl ? prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog)
		     : syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
			       SECCOMP_FILTER_FLAG_TSYNC, &prog))
		_exit(2);
	if (!pattern_ok(p, BUF_BYTES))
		_exit(3);
	pid = fork();
	if (!pid)
		_exit(!pattern_ok(p, BUF_BYTES));
	if (wait4(pid, &status, 0, NULL) != pid || status)
		_exit(4);
	if (write(1, "ok\n", 3) != 3)
		_exit(5);
	exit(0);
}

static bool call_filter(void)
{
	unsigned char *p = armed_buffer();
	int status;

	fflush(stdout);
	for (int by_prctl = 0; by_prctl < 2; by_prctl++) {
		pid_t pid = fork();

		if (!pid) {
			if (!wait_armed(p))
				_exit(6);
			filtered(p, by_prctl);
		}
		CHECK(waitpid(pid, &status, 0) == pid);
		if (status)
			fprintf(stderr, "by prctl: %d, status %x\n", by_prctl,
				status);
		CHECK(!status);
	}
	munmap(p, BUF_BYTES);
	return true;
}

/* What is opened gets the lowest number that is free: also in a child. */
static bool lowest_number(void)
{
	unsigned char *p = armed_buffer();
	time_t until = time(NULL) + 3;
	int status;
	pid_t pid;

	while (time(NULL) < until) {
		pid = fork();
		for (int i = 0; i < 20; i++) {
			close(0);
			p[i * 4096 % BUF_BYTES]++;
			if (open("/dev/null", O_RDONLY)) {
				fprintf(stderr, "in the %s\n",
					pid ? "parent" : "child");
				_exit(1);
			}
			p[i * 4096 % BUF_BYTES]--;
		}
		if (!pid)
			_exit(0);
		CHECK(waitpid(pid, &status, 0) == pid && !status);
	}
	munmap(p, BUF_BYTES);
	return true;
}

/* The reader of a pipe sees its end when the program has closed the other. */
static bool end_of_pipe(void)
{
	unsigned char *p = armed_buffer();
	int fd[2];
	char c;

	CHECK(!pipe(fd) && fd[0] == 3 && fd[1] == 4);
	for (int i = 0; i < 4; i++)
		CHECK(wait_armed(p + i * 4096) && pattern_ok(p, BUF_BYTES));
	close(fd[1]);
	CHECK(!read(fd[0], &c, 1));
	close(fd[0]);
	munmap(p, BUF_BYTES);
	return true;
}

static int nr_threads(void)
{
	DIR *dir = opendir("/proc/self/task");
	int n = -2; /* . and .. */

	while (dir && readdir(dir))
		n++;
	if (dir)
		closedir(dir);
	return n;
}

/* 1: no balancer at first, but later; 2: at once; 3: never */
static int balancer_comes(void)
{
	time_t until = time(NULL) + WAIT_S;
	bool late = nr_threads() == 1;

	if (getenv("NB_PLAIN"))
		return late ? 1 : 2;
	while (nr_threads() < 2)
		if (time(NULL) > until)
			return 3;
	return late ? 1 : 2;
}

/* A child that ends at once needs no balancer, one that goes on gets one. */
static bool brief_child(void)
{
	unsigned char *p = armed_buffer();
	int late = 0;

	for (int i = 0; i < 8; i++) {
		pid_t pid = fork();
		int status = -1;

		CHECK(pid >= 0);
		if (!pid)
			_exit(balancer_comes());
		CHECK(waitpid(pid, &status, 0) == pid && WIFEXITED(status));
		CHECK(WEXITSTATUS(status) == 1 || WEXITSTATUS(status) == 2);
		late += WEXITSTATUS(status) == 1;
	}
	CHECK(late); /* on a slow machine not all of them */
	munmap(p, BUF_BYTES);
	return true;
}

/* A name that is behind a pointer in what a call is given. */
static bool named_probe(void)
{
	struct perf_event_attr attr = {.size = sizeof(attr)};
	unsigned char *p = armed_buffer();
	FILE *f = fopen("/sys/bus/event_source/devices/uprobe/type", "r");
	unsigned int type = 0;
	long fd;

	if (!f || fscanf(f, "%u", &type) != 1) {
		printf("this kernel has no such probes\n");
		return true;
	}
	fclose(f);
	attr.type = type;
	attr.uprobe_path = (uintptr_t)strcpy((char *)p + 8192, "/nowhere");
	CHECK(wait_armed(p + 8192));
	fd = syscall(SYS_perf_event_open, &attr, 0, -1, -1, 0);
	CHECK(fd < 0 && errno != EFAULT);
	return true;
}

/* Code that is data, as its handler finds. */
static bool no_code(void)
{
	unsigned char *p = armed_buffer();
	void (*volatile fn)(void) = (void (*)(void))(p + 4096);

	signal(SIGSEGV, jump);
	if (!sigsetjmp(env, 1)) {
		fn();
		return false;
	}
	signal(SIGSEGV, SIG_DFL);
	return pattern_ok(p, BUF_BYTES);
}

static int asked[2], told[2];

/* Another thread maps memory when it is asked to, and says so. */
static void *mapping(void *arg)
{
	char c;

	if (read(asked[0], &c, 1) != 1)
		return arg;
	munmap(new_buffer(BUF_BYTES), BUF_BYTES);
	return write(told[1], &c, 1) == 1 ? NULL : arg;
}

/* A copy of the process, as of fork(2), that its parent waits for. */
static bool waited_copy(void)
{
	unsigned char *p = armed_buffer();
	struct pollfd pfd = {.events = POLLIN};
	int status = 0;
	pthread_t th;
	void *bad;
	long pid;

	CHECK(!pipe(asked) && !pipe(told));
	CHECK(!pthread_create(&th, NULL, mapping, p));
	pid = syscall(SYS_clone, CLONE_VFORK | SIGCHLD, 0, 0, 0, 0);
	if (!pid) {
		pfd.fd = told[0];
		if (write(asked[1], "", 1) != 1 || poll(&pfd, 1, 10000) != 1 ||
		    !pattern_ok(p, BUF_BYTES))
			_exit(1);
		munmap(p, BUF_BYTES);
		_exit(own_fault() ? 0 : 2);
	}
	CHECK(pid > 0 && waitpid((pid_t)pid, &status, 0) == pid && !status);
	CHECK(!pthread_join(th, &bad) && !bad);
	/* ... and goes on as before. */
	CHECK(wait_armed(p) && pattern_ok(p, BUF_BYTES));
	return true;
}

int main(int argc, char **argv)
{
	static const struct armed_case cases[] = {
		{"stack-gone", stack_gone},
		{"stack-protected", stack_protected},
		{"no-clock", no_clock},
		{"call-filter", call_filter},
		{"lowest-number", lowest_number},
		{"end-of-pipe", end_of_pipe},
		{"brief-child", brief_child},
		{"named-probe", named_probe},
		{"waited-copy", waited_copy},
		{"no-code", no_code},
		{NULL, NULL},
	};

	return run_cases(cases, argc, argv);
}
