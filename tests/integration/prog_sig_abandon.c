/* SPDX-License-Identifier: MIT */
/*
 * A handler jumps out of a call that makes a process or starts a program,
 * after it has begun: the process goes on as before, and its memory is still
 * looked after.  Knows nothing of numabal; run by test_guard_frames.sh.
 */
#define _GNU_SOURCE
#include "armed.h"

#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>

static sigjmp_buf env;
static volatile int jumped, save_mask;
static _Atomic bool left, over;

static void jump(int sig)
{
	(void)sig;
	jumped++;
	siglongjmp(env, 1);
}

/* A signal comes when the call returns: nobody sees it do so. */
static void leave_vfork(void)
{
	if (sigsetjmp(env, save_mask))
		return;
	/* The child sends it before its parent goes on. */
	if (!vfork()) {
		syscall(SYS_kill, getppid(), SIGUSR1);
		_exit(0);
	}
	_exit(93);
}

static void in_handler(int sig)
{
	(void)sig;
	leave_vfork();
}

/* The next that is seen is the end of a call further out. */
static void leave_inner(void)
{
	const union sigval v = {0};

	save_mask = 0;
	/* It comes when the call returns. */
	if (sigqueue(getpid(), SIGUSR2, v))
		_exit(94);
}

static bool still_armed(unsigned char *buf)
{
	for (size_t i = 0; i < BUF_BYTES; i += 4096)
		((volatile unsigned char *)buf)[i]++;
	return wait_armed(buf + BUF_BYTES / 2);
}

/* Nothing is seen at all: the thread makes no call any more. */
static void *leave_and_go_on(void *arg)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
	save_mask = 0;
	leave_vfork();
	atomic_store(&left, true);
	while (!atomic_load(&over))
		;
	return arg;
}

static bool leave_by_thread(unsigned char *buf)
{
	sigset_t set;
	pthread_t th;
	bool ok;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	if (pthread_create(&th, NULL, leave_and_go_on, NULL))
		return false;
	while (!atomic_load(&left))
		;
	ok = still_armed(buf);
	atomic_store(&over, true);
	pthread_join(th, NULL);
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
	return ok;
}

static void leave_exec(void)
{
	const struct itimerval it = {{0, 20}, {0, 20}}, off = {{0, 0}, {0, 0}};
	char *const args[] = {"none", NULL};

	for (volatile int i = 0; i < 200; i++)
		if (!sigsetjmp(env, save_mask)) {
			setitimer(ITIMER_REAL, &it, NULL);
			for (int k = 0; k < 100; k++)
				execv("/nonexistent", args);
		}
	setitimer(ITIMER_REAL, &off, NULL);
}

/* The calls that follow are made further up the stack. */
static void __attribute__((noinline)) far_down(void (*fn)(void))
{
	volatile char room[512 * 1024];

	room[0] = 1;
	fn();
	room[1] = room[0];
}

static void a_call(int sig)
{
	char byte;

	(void)sig;
	if (read(-1, &byte, 1) != -1)
		_exit(97);
}

/* A handler that returns changes nothing of what the next program inherits. */
static void exec_in_a_storm(const char *self)
{
	struct sigevent ev = {.sigev_notify = SIGEV_SIGNAL,
			      .sigev_signo = SIGALRM};
	const struct itimerspec it = {{0, 20000}, {0, 20000}};
	timer_t timer;
	sigset_t set;

	signal(SIGALRM, a_call);
	signal(SIGSEGV, SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGSEGV);
	sigprocmask(SIG_BLOCK, &set, NULL);
	/* This one ends with exec. */
	if (timer_create(CLOCK_MONOTONIC, &ev, &timer) ||
	    timer_settime(timer, 0, &it, NULL))
		_exit(96);
	execl(self, self, "inherits", NULL);
	_exit(92);
}

/* What SIGSEGV is after exec: 0 if ignored and blocked. */
static int inherited(void)
{
	struct sigaction sa;
	sigset_t set;

	sigaction(SIGSEGV, NULL, &sa);
	sigprocmask(SIG_BLOCK, NULL, &set);
	return (sa.sa_handler != SIG_IGN) +
	       2 * (sigismember(&set, SIGSEGV) != 1);
}

static bool all_inherit(const char *self, int times)
{
	int status;

	for (int i = 0; i < times; i++) {
		pid_t pid = fork();

		if (!pid)
			exec_in_a_storm(self);
		if (waitpid(pid, &status, 0) != pid || status) {
			fprintf(stderr, "exec %d: status %x\n", i, status);
			return false;
		}
	}
	return true;
}

int main(int argc, char **argv)
{
	unsigned char *buf;
	const struct sigaction often = {.sa_handler = jump,
					.sa_flags = SA_NODEFER};
	sigset_t segv;

	if (argc > 1 && !strcmp(argv[1], "inherits"))
		return inherited();
	buf = new_buffer(BUF_BYTES);
	sigemptyset(&segv);
	sigaddset(&segv, SIGSEGV);
	signal(SIGUSR1, jump);
	signal(SIGUSR2, in_handler);
	sigaction(SIGALRM, &often, NULL);
	if (!wait_armed(buf))
		return 1;
	for (volatile int i = 0; i < 16; i++) {
		save_mask = 1;
		/* Then it is blocked in truth while the child runs. */
		if (i & 1)
			sigprocmask(SIG_BLOCK, &segv, NULL);
		if (i & 2)
			far_down(leave_vfork);
		else if (i & 4)
			leave_inner();
		else
			leave_vfork();
		if (!still_armed(buf))
			return 2;
		sigprocmask(SIG_UNBLOCK, &segv, NULL);
		while (waitpid(-1, NULL, WNOHANG) > 0)
			;
	}
	if (jumped != 16)
		return 3;
	far_down(leave_exec);
	if (!still_armed(buf))
		return 4;
	/* Then it is that in truth while the call is under way. */
	signal(SIGSEGV, SIG_IGN);
	sigprocmask(SIG_BLOCK, &segv, NULL);
	for (save_mask = 0; save_mask < 2; save_mask++) {
		leave_exec();
		if (!still_armed(buf))
			return 5;
	}
	sigprocmask(SIG_UNBLOCK, &segv, NULL);
	if (!leave_by_thread(buf))
		return 6;
	if (!all_inherit(argv[0], 60))
		return 7;
	printf("all jumps were taken\n");
	return 0;
}
