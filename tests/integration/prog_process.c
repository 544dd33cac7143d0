/* SPDX-License-Identifier: MIT */
/*
 * A program with armed memory that forks, starts programs, and makes, cancels
 * and ends threads.  Knows nothing of numabal; run by test_process_run.sh.
 */
#define _GNU_SOURCE
#include "armed.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>

extern char **environ;

static bool ended_with(pid_t pid, int status)
{
	int st = -1;

	if (waitpid(pid, &st, 0) == pid && WIFEXITED(st) &&
	    WEXITSTATUS(st) == status)
		return true;
	fprintf(stderr, "child: wait status %x, want exit %d\n", st, status);
	return false;
}

/* The child reads and writes all; the parent's memory stays as it is. */
static int use_all(unsigned char *p)
{
	if (!pattern_ok(p, BUF_BYTES))
		return 3;
	for (size_t i = 0; i < BUF_BYTES; i += 4096)
		p[i + 1] = 9;
	return pattern_ok(p, BUF_BYTES) ? 42 : 4;
}

static long raw_fork(void)
{
	return syscall(SYS_clone, (long)SIGCHLD, 0L, 0L, 0L, 0L);
}

static int clone_child(void *arg)
{
	_exit(is_armed(arg) ? 5 : use_all(arg));
}

static pid_t fork_by(int how, unsigned char *p)
{
	static char stack[1 << 20] __attribute__((aligned(16)));

	switch (how) {
	case 0:
		return fork();
	case 1:
		return _Fork();
	case 2:
		return (pid_t)raw_fork();
	default:
		return clone(clone_child, stack + sizeof(stack), SIGCHLD, p);
	}
}

static bool forks(void)
{
	for (int i = 0; i < 24; i++) {
		unsigned char *p = armed_buffer();
		pid_t pid = fork_by(i % 4, p);

		CHECK(pid >= 0);
		if (!pid)
			_exit(use_all(p));
		CHECK(pattern_ok(p, BUF_BYTES));
		CHECK(wait_armed(p) && p[1] == 0);
		CHECK(ended_with(pid, 42));
		munmap(p, BUF_BYTES);
	}
	return true;
}

/* A child that lives on is served as well, and forks in its turn. */
static bool fork_lives(void)
{
	unsigned char *p = armed_buffer();
	pid_t pid = fork(), grandchild;

	if (!pid) {
		if (!wait_armed(p) || !pattern_ok(p, BUF_BYTES))
			_exit(5);
		grandchild = fork();
		if (!grandchild)
			_exit(use_all(p));
		_exit(ended_with(grandchild, 42) ? use_all(p) : 6);
	}
	CHECK(ended_with(pid, 42));
	CHECK(pattern_ok(p, BUF_BYTES));
	munmap(p, BUF_BYTES);
	return true;
}

static _Atomic bool stop;

static void *hammer(void *arg)
{
	unsigned char *p = arg;
	unsigned long n = 0;

	while (!stop) {
		if (!pattern_ok(p, BUF_BYTES))
			return p;
		n++;
	}
	return n ? NULL : p;
}

static bool fork_threads(void)
{
	unsigned char *p = armed_buffer();
	pthread_t th[3];
	void *bad;

	stop = false;
	for (int i = 0; i < 3; i++)
		CHECK(!pthread_create(&th[i], NULL, hammer, p));
	for (int i = 0; i < 40; i++) {
		pid_t pid = fork();

		CHECK(pid >= 0);
		if (!pid)
			_exit(use_all(p));
		CHECK(ended_with(pid, 42));
	}
	stop = true;
	for (int i = 0; i < 3; i++)
		CHECK(!pthread_join(th[i], &bad) && !bad);
	munmap(p, BUF_BYTES);
	return true;
}

/* A fork beside another thread's vfork(2): its child shares no memory. */
static void *vforker(void *arg)
{
	void *volatile bad = arg; /* vfork() returns twice */

	while (!stop) {
		pid_t pid = vfork();

		if (!pid)
			_exit(42);
		if (pid < 0 || !ended_with(pid, 42))
			return bad;
	}
	return NULL;
}

