/* SPDX-License-Identifier: MIT */
/*
 * Slots are given back, by numabald when their thread is gone, or by the
 * thread itself as the last thing that it does; and what their threads had
 * counted.
 *
 * Owns the counts of slots that were given back; the rest is slot.c's.
 */
#include "../plat/sys.h"
#include "slot.h"

#include <string.h>

#pragma GCC poison malloc free calloc realloc printf fprintf pthread_mutex_lock

/* Whose a slot is that is being given back: no thread has such an id. */
#define HELD INT32_MAX

static struct nb_slot_totals ended; /* (D) */

static _Atomic int32_t *word_of(const struct nb_slot *s)
{
	return nb_slot_tid_word((int)(s - nb_slot_at(0)));
}

static void add_totals(struct nb_slot_totals *sum, struct nb_slot *s)
{
	uint64_t max =
		atomic_load_explicit(&s->max_cycles, memory_order_relaxed);

	sum->fault_cycles +=
		atomic_load_explicit(&s->fault_cycles, memory_order_relaxed);
	sum->dropped +=
		atomic_load_explicit(&s->ring.dropped, memory_order_relaxed);
	sum->max_cycles = nb_max(sum->max_cycles, max);
}

/**
 * nb_slots_totals() - what all threads have counted, those gone included
 * @sum: out.
 *
 * Context: numabald.
 */
void nb_slots_totals(struct nb_slot_totals *sum)
{
	int used = nb_slots_used();

	*sum = ended;
	for (int i = 0; i < used; i++)
		add_totals(sum, nb_slot_at(i));
}

/**
 * nb_slots_totals_reset() - nothing has been counted
 *
 * Context: forked child.
 */
void nb_slots_totals_reset(void)
{
	memset(&ended, 0, sizeof(ended));
}

static void clear_slot(struct nb_slot *s)
{
	atomic_store(&s->gone, 0);
	nb_slot_forget_calls(s);
	s->same_fault = 0;
	s->last_ip = 0;
	s->last_addr = 0;
	atomic_store(&s->nr_faults, 0);
	atomic_store(&s->fault_cycles, 0);
	atomic_store(&s->max_cycles, 0);
	atomic_store(&s->ring.head, 0);
	atomic_store(&s->ring.tail, 0);
	atomic_store(&s->ring.dropped, 0);
}

/**
 * nb_slot_hold() - begin to give a slot back
 * @index: which.
 * @tid: its thread, which seems to be gone.
 *
 * Ids are used again: a new thread with this one may be taking the slot for
 * its own.  From here on it cannot, and then the kernel is asked once more.
 *
 * Context: numabald.
 * Return: true: nobody has it, nb_slot_release() is to follow; false: its
 * thread is there.
 */
bool nb_slot_hold(int index, pid_t tid)
{
	_Atomic int32_t *word = nb_slot_tid_word(index);
	int32_t was = atomic_load(word), held = HELD;

	if ((was != tid && was != -tid) ||
	    !atomic_compare_exchange_strong(word, &was, HELD))
		return false;
	if (!nb_thread_exists(tid))
		return true;
	atomic_compare_exchange_strong(word, &held, was);
	return false;
}

/**
 * nb_slot_release() - give a slot back
 * @index: which; its thread no longer exists.
 *
 * Context: numabald, forked child.
 */
void nb_slot_release(int index)
{
	struct nb_slot *s = nb_slot_at(index);

	add_totals(&ended, s);
	clear_slot(s);
	/* release: pairs with the exchange in take_free() */
	atomic_store_explicit(nb_slot_tid_word(index), 0, memory_order_release);
}

/**
 * nb_slot_give_up() - a thread is done with its slot: the next may have it
 * @s: the calling thread's.
 *
 * Context: the thread itself, about to end.
 * Return: false: it stays its slot until numabald sees that it is gone.
 */
bool nb_slot_give_up(struct nb_slot *s)
{
	if (s != nb_slot_guess || s->tls_shared ||
	    atomic_load_explicit(&s->ring.head, memory_order_relaxed) !=
		    atomic_load_explicit(&s->ring.tail, memory_order_relaxed))
		return false;
	nb_slot_forget_calls(s);
	atomic_store(&s->gone, 0);
	nb_slot_guess = NULL;
	/* release: pairs with the exchange in take_free() */
	atomic_store_explicit(word_of(s), 0, memory_order_release);
	return true;
}
