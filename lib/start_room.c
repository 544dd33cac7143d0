/* SPDX-License-Identifier: MIT */
/*
 * Threads that start beside their creators.  numabald publishes how many CPUs
 * of each node are idle; a new thread, before it runs any of the program's
 * code, takes one of them: it goes to the node, and is then as free as its
 * creator would be without numabal.  What it uses first is allocated there, and
 * as it has a CPU to itself the kernel has no reason to take it elsewhere.
 *
 * Idle CPUs are counted while threads are being created, once a second; a
 * thread that comes when they have not been is left to the kernel.
 *
 * Owns the table of rooms.  Invariant: of the threads that have started on a
 * node since it was published, no more live than the node had room for.
 */
#include "start_room.h"

#include "base/mutant.h"
#include "mech/affinity.h"
#include "nb.h"
#include "plat/arena.h"
#include "policy/task_start.h"
#include "tasks.h"

#include <string.h>

/* What was published before is not how it is now. */
#define FRESH_NS (2 * NB_NSEC_PER_SEC)
/* CPUs are looked at for so long after a thread was created. */
#define ASKED_NS (60 * NB_NSEC_PER_SEC)

/* Where a slot's thread started: its node + 1, or 0; and what it took there. */
struct start {
	_Atomic uint16_t nid1;	/* (A) */
	_Atomic uint32_t epoch; /* (A) */
};

static _Atomic uint32_t room[NB_MAX_NODES];    /* (A) by numabald */
static _Atomic uint32_t started[NB_MAX_NODES]; /* (A) */
static _Atomic uint32_t epoch;		       /* (A) of the table */
static _Atomic uint64_t published_ns;	       /* (A) 0: never */
static _Atomic uint64_t asked_ns;	       /* (A) a thread was created */
static struct start *_Atomic starts; /* (A) by slot; NULL: nobody asked yet */
static struct nb_cpu_times *times, *before; /* (D) */

static enum nb_why choose(int slot, int creator, int *nid)
{
	struct nb_task_start ts = {.topo = &nb.topo, .nodes = nb.cfg.nodes};
	const struct nb_task *t = nb_task_at(creator);
	struct nb_task_creator who = {
		.nid = NB_NO_NODE,
		.bound = nb_affinity_bound(slot), /* as its creator is */
	};
	int n;

	/* numabald may not know it yet, but who had its slot before. */
	if (atomic_load(&t->pub_tid) == nb_slot_tid(nb_slot_at(creator)))
		who.nid = atomic_load(&t->pub_preferred_nid);
	nb_for_each_nid (n, &nb.cfg.nodes) {
		ts.room[n] = atomic_load(&room[n]);
		ts.started[n] = atomic_load(&started[n]);
	}
	return nb_task_start(&ts, &who, nid);
}

/* Not below 0: the table may have been published anew since it was taken. */
static void give_back(int nid)
{
	uint32_t nr = atomic_load(&started[nid]);

	while (nr && !atomic_compare_exchange_weak(&started[nid], &nr, nr - 1))
		;
}

/* One of the node's idle CPUs, unless others were faster. */
static bool take(int nid)
{
	if (atomic_fetch_add(&started[nid], 1) < atomic_load(&room[nid]))
		return true;
	give_back(nid);
	return false;
}

/**
 * nb_start_begin() - a new thread goes where its creator is, if there is room
 * @slot: its slot; it has its creator's mask, nb_affinity_inherit().
 * @creator: its creator's slot.
 *
 * From then on it may run where its creator may.
 *
 * Context: the new thread.
 */
