/* SPDX-License-Identifier: MIT */
/*
 * prog_crash CASE: dies of SIGSEGV, beside armed memory; with a second
 * argument (then nothing is armed) a parent of it watches and prints how it
 * ended, as the kernel tells it: signal, core, si_code and si_addr of the last
 * SIGSEGV.  Knows nothing of numabal; run by test_signal_crash.sh with and
 * without it.
 */
#define _GNU_SOURCE
#include "armed.h"

#include <pthread.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

#define FIXED ((unsigned char *)0x200000000000)

static unsigned char *bad_address(const char *name)
{
	unsigned char *p;

	if (strcmp(name, "readonly") && strcmp(name, "none") &&
	    strcmp(name, "jump"))
		return (unsigned char *)24;
	p = mmap(FIXED, BUF_BYTES, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
	if (p != FIXED)
		exit(97);
	memset(p, 1, BUF_BYTES);
	if (!wait_armed(p))
		exit(98);
	/* To jump to: data that stays so. */
	if (strcmp(name, "jump"))
		mprotect(p, BUF_BYTES,
			 strcmp(name, "none") ? PROT_READ : PROT_NONE);
	return p + 4242;
}

static void *faulting_thread(void *arg)
{
	*(volatile unsigned char *)arg = 1;
	return NULL;
}

static void on_segv(int sig)
{
	(void)sig;
}

static void crash(const char *name)
{
	unsigned char *armed = armed_buffer();
	volatile unsigned char *bad = bad_address(name);
	struct sigaction sa = {.sa_flags = (int)SA_RESETHAND};
	sigset_t set;
	pthread_t th;

	sigemptyset(&set);
	sigaddset(&set, SIGSEGV);
	sa.sa_handler = on_segv;
	if (!strcmp(name, "ignored"))
		signal(SIGSEGV, SIG_IGN);
	if (!strcmp(name, "blocked"))
		sigprocmask(SIG_BLOCK, &set, NULL);
	if (!strcmp(name, "resethand"))
		sigaction(SIGSEGV, &sa, NULL);
	if (!wait_armed(armed))
		exit(98);
	if (!strcmp(name, "kill"))
		kill(getpid(), SIGSEGV);
	else if (!strcmp(name, "raise"))
		raise(SIGSEGV);
	else if (!strcmp(name, "thread"))
		pthread_create(&th, NULL, faulting_thread, (void *)bad);
	else if (!strcmp(name, "abort"))
		abort();
	else if (!strcmp(name, "jump"))
		((void (*)(void))bad)();
	else
		*bad = 1;
	if (!strcmp(name, "thread"))
		pthread_join(th, NULL);
}

static int watch(pid_t pid)
{
	siginfo_t info, last = {.si_code = 0};
	bool first = true;
	int st = 0;
	pid_t tid;

	while ((tid = waitpid(-1, &st, __WALL)) > 0) {
		int sig = WIFSTOPPED(st) ? WSTOPSIG(st) : 0;

		if (!sig && tid == pid)
			break;
		if (!sig)
			continue; /* a thread is gone */
		if (first)
			ptrace(PTRACE_SETOPTIONS, pid, NULL,
			       (void *)PTRACE_O_TRACECLONE);
		first = false;
		if (sig == SIGSEGV &&
		    !ptrace(PTRACE_GETSIGINFO, tid, NULL, &info))
			last = info;
		/* Stops that only we caused. */
		if (sig == SIGSTOP || st >> 16)
			sig = 0;
		ptrace(PTRACE_CONT, tid, NULL, (void *)(long)sig);
	}
	/* Others were hint faults on the way. */
	if (!WIFSIGNALED(st) || WTERMSIG(st) != SIGSEGV)
		memset(&last, 0, sizeof(last));
	printf("signal %d core %d code %d addr %p\n",
	       WIFSIGNALED(st) ? WTERMSIG(st) : -1,
	       WIFSIGNALED(st) && WCOREDUMP(st), last.si_code,
	       last.si_code > 0 ? last.si_addr : NULL);
	return 0;
}

int main(int argc, char **argv)
{
	pid_t pid;

	if (argc < 3) {
		if (argc == 2)
			crash(argv[1]);
		return 1;
	}
	pid = fork();
	if (pid)
		return watch(pid);
	if (ptrace(PTRACE_TRACEME, 0, NULL, NULL))
		_exit(77);
	/* Under a tracer nothing is armed. */
	setenv("NB_PLAIN", "1", 1);
	raise(SIGSTOP);
	crash(argv[1]);
	return 1;
}
