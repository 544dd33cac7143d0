/* SPDX-License-Identifier: MIT */
/*
 * Threads: each that the program creates says when it begins and ends, and
 * sees the CPU mask that the program gave it.
 *
 * What the new thread must know lies in a small pool until it has read it: not
 * in memory that may be armed, and nothing to free.  When the pool is empty
 * the thread is created without us; numabald finds it, as it finds those that
 * C11's thrd_create(3) and raw clone(2) make.
 *
 * The start wrapper ends in a tail call, so that backtraces, exceptions that
 * nobody catches, pthread_exit(3) and cancellation find what they would find
 * without it.  Therefore the end is told by a key's destructor, in its last
 * round: other destructors may still use memory.
 */
#include "preload.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#define NR_STARTS 512

struct start {
	_Atomic bool used;
	bool segv_blocked;
	int token;
	void *(*fn)(void *);
	void *arg;
};

static struct start starts[NR_STARTS];
static _Atomic unsigned int next_start;
static pthread_key_t end_key;
static bool have_key;

static struct start *start_get(void)
{
	for (unsigned int i = 0; i < NR_STARTS; i++) {
		unsigned int n = atomic_fetch_add_explicit(
			&next_start, 1, memory_order_relaxed);
		struct start *s = &starts[n % NR_STARTS];

		/* Pairs with the release in start_put(). */
		if (!atomic_exchange_explicit(&s->used, true,
					      memory_order_acquire))
			return s;
	}
	return NULL;
}

static void start_put(struct start *s)
{
	atomic_store_explicit(&s->used, false, memory_order_release);
}

/* @round: how many rounds of destructors are left to wait for, plus one. */
static void thread_end(void *round)
{
	uintptr_t left = (uintptr_t)round - 1;

	if (left && !pthread_setspecific(end_key, (void *)left))
		return;
	nb_owe_settle(NULL);
	nb_hook_thread_end();
}

/* A thread inherits its creator's mask, also what that only believes. */
static void block_segv(void)
{
	sigset_t set, filtered;

	sigemptyset(&set);
	sigaddset(&set, SIGSEGV);
	nb_hook_sigmask(SIG_BLOCK, &set, &filtered);
}

static void *thread_begin(void *arg)
{
	struct start *s = arg;
	void *(*fn)(void *) = s->fn;
	void *fn_arg = s->arg;
	bool segv_blocked = s->segv_blocked;
	int token = s->token;

	start_put(s);
	nb_hook_thread_begin(token);
	if (segv_blocked)
		block_segv();
	if (have_key)
		pthread_setspecific(
			end_key, (void *)(PTHREAD_DESTRUCTOR_ITERATIONS - 1UL));
	return fn(fn_arg);
}

void nb_threads_start(void)
{
	have_key = !pthread_key_create(&end_key, thread_end);
}

/* A stack that the program brings is written by the kernel. */
static void touch_stack(const pthread_attr_t *attr)
{
	size_t size = 0;
	void *addr = NULL;

	nb_hook_touch(attr, sizeof(*attr));
	if (!pthread_attr_getstack(attr, &addr, &size) && size &&
	    (uintptr_t)addr < UINTPTR_MAX - size)
		nb_hook_touch(addr, size);
}

NB_EXPORT int pthread_create(pthread_t *thread, const pthread_attr_t *attr,
			     void *(*fn)(void *), void *arg)
{
	struct start *s;
	int err;

	if (!nb_hook_balanced() || nb_from_library(__builtin_return_address(0)))
		return real(pthread_create)(thread, attr, fn, arg);
	/* libc has all signals blocked where it uses these. */
	nb_hook_touch(thread, sizeof(*thread));
	if (attr)
		touch_stack(attr);
	s = start_get();
	if (!s)
		return real(pthread_create)(thread, attr, fn, arg);
	s->fn = fn;
	s->arg = arg;
	s->segv_blocked = nb_hook_sigmask(SIG_BLOCK, NULL, NULL);
	s->token = nb_hook_thread_token();
	err = real(pthread_create)(thread, attr, thread_begin, s);
	if (err)
		start_put(s);
	return err;
}

/*
 * The kernel's id of a thread, or -1.  The clock of a thread's CPU time is
 * named by the complement of its id, which is part of the kernel's ABI.
 */
