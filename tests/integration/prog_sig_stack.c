/* SPDX-License-Identifier: MIT */
/*
 * Handlers of SIGSEGV and of other signals, on the normal and on an alternate
 * stack, left in every way: by return, with another context, by siglongjmp,
 * by another fault.  Prints what it finds, to be compared with a run without
 * the library; the heap is used within the handlers.  Knows nothing of
 * numabal; run by test_guard_signal.sh.
 */
#define _GNU_SOURCE
#include "second_thread.h"

#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#define HEAP ((size_t)4 << 20)
#define OWN ((size_t)128 << 10)

static unsigned char *heap;
static char *own, *volatile bottom;
static volatile int calls, deeper;
static volatile const char *volatile ran_on;
static sigjmp_buf env;

static void touch(void)
{
	for (size_t i = 0; i < HEAP; i += 4096) {
		if (heap[i] != (unsigned char)(i >> 12))
			_exit(91);
		heap[i] = (unsigned char)(i >> 12);
	}
}

static void use_own_stack(size_t bytes)
{
	stack_t ss = {.ss_sp = own, .ss_size = bytes};

	if (!bytes)
		ss.ss_flags = SS_DISABLE;
	if (sigaltstack(&ss, NULL))
		printf("sigaltstack: %m\n");
}

static void where(void)
{
	char *here = __builtin_frame_address(0);

	calls++;
	if (here > own && here <= own + OWN)
		ran_on = "own stack";
	else if (here < bottom && bottom - here < 1 << 20)
		ran_on = "normal stack";
	else
		ran_on = "other stack";
	touch();
}

static char *a_page(void)
{
	return mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

static char *volatile page, *volatile page2;
static char *volatile nowhere = (char *)8;

static void fault(const char *what)
{
	stack_t ss;

	page = a_page();
	page2 = a_page();
	*(volatile char *)page = 1;
	sigaltstack(NULL, &ss);
	printf("%s: %d calls, the last on the %s, then flags %d\n", what, calls,
	       (const char *)ran_on, ss.ss_flags);
	calls = deeper = 0;
}

static void repair(int sig, siginfo_t *info, void *uc)
{
	(void)sig;
	(void)uc;
	where();
	mprotect(info->si_addr, 4096, PROT_READ | PROT_WRITE);
}

static void repair_deeper(int sig, siginfo_t *info, void *uc)
{
	touch();
	if (!deeper++)
		*(volatile char *)page2 = 1;
	repair(sig, info, uc);
}

static void leave(int sig, siginfo_t *info, void *uc)
{
	(void)sig;
	(void)info;
	(void)uc;
	where();
	siglongjmp(env, 1);
}

/* Goes on elsewhere: with another address in the register, if it is known. */
static void skip_it(int sig, siginfo_t *info, void *ucv)
{
#ifdef __x86_64__
	ucontext_t *uc = ucv;

	(void)info;
	(void)sig;
	where();
	uc->uc_mcontext.gregs[REG_RAX] = (greg_t)heap;
	sigaddset(&uc->uc_sigmask, SIGHUP);
#else
	repair(sig, info, ucv);
#endif
}

static void set(void (*fn)(int, siginfo_t *, void *), int flags)
{
	struct sigaction sa = {.sa_flags = flags | SA_SIGINFO};

	sa.sa_sigaction = fn;
	sigfillset(&sa.sa_mask);
	if (flags & SA_NODEFER)
		sigdelset(&sa.sa_mask, SIGSEGV);
	sigaction(SIGSEGV, &sa, NULL);
	sigaction(SIGUSR1, &sa, NULL);
}

static void returns(void)
{
	set(repair, 0);
	fault("plain");
	set(repair, SA_ONSTACK);
	fault("on a stack that is not there");
	use_own_stack(OWN);
	fault("on its own");
	set(repair, 0);
	fault("not wanted");
	set(repair_deeper, SA_NODEFER);
	fault("nested");
	set(repair_deeper, SA_NODEFER | SA_ONSTACK);
	fault("nested on its own");
	use_own_stack(0);
	fault("nested without");
}

static void jumps(void)
{
	sigset_t mask;

	use_own_stack(OWN);
	for (int i = 0; i < 6; i++) {
		set(leave, (i & 1 ? SA_ONSTACK : 0) | (i & 2 ? SA_NODEFER : 0));
		if (!sigsetjmp(env, 1))
			*(volatile char *)nowhere = 1;
		touch();
		sigprocmask(SIG_BLOCK, NULL, &mask);
		printf("jump %d: %d calls on the %s, blocked %d\n", i, calls,
		       (const char *)ran_on, sigismember(&mask, SIGSEGV));
	}
}

static void changes(void)
{
	char *p = nowhere;
	sigset_t mask;

	set(skip_it, 0);
#ifdef __x86_64__
	__asm__ volatile("movb $0, (%0)" : "+a"(p)::"memory");
#endif
	sigprocmask(SIG_BLOCK, NULL, &mask);
	printf("changed: %d calls on the %s, %s, blocked %d\n", calls,
	       (const char *)ran_on, p == (char *)heap ? "moved" : "the same",
	       sigismember(&mask, SIGHUP));
}

static volatile int endless = 1;

static __attribute__((noinline)) int overflow(int n)
{
	volatile char room[2048];

	room[0] = (char)n;
	return endless ? overflow(n + 1) + room[0] : n;
}

static void overflows(void)
{
	use_own_stack(OWN);
	set(leave, SA_ONSTACK);
	for (volatile int i = 0; i < 3; i++) {
		if (!sigsetjmp(env, 1))
			overflow(0);
		touch();
		printf("overflow %d: %d calls on the %s\n", i, calls,
		       (const char *)ran_on);
	}
}

static void others(void)
{
	size_t sizes[] = {0, 8192, 16384, OWN};

	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		use_own_stack(sizes[i]);
		set(repair, 0);
		raise(SIGUSR1);
		printf("other signal: %d calls\n", calls);
		if (!sizes[i])
			continue;
		set(repair, SA_ONSTACK);
		raise(SIGUSR1);
		printf("on a stack of %zu: %d calls, normal %d\n", sizes[i],
		       calls, ran_on[0] == 'n');
	}
}