void nb_start_begin(int slot, int creator)
{
	struct start *all = atomic_load(&starts);
	uint64_t now_ns = nb_clock_ns(), at_ns = atomic_load(&published_ns);
	pid_t tid = (pid_t)nb_sys_gettid();
	enum nb_why why;
	int nid;

	atomic_store(&asked_ns, now_ns);
	if (!all || !at_ns || now_ns - at_ns > FRESH_NS || !nb_may_move_tasks())
		goto out_release;
	why = choose(slot, creator, &nid);
	if (nb_why_is_yes(why) && !take(nid))
		why = NB_WHY_TASK_NODE_BUSY;
	else if (nb_why_is_yes(why) && nb_affinity_pin(slot, tid, nid)) {
		give_back(nid);
		why = NB_WHY_TASK_NO_CPU;
	}
	atomic_fetch_add_explicit(&nb.why_count[why], 1, memory_order_relaxed);
	if (nb_why_is_yes(why)) {
		atomic_store(&all[slot].epoch, atomic_load(&epoch));
		atomic_store(&all[slot].nid1, (uint16_t)(nid + 1));
	}
out_release:
	if (!NB_NO_UNPIN)
		nb_affinity_release(slot, tid);
}

/**
 * nb_start_end() - a thread ends: the CPU that it took at its start is free
 * @slot: its slot.
 *
 * Context: the thread, or numabald when it is gone; more often than once.
 */
void nb_start_end(int slot)
{
	struct start *all = atomic_load(&starts);
	uint32_t nid1 = all ? atomic_exchange(&all[slot].nid1, 0) : 0;

	if (nid1 && atomic_load(&all[slot].epoch) == atomic_load(&epoch))
		give_back((int)nid1 - 1);
}

static bool get_memory(void)
{
	size_t bytes = (size_t)nb.topo.nr_cpus * sizeof(*times);

	if (!times)
		times = nb_arena_alloc(bytes);
	if (times && !before)
		before = nb_arena_alloc(bytes);
	return before;
}

/**
 * nb_start_publish() - how many CPUs are idle
 * @idle: thousandths of CPUs, by node.
 * @now_ns: the time.
 *
 * Context: numabald.
 */
void nb_start_publish(const uint64_t idle[NB_MAX_NODES], uint64_t now_ns)
{
	int n;

	if (!atomic_load(&starts))
		atomic_store(&starts,
			     nb_arena_map(NB_MAX_SLOTS * sizeof(struct start)));
	atomic_fetch_add(&epoch, 1);
	nb_for_each_nid (n, &nb.topo.has_cpu) {
		uint32_t nr = nb_free_cpus(idle[n]);
		uint32_t of_late = atomic_exchange(&started[n], 0);

		/* Those have run for a part of that time only. */
		atomic_store(&room[n], nr - nb_min(nr, of_late));
	}
	atomic_store(&published_ns, now_ns);
}

static void look_at_cpus(uint64_t now_ns)
{
	uint64_t idle[NB_MAX_NODES];
	bool first = !before;

	if (!get_memory() || nb_cpu_times_read(times, nb.topo.nr_cpus) < 0)
		return;
	nb_cpu_times_idle(&nb.topo, before, times, idle);
	memcpy(before, times, (size_t)nb.topo.nr_cpus * sizeof(*times));
	/* Else they are since the machine was started. */
	if (!first)
		nb_start_publish(idle, now_ns);
}

/**
 * nb_start_walk() - how much room there is now
 * @now_ns: the time.
 *
 * Context: numabald, once a second.
 */
void nb_start_walk(uint64_t now_ns)
{
	uint64_t at_ns = atomic_load(&asked_ns);

	if (nb_may_move_tasks() && at_ns &&
	    now_ns - nb_min(now_ns, at_ns) < ASKED_NS)
		look_at_cpus(now_ns);
}

/**
 * nb_start_after_fork() - the child has one thread
 *
 * Context: child.
 */
void nb_start_after_fork(void)
{
	struct start *all = atomic_load(&starts);
	int nr = nb_slots_used();

	for (int i = 0; all && i < nr; i++)
		atomic_store(&all[i].nid1, 0);
	atomic_store(&published_ns, 0);
	atomic_store(&asked_ns, 0);
}
