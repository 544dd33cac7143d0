/* SPDX-License-Identifier: MIT */
/*
 * Locks over a futex, taken with all signals blocked that have a handler.
 *
 * A signal that the kernel throws away is not to wait for a thread that has it
 * blocked: another thread's call might end with EINTR for it.  So those stay
 * open, and the program may give one a handler just then: lib/guard_handler.c
 * puts that off when nb_signals_held() says so.
 *
 * Nothing here calls libc beyond raw system calls: interposers take these
 * locks inside any libc function, with any libc lock held.  A thread that is
 * killed while it holds one takes the whole process with it (signals are
 * process-wide), so there is no owner-died case; a fork taken while another
 * thread holds one is handled by taking all of them first (lib/fork.c).
 */
#include "lock.h"

#include "sys.h"

#include <errno.h>
#include <signal.h>
#include <sys/syscall.h>

#ifdef NB_DEBUG
/* Ranks held by this thread, as bits. */
static __thread uint32_t held __attribute__((tls_model("initial-exec")));

static void check_rank(const struct nb_lock *l)
{
	/* Anything at or above our own rank already held: wrong order. */
	if (held >> l->rank)
		__builtin_trap();
	held |= 1U << l->rank;
}

static void drop_rank(const struct nb_lock *l)
{
	held &= ~(1U << l->rank);
}
#else
static void check_rank(const struct nb_lock *l)
{
	(void)l;
}

static void drop_rank(const struct nb_lock *l)
{
	(void)l;
}
#endif

static _Atomic uint64_t ignored;
/* Threads that were made without a block of their own share it. */
static __thread _Atomic uint32_t blocks
	__attribute__((tls_model("initial-exec")));

static void block(uint64_t set, struct nb_sigstate *old)
{
	/* First: until they are blocked a handler may come, and even jump. */
	atomic_fetch_add_explicit(&blocks, 1, memory_order_relaxed);
	nb_syscall6(SYS_rt_sigprocmask, SIG_BLOCK, (long)&set, (long)&old->mask,
		    sizeof(set), 0, 0);
}

/**
 * nb_signals_block() - block the signals of this thread, but those ignored
 * @old: what was blocked before.
 *
 * Context: any thread, signal handler.
 */
void nb_signals_block(struct nb_sigstate *old)
{
	block(~nb_signals_ignored(), old);
}

/**
 * nb_signals_block_all() - block every signal of this thread
 * @old: what was blocked before.
 *
 * Context: any thread, signal handler.
 */
void nb_signals_block_all(struct nb_sigstate *old)
{
	block(~0ULL, old);
}

/**
 * nb_signals_restore() - undo nb_signals_block() or _all()
 * @old: what it stored.
 *
 * Context: any thread, signal handler.
 */
void nb_signals_restore(const struct nb_sigstate *old)
{
	nb_syscall6(SYS_rt_sigprocmask, SIG_SETMASK, (long)&old->mask, 0,
		    sizeof(old->mask), 0, 0);
	nb_signals_hold(false);
}

/**
 * nb_signals_hold() - handlers of the program must not run
 * @on: begin, by who has them blocked otherwise; or end.
 *
 * Context: any thread, signal handler.
 */
void nb_signals_hold(bool on)
{
	atomic_fetch_add_explicit(&blocks, on ? 1U : ~0U, memory_order_relaxed);
}

/**
 * nb_signals_held() - may we be what a signal has interrupted?
 *
 * Context: signal handler.
 * Return: true: if SIGSEGV is blocked in its frame, too, that is so.
 */
bool nb_signals_held(void)
{
	return atomic_load_explicit(&blocks, memory_order_relaxed);
}

/**
 * nb_signals_ignored() - which the kernel throws away
 *
 * Context: any thread, signal handler.
 * Return: the set.
 */
uint64_t nb_signals_ignored(void)
{
	return atomic_load_explicit(&ignored, memory_order_relaxed);
}

/**
 * nb_signals_set_ignored() - the program has changed an action, or will
 * @set: the signals.
 * @on: the kernel throws them away.
 *
 * Context: any thread.
 * Return: whether that is a change.
 */
bool nb_signals_set_ignored(uint64_t set, bool on)
{
	uint64_t was = on ? atomic_fetch_or(&ignored, set)
			  : atomic_fetch_and(&ignored, ~set);

	return (on ? ~was : was) & set;
}

static bool try_take(struct nb_lock *l)
{
	uint32_t zero = 0;

	/* acquire: pairs with the release in nb_unlock() */
	return atomic_compare_exchange_strong_explicit(
		&l->word, &zero, 1, memory_order_acquire, memory_order_relaxed);
}

/**
 * nb_lock() - take a lock, with signals of this thread blocked
 * @l: the lock.
 * @old: for nb_unlock().
 *
 * Context: any thread; not from the hint fault handler.
 */
void nb_lock(struct nb_lock *l, struct nb_sigstate *old)
{
	nb_signals_block(old);
	check_rank(l);
	if (try_take(l))
		return;
	/* acquire: pairs with the release in nb_unlock() */
	while (atomic_exchange_explicit(&l->word, 2, memory_order_acquire))
		nb_futex_wait((uint32_t *)&l->word, 2, UINT64_MAX);
}

/**
 * nb_trylock() - take a lock if it is free
 * @l: the lock.
 * @old: for nb_unlock(), if taken.
 *
 * Context: any thread; not from the hint fault handler.
 * Return: true if taken.
 */
bool nb_trylock(struct nb_lock *l, struct nb_sigstate *old)
{
	nb_signals_block(old);
	if (!try_take(l)) {
		nb_signals_restore(old);
		return false;
	}
	check_rank(l);
	return true;
}

/**
 * nb_unlock() - give a lock back and unblock the signals
 * @l: the lock.
 * @old: what nb_lock() stored.
 *
 * Context: the thread that took it.
 */
void nb_unlock(struct nb_lock *l, const struct nb_sigstate *old)
{
	drop_rank(l);
	/* release: pairs with the acquire in nb_lock() */
	if (atomic_exchange_explicit(&l->word, 0, memory_order_release) == 2)
		nb_futex_wake((uint32_t *)&l->word, 1);
	nb_signals_restore(old);
}

/**
 * nb_lock_reinit() - make a lock free again, whoever held it
 * @l: the lock.
 *
 * Context: a forked child, where no other thread exists.
 */
void nb_lock_reinit(struct nb_lock *l)
{
	drop_rank(l);
	atomic_store_explicit(&l->word, 0, memory_order_relaxed);
}
