/* SPDX-License-Identifier: MIT */
/*
 * One slot per thread: its ring of hint faults and what the handler must
 * remember of it, and its calls in flight.  Slots live in a fixed table of our
 * own memory, never in a thread's TLS block: that is freed while numabald still
 * reads.
 *
 * Ownership: (I) constant after nb_slots_init(); (T) the slot's thread only;
 * (D) numabald only; (A) atomic.
 */
#ifndef NB_SLOT_H
#define NB_SLOT_H

#include "../base/hint_fault.h"
#include "../base/util.h"
#include "inflight.h"

#include <stdatomic.h>
#include <sys/types.h>

#define NB_MAX_SLOTS 8192
/* What is kept open below a stack pointer until the stack is in the table. */
#define NB_STACK_OPEN (256 * 1024ULL)
#define NB_RING_SIZE 256 /* a power of two */

/* Single producer (the thread, in the handler), single consumer (numabald). */
struct nb_fault_ring {
	_Atomic uint32_t head;	  /* (A) next to write, written by (T) */
	_Atomic uint32_t tail;	  /* (A) next to read, written by (D) */
	_Atomic uint64_t dropped; /* (A) records lost to a full ring */
	struct nb_hint_fault rec[NB_RING_SIZE];
};

struct nb_slot {
	_Atomic uint32_t task; /* (A) unique to the thread's life */
	_Atomic uint32_t gone; /* (A) the thread said that it ends */
	uint32_t tls_shared;   /* (T) see nb_slot_share_tls() */
	/* (A) stack pointers in there are ours; set by (T), hi = 0 by any */
	_Atomic uint64_t stack_lo, stack_hi;
	_Atomic uint64_t alt_start;    /* (A) the alternate stack in use ... */
	_Atomic uint64_t alt_end;      /* (A) ... equal: none; written by (T) */
	uint64_t stack_noted;	       /* (T) the stack last told as new */
	_Atomic uint64_t sp_seen;      /* (A) by the handler, elsewhere; or 0 */
	struct nb_call_stack calls;    /* in flight; written by (T) */
	uint32_t same_fault;	       /* (T) faults in a row at ... */
	uint64_t last_ip, last_addr;   /* (T) ... this place */
	_Atomic uint64_t nr_faults;    /* (A) hint faults taken */
	_Atomic uint64_t fault_cycles; /* (A) time spent in them */
	_Atomic uint64_t max_cycles;   /* (A) the longest */
	struct nb_fault_ring ring;
	/* (A) what it uses is kept by this keeper (keep.h); 0: it is armed */
	_Atomic uint8_t keeper;
	uint8_t keeper_why; /* enum nb_latency_by; under the as lock */
};

/* What slots that were given back had counted. (D) */
struct nb_slot_totals {
	uint64_t fault_cycles;
	uint64_t max_cycles;
	uint64_t dropped;
};

void nb_slots_init(struct nb_slot *table);
struct nb_slot *nb_slot_at(int index);
int nb_slots_used(void);
int nb_slot_tid(const struct nb_slot *s);
_Atomic int32_t *nb_slot_tid_word(int index);
struct nb_slot *nb_slot_self(void);
struct nb_slot *nb_slot_self_existing(void);
struct nb_slot *nb_slot_for_sp(uint64_t sp, bool *new_stack);
extern __thread struct nb_slot *nb_slot_guess
	__attribute__((tls_model("initial-exec"), visibility("hidden")));
void nb_slot_share_tls(void);
void nb_slot_set_stack(struct nb_slot *slot, uint64_t lo, uint64_t hi);
void nb_slots_forget_stacks(uint64_t start, uint64_t end);
void nb_slots_quiet(void);
void nb_slots_set_owner(pid_t pid);
void nb_slots_trust_pointers(bool yes);
int nb_slots_touching(uint64_t start, uint64_t end, uint16_t *who, int max);
int nb_slot_note_found(pid_t tid);
int nb_slot_find(pid_t tid);
void nb_slots_after_fork(void);
void nb_slot_forget_calls(struct nb_slot *s);

/* slot_end.c */
void nb_slots_totals(struct nb_slot_totals *sum);
void nb_slots_totals_reset(void);
bool nb_slot_hold(int index, pid_t tid);
void nb_slot_release(int index);
bool nb_slot_give_up(struct nb_slot *s);

/*
 * May a call in flight of a slot's thread touch a range?  A stack that is not
 * in the table yet counts, too: a signal may come there.
 */
static inline bool nb_slot_touches(const struct nb_slot *s, uint64_t start,
				   uint64_t end)
{
	uint64_t sp = atomic_load(&s->sp_seen);

	return nb_call_stack_overlaps(&s->calls, start, end) ||
	       (sp && sp - nb_min(sp, NB_STACK_OPEN) < end && sp > start);
}

/* May a call in flight of any thread touch a range? Empty: touch anything? */
static inline bool nb_slots_may_touch(uint64_t start, uint64_t end)
{
	return nb_slots_touching(start, end, NULL, 0) > 0;
}

static inline bool nb_slot_on_alt(const struct nb_slot *s, uint64_t sp)
{
	uint64_t start =
		atomic_load_explicit(&s->alt_start, memory_order_relaxed);
	uint64_t end = atomic_load_explicit(&s->alt_end, memory_order_relaxed);

	return sp - start < end - start;
}

/* Is a stack pointer surely of the slot's thread? Always false if shared. */
static inline bool nb_slot_knows_sp(const struct nb_slot *s, uint64_t sp)
{
	uint64_t lo = atomic_load_explicit(&s->stack_lo, memory_order_relaxed);
	uint64_t hi = atomic_load_explicit(&s->stack_hi, memory_order_relaxed);

	if (nb_likely(hi && sp - lo < hi - lo))
		return true;
	return !s->tls_shared && nb_slot_on_alt(s, sp);
}

/* nb_slot_for_sp(), when it is the thread's usual stack; or NULL: ask that. */
static inline struct nb_slot *nb_slot_usual(uint64_t sp)
{
	struct nb_slot *s = nb_slot_guess;

	if (nb_likely(s &&
		      sp >= atomic_load_explicit(&s->stack_lo,
						 memory_order_relaxed) &&
		      sp < atomic_load_explicit(&s->stack_hi,
						memory_order_relaxed)))
		return s;
	return NULL;
}

#endif /* NB_SLOT_H */
