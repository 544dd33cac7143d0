/* SPDX-License-Identifier: MIT */
/*
 * What a program sees of its signals: actions, masks, alternate stacks, what
 * is pending, handed on to threads and to other programs; printed, so that a
 * run under the library can be compared with one without.  Memory of the heap
 * is used all the time, also where SIGSEGV is blocked.  Knows nothing of
 * numabal; run by test_guard_signal.sh.
 */
#define _GNU_SOURCE
#include "second_thread.h"

#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define HEAP ((size_t)4 << 20)

static unsigned char *heap;
static volatile sig_atomic_t calls;

static void touch(void)
{
	for (size_t i = 0; i < HEAP; i += 4096) {
		if (heap[i] != (unsigned char)(i >> 12)) {
			printf("heap is damaged\n");
			exit(1);
		}
		heap[i] = (unsigned char)(i >> 12);
	}
}

static void make_heap(void)
{
	heap = malloc(HEAP);
	if (!heap)
		exit(1);
	for (size_t i = 0; i < HEAP; i++)
		heap[i] = (unsigned char)(i >> 12);
}

static void show_set(const char *what, const sigset_t *set)
{
	printf("%s:", what);
	for (int sig = 1; sig < 65; sig++)
		if (sigismember(set, sig) == 1)
			printf(" %d", sig);
	printf("\n");
}

static void show_mask(const char *what)
{
	sigset_t set;

	touch();
	sigprocmask(SIG_BLOCK, NULL, &set);
	show_set(what, &set);
}

static void on_signal(int sig)
{
	(void)sig;
	calls++;
	touch();
}

static void show_action(int sig)
{
	struct sigaction sa;
	unsigned long raw[4] = {9, 9, 9, 9};
	long r = syscall(SYS_rt_sigaction, sig, NULL, raw, 8L);

	if (sigaction(sig, NULL, &sa)) {
		printf("%d: none\n", sig);
		return;
	}
	printf("%d: %s flags %x, raw %ld %s flags %lx mask %lx\n", sig,
	       sa.sa_handler == SIG_DFL	    ? "default"
	       : sa.sa_handler == SIG_IGN   ? "ignored"
	       : sa.sa_handler == on_signal ? "handler"
					    : "other",
	       (unsigned int)sa.sa_flags, r,
	       raw[0] == (unsigned long)sa.sa_handler ? "same" : "other",
	       raw[1], raw[3]);
	show_set("  mask", &sa.sa_mask);
}

static void actions(void)
{
	struct sigaction sa = {.sa_handler = on_signal};
	const int flags[] = {0, SA_NODEFER, (int)SA_RESETHAND, SA_ONSTACK,
			     SA_RESTART | SA_SIGINFO};

	show_action(SIGSEGV);
	for (size_t i = 0; i < sizeof(flags) / sizeof(*flags); i++) {
		sigfillset(&sa.sa_mask);
		sa.sa_flags = flags[i];
		printf("set %d\n", sigaction(SIGSEGV, &sa, NULL));
		show_action(SIGSEGV);
		printf("set %d\n", sigaction(SIGUSR1, &sa, NULL));
		show_action(SIGUSR1);
	}
	signal(SIGUSR1, on_signal);
	show_action(SIGUSR1);
	signal(SIGSEGV, SIG_IGN);
	show_action(SIGSEGV);
	signal(SIGSEGV, on_signal);
	show_action(SIGSEGV);
	printf("bad %ld %ld %ld\n",
	       syscall(SYS_rt_sigaction, SIGSEGV, &sa, NULL, 7L),
	       syscall(SYS_rt_sigaction, SIGSEGV, 16L, NULL, 8L),
	       syscall(SYS_rt_sigaction, SIGSEGV, NULL, 16L, 8L));
}

static void *in_thread(void *what)
{
	stack_t ss;

	show_mask(what);
	sigaltstack(NULL, &ss);
	printf("thread's stack %d %p %zu\n", ss.ss_flags, ss.ss_sp, ss.ss_size);
	return NULL;
}

