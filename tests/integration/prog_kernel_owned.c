/* SPDX-License-Identifier: MIT */
/*
 * Memory that the kernel reads and writes without being asked: thread-local
 * storage with rseq areas and words of thread ids, alternate stacks, robust
 * mutexes, stacks of coroutines.  Knows nothing of numabal; run by
 * test_aspace.sh.
 */
#define _GNU_SOURCE
#include "armed.h"

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <ucontext.h>

#define PAGE 4096UL
#define THREADS 4
#define STACK (256 * 1024UL)

static __thread unsigned char tls[32768];
static _Atomic bool over;
static _Atomic unsigned long handled;

/* ---- threads ------------------------------------------------------------- */

/* Preempted, moved, signalled: the kernel writes to its rseq area each time. */
static void *spin(void *arg)
{
	unsigned char *(*lib_tls)(size_t *) = NULL, *dynamic;
	unsigned long n = 0;
	size_t bytes;

	*(void **)&lib_tls = arg;
	dynamic = lib_tls(&bytes);
	while (!atomic_load(&over)) {
		tls[n * 509 % sizeof(tls)]++;
		dynamic[n * 509 % bytes]++;
		if (!(++n % 64))
			sched_yield();
	}
	return dynamic;
}

static void *short_life(void *arg)
{
	tls[0] = 1;
	return arg;
}

static bool threads(void)
{
	void *lib = dlopen(getenv("NB_LIB"), RTLD_NOW);
	unsigned char *control = new_buffer(64 * PAGE);
	void *fn = lib ? dlsym(lib, "lib_tls") : NULL;
	pthread_t t[THREADS];

	CHECK(fn);
	for (int i = 0; i < THREADS; i++)
		CHECK(!pthread_create(&t[i], NULL, spin, fn));
	for (int i = 0; i < 20; i++) {
		control[PAGE]++;
		CHECK(wait_armed(control + PAGE));
		/* Joined by a word that the kernel clears. */
		for (int k = 0; k < 20; k++) {
			void *back = NULL;
			pthread_t s;

			CHECK(!pthread_create(&s, NULL, short_life, fn));
			CHECK(!pthread_join(s, &back) && back == fn);
		}
	}
	atomic_store(&over, true);
	for (int i = 0; i < THREADS; i++)
		CHECK(!pthread_join(t[i], NULL));
	return true;
}

static void *dies_owning(void *mutex)
{
	pthread_mutex_lock(mutex);
	/* From now on, only the kernel gets at it: by the robust list. */
	wait_armed(mutex);
	return NULL;
}

static bool robust(void)
{
	unsigned char *p = new_buffer(64 * PAGE);
	pthread_mutexattr_t attr;

	CHECK(!pthread_mutexattr_init(&attr));
	CHECK(!pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST));
	for (int i = 0; i < 5; i++) {
		pthread_mutex_t *m = (void *)(p + (size_t)i * 8 * PAGE + 64);
		struct timespec until;
		pthread_t t;

		CHECK(!pthread_mutex_init(m, &attr));
		CHECK(!pthread_create(&t, NULL, dies_owning, m));
		CHECK(!pthread_join(t, NULL));
		clock_gettime(CLOCK_REALTIME, &until);
		until.tv_sec += 10;
		CHECK(pthread_mutex_timedlock(m, &until) == EOWNERDEAD);
		CHECK(!pthread_mutex_consistent(m));
		CHECK(!pthread_mutex_unlock(m));
	}
	return true;
}

/* ---- stacks -------------------------------------------------------------- */

static void on_signal(int sig)
{
	volatile unsigned char deep[2048];

	(void)sig;
	for (size_t i = 0; i < sizeof(deep); i += 64)
		deep[i] = 1;
	atomic_fetch_add(&handled, 1);
}

static bool handle(int sig, int flags)
{
	struct sigaction sa = {.sa_handler = on_signal, .sa_flags = flags};

	return !sigaction(sig, &sa, NULL);
}

static bool altstack(void)
{
	unsigned char *p = armed_buffer();
	stack_t ss = {.ss_sp = p + PAGE, .ss_size = 64 * 1024};

	CHECK(handle(SIGUSR1, SA_ONSTACK));
	CHECK(!sigaltstack(&ss, NULL));
	for (unsigned long i = 0; i < 10; i++) {
		p[BUF_BYTES / 2]++;
		CHECK(wait_armed(p + BUF_BYTES / 2));
		CHECK(!raise(SIGUSR1) && atomic_load(&handled) == i + 1);
		CHECK(!is_armed(p + 16 * PAGE));
	}
	return true;
}

#define COROUTINES 16

/* Signals one by one: the next when the last was handled. */
#define SIGNALS 400
static pthread_t target;
static _Atomic unsigned int lost;

static void *send_signals(void *arg)
{
	time_t end = time(NULL) + 20;

	(void)arg;
	for (int i = 0; i < SIGNALS && time(NULL) < end; i++) {
		unsigned long n = atomic_load(&handled);
		time_t until = time(NULL) + 4;

		pthread_kill(target, SIGUSR1);
		while (atomic_load(&handled) == n && time(NULL) <= until)
			sched_yield();
		if (atomic_load(&handled) == n) {
			atomic_fetch_add(&lost, 1);
			break;
		}
	}
	atomic_store(&over, true);
	return NULL;
}

