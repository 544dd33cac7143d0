/* SPDX-License-Identifier: MIT */
/*
 * A handler jumps out of a call that makes a process or starts a program,
 * after it has begun: the process goes on as before, and its memory is still
 * looked after.  Knows nothing of numabal; run by test_guard_frames.sh.
 */
#define _GNU_SOURCE
#include "armed.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>

static sigjmp_buf env;
static volatile int jumped, save_mask;

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

static void leave_exec(void)
{
	const struct itimerval it = {{0, 20}, {0, 20}}, off = {{0, 0}, {0, 0}};
	char *const args[] = {"none", NULL};

	for (volatile int i = 0; i < 200; i++)
		if (!sigsetjmp(env, 1)) {
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

static bool still_armed(unsigned char *buf)
{
	for (size_t i = 0; i < BUF_BYTES; i += 4096)
		((volatile unsigned char *)buf)[i]++;
	return wait_armed(buf + BUF_BYTES / 2);
}

int main(void)
{
	unsigned char *buf = new_buffer(BUF_BYTES);
	sigset_t segv;

	sigemptyset(&segv);
	sigaddset(&segv, SIGSEGV);
	signal(SIGUSR1, jump);
	signal(SIGALRM, jump);
	if (!wait_armed(buf))
		return 1;
	for (volatile int i = 0; i < 8; i++) {
		save_mask = 1;
		/* Then it is blocked in truth while the child runs. */
		if (i & 1)
			sigprocmask(SIG_BLOCK, &segv, NULL);
		far_down(leave_vfork);
		if (!still_armed(buf))
			return 2;
		sigprocmask(SIG_UNBLOCK, &segv, NULL);
		while (waitpid(-1, NULL, WNOHANG) > 0)
			;
	}
	if (jumped != 8)
		return 3;
	far_down(leave_exec);
	if (!still_armed(buf))
		return 4;
	printf("all jumps were taken\n");
	return 0;
}
