/* SPDX-License-Identifier: MIT */
/*
 * prog_sig_fibers [SIGNALS]: fibers that are switched without a system call,
 * each on a mapping of its own, and signals that come all the time, one by
 * one, while a fiber uses nothing but registers: not even a hint fault tells
 * that there is a stack.  None of the signals may be lost.  Knows nothing of
 * numabal; run by test_guard_frames.sh.
 */
#define _GNU_SOURCE
#include "armed.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>

#ifdef __x86_64__

#define FIBERS 64
#define STACK ((size_t)256 << 10)
#define ROUNDS 20

static _Atomic long handled, lost;
static _Atomic bool over;
static long wanted = 20000;
static void *main_sp, *fiber_sp[FIBERS];
static char *stack[FIBERS];
static volatile int current;

/* switch_stacks(save, to): what a call keeps is on the stack that is left. */
void switch_stacks(void **save, void *to);
__asm__(".pushsection .text\n"
	"switch_stacks:\n"
	"	push %rbp; push %rbx; push %r12; push %r13; push %r14\n"
	"	push %r15\n"
	"	mov %rsp, (%rdi)\n"
	"	mov %rsi, %rsp\n"
	"	mov $20000, %ecx\n"
	/* Here the stack is one that nothing has been done with yet. */
	"1:	pause\n"
	"	dec %ecx\n"
	"	jnz 1b\n"
	"	pop %r15\n"
	"	pop %r14; pop %r13; pop %r12; pop %rbx; pop %rbp\n"
	"	ret\n"
	".popsection\n");

static void on_fiber(void)
{
	for (;;)
		switch_stacks(&fiber_sp[current], main_sp);
}

static void on_signal(int sig)
{
	(void)sig;
	atomic_fetch_add(&handled, 1);
}

/* The next one when this one has been handled: they must not be merged. */
static void *send(void *arg)
{
	pthread_t to = *(pthread_t *)arg;

	for (long sent = 1; sent <= wanted; sent++) {
		time_t until = time(NULL) + 10;

		pthread_kill(to, SIGUSR1);
		while (atomic_load(&handled) + atomic_load(&lost) < sent) {
			sched_yield();
			if (time(NULL) > until)
				atomic_fetch_add(&lost, 1);
		}
		if (atomic_load(&lost) > 2)
			break;
	}
	atomic_store(&over, true);
	return NULL;
}

static bool make_fibers(void)
{
	for (int i = 0; i < FIBERS; i++) {
		void **top;

		stack[i] = mmap(NULL, STACK, PROT_READ | PROT_WRITE,
				MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (stack[i] == MAP_FAILED)
			return false;
		memset(stack[i], 1, STACK);
		top = (void **)(stack[i] + STACK - 64);
		top[6] = (void *)on_fiber;
		top[7] = NULL;
		fiber_sp[i] = top;
	}
	return true;
}

int main(int argc, char **argv)
{
	struct sigaction sa = {.sa_handler = on_signal};
	pthread_t self = pthread_self(), sender;

	if (argc > 1)
		wanted = atol(argv[1]);
	sigaction(SIGUSR1, &sa, NULL);
	if (pthread_create(&sender, NULL, send, &self))
		return 1;
	while (!atomic_load(&over)) {
		if (!make_fibers())
			return 1;
		for (int r = 0; r < ROUNDS && !atomic_load(&over); r++)
			for (int i = 0; i < FIBERS; i++) {
				current = i;
				switch_stacks(&main_sp, fiber_sp[i]);
			}
		for (int i = 0; i < FIBERS; i++)
			munmap(stack[i], STACK);
	}
	pthread_join(sender, NULL);
	printf("handled %ld of %ld, lost %ld\n", atomic_load(&handled), wanted,
	       atomic_load(&lost));
	return atomic_load(&lost) || atomic_load(&handled) != wanted;
}

#else

int main(void)
{
	printf("x86-64 only\n");
	return 77;
}

#endif
