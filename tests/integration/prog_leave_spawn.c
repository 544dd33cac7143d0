/* SPDX-License-Identifier: MIT */
/*
 * A handler jumps out of functions that start programs: memory is looked after
 * again as soon as a call is made that is not further in.  Two threads that
 * cannot start a program leave SIGSEGV, which is ignored, as it was.  Knows
 * nothing of numabal, but for what the kernel says of SIGSEGV.
 */
#define _GNU_SOURCE
#include "segv_open.h"

#include <setjmp.h>
#include <spawn.h>
#include <stdatomic.h>
#include <sys/time.h>
#include <sys/wait.h>

static unsigned char *buf;
static sigjmp_buf env;
static volatile int jumped;
static _Atomic int to_do = 100000;

static void jump(int sig)
{
	(void)sig;
	jumped++;
	siglongjmp(env, 0);
}

/* A call from a frame that is further out than those that were left. */
static bool still_armed(void)
{
	char byte;

	if (read(-1, &byte, 1) != -1)
		return false;
	for (size_t i = 0; i < BUF_BYTES; i += 4096)
		((volatile unsigned char *)buf)[i]++;
	return wait_armed(buf + BUF_BYTES / 2);
}

static void __attribute__((noinline)) far_down(void (*fn)(void))
{
	volatile char room[16384];

	room[0] = 1;
	fn();
	room[1] = room[0];
}

static void leave_system(void)
{
	/* The command sends it to who waits for it. */
	if (!sigsetjmp(env, 0) && system("kill -USR1 $PPID; exec sleep 1"))
		exit(93);
}

static bool out_of_system(void)
{
	for (volatile int i = 0; i < 3; i++) {
		jumped = 0;
		far_down(leave_system);
		CHECK(jumped == 1 && still_armed());
	}
	return true;
}

static void leave_exec(void)
{
	const struct itimerval it = {{0, 20}, {0, 20}}, off = {{0, 0}, {0, 0}};
	char *const args[] = {"none", NULL};

	for (volatile int i = 0; i < 200; i++)
		if (!sigsetjmp(env, 0)) {
			setitimer(ITIMER_REAL, &it, NULL);
			for (int k = 0; k < 100; k++)
				execv("/nonexistent", args);
		}
	setitimer(ITIMER_REAL, &off, NULL);
}

static bool out_of_exec(void)
{
	sigset_t segv;

	sigemptyset(&segv);
	sigaddset(&segv, SIGSEGV);
	sigprocmask(SIG_BLOCK, &segv, NULL);
	signal(SIGSEGV, SIG_IGN);
	far_down(leave_exec);
	CHECK(still_armed() && segv_is_open());
	sigprocmask(SIG_UNBLOCK, &segv, NULL);
	return true;
}

static void *fail(void *arg)
{
	char *const args[] = {"none", NULL};

	while (atomic_fetch_sub(&to_do, 1) > 0)
		execv("/nonexistent", args);
	return arg;
}

static bool two_threads(void)
{
	pthread_t th;

	signal(SIGSEGV, SIG_IGN);
	CHECK(!pthread_create(&th, NULL, fail, NULL));
	fail(NULL);
	CHECK(!pthread_join(th, NULL));
	CHECK(segv_is_open() && still_armed());
	return true;
}

int main(int argc, char **argv)
{
	static const struct armed_case cases[] = {
		{"system", out_of_system},
		{"exec", out_of_exec},
		{"threads", two_threads},
		{NULL, NULL},
	};
	const struct sigaction often = {.sa_handler = jump,
					.sa_flags = SA_NODEFER};

	sigaction(SIGUSR1, &often, NULL);
	sigaction(SIGALRM, &often, NULL);
	buf = armed_buffer();
	return run_cases(cases, argc, argv);
}
