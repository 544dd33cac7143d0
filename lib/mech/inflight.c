/* SPDX-License-Identifier: MIT */
/*
 * The stack of calls in flight of one thread: which entries are alive, and
 * what other threads see of them.
 *
 * On the way of every system call: general registers only, no libc, no
 * locked instruction.  Owns nothing; called by the guard in the program's
 * threads, and by arm.c in numabald.
 *
 * A signal handler may run between any two instructions here and make calls
 * of its own.  Why nothing is lost:
 *
 * 1. A handler runs below us on our stack, or on the alternate one.  Its
 *    entries are above ours, and when it returns all of them are dead, popped
 *    or not.
 * 2. An entry on the stack of a new call, at or below its stack pointer, is
 *    dead: that frame is gone.  So is one on the alternate stack once a call
 *    is made off it: the kernel gives that stack to the next signal from its
 *    top, nobody can come back to frames there.  An entry off the alternate
 *    stack says nothing to a call on it and stays.
 * 3. After push has dropped the dead, the top entry is alive for every handler
 *    that may interrupt from here on, by 2.  So the depth that push has read
 *    can be raised by handlers (with what they abandon), not lowered: storing
 *    it, or it plus one, drops nothing that is alive.
 * 4. While push drops the dead, a handler may have dropped more and used
 *    their places; storing the lesser depth brings such places back.  They
 *    hold what is dead to us, too, by 1 and 2, and are dropped next.
 * 5. The place at the depth may be overwritten by handlers until the depth is
 *    raised with our stack pointer in it.  From that store on they take it for
 *    alive, by 2.  Push looks for its stack pointer after the store: no
 *    handler writes that value, so if it is there then it was there at the
 *    store; if it is not, all is done again.
 * 6. A call that returns proves everything above its entry dead, by 1.
 *
 * What another thread sees: entries of calls under way do not change and the
 * depth never falls to them, by 3 and 6, so it sees them whole.  What is being
 * written or is dead may be seen torn or stale.  That can only be too much,
 * or the range is not complete yet; then its thread looks for marks later
 * than that, see inflight.h.
 */
#include "inflight.h"

#pragma GCC poison malloc free calloc realloc printf fprintf pthread_mutex_lock

/* The order in which a handler of this thread finds our stores. */
#define in_order() atomic_signal_fence(memory_order_seq_cst)

#define get(p) atomic_load_explicit((p), memory_order_relaxed)
/* release: what was stored before is seen by who sees this */
#define put(p, v) atomic_store_explicit((p), (v), memory_order_release)

/* Is the call at @old over, as one at @sp is made?  Point 2. */
static bool dead(uint64_t old, uint64_t sp, uint64_t alt_start,
		 uint64_t alt_bytes)
{
	bool old_alt = old - alt_start < alt_bytes;
	bool new_alt = sp - alt_start < alt_bytes;

	return old_alt == new_alt ? old <= sp : old_alt;
}

/**
 * nb_call_push() - a call is about to be made
 * @s: the calling thread's stack.
 * @sp: the stack pointer at its site.
 * @alt_start: first byte of the thread's alternate signal stack.
 * @alt_end: one past its last; @alt_start if it has none.
 *
 * Drops the entries of calls that have ended without nb_call_pop().
 *
 * Context: the stack's thread, at any point of the program; general registers
 * only.
 * Return: the call's entry, without ranges and flags; NULL when there is no
 * room: then everything counts as published until nb_call_pop().
 */
struct nb_call *nb_call_push(struct nb_call_stack *s, uint64_t sp,
			     uint64_t alt_start, uint64_t alt_end)
{
	uint64_t alt_bytes = alt_end - alt_start, over;
	struct nb_call *call;
	uint32_t depth;

	do {
		for (depth = get(&s->depth); depth > 0;
		     depth = get(&s->depth)) {
			if (!dead(get(&s->call[depth - 1].sp), sp, alt_start,
				  alt_bytes))
				break;
			put(&s->depth, depth - 1);
			in_order();
		}
		if (nb_unlikely(depth >= NB_CALL_DEPTH)) {
			over = get(&s->overflow);
			if (!over || dead(over, sp, alt_start, alt_bytes))
				put(&s->overflow, sp);
			in_order();
			return NULL;
		}
		call = &s->call[depth];
		put(&call->sp, sp);
		in_order();
		put(&s->depth, depth + 1);
		in_order();
	} while (nb_unlikely(get(&call->sp) != sp));
	put(&call->nr_ranges, 0);
	put(&call->flags, 0);
	/* Who found no room was above an entry that is gone: point 6. */
	if (nb_unlikely(get(&s->overflow)))
		put(&s->overflow, 0);
	in_order();
	return call;
}

/**
 * nb_call_pop() - a call has returned
 * @s: the calling thread's stack.
 * @sp: the stack pointer at its site.
 *
 * A call without an entry changes nothing.
 *
 * Context: the stack's thread; general registers only.
 */
void nb_call_pop(struct nb_call_stack *s, uint64_t sp)
{
	uint32_t i = nb_call_index(s, sp);

	if (nb_likely(i)) {
		nb_call_pop_index(s, i);
	} else if (get(&s->overflow) == sp) {
		put(&s->overflow, 0);
		in_order();
	}
}

/**
 * nb_call_publish() - a call will touch a range
 * @call: its entry.
 * @start: first byte.
 * @len: how many; whatever the program said.
 *
 * With no room for more ranges the last one grows to span this one.  A range
 * once complete never shrinks.
 *
 * Context: the stack's thread; general registers only.
 */
void nb_call_publish(struct nb_call *call, uint64_t start, uint64_t len)
{
	uint32_t nr = get(&call->nr_ranges);
	uint64_t end = start + len;
	struct nb_call_range *r;

	if (!len)
		return;
	if (end < start)
		end = UINT64_MAX;
	if (nb_likely(nr < NB_CALL_RANGES)) {
		put(&call->range[nr].start, start);
		put(&call->range[nr].end, end);
		put(&call->nr_ranges, nr + 1);
	} else {
		r = &call->range[NB_CALL_RANGES - 1];
		if (start < get(&r->start))
			put(&r->start, start);
		if (end > get(&r->end))
			put(&r->end, end);
		put(&call->flags, get(&call->flags) | NB_CALL_HULL);
	}
	/* Before the thread looks for marks: inflight.h. */
	in_order();
}

/**
 * nb_call_owe() - a call's end has something to undo, or has undone it
 * @s: the calling thread's stack.
 * @call: its entry.
 * @yes: which.
 *
 * Context: the stack's thread, signals blocked.
 */
void nb_call_owe(struct nb_call_stack *s, struct nb_call *call, bool yes)
{
	uint32_t flags = get(&call->flags);

	if (!(flags & NB_CALL_OWES) != yes)
		return;
	put(&call->flags, flags ^ NB_CALL_OWES);
	put(&s->owing, get(&s->owing) + (yes ? 1U : ~0U));
	in_order();
}

/**
 * nb_call_owing() - a call that owes something
 * @s: the calling thread's stack.
 * @but: not this one; or NULL.
 *
 * Context: the stack's thread; general registers only.
 * Return: its entry, to be settled by nb_call_owe(); or NULL.
 */
struct nb_call *nb_call_owing(struct nb_call_stack *s,
			      const struct nb_call *but)
{
	if (nb_likely(!get(&s->owing)))
		return NULL;
	for (uint32_t i = get(&s->depth); i--;)
		if (get(&s->call[i].flags) & NB_CALL_OWES && &s->call[i] != but)
			return &s->call[i];
	return NULL;
}