static bool fork_vfork(void)
{
	unsigned char *p = armed_buffer();
	sigset_t mask;
	pthread_t th;
	void *bad;

	stop = false;
	CHECK(!pthread_create(&th, NULL, vforker, p));
	for (int i = 0; i < 400; i++) {
		pid_t pid = fork_by(i % 4, p);

		CHECK(pid >= 0);
		if (!pid) {
			/* Takes what locks there are. */
			munmap(new_buffer(1 << 16), 1 << 16);
			if (sigprocmask(SIG_BLOCK, NULL, &mask) ||
			    sigismember(&mask, SIGTERM))
				_exit(6);
			_exit(use_all(p));
		}
		CHECK(ended_with(pid, 42));
	}
	stop = true;
	CHECK(!pthread_join(th, &bad) && !bad && wait_armed(p));
	munmap(p, BUF_BYTES);
	return true;
}

/* ---- other programs, their arguments in armed memory -------------------- */

/* Apart, since libc looks at the arrays before the kernel does. */
struct args {
	char *argv[4], *envp[3];
	char apart[1 << 20];
	char shell[64], name[64], option[64], script[512], var[64];
};

/* A script that ends with 42 if its arguments and environment are right. */
static struct args *new_args(void)
{
	struct args *a = (struct args *)armed_buffer();

	strcpy(a->shell, "/bin/sh");
	strcpy(a->name, "sh");
	strcpy(a->option, "-c");
	strcpy(a->script, "test \"$VAR\" = value && exit 42");
	strcpy(a->var, "VAR=value");
	a->argv[0] = a->name;
	a->argv[1] = a->option;
	a->argv[2] = a->script;
	a->argv[3] = NULL;
	a->envp[0] = a->var;
	a->envp[1] = NULL;
	if (!wait_armed(a) || !wait_armed(a->shell))
		exit(98);
	return a;
}

static bool spawns(void)
{
	for (int how = 0; how < 4; how++) {
		struct args *a = new_args();
		pid_t pid = -1;
		int r = -1;

		if (how == 0)
			r = posix_spawn(&pid, a->shell, NULL, NULL, a->argv,
					a->envp);
		else if (how == 1)
			r = posix_spawnp(&pid, a->name, NULL, NULL, a->argv,
					 a->envp);
		else if (how == 2)
			r = system(strcpy(a->script, "exit 42"));
		if (how == 3) {
			FILE *f = popen(strcpy(a->script, "echo 42"), "r");
			int n = 0;

			CHECK(f && fscanf(f, "%d", &n) == 1 && n == 42);
			CHECK(!pclose(f));
		} else if (how == 2) {
			CHECK(WIFEXITED(r) && WEXITSTATUS(r) == 42);
		} else {
			CHECK(!r && ended_with(pid, 42));
		}
		/* Arming goes on. */
		CHECK(wait_armed((char *)a + BUF_BYTES / 2));
		munmap(a, BUF_BYTES);
	}
	return true;
}

static void exec_by(int how, struct args *a)
{
	if (how == 0)
		execve(a->shell, a->argv, a->envp);
	else if (how == 1)
		execvpe(a->name, a->argv, a->envp);
	else if (how == 2)
		execle(a->shell, a->name, a->option, a->script, NULL, a->envp);
	else if (how == 3)
		execveat(AT_FDCWD, a->shell, a->argv, a->envp, 0);
	else
		syscall(SYS_execve, a->shell, a->argv, a->envp);
}

/* vfork's child runs in our memory, while other threads go on. */
static bool execs(void)
{
	for (volatile int i = 0; i < 20; i++) {
		struct args *a = new_args();
		pid_t pid = i < 10 ? vfork() : fork();

		CHECK(pid >= 0);
		if (!pid) {
			exec_by(i % 5, a);
			_exit(1);
		}
		CHECK(ended_with(pid, 42));
		munmap(a, BUF_BYTES);
	}
	return true;
}

