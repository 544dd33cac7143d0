/* SPDX-License-Identifier: MIT */
/*
 * Stacks in memory that could be armed: coroutines, threads on memory of the
 * program.  A stack is never armed once it is known: a signal's frame may have
 * to be written there at any time.
 *
 * Invariant: what a slot holds for its thread's stack is marked in the table,
 * or in no region.  Both change under the as lock only: what is tracked anew
 * is nobody's stack until it is seen.
 *
 * Called by the guard for a thread that comes on a stack that is new, and by
 * numabald for what the handler of hint faults has met.
 */
#include "base/mutant.h"
#include "guard_mm.h"
#include "mech/slot.h"
#include "nb.h"
#include "regions.h"

/* Coroutine stacks: as far around a stack pointer nothing is armed. */
#define STACK_REACH NB_MIB
/* A mapping no larger than this that holds a stack is a stack. */
#define WHOLE_STACK_BYTES (16 * NB_MIB)

/* What is a stack around @sp: the table says how far it may reach. */
static struct nb_range stack_around(uint64_t sp)
{
	const struct nb_region *in = nb_regions_find(sp);
	uint64_t least = sp - nb_min(sp, NB_STACK_OPEN);
	uint64_t whole = sp - nb_min(sp, WHOLE_STACK_BYTES);
	uint64_t reach = STACK_REACH;
	struct nb_range r;

	if (!in) {
		r.start = sp - nb_min(sp, reach);
		r.end = sp + reach;
		nb_regions_gap(sp, &r);
		return r;
	}
	r.start = sp - nb_min(sp, reach);
	r.end = sp + reach;
	/* All that is known to be one, or a mapping of its own. */
	if (in->flags & NB_REGION_NEVER ||
	    (!(in->flags & NB_REGION_BRK) &&
	     in->end - in->start <= WHOLE_STACK_BYTES)) {
		r.start = nb_max(whole, in->start);
		r.end = nb_min(sp + WHOLE_STACK_BYTES, in->end);
	}
	/* One mapping may be several regions: no less than this is a stack. */
	r.start = nb_min(r.start, least);
	r.start = nb_align_down(r.start, nb.page_bytes);
	r.end = nb_align_up(r.end, nb.page_bytes);
	return r;
}

/* Is all of it marked, what is not in the table left aside? */
static bool is_marked(const struct nb_range *r)
{
	const struct nb_region *in;

	for (uint64_t a = r->start; a < r->end;
	     a = in ? in->end : a + nb.page_bytes) {
		in = nb_regions_find(a);
		if (in && !(in->flags & NB_REGION_NEVER))
			return false;
	}
	return true;
}

/*
 * A stack that was noted before, and the thread is back on it.  Without the
 * lock: a program may go back and forth with a system call on each.
 */
static bool stack_again(struct nb_slot *slot, uint64_t sp)
{
	struct nb_region in, below;
	uint32_t seen, again;

	if (!nb_regions_peek(sp, &in, &seen) || !(in.flags & NB_REGION_NEVER))
		return false;
	/* It may go on in the region below: that must not be armed either. */
	if (sp - in.start < NB_STACK_OPEN &&
	    nb_regions_peek(in.start - 1, &below, &again) &&
	    nb_region_eligible(&below))
		return false;
	nb_slot_set_stack(slot, nb_max(sp - WHOLE_STACK_BYTES, in.start),
			  nb_min(sp + WHOLE_STACK_BYTES, in.end));
	/* Else nb_slots_forget_stacks() may have come too early. */
	if (!nb_regions_unchanged(seen))
		nb_slot_set_stack(slot, 0, 0);
	return true;
}

/**
 * nb_mm_stack() - a stack pointer was seen: what is around it is a stack
 * @slot: of the calling thread, whose stack it is, which is to know it from
 *	now on; NULL: of another.
 * @sp: the stack pointer.
 *
 * Context: any thread, no lock held.
 */
void nb_mm_stack(struct nb_slot *slot, uint64_t sp)
{
	struct nb_sigstate ss;
	struct nb_range r;
	bool ok = true;

	if (NB_NO_STACK || !nb_regions_may_overlap(sp - nb_min(sp, STACK_REACH),
						   sp + STACK_REACH))
		return;
	if (slot && stack_again(slot, sp))
		return;
	nb_lock(&nb.as_lock, &ss);
	r = stack_around(sp);
	if (nb_regions_find(sp) && !is_marked(&r)) {
		ok = nb_mm_disarm(&r);
		nb_regions_never(r.start, r.end);
	}
	/* Under the lock: nb_slots_forget_stacks() in track(). */
	if (slot)
		nb_slot_set_stack(slot, r.start, r.end);
	nb_unlock(&nb.as_lock, &ss);
	nb_mm_must(ok);
}

/**
 * nb_mm_seen_stacks() - those that the handler of hint faults has met
 *
 * Context: numabald.
 */
void nb_mm_seen_stacks(void)
{
	int used = nb_slots_used();

	for (int i = 0; i < used; i++) {
		struct nb_slot *s = nb_slot_at(i);
		uint64_t sp = 0;

		if (atomic_load_explicit(&s->sp_seen, memory_order_relaxed))
			sp = atomic_exchange(&s->sp_seen, 0);
		if (sp && nb_regions_may_overlap(sp, sp + 1))
			nb_mm_stack(NULL, sp);
	}
}
