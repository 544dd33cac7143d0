/* SPDX-License-Identifier: MIT */
/*
 * A program that has its own ideas of SIGSEGV, on armed memory.  Knows nothing
 * of numabal; run by test_signal_handler.sh.
 */
#define _GNU_SOURCE
#include "armed.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/syscall.h>

/* Old functions are part of what is tested. */
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

static sigjmp_buf back;
static volatile sig_atomic_t calls;
static volatile int last_code;
static void *volatile last_addr;
static unsigned char *volatile touched; /* by handlers of other signals */

static void on_segv_info(int sig, siginfo_t *info, void *uc)
{
	(void)sig;
	(void)uc;
	calls++;
	last_code = info->si_code;
	last_addr = info->si_addr;
	if (info->si_code > 0)
		siglongjmp(back, 1);
}

static void on_segv(int sig)
{
	(void)sig;
	calls++;
	siglongjmp(back, 1);
}

static bool install(int flags)
{
	struct sigaction sa = {.sa_flags = SA_SIGINFO | flags};

	sa.sa_sigaction = on_segv_info;
	sigfillset(&sa.sa_mask);
	return !sigaction(SIGSEGV, &sa, NULL);
}

/* libc adds a flag of its own on some machines. */
#define FLAGS(sa) ((sa).sa_flags & ~0x04000000)

static bool segv_blocked(void)
{
	sigset_t set;

	return !sigprocmask(SIG_BLOCK, NULL, &set) &&
	       sigismember(&set, SIGSEGV);
}

/* Write to @p: true if the program's own handler saw just that. */
static bool faults_at(unsigned char *p, int code)
{
	int before = calls;

	if (!sigsetjmp(back, 1)) {
		*(volatile unsigned char *)p = 1;
		return false;
	}
	return calls == before + 1 && last_addr == p && last_code == code;
}

static bool recovers(void)
{
	unsigned char *p = armed_buffer();

	CHECK(install(0));
	for (int i = 0; i < 100; i++) {
		unsigned char *bad = (unsigned char *)(uintptr_t)(8 + i);

		CHECK(faults_at(bad, SEGV_MAPERR));
		CHECK(!segv_blocked());
		CHECK(p[i * 4096L] == (unsigned char)(i * 8 * 7));
	}
	CHECK(pattern_ok(p, BUF_BYTES));
	munmap(p, BUF_BYTES);
	return true;
}

static bool nodefer(void)
{
	struct sigaction sa;

	CHECK(install(SA_NODEFER));
	CHECK(faults_at((unsigned char *)16, SEGV_MAPERR));
	CHECK(faults_at((unsigned char *)24, SEGV_MAPERR));
	CHECK(!sigaction(SIGSEGV, NULL, &sa));
	CHECK(sa.sa_sigaction == on_segv_info);
	CHECK(FLAGS(sa) == (SA_SIGINFO | SA_NODEFER));
	CHECK(sigismember(&sa.sa_mask, SIGHUP) == 1);
	return true;
}

static bool resethand(void)
{
	struct sigaction sa;

	CHECK(install((int)SA_RESETHAND));
	CHECK(faults_at((unsigned char *)16, SEGV_MAPERR));
	CHECK(!sigaction(SIGSEGV, NULL, &sa));
	CHECK(sa.sa_handler == SIG_DFL);
	return true;
}

static bool by_signal(void)
{
	volatile char *volatile nowhere = (void *)16;
	struct sigaction sa;

	signal(SIGSEGV, SIG_DFL);
	CHECK(signal(SIGSEGV, on_segv) == SIG_DFL);
	for (int i = 0; i < 3; i++) {
		if (!sigsetjmp(back, 1)) {
			*nowhere = 1;
			return false;
		}
	}
	CHECK(!sigaction(SIGSEGV, NULL, &sa));
	CHECK(sa.sa_handler == on_segv && FLAGS(sa) == SA_RESTART);
	CHECK(!siginterrupt(SIGSEGV, 1));
	CHECK(!sigaction(SIGSEGV, NULL, &sa) && !FLAGS(sa));
	CHECK(!siginterrupt(SIGSEGV, 0));
	CHECK(sysv_signal(SIGSEGV, SIG_DFL) == on_segv);
	CHECK(sysv_signal(SIGSEGV, on_segv) == SIG_DFL);
	CHECK(!sigaction(SIGSEGV, NULL, &sa));
	CHECK(FLAGS(sa) == (int)(SA_RESETHAND | SA_NODEFER));
	CHECK(sigset(SIGSEGV, SIG_HOLD) == on_segv && segv_blocked());
	CHECK(sigset(SIGSEGV, SIG_IGN) == SIG_HOLD && !segv_blocked());
	CHECK(signal(SIGSEGV, SIG_DFL) == SIG_IGN);
	CHECK(signal(SIGSEGV, SIG_ERR) == SIG_ERR && errno == EINVAL);
	CHECK(!sighold(SIGSEGV) && segv_blocked());
	CHECK(!sigrelse(SIGSEGV) && !segv_blocked());
	return true;
}