static bool exec_fails(void)
{
	char *argv[] = {(char *)"x", NULL};
	unsigned char *p = armed_buffer();

	CHECK(execv("/nonexistent/x", argv) == -1 && errno == ENOENT);
	CHECK(execl("/nonexistent/x", "x", (char *)NULL) == -1 &&
	      errno == ENOENT);
	CHECK(execlp("nonexistent-x", "x", (char *)NULL) == -1 &&
	      errno == ENOENT);
	CHECK(wait_armed(p) && pattern_ok(p, BUF_BYTES));
	munmap(p, BUF_BYTES);
	return true;
}

/* What a vfork child does to its signals, it does not do to its parent's. */
static volatile sig_atomic_t caught;

static void on_segv(int sig)
{
	(void)sig;
	caught++;
}

static bool vfork_signals(void)
{
	struct sigaction sa = {.sa_flags = 0}, dfl = {.sa_flags = 0};
	struct sigaction now;
	sigset_t all, set;
	pid_t pid;

	sa.sa_handler = on_segv;
	sigfillset(&sa.sa_mask);
	CHECK(!sigaction(SIGSEGV, &sa, NULL) && !sigaction(SIGUSR1, &sa, NULL));
	sigfillset(&all);
	dfl.sa_handler = SIG_DFL;
	pid = vfork();
	CHECK(pid >= 0);
	if (!pid) {
		sigaction(SIGSEGV, &dfl, NULL);
		sigaction(SIGUSR1, &dfl, NULL);
		sigprocmask(SIG_SETMASK, &all, NULL);
		_exit(7);
	}
	CHECK(ended_with(pid, 7));
	CHECK(!sigaction(SIGSEGV, NULL, &now) && now.sa_handler == on_segv);
	CHECK(!sigaction(SIGUSR1, NULL, &now) && now.sa_handler == on_segv);
	CHECK(sigismember(&now.sa_mask, SIGSEGV) == 1);
	CHECK(!sigprocmask(SIG_BLOCK, NULL, &set));
	CHECK(!sigismember(&set, SIGSEGV));
	CHECK(!raise(SIGSEGV) && caught == 1);
	signal(SIGSEGV, SIG_DFL);
	signal(SIGUSR1, SIG_DFL);
	/* Its _exit() was not ours. */
	munmap(armed_buffer(), BUF_BYTES);
	return true;
}

/* ---- threads ------------------------------------------------------------ */

static _Atomic int cleaned;
static int idle_pipe[2];
static _Atomic bool in_read;

static void clean_up(void *arg)
{
	/* Cleanup runs as it would without us, on armed memory too. */
	if (pattern_ok(arg, BUF_BYTES))
		cleaned++;
}

static void *blocked_reader(void *arg)
{
	char buf[16];

	pthread_cleanup_push(clean_up, arg);
	in_read = true;
	if (read(idle_pipe[0], buf, sizeof(buf)) != 999)
		pthread_testcancel();
	pthread_cleanup_pop(0);
	return NULL;
}

static void *system_caller(void *arg)
{
	pthread_cleanup_push(clean_up, arg);
	in_read = true;
	if (system("sleep 60") != 999)
		pthread_testcancel();
	pthread_cleanup_pop(0);
	return NULL;
}

static bool cancels(void)
{
	unsigned char *p = armed_buffer();
	pthread_t th;
	void *res;

	CHECK(!pipe(idle_pipe));
	for (int i = 0; i < 11; i++) {
		in_read = false;
		cleaned = 0;
		CHECK(!pthread_create(
			&th, NULL, i < 10 ? blocked_reader : system_caller, p));
		while (!in_read)
			sched_yield();
		CHECK(i == 10 || wait_armed(p));
		CHECK(!pthread_cancel(th) && !pthread_join(th, &res));
		CHECK(res == PTHREAD_CANCELED && cleaned == 1);
	}
	/* system() was left in the middle: arming goes on nevertheless. */
	CHECK(wait_armed(p));
	munmap(p, BUF_BYTES);
	return true;
}

