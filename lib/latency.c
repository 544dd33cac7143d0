/* SPDX-License-Identifier: MIT */
/*
 * Latency-critical threads.  A protection holds for all threads of a process,
 * so what such a thread uses is not armed for anybody:
 *
 * - stacks and thread-local storage: never are anyway;
 * - what it maps while it is marked: from the call on;
 * - everything else, which nobody can know before: from its first hint fault
 *   on.  The handler then keeps the block of 2 MiB that it was in, so that
 *   there is no second one.
 *
 * Each marked thread has a keeper, a number that regions and chunks carry as
 * the reason why they are not armed.  When a keeper is no thread's any more,
 * because that has ended, was renamed or unregistered, what carries it may be
 * armed again.
 *
 * Owns the set of keepers in use.  When all are, threads share the last one:
 * then memory is kept for longer, which does no harm.
 */
#include "latency.h"

#include "mech/keep.h"
#include "nb.h"
#include "regions.h"
#include "tasks.h"

#include <string.h>

static struct nb_keepers taken; /* (L:as) */
static _Atomic bool any_taken;	/* (A) else the walk has nothing to do */
static struct nb_keepers idle;	/* (D) taken, but unused at the last walk */

_Static_assert(NB_NR_KEEPERS - 1 == NB_REGION_KEEPER >> NB_REGION_KEEPER_SHIFT,
	       "a region has room for each keeper");
_Static_assert(NB_CHUNK_KEPT + NB_NR_KEEPERS <= 256,
	       "and so has the state of a chunk");

/* As lock held. */
static uint8_t take_keeper(void)
{
	unsigned int n = 1;

	while (n < NB_NR_KEEPERS - 1 && nb_keeper_isset(&taken, n))
		n++;
	nb_keeper_set(&taken, n);
	atomic_store(&any_taken, true);
	return (uint8_t)n;
}

/**
 * nb_latency_mark() - a thread is to take no hint faults, or may do so
 * @slot: its slot.
 * @by: who wants it; it is marked while anybody does.
 * @yes: or not any more.
 *
 * Context: any thread; not the handler.
 */
void nb_latency_mark(struct nb_slot *slot, enum nb_latency_by by, bool yes)
{
	struct nb_sigstate ss;
	uint8_t was, why;

	nb_lock(&nb.as_lock, &ss);
	was = atomic_load(&slot->keeper);
	why = was ? slot->keeper_why : 0; /* else of another life */
	why = (uint8_t)(yes ? why | by : why & ~(unsigned int)by);
	slot->keeper_why = why;
	if (!why)
		atomic_store(&slot->keeper, 0);
	else if (!was)
		atomic_store(&slot->keeper, take_keeper());
	nb_unlock(&nb.as_lock, &ss);
}

/**
 * nb_latency_region_flags() - of what a thread maps
 * @slot: its slot, or NULL.
 *
 * Context: any thread.
 * Return: flags for the region.
 */
uint32_t nb_latency_region_flags(const struct nb_slot *slot)
{
	return slot ? (uint32_t)atomic_load(&slot->keeper)
			       << NB_REGION_KEEPER_SHIFT
		    : 0;
}

/* The names of threads now; a thread may change its own at any time. */
static void look_at_names(void)
{
	struct nb_task *t;
	int i;

	nb_for_each_task (t, i) {
		struct nb_slot *s = nb_slot_at(i);
		bool is, want;

		if (nb_taskinfo_comm(t->tid, t->comm))
			continue;
		is = atomic_load(&s->keeper) &&
		     s->keeper_why & NB_LATENCY_BY_NAME;
		want = nb_glob_list_match(nb.cfg.latency_threads, t->comm);
		if (is != want)
			nb_latency_mark(s, NB_LATENCY_BY_NAME, want);
	}
}

/* As lock held. */
static void release_regions(const struct nb_keepers *gone)
{
	uint64_t addr = 0;
	int i;

	/* Regions may be joined: by address. */
	while ((i = nb_regions_index(addr)) < nb_regions_count()) {
		struct nb_range r = {nb_regions_at(i)->start,
				     nb_regions_at(i)->end};
		unsigned int keeper =
			nb_regions_at(i)->flags >> NB_REGION_KEEPER_SHIFT &
			(NB_NR_KEEPERS - 1);

		if (nb_keeper_isset(gone, keeper))
			nb_regions_flag(r.start, r.end, NB_REGION_KEEPER,
					false);
		addr = r.end;
	}
}

/* The keepers that threads have.  As lock held. */
static struct nb_keepers in_use(void)
{
	struct nb_keepers k = {{0}};
	int nr = nb_slots_used();

	for (int i = 0; i < nr; i++)
		nb_keeper_set(&k, atomic_load(&nb_slot_at(i)->keeper));
	return k;
}

static void release(const struct nb_keepers *gone)
{
	struct nb_keepers now;
	struct nb_sigstate ss;
	bool any = false;

	nb_keep_release(gone);
	nb_lock(&nb.as_lock, &ss);
	release_regions(gone);
	/* The last one may have been shared out meanwhile. */
	now = in_use();
	for (unsigned int i = 0; i < nb_array_size(taken.bits); i++) {
		taken.bits[i] &= ~gone->bits[i] | now.bits[i];
		any |= !!taken.bits[i];
	}
	atomic_store(&any_taken, any);
	nb_unlock(&nb.as_lock, &ss);
}

/**
 * nb_latency_walk() - who is marked now, and what is kept for nobody
 *
 * A keeper is given up at the second walk that finds it unused: a handler that
 * had read it is done by then.
 *
 * Context: numabald, after nb_tasks_walk().
 */
void nb_latency_walk(void)
{
	struct nb_keepers now, gone;
	struct nb_sigstate ss;
	bool any = false;

	if (nb.cfg.latency_threads[0])
		look_at_names();
	if (!atomic_load(&any_taken))
		return;
	nb_lock(&nb.as_lock, &ss);
	now = in_use();
	gone = taken;
	nb_unlock(&nb.as_lock, &ss);
	for (unsigned int i = 0; i < nb_array_size(gone.bits); i++) {
		uint64_t unused = gone.bits[i] & ~now.bits[i];

		gone.bits[i] = unused & idle.bits[i];
		idle.bits[i] = unused & ~gone.bits[i];
		any |= !!gone.bits[i];
	}
	if (any)
		release(&gone);
}