/* These do not come back. */
static void ends(const char *how)
{
	fflush(stdout);
	if (!strcmp(how, "end-deferred")) {
		set(repair_deeper, 0);
		fault("nested and deferred");
	} else if (!strcmp(how, "end-overflow")) {
		set(leave, 0);
		if (!sigsetjmp(env, 1))
			overflow(0);
	} else if (!strcmp(how, "end-overflow-onstack")) {
		set(leave, SA_ONSTACK);
		if (!sigsetjmp(env, 1))
			overflow(0);
	} else if (!strcmp(how, "end-resethand")) {
		set(repair, (int)SA_RESETHAND);
		fault("once");
		fflush(stdout);
		fault("twice");
	}
	printf("came back\n");
}

int main(int argc, char **argv)
{
	const struct rlimit stack = {1 << 20, 1 << 20}, core = {0, 0};
	const char *what = argc > 1 ? argv[1] : "";

	bottom = __builtin_frame_address(0);
	setrlimit(RLIMIT_STACK, &stack);
	setrlimit(RLIMIT_CORE, &core);
	heap = malloc(HEAP);
	own = malloc(OWN);
	for (size_t i = 0; i < HEAP; i++)
		heap[i] = (unsigned char)(i >> 12);
	/* Time for what may happen to the heap behind our back. */
	for (int i = 0; i < 200; i++)
		touch();
	if (!strcmp(what, "returns"))
		returns();
	else if (!strcmp(what, "jumps"))
		jumps();
	else if (!strcmp(what, "changes"))
		changes();
	else if (!strcmp(what, "overflows"))
		overflows();
	else if (!strcmp(what, "others"))
		others();
	else
		ends(what);
	touch();
	return 0;
}
