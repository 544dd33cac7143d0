/* SPDX-License-Identifier: MIT */
/*
 * One thread cannot start a program, again and again, while SIGSEGV is ignored.
 * It does so for itself alone: what another thread starts meanwhile inherits
 * that SIGSEGV is ignored, and in a process that is forked meanwhile memory can
 * be looked after.  Knows nothing of numabal, but for what the kernel says of
 * SIGSEGV.
 */
#define _GNU_SOURCE
#include "segv_open.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/wait.h>

#define TIMES 100

static _Atomic int nr;

static void *fail(void *arg)
{
	char *const args[] = {"none", NULL};

	for (;; atomic_fetch_add(&nr, 1))
		execv("/nonexistent", args);
	return arg;
}

static void start_failing(void)
{
	pthread_t th;

	if (pthread_create(&th, NULL, fail, NULL))
		_exit(90);
}

static void wait_some(int i)
{
	int until = atomic_load(&nr) + 1 + i % 7;

	while (atomic_load(&nr) < until)
		;
}

static int inherited(void)
{
	struct sigaction sa;

	sigaction(SIGSEGV, NULL, &sa);
	return sa.sa_handler != SIG_IGN;
}

static bool ends_well(pid_t pid, const char *what)
{
	int status;

	if (pid > 0 && waitpid(pid, &status, 0) == pid && !status)
		return true;
	printf("%s: status %x\n", what, pid > 0 ? (unsigned int)status : 0);
	return false;
}

static bool inherit(const char *self)
{
	for (int i = 0; i < TIMES; i++) {
		pid_t pid = fork();

		if (!pid) {
			start_failing();
			wait_some(i);
			execl(self, self, "inherits", NULL);
			_exit(91);
		}
		if (!ends_well(pid, "exec beside exec"))
			return false;
	}
	return true;
}

static bool are_forked(unsigned char *buf)
{
	for (int i = 0; i < TIMES; i++) {
		pid_t pid;

		wait_some(i);
		pid = fork();
		if (!pid) {
			for (size_t k = 0; k < BUF_BYTES; k += 4096)
				((volatile unsigned char *)buf)[k]++;
			_exit(!segv_is_open());
		}
		if (!ends_well(pid, "fork beside exec"))
			return false;
	}
	return true;
}

int main(int argc, char **argv)
{
	unsigned char *buf;

	if (argc > 1)
		return inherited();
	buf = new_buffer(BUF_BYTES);
	signal(SIGSEGV, SIG_IGN);
	if (!wait_armed(buf))
		return 1;
	if (!inherit(argv[0]))
		return 2;
	start_failing();
	return are_forked(buf) ? 0 : 3;
}
