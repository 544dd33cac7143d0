/* SPDX-License-Identifier: MIT */
/*
 * Calls in flight: the memory that system calls which are executing right now
 * may touch.  Each thread keeps a stack of them in its slot; numabald reads
 * all of them before it arms anything.
 *
 * A thread may be several calls deep: a signal handler that interrupted a
 * blocked call makes calls of its own.  An entry belongs to the stack pointer
 * at its site, which tells which entries are of calls that have ended without
 * coming by again (longjmp, exceptions, cancellation, sites without a post
 * window).
 *
 * Protocol (asymmetric Dekker).  The thread: publish its ranges, compiler
 * barrier, look whether anything of them is armed.  numabald: mark chunks
 * ARMING, membarrier(2), look at all ranges; only then mprotect(2).  Either
 * numabald sees the range, or the thread sees the mark.
 */
#ifndef NB_INFLIGHT_H
#define NB_INFLIGHT_H

#include "../base/util.h"

#include <stdatomic.h>

#define NB_CALL_RANGES 8
#define NB_CALL_AUX 8
#define NB_CALL_DEPTH 16

struct nb_call_range {
	_Atomic uint64_t start;
	_Atomic uint64_t end;
};

enum nb_call_flags {
	NB_CALL_OPAQUE = 1U << 0,    /* may touch anything */
	NB_CALL_LAZY = 1U << 1,	     /* its site has no post window */
	NB_CALL_HOOK = 1U << 2,	     /* a hook wants to see the return */
	NB_CALL_REWRITTEN = 1U << 3, /* arguments to be put back from saved */
	NB_CALL_EMULATED = 1U << 4,  /* the kernel is asked something harmless;
				      * the result is ret */
	NB_CALL_HULL = 1U << 5,	     /* the last range spans several */
	NB_CALL_OWES = 1U << 6,	     /* its end has something to undo */
	NB_CALL_PUT_OFF = 1U << 7,   /* ... again when a handler has returned */
};

/* Written by the thread only; numabald reads what is atomic. */
struct nb_call {
	_Atomic uint64_t sp; /* rsp at the site */
	_Atomic uint32_t flags;
	_Atomic uint32_t nr_ranges;
	struct nb_call_range range[NB_CALL_RANGES];
	uint32_t nr;		   /* the call's number, as the program asked */
	uint32_t hook;		   /* enum nb_hook */
	int64_t ret;		   /* of an emulated call */
	uint64_t saved[6];	   /* arguments as the program gave them */
	uint64_t aux[NB_CALL_AUX]; /* for hooks: between enter and leave */
};

struct nb_call_stack {
	_Atomic uint32_t depth;
	_Atomic uint32_t owing; /* entries with NB_CALL_OWES */
	/* rsp of the outermost call that found no room, or 0: opaque */
	_Atomic uint64_t overflow;
	struct nb_call call[NB_CALL_DEPTH];
};

struct nb_call *nb_call_push(struct nb_call_stack *s, uint64_t sp,
			     uint64_t alt_start, uint64_t alt_end);
void nb_call_pop(struct nb_call_stack *s, uint64_t sp);
void nb_call_publish(struct nb_call *call, uint64_t start, uint64_t len);
void nb_call_owe(struct nb_call_stack *s, struct nb_call *call, bool yes);
struct nb_call *nb_call_owing(struct nb_call_stack *s,
			      const struct nb_call *but);

/*
 * The index + 1 of the entry of a call that returns; 0 if it never had one.
 * @sp: the stack pointer at its site.  For the stack's thread.
 */
static inline uint32_t nb_call_index(struct nb_call_stack *s, uint64_t sp)
{
	uint32_t i = atomic_load_explicit(&s->depth, memory_order_relaxed);

	while (i && atomic_load_explicit(&s->call[i - 1].sp,
					 memory_order_relaxed) != sp)
		i--;
	return i;
}

static inline struct nb_call *nb_call_find(struct nb_call_stack *s, uint64_t sp)
{
	uint32_t i = nb_call_index(s, sp);

	return i ? &s->call[i - 1] : NULL;
}

/* A call has returned whose nb_call_index() was @i, not 0. */
static inline void nb_call_pop_index(struct nb_call_stack *s, uint32_t i)
{
	atomic_signal_fence(memory_order_seq_cst);
	atomic_store_explicit(&s->depth, i - 1, memory_order_release);
	atomic_signal_fence(memory_order_seq_cst);
	if (nb_unlikely(
		    atomic_load_explicit(&s->overflow, memory_order_relaxed)))
		atomic_store_explicit(&s->overflow, 0, memory_order_release);
	atomic_signal_fence(memory_order_seq_cst);
}

static inline bool nb_call_overlaps(const struct nb_call *call, uint64_t start,
				    uint64_t end)
{
	/* acquire: pairs with the releases in inflight.c */
	uint32_t nr =
		atomic_load_explicit(&call->nr_ranges, memory_order_acquire);

	if (atomic_load(&call->flags) & NB_CALL_OPAQUE)
		return true;
	nr = nb_min(nr, (uint32_t)NB_CALL_RANGES);
	for (uint32_t i = 0; i < nr; i++)
		if (atomic_load(&call->range[i].start) < end &&
		    atomic_load(&call->range[i].end) > start)
			return true;
	return false;
}

/* May a call in flight touch [start, end)?  For any thread. */
static inline bool nb_call_stack_overlaps(const struct nb_call_stack *s,
					  uint64_t start, uint64_t end)
{
	uint32_t depth = atomic_load_explicit(&s->depth, memory_order_acquire);

	if (atomic_load(&s->overflow))
		return true;
	depth = nb_min(depth, (uint32_t)NB_CALL_DEPTH);
	for (uint32_t i = 0; i < depth; i++)
		if (nb_call_overlaps(&s->call[i], start, end))
			return true;
	return false;
}

/* May one touch anything at all?  Then nothing may be armed now. */
static inline bool nb_call_stack_opaque(const struct nb_call_stack *s)
{
	/* An empty range overlaps no range, only what is opaque. */
	return nb_call_stack_overlaps(s, 0, 0);
}

#endif /* NB_INFLIGHT_H */