static void masks(void)
{
	sigset_t all, some, old;
	pthread_t th;
	sigjmp_buf env;

	sigfillset(&all);
	sigemptyset(&some);
	sigaddset(&some, SIGSEGV);
	sigaddset(&some, SIGHUP);
	show_mask("first");
	sigprocmask(SIG_SETMASK, &all, &old);
	show_set("old", &old);
	show_mask("all");
	pthread_sigmask(SIG_UNBLOCK, &some, &old);
	show_set("old", &old);
	show_mask("all but some");
	if (!sigsetjmp(env, 1)) {
		sigprocmask(SIG_SETMASK, &some, NULL);
		show_mask("some");
		siglongjmp(env, 1);
	}
	show_mask("after the jump");
	sigprocmask(SIG_SETMASK, &some, NULL);
	pthread_create(&th, NULL, in_thread, "thread");
	pthread_join(th, NULL);
	show_mask("after the thread");
	printf("bad %d\n", sigprocmask(55, &all, NULL));
	sigemptyset(&some);
	sigprocmask(SIG_SETMASK, &some, &old);
	show_set("old", &old);
}

static void sent(void)
{
	sigset_t segv, old;
	siginfo_t info;

	signal(SIGSEGV, on_signal);
	calls = 0;
	raise(SIGSEGV);
	kill(getpid(), SIGSEGV);
	printf("sent: %d\n", (int)calls);
	sigemptyset(&segv);
	sigaddset(&segv, SIGSEGV);
	sigprocmask(SIG_BLOCK, &segv, &old);
	raise(SIGSEGV);
	raise(SIGSEGV);
	sigpending(&old);
	show_set("pending", &old);
	printf("blocked: %d\n", (int)calls);
	sigprocmask(SIG_UNBLOCK, &segv, NULL);
	printf("unblocked: %d\n", (int)calls);
	sigprocmask(SIG_BLOCK, &segv, NULL);
	raise(SIGSEGV);
	printf("waited for: %d", sigwaitinfo(&segv, &info));
	printf(" code %d, %d\n", info.si_code, (int)calls);
	sigprocmask(SIG_UNBLOCK, &segv, NULL);
	printf("end: %d\n", (int)calls);
}

/* Who ignores it from now on has never got it. */
static void dropped(void)
{
	sigset_t segv, set;
	struct timespec now = {0, 0};
	siginfo_t info;

	sigemptyset(&segv);
	sigaddset(&segv, SIGSEGV);
	signal(SIGSEGV, on_signal);
	sigprocmask(SIG_BLOCK, &segv, NULL);
	for (int i = 0; i < 2; i++) {
		if (i)
			raise(SIGSEGV);
		else
			kill(getpid(), SIGSEGV);
		sigpending(&set);
		show_set("pending", &set);
		signal(SIGSEGV, SIG_IGN);
		sigpending(&set);
		show_set("ignored", &set);
		printf("waited for: %d\n", sigtimedwait(&segv, &info, &now));
		signal(SIGSEGV, on_signal);
	}
	raise(SIGSEGV);
	printf("waited for: %d", sigtimedwait(&segv, &info, &now));
	printf(" code %d, own %d\n", info.si_code, info.si_pid == getpid());
	sigprocmask(SIG_UNBLOCK, &segv, NULL);
	printf("end: %d\n", (int)calls);
}