/* The program's own protection of memory that is armed. */
static bool own_mprotect(void)
{
	unsigned char *p = armed_buffer();

	CHECK(install(0));
	CHECK(!mprotect(p + 4096, 4096, PROT_READ));
	CHECK(p[4096] == 56);
	CHECK(pattern_ok(p, BUF_BYTES));
	CHECK(wait_armed(p + BUF_BYTES / 2));
	CHECK(faults_at(p + 4100, SEGV_ACCERR));
	CHECK(!mprotect(p, BUF_BYTES, PROT_NONE));
	CHECK(faults_at(p + 5, SEGV_ACCERR));
	CHECK(faults_at(p + BUF_BYTES - 5, SEGV_ACCERR));
	CHECK(!mprotect(p, BUF_BYTES, PROT_READ | PROT_WRITE));
	CHECK(pattern_ok(p, BUF_BYTES));
	munmap(p, BUF_BYTES);
	CHECK(faults_at(p + 5, SEGV_MAPERR));
	return true;
}

/* "Blocked" SIGSEGV, and memory that needs it. */
static bool blocked(void)
{
	unsigned char *p = armed_buffer();
	sigset_t all, none, old;

	sigfillset(&all);
	sigemptyset(&none);
	CHECK(!sigprocmask(SIG_SETMASK, &all, &old));
	CHECK(!sigismember(&old, SIGSEGV));
	CHECK(segv_blocked());
	CHECK(wait_armed(p) && pattern_ok(p, BUF_BYTES));
	CHECK(!pthread_sigmask(SIG_SETMASK, &none, &old));
	CHECK(sigismember(&old, SIGSEGV) && sigismember(&old, SIGHUP));
	CHECK(!segv_blocked());
	CHECK(sigprocmask(77, &all, NULL) == -1 && errno == EINVAL);
	CHECK(!segv_blocked());
	CHECK(syscall(SYS_rt_sigprocmask, SIG_SETMASK, &all, &old, 8L) == 0);
	CHECK(!sigismember(&old, SIGSEGV) && segv_blocked());
	CHECK(wait_armed(p) && pattern_ok(p, BUF_BYTES));
	CHECK(sigblock(0) & (1 << (SIGSEGV - 1)));
	CHECK(sigsetmask(0) & (1 << (SIGSEGV - 1)));
	CHECK(!segv_blocked());
	munmap(p, BUF_BYTES);
	return true;
}

/* Sent while blocked: waits until it is not. */
static bool sent(void)
{
	int before;
	sigset_t set;

	CHECK(install(0));
	before = calls;
	CHECK(!kill(getpid(), SIGSEGV));
	CHECK(calls == before + 1 && last_code == SI_USER);
	CHECK(!raise(SIGSEGV));
	CHECK(calls == before + 2 && last_code == SI_TKILL);
	sigemptyset(&set);
	sigaddset(&set, SIGSEGV);
	CHECK(!sigprocmask(SIG_BLOCK, &set, NULL));
	CHECK(!raise(SIGSEGV) && calls == before + 2);
	CHECK(!sigprocmask(SIG_UNBLOCK, &set, NULL));
	CHECK(calls == before + 3);
	CHECK(signal(SIGSEGV, SIG_IGN) != SIG_ERR);
	CHECK(!kill(getpid(), SIGSEGV) && calls == before + 3);
	return true;
}

static void on_usr1(int sig)
{
	(void)sig;
	calls++;
	if (touched && !pattern_ok(touched, BUF_BYTES))
		_exit(96);
}

/* Handlers of other signals whose mask has SIGSEGV. */
static bool other_masks(void)
{
	struct sigaction sa = {.sa_flags = SA_RESTART}, old;
	unsigned char *p = armed_buffer();

	touched = p;
	sa.sa_handler = on_usr1;
	sigfillset(&sa.sa_mask);
	CHECK(!sigaction(SIGUSR1, &sa, NULL));
	CHECK(wait_armed(p));
	CHECK(!raise(SIGUSR1));
	CHECK(!sigaction(SIGUSR1, NULL, &old));
	CHECK(old.sa_handler == on_usr1);
	CHECK(sigismember(&old.sa_mask, SIGSEGV) == 1);
	CHECK(sigismember(&old.sa_mask, SIGHUP) == 1);
	sigdelset(&sa.sa_mask, SIGSEGV);
	CHECK(!sigaction(SIGUSR1, &sa, &old));
	CHECK(sigismember(&old.sa_mask, SIGSEGV) == 1);
	CHECK(signal(SIGUSR1, on_usr1) == on_usr1);
	CHECK(!sigaction(SIGUSR1, NULL, &old));
	CHECK(sigismember(&old.sa_mask, SIGSEGV) == 0);
	munmap(p, BUF_BYTES);
	touched = NULL;
	return true;
}