/* Use much of the stack, and little of it for most of the time. */
static __attribute__((noinline)) unsigned long dig(unsigned long n)
{
	volatile unsigned char deep[STACK / 2];

	for (size_t i = 0; i < sizeof(deep); i += PAGE / 2)
		deep[i] = (unsigned char)n;
	return deep[(n * 509) % sizeof(deep) / (PAGE / 2) * (PAGE / 2)];
}

/* No stack that was used is armed, while other memory is. */
static unsigned char *stack_of[COROUTINES];

static bool stacks_stay_open(void)
{
	unsigned char *other = lonely_buffer();

	for (int round = 0; round < 4; round++) {
		CHECK(other && wait_armed(other + PAGE));
		for (int i = 0; i < COROUTINES; i++)
			CHECK(!is_armed(stack_of[i] + STACK / 4));
		other[PAGE]++;
	}
	return true;
}

static bool signals_arrive(void (*turn)(unsigned long))
{
	unsigned long n = 0;
	pthread_t t;

	target = pthread_self();
	CHECK(handle(SIGUSR1, 0));
	CHECK(!pthread_create(&t, NULL, send_signals, NULL));
	while (!atomic_load(&over))
		turn(n++);
	CHECK(!pthread_join(t, NULL));
	fprintf(stderr, "%lu turns, %lu signals, %u lost\n", n,
		atomic_load(&handled), atomic_load(&lost));
	return true;
}

static ucontext_t back, coroutine[COROUTINES];
static unsigned long sum;

static int current;

static void body_of(void)
{
	int me = current;

	for (unsigned long n = 0;; n++) {
		if (!(n % 8))
			sum += dig(n);
		for (volatile int i = 0; i < 3000; i++)
			;
		swapcontext(&coroutine[me], &back);
	}
}

static void turn_context(unsigned long n)
{
	current = (int)(n % COROUTINES);
	swapcontext(&back, &coroutine[current]);
}

static bool contexts(void)
{
	for (volatile int i = 0; i < COROUTINES; i++) {
		CHECK(!getcontext(&coroutine[i]));
		stack_of[i] = i % 2 ? malloc(STACK) : new_buffer(STACK);
		CHECK(stack_of[i]);
		memset(stack_of[i], 1, STACK);
		coroutine[i].uc_stack.ss_sp = stack_of[i];
		coroutine[i].uc_stack.ss_size = STACK;
		makecontext(&coroutine[i], body_of, 0);
	}
	CHECK(signals_arrive(turn_context) && !atomic_load(&lost));
	return stacks_stay_open();
}

#ifdef __x86_64__
/* The stack pointer of who is not running. */
static void *parked[COROUTINES], *main_sp;

void switch_stack(void **save, void *to);
__asm__(".text\n"
	".globl switch_stack\n"
	".type switch_stack, @function\n"
	"switch_stack:\n"
	"	push %rbx\n	push %rbp\n	push %r12\n"
	"	push %r13\n	push %r14\n	push %r15\n"
	"	mov %rsp, (%rdi)\n"
	"	mov %rsi, %rsp\n"
	"	pop %r15\n	pop %r14\n	pop %r13\n"
	"	pop %r12\n	pop %rbp\n	pop %rbx\n"
	"	ret\n"
	".size switch_stack, .-switch_stack\n");

/* Do coroutines make system calls of their own? */
static bool announced;

static void by_hand(void)
{
	struct timespec ts;
	int me = current;

	if (announced)
		syscall(SYS_clock_getres, CLOCK_MONOTONIC, &ts);
	for (unsigned long n = 0;; n++) {
		if (!(n % 8))
			sum += dig(n);
		for (volatile int i = 0; i < 3000; i++)
			;
		switch_stack(&parked[me], main_sp);
	}
}

static void turn_by_hand(unsigned long n)
{
	current = (int)(n % COROUTINES);
	switch_stack(&main_sp, parked[current]);
}

static bool make_stacks(void)
{
	for (int i = 0; i < COROUTINES; i++) {
		unsigned char *p = i % 2 ? malloc(STACK) : new_buffer(STACK);
		void **top = (void **)(((uintptr_t)p + STACK) & ~15UL);

		CHECK(p);
		stack_of[i] = p;
		memset(p, 1, STACK);
		*--top = NULL;
		*--top = NULL;
		*--top = (void *)by_hand;
		parked[i] = top - 6;
	}
	return true;
}

static bool hand_written(void)
{
	announced = true;
	CHECK(make_stacks());
	CHECK(signals_arrive(turn_by_hand) && !atomic_load(&lost));
	return stacks_stay_open();
}

/* Known by nothing but the hint faults of their first use. */
static bool silent(void)
{
	/* What is next to a stack may pass for a part of it. */
	unsigned char *control = lonely_buffer();

	CHECK(control && make_stacks());
	for (int i = 0; i < COROUTINES; i++) {
		/* Later ones are next to it, and known with it. */
		CHECK(i || wait_armed((char *)parked[i] - STACK / 4));
		turn_by_hand((unsigned long)i);
		control[PAGE]++;
		CHECK(wait_armed(control + PAGE));
		CHECK(!is_armed((char *)parked[i] - PAGE));
	}
	CHECK(signals_arrive(turn_by_hand) && !atomic_load(&lost));
	return true;
}

#endif

int main(int argc, char **argv)
{
	static const struct armed_case cases[] = {
		{"threads", threads},
		{"robust", robust},
		{"altstack", altstack},
		{"contexts", contexts},
#ifdef __x86_64__
		{"by-hand", hand_written},
		{"silent", silent},
#endif
		{NULL, NULL},
	};

	return run_cases(cases, argc, argv);
}