static void waits(void)
{
	struct sigaction sa = {.sa_handler = on_signal};
	struct timespec ts = {5, 0};
	struct epoll_event ev;
	int ep = epoll_create1(EPOLL_CLOEXEC), r = 0;
	sigset_t usr1, wait;

	sigfillset(&sa.sa_mask);
	sigaction(SIGUSR1, &sa, NULL);
	sigemptyset(&usr1);
	sigaddset(&usr1, SIGUSR1);
	sigprocmask(SIG_SETMASK, &usr1, NULL);
	sigfillset(&wait);
	sigdelset(&wait, SIGUSR1);
	for (int how = 0; how < 4; how++) {
		calls = 0;
		raise(SIGUSR1);
		switch (how) {
		case 0:
			r = sigsuspend(&wait);
			break;
		case 1:
			r = ppoll(NULL, 0, &ts, &wait);
			break;
		case 2:
			r = pselect(0, NULL, NULL, NULL, &ts, &wait);
			break;
		case 3:
			r = epoll_pwait(ep, &ev, 1, 5000, &wait);
			break;
		}
		printf("wait %d: %d %m, %d\n", how, r, (int)calls);
		show_mask("after");
	}
	close(ep);
	sigprocmask(SIG_UNBLOCK, &usr1, NULL);
}

static void show_stack(const char *what)
{
	stack_t ss;

	sigaltstack(NULL, &ss);
	printf("%s: flags %d %s %zu\n", what, ss.ss_flags,
	       ss.ss_sp ? "somewhere" : "nowhere", ss.ss_size);
}

static void stacks(void)
{
	size_t sizes[] = {4096, 8192, 16384, 1 << 20};
	stack_t ss = {.ss_flags = 0}, old;

	show_stack("no stack");
	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		ss.ss_sp = malloc(sizes[i]);
		ss.ss_size = sizes[i];
		ss.ss_flags = 0;
		printf("set %d\n", sigaltstack(&ss, &old));
		show_stack("set");
	}
	printf("old %zu\n", old.ss_size);
	ss.ss_size = 100;
	printf("tiny %d %m\n", sigaltstack(&ss, NULL));
	ss.ss_flags = SS_DISABLE;
	printf("off %d\n", sigaltstack(&ss, &old));
	printf("old %zu\n", old.ss_size);
	show_stack("off");
}

/* Another program: what it was given. */
static int other_program(const char *how)
{
	char line[256];
	FILE *f = fopen("/proc/self/status", "r");

	while (f && fgets(line, sizeof(line), f))
		if (!strncmp(line, "SigBlk", 6) || !strncmp(line, "SigIgn", 6))
			printf("%s %s", how, line);
	return 0;
}

/* Each way to start a program. */
static void start_others(const char *name)
{
	char *args[] = {"prog_sig_view", "other", NULL, NULL};
	extern char **environ;
	pid_t pid;

	fflush(stdout);
	setenv("LD_PRELOAD", "", 1);
	args[2] = "spawned";
	if (!posix_spawn(&pid, name, NULL, NULL, args, environ))
		waitpid(pid, NULL, 0);
	args[2] = "forked";
	pid = fork();
	if (!pid)
		_exit(execv(name, args));
	waitpid(pid, NULL, 0);
	args[2] = "vforked";
	pid = vfork();
	if (!pid) {
		execv("/nonexistent", args);
		execv(name, args);
		_exit(1);
	}
	waitpid(pid, NULL, 0);
}

static void others(const char *name)
{
	sigset_t segv;

	sigemptyset(&segv);
	sigaddset(&segv, SIGSEGV);
	signal(SIGSEGV, on_signal);
	printf("with a handler\n");
	start_others(name);
	signal(SIGSEGV, SIG_IGN);
	printf("ignored\n");
	start_others(name);
	sigprocmask(SIG_BLOCK, &segv, NULL);
	printf("ignored and blocked\n");
	start_others(name);
	touch();
	show_mask("after");
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";

	if (!strcmp(what, "other"))
		return other_program(argv[2]);
	make_heap();
	/* Time for what may happen to the heap behind our back. */
	for (int i = 0; i < 200; i++)
		touch();
	if (!strcmp(what, "actions"))
		actions();
	else if (!strcmp(what, "masks"))
		masks();
	else if (!strcmp(what, "sent"))
		sent();
	else if (!strcmp(what, "dropped"))
		dropped();
	else if (!strcmp(what, "waits"))
		waits();
	else if (!strcmp(what, "stacks"))
		stacks();
	else if (!strcmp(what, "others"))
		others(argv[0]);
	else
		return 2;
	touch();
	return 0;
}