/* Calls that wait with a mask of their own; a handler runs under it. */
static bool waiting_masks(void)
{
	struct sigaction sa = {.sa_flags = 0};
	struct timespec ts = {5, 0};
	sigset_t mask, usr1;
	int ep = epoll_create1(0);

	sa.sa_handler = on_usr1;
	CHECK(!sigaction(SIGUSR1, &sa, NULL));
	sigemptyset(&usr1);
	sigaddset(&usr1, SIGUSR1);
	CHECK(!sigprocmask(SIG_BLOCK, &usr1, NULL));
	sigfillset(&mask);
	sigdelset(&mask, SIGUSR1);
	for (int how = 0; how < 5; how++) {
		unsigned char *p = armed_buffer();
		struct epoll_event ev;
		int r;

		touched = p;
		CHECK(!raise(SIGUSR1)); /* pending */
		CHECK(wait_armed(p));
		errno = 0;
		if (how == 0)
			r = sigsuspend(&mask);
		else if (how == 1)
			r = ppoll(NULL, 0, &ts, &mask);
		else if (how == 2)
			r = pselect(0, NULL, NULL, NULL, &ts, &mask);
		else if (how == 3)
			r = epoll_pwait(ep, &ev, 1, 5000, &mask);
		else
			r = (int)syscall(SYS_ppoll, NULL, 0, &ts, &mask, 8L);
		CHECK(r == -1 && errno == EINTR);
		touched = NULL;
		munmap(p, BUF_BYTES);
	}
	close(ep);
	CHECK(!sigprocmask(SIG_UNBLOCK, &usr1, NULL));
	return true;
}

/* A thread inherits what its creator believes. */
static void *blocked_thread(void *arg)
{
	unsigned char *p = arg;

	return segv_blocked() && wait_armed(p) && pattern_ok(p, BUF_BYTES)
		       ? NULL
		       : p;
}

static bool inherited(void)
{
	unsigned char *p = armed_buffer();
	sigset_t all, old;
	void *bad = p;
	pthread_t th;

	sigfillset(&all);
	CHECK(!sigprocmask(SIG_SETMASK, &all, &old));
	CHECK(!pthread_create(&th, NULL, blocked_thread, p));
	CHECK(!pthread_join(th, &bad));
	CHECK(!sigprocmask(SIG_SETMASK, &old, NULL));
	CHECK(!bad);
	munmap(p, BUF_BYTES);
	return true;
}

/* A handler on an alternate stack that lies in large memory. */
static bool altstack(void)
{
	unsigned char *p = armed_buffer(), *q = armed_buffer();
	stack_t ss = {.ss_sp = p, .ss_size = 1 << 16}, old;
	struct sigaction sa = {.sa_flags = SA_ONSTACK};

	CHECK(!sigaltstack(&ss, NULL));
	CHECK(!sigaltstack(NULL, &old));
	CHECK(old.ss_sp == p && old.ss_size == 1 << 16);
	touched = q;
	sa.sa_handler = on_usr1;
	CHECK(!sigaction(SIGUSR1, &sa, NULL));
	CHECK(install(SA_ONSTACK));
	for (int i = 0; i < 20; i++) {
		CHECK(wait_armed(q));
		CHECK(!raise(SIGUSR1));
		CHECK(faults_at((unsigned char *)8, SEGV_MAPERR));
	}
	touched = NULL;
	ss.ss_flags = SS_DISABLE;
	CHECK(!sigaltstack(&ss, NULL));
	munmap(p, BUF_BYTES);
	munmap(q, BUF_BYTES);
	return true;
}

struct kernel_action {
	void *handler;
	unsigned long flags;
#ifdef __x86_64__
	void *restorer;
#endif
	unsigned long mask;
};

/* rt_sigaction(2) without libc's function. */
static bool raw_action(void)
{
	unsigned char *p = armed_buffer();
	struct kernel_action was = {0}, dfl = {0}, now = {0};

	CHECK(install(0));
	CHECK(!syscall(SYS_rt_sigaction, SIGSEGV, NULL, &was, 8L));
	CHECK(was.handler == (void *)on_segv_info);
	CHECK(!syscall(SYS_rt_sigaction, SIGSEGV, &dfl, NULL, 8L));
	CHECK(pattern_ok(p, BUF_BYTES));
	CHECK(!syscall(SYS_rt_sigaction, SIGSEGV, &was, &now, 8L));
	CHECK(!now.handler);
	CHECK(faults_at((unsigned char *)8, SEGV_MAPERR));
	munmap(p, BUF_BYTES);
	return true;
}

int main(int argc, char **argv)
{
	static const struct armed_case cases[] = {
		{"recovers", recovers},
		{"nodefer", nodefer},
		{"resethand", resethand},
		{"signal", by_signal},
		{"mprotect", own_mprotect},
		{"blocked", blocked},
		{"sent", sent},
		{"other-masks", other_masks},
		{"waiting-masks", waiting_masks},
		{"inherited", inherited},
		{"altstack", altstack},
		{"raw", raw_action},
		{NULL, NULL},
	};

	return run_cases(cases, argc, argv);
}
