/* SPDX-License-Identifier: MIT */
/*
 * The library's locks: few, ranked, and safe to take in an application's
 * thread.
 *
 * nb_lock() blocks the signals of the calling thread first, so that an
 * application's signal handler can never run, and perhaps come back here,
 * while its thread holds one of our locks.  Code under a lock touches only
 * our own memory (never armed), so it takes no hint fault either.
 *
 * Ranks, lowest taken first:
 *	1 as		address space: regions, arming (lib/regions.c)
 *	2 slots		threads coming and going (mech/slot.c)
 *	3 affinity	masks of threads (mech/affinity.c)
 *	4 action	actions of other signals (lib/guard_signal.c)
 *	5 segv		that of SIGSEGV (mech/sigchain.c)
 * NB_DEBUG builds check the order.
 */
#ifndef NB_LOCK_H
#define NB_LOCK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum nb_lock_rank {
	NB_LOCK_AS = 1,
	NB_LOCK_SLOTS,
	NB_LOCK_AFFINITY,
	NB_LOCK_ACTION,
	NB_LOCK_SEGV,
};

struct nb_lock {
	_Atomic uint32_t word; /* 0 free, 1 taken, 2 taken and waited for */
	uint32_t rank;	       /* enum nb_lock_rank */
};

/* The signals that were blocked before nb_lock(). */
struct nb_sigstate {
	uint64_t mask;
};

#define NB_LOCK_INIT(r)                                                        \
	{                                                                      \
		.word = 0, .rank = (r)                                         \
	}

void nb_signals_block(struct nb_sigstate *old);
void nb_signals_block_all(struct nb_sigstate *old);
void nb_signals_restore(const struct nb_sigstate *old);
void nb_signals_hold(bool on);
bool nb_signals_held(void);
uint64_t nb_signals_ignored(void);
bool nb_signals_set_ignored(uint64_t set, bool on);
void nb_lock(struct nb_lock *l, struct nb_sigstate *old);
bool nb_trylock(struct nb_lock *l, struct nb_sigstate *old);
void nb_unlock(struct nb_lock *l, const struct nb_sigstate *old);
void nb_lock_reinit(struct nb_lock *l);

#endif /* NB_LOCK_H */