static pid_t tid_of(pthread_t thread)
{
	clockid_t clock;
	pid_t tid;

	if (pthread_equal(thread, pthread_self()))
		return 0;
	if (pthread_getcpuclockid(thread, &clock))
		return -1;
	tid = ~(clock >> 3);
	return tid > 0 ? tid : -1;
}

NB_EXPORT int sched_setaffinity(pid_t tid, size_t size, const cpu_set_t *mask)
{
	int r;

	if (!nb_active())
		return real(sched_setaffinity)(tid, size, mask);
	nb_hook_touch(mask, size);
	r = nb_hook_setaffinity(tid, size, mask);
	if (r == 1)
		return real(sched_setaffinity)(tid, size, mask);
	if (!r)
		return 0;
	errno = -r;
	return -1;
}

NB_EXPORT int sched_getaffinity(pid_t tid, size_t size, cpu_set_t *mask)
{
	int r = 1;

	if (nb_active()) {
		nb_hook_touch(mask, size);
		r = nb_hook_getaffinity(tid, size < INT_MAX ? size : INT_MAX,
					mask);
	}
	/* 1: no system call copies a single byte of a mask. */
	if (r == 1)
		return real(sched_getaffinity)(tid, size, mask);
	if (r < 0) {
		errno = -r;
		return -1;
	}
	if ((size_t)r < size)
		memset((char *)mask + r, 0, size - (size_t)r);
	return 0;
}

NB_EXPORT int pthread_setaffinity_np(pthread_t thread, size_t size,
				     const cpu_set_t *mask)
{
	pid_t tid;
	int r = 1;

	if (nb_active()) {
		nb_hook_touch(mask, size);
		tid = tid_of(thread);
		if (tid >= 0)
			r = nb_hook_setaffinity(tid, size, mask);
	}
	if (r == 1)
		return real(pthread_setaffinity_np)(thread, size, mask);
	return -r;
}

NB_EXPORT int pthread_getaffinity_np(pthread_t thread, size_t size,
				     cpu_set_t *mask)
{
	pid_t tid;
	int r = 1;

	if (nb_active()) {
		nb_hook_touch(mask, size);
		tid = tid_of(thread);
		if (tid >= 0)
			r = nb_hook_getaffinity(
				tid, size < INT_MAX ? size : INT_MAX, mask);
	}
	if (r == 1)
		return real(pthread_getaffinity_np)(thread, size, mask);
	if (r < 0)
		return -r;
	if ((size_t)r < size)
		memset((char *)mask + r, 0, size - (size_t)r);
	return 0;
}

/* Coroutines: signal frames are written to the stack that is switched to. */
static void touch_context(const ucontext_t *to)
{
	nb_hook_touch(to, sizeof(*to));
	nb_hook_touch(to->uc_stack.ss_sp, to->uc_stack.ss_size);
}

static unsigned long stack_pointer(const ucontext_t *to)
{
#if defined(__x86_64__)
	return (unsigned long)to->uc_mcontext.gregs[REG_RSP];
#elif defined(__aarch64__)
	return (unsigned long)to->uc_mcontext.sp;
#else
	(void)to;
	return 0;
#endif
}

NB_EXPORT int swapcontext(ucontext_t *from, const ucontext_t *to)
{
	if (nb_active()) {
		nb_hook_touch(from, sizeof(*from));
		touch_context(to);
	}
	nb_hook_stack(stack_pointer(to));
	return real(swapcontext)(from, to);
}

NB_EXPORT int setcontext(const ucontext_t *to)
{
	if (nb_active())
		touch_context(to);
	nb_hook_stack(stack_pointer(to));
	return real(setcontext)(to);
}

/* syscall(2) of one of the above. */
long nb_syscall_thread(long nr, const long *a)
{
	void *mask = (void *)a[2];
	int r = 1;

	nb_hook_touch(mask, (size_t)a[1]);
	if (nr == SYS_sched_setaffinity)
		r = nb_hook_setaffinity((pid_t)a[0], (size_t)a[1], mask);
	else if (nr == SYS_sched_getaffinity)
		r = nb_hook_getaffinity((pid_t)a[0], (size_t)a[1], mask);
	if (r == 1)
		return real(syscall)(nr, a[0], a[1], a[2], a[3], a[4], a[5]);
	if (r >= 0)
		return r;
	errno = -r;
	return -1;
}