static void *short_life(void *arg)
{
	unsigned char *p = arg;
	size_t page = (size_t)rand() % (BUF_BYTES / 4096);

	if (p[page * 4096] != (unsigned char)(page * 56))
		return p;
	if (page % 2)
		pthread_exit(NULL);
	return NULL;
}

static bool thousand(void)
{
	unsigned char *p = armed_buffer();
	static pthread_t th[1000];
	pthread_attr_t attr;
	void *bad;

	CHECK(!pthread_attr_init(&attr));
	CHECK(!pthread_attr_setstacksize(&attr, 65536));
	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < 1000; i++)
			CHECK(!pthread_create(&th[i], &attr, short_life, p));
		for (int i = 0; i < 1000; i++)
			CHECK(!pthread_join(th[i], &bad) && !bad);
	}
	munmap(p, BUF_BYTES);
	return true;
}

/* A thread on a stack from large memory of the program's own. */
static bool own_stack(void)
{
	unsigned char *p = armed_buffer(), *stack = armed_buffer();
	pthread_attr_t attr;
	pthread_t th;
	void *bad;

	CHECK(!pthread_attr_init(&attr));
	CHECK(!pthread_attr_setstack(&attr, stack, BUF_BYTES));
	for (int i = 0; i < 20; i++) {
		CHECK(!pthread_create(&th, &attr, blocked_reader, p));
		CHECK(wait_armed(p) && !is_armed(stack + BUF_BYTES / 2));
		CHECK(!pthread_cancel(th) && !pthread_join(th, &bad));
	}
	munmap(p, BUF_BYTES);
	munmap(stack, BUF_BYTES);
	return true;
}

static bool affinity(void)
{
	cpu_set_t all, one, now;
	unsigned char *p = armed_buffer();
	int cpu = 0;

	CHECK(!sched_getaffinity(0, sizeof(all), &all));
	for (int i = 0; i < 20; i++)
		CHECK(wait_armed(p) && pattern_ok(p, BUF_BYTES));
	memset(&now, 0xff, sizeof(now));
	CHECK(!sched_getaffinity(0, sizeof(now), &now));
	CHECK(CPU_EQUAL(&all, &now));
	CHECK(!pthread_getaffinity_np(pthread_self(), sizeof(now), &now));
	CHECK(CPU_EQUAL(&all, &now));
	while (!CPU_ISSET(cpu, &all))
		cpu++;
	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	CHECK(!pthread_setaffinity_np(pthread_self(), sizeof(one), &one));
	CHECK(!sched_getaffinity(getpid(), sizeof(now), &now));
	CHECK(CPU_EQUAL(&one, &now) && sched_getcpu() == cpu);
	CHECK(sched_getaffinity(0, 1, &now) == -1 && errno == EINVAL);
	CPU_ZERO(&one);
	CHECK(sched_setaffinity(0, sizeof(one), &one) == -1 && errno == EINVAL);
	CHECK(!sched_setaffinity(0, sizeof(all), &all));
	CHECK(syscall(SYS_sched_getaffinity, 0, sizeof(now), &now) > 0);
	munmap(p, BUF_BYTES);
	return true;
}

int main(int argc, char **argv)
{
	static const struct armed_case cases[] = {
		{"forks", forks},
		{"fork-lives", fork_lives},
		{"fork-threads", fork_threads},
		{"fork-vfork", fork_vfork},
		{"spawns", spawns},
		{"execs", execs},
		{"exec-fails", exec_fails},
		{"vfork-signals", vfork_signals},
		{"cancels", cancels},
		{"thousand", thousand},
		{"own-stack", own_stack},
		{"affinity", affinity},
		{NULL, NULL},
	};

	return run_cases(cases, argc, argv);
}
