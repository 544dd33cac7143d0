/* SPDX-License-Identifier: MIT */
/*
 * Thread affinity: keeps for every thread the mask that the program wants,
 * pins threads to whole nodes inside that mask, and gives it back.
 *
 * Invariants, under the affinity lock:
 * 1. The kernel's mask of a known thread is its wish, or its wish restricted
 *    to the CPUs of pinned_nid.  A mask that is neither was set by the program
 *    without our seeing it (or by a cpuset) and becomes its wish.
 * 2. A thread whose wish is narrower than the CPUs allowed to the process at
 *    start is bound: never pinned, and released if it was.
 */
#include "affinity.h"

#include "../base/mutant.h"
#include "../base/parse.h"
#include "../plat/arena.h"
#include "../plat/lock.h"
#include "slot.h"

#include <errno.h>
#include <string.h>

static const struct nb_sys *sys;       /* (I) */
static const struct nb_topology *topo; /* (I) */
static struct nb_affinity *table;      /* per slot; under the lock */
static struct nb_lock lock = NB_LOCK_INIT(NB_LOCK_AFFINITY);
static struct nb_sigstate fork_sigstate;

/**
 * nb_affinity_init() - get the table
 * @s: system calls.
 * @t: the machine.
 *
 * Context: start only.
 * Return: 0 or -ENOMEM.
 */
int nb_affinity_init(const struct nb_sys *s, const struct nb_topology *t)
{
	sys = s;
	topo = t;
	if (!table)
		table = nb_arena_map(NB_MAX_SLOTS * sizeof(*table));
	return table ? 0 : -ENOMEM;
}

static void set_known(struct nb_affinity *a, const struct nb_cpumask *wish)
{
	a->wish = *wish;
	a->bound = !nb_cpus_subset(&topo->cpus_allowed, wish);
	a->known = true;
}

/* The mask for a pin, or false if it is empty. */
static bool pin_mask(const struct nb_affinity *a, int nid,
		     struct nb_cpumask *mask)
{
	nb_cpus_and(mask, &a->wish, &topo->node_cpus[nid]);
	nb_cpus_and(mask, mask, &topo->cpus_allowed);
	return !nb_cpus_empty(mask);
}

/*
 * Invariant 1: is the kernel's answer @now the wish, or the pin?  It leaves
 * out CPUs that are not @usable.
 */
static bool explained(struct nb_affinity *a, const struct nb_cpumask *now,
		      const struct nb_cpumask *usable)
{
	struct nb_cpumask eff;

	if (a->pinned_nid != NB_NO_NODE && pin_mask(a, a->pinned_nid, &eff)) {
		nb_cpus_and(&eff, &eff, usable);
		if (nb_cpus_equal(now, &eff))
			return true;
	}
	nb_cpus_and(&eff, &a->wish, usable);
	if (!nb_cpus_equal(now, &a->wish) && !nb_cpus_equal(now, &eff))
		return false;
	a->pinned_nid = NB_NO_NODE;
	return true;
}

/* The CPUs of cpus_allowed that are switched on; false: not told. */
static bool read_usable(struct nb_cpumask *usable)
{
	char buf[1024];
	size_t len = 0;

	if (sys->read_file("/sys/devices/system/cpu/online", buf, sizeof(buf)) <
	    0)
		return false;
	while (buf[len] && buf[len] != '\n')
		len++;
	buf[len] = '\0';
	if (nb_parse_cpulist(buf, usable))
		return false;
	nb_cpus_and(usable, usable, &topo->cpus_allowed);
	return true;
}

/* Notice masks set behind our back. */
static int refresh(struct nb_affinity *a, pid_t tid)
{
	struct nb_cpumask now, usable;
	long err = sys->sched_getaffinity(tid, &now);
	bool told;

	if (err < 0)
		return (int)err;
	if (a->known && explained(a, &now, &topo->cpus_allowed))
		return 0;
	/* A CPU that was unplugged is nobody's choice. */
	told = !nb_cpus_subset(&topo->cpus_allowed, &now) &&
	       read_usable(&usable);
	if (told && a->known && explained(a, &now, &usable))
		return 0;
	a->pinned_nid = NB_NO_NODE;
	set_known(a, told && nb_cpus_equal(&now, &usable) ? &topo->cpus_allowed
							  : &now);
	return 0;
}

/**
 * nb_affinity_forget() - the thread of a slot is gone
 * @slot: the slot.
 *
 * Context: any thread.
 */
void nb_affinity_forget(int slot)
{
	struct nb_sigstate ss;

	nb_lock(&lock, &ss);
	memset(&table[slot], 0, sizeof(table[slot]));
	table[slot].pinned_nid = NB_NO_NODE;
	nb_unlock(&lock, &ss);
}

/**
 * nb_affinity_inherit() - a new thread has its creator's wish
 * @slot: of the new thread.
 * @from_slot: of its creator.
 *
 * The kernel gave it the creator's mask, pin included: invariant 1 holds.
 *
 * Context: any thread.
 */
void nb_affinity_inherit(int slot, int from_slot)
{
	struct nb_sigstate ss;

	nb_lock(&lock, &ss);
	table[slot] = table[from_slot];
	nb_unlock(&lock, &ss);
}

/**
 * nb_affinity_learn() - see what mask a thread has now
 * @slot: its slot.
 * @tid: the thread.
 *
 * Context: any thread.
 * Return: 0 or -errno (-ESRCH: it is gone).
 */
int nb_affinity_learn(int slot, pid_t tid)
{
	struct nb_sigstate ss;
	int err;

	nb_lock(&lock, &ss);
	err = refresh(&table[slot], tid);
	nb_unlock(&lock, &ss);
	return err;
}

/**
 * nb_affinity_pin() - keep a thread on a node's CPUs
 * @slot: its slot.
 * @tid: the thread.
 * @nid: the node.
 *
 * Context: numabald.
 * Return: 0; -EBUSY if the program chose its CPUs; -EINVAL if it may use none
 * of the node's; -errno of the kernel.
 */
int nb_affinity_pin(int slot, pid_t tid, int nid)
{
	struct nb_affinity *a = &table[slot];
	struct nb_cpumask mask;
	struct nb_sigstate ss;
	int err;

	nb_lock(&lock, &ss);
	err = refresh(a, tid);
	if (!err && a->bound)
		err = -EBUSY;
	if (!err && !pin_mask(a, nid, &mask))
		err = -EINVAL;
	if (!err)
		err = (int)sys->sched_setaffinity(tid, &mask);
	if (!err)
		a->pinned_nid = (int16_t)nid;
	nb_unlock(&lock, &ss);
	return err;
}

/**
 * nb_affinity_release() - give a thread its own mask back
 * @slot: its slot.
 * @tid: the thread; 0: the calling one.
 *
 * Context: any thread.
 * Return: 0 or -errno of the kernel.
 */
int nb_affinity_release(int slot, pid_t tid)
{
	struct nb_affinity *a = &table[slot];
	struct nb_sigstate ss;
	int err = 0;

	nb_lock(&lock, &ss);
	if (a->known && a->pinned_nid != NB_NO_NODE) {
		err = refresh(a, tid);
		if (!err && a->pinned_nid != NB_NO_NODE)
			err = (int)sys->sched_setaffinity(tid, &a->wish);
		if (!err)
			a->pinned_nid = NB_NO_NODE;
	}
	nb_unlock(&lock, &ss);
	return err;
}

/**
 * nb_affinity_apply_wish() - the calling thread runs another program now
 * @slot: its slot; of a vfork child: its parent's.
 *
 * Changes the kernel's mask only: the books stay those of the slot's thread.
 *
 * Context: any thread, a vfork child.
 * Return: 0 or -errno of the kernel.
 */
int nb_affinity_apply_wish(int slot)
{
	struct nb_affinity *a = &table[slot];
	struct nb_sigstate ss;
	int err = 0;

	nb_lock(&lock, &ss);
	if (a->known && a->pinned_nid != NB_NO_NODE && !NB_NO_UNPIN)
		err = (int)sys->sched_setaffinity(0, &a->wish);
	nb_unlock(&lock, &ss);
	return err;
}

/**
 * nb_affinity_set_wish() - the program sets a thread's mask
 * @slot: its slot.
 * @tid: the thread.
 * @mask: what it wants.
 *
 * A mask of all allowed CPUs leaves our pin in place; a narrower one is obeyed
 * to the letter.
 *
 * Context: any thread.
 * Return: 0 or -errno, as sched_setaffinity(2) with @mask would.
 */
int nb_affinity_set_wish(int slot, pid_t tid, const struct nb_cpumask *mask)
{
	struct nb_affinity *a = &table[slot];
	struct nb_cpumask pin;
	struct nb_sigstate ss;
	int nid, err;

	nb_lock(&lock, &ss);
	nid = a->known ? a->pinned_nid : NB_NO_NODE;
	/* The kernel judges the mask itself. */
	err = (int)sys->sched_setaffinity(tid, mask);
	if (err)
		goto out;
	set_known(a, mask);
	a->pinned_nid = NB_NO_NODE;
	if (nid == NB_NO_NODE || a->bound || !pin_mask(a, nid, &pin))
		goto out;
	if (!sys->sched_setaffinity(tid, &pin))
		a->pinned_nid = (int16_t)nid;
out:
	nb_unlock(&lock, &ss);
	return err;
}

/**
 * nb_affinity_get_wish() - the mask that the program gave a thread
 * @slot: its slot.
 * @mask: out, if known.
 *
 * Context: any thread.
 * Return: false if the kernel's own answer is the program's view.
 */
bool nb_affinity_get_wish(int slot, struct nb_cpumask *mask)
{
	struct nb_sigstate ss;
	bool pinned;

	nb_lock(&lock, &ss);
	pinned = table[slot].known && table[slot].pinned_nid != NB_NO_NODE;
	if (pinned)
		nb_cpus_and(mask, &table[slot].wish, &topo->cpus_allowed);
	nb_unlock(&lock, &ss);
	return pinned && !NB_NO_PIN_VIEW;
}

/**
 * nb_affinity_pinned_nid() - the node that we pinned a thread to
 * @slot: its slot.
 *
 * Context: numabald.
 * Return: a node or NB_NO_NODE.
 */
int nb_affinity_pinned_nid(int slot)
{
	return table[slot].known ? table[slot].pinned_nid : NB_NO_NODE;
}

/**
 * nb_affinity_bound() - did the program choose this thread's CPUs?
 * @slot: its slot.
 *
 * Context: numabald.
 * Return: true if so.
 */
bool nb_affinity_bound(int slot)
{
	return table[slot].known && table[slot].bound;
}

/**
 * nb_affinity_fork_prepare() - hold the table still over a fork
 *
 * Context: the forking thread; ended by _parent() and _child().
 */
void nb_affinity_fork_prepare(void)
{
	nb_lock(&lock, &fork_sigstate);
}

/**
 * nb_affinity_fork_parent() - the fork is over
 *
 * Context: the parent.
 */
void nb_affinity_fork_parent(void)
{
	nb_unlock(&lock, &fork_sigstate);
}

/**
 * nb_affinity_fork_child() - give the child's thread the program's mask
 * @old_slot: the forking thread's slot in the parent, or -1.
 *
 * Context: forked child, the only thread there.
 */
void nb_affinity_fork_child(int old_slot)
{
	struct nb_affinity *a = old_slot >= 0 ? &table[old_slot] : NULL;

	if (a && a->known && a->pinned_nid != NB_NO_NODE && !NB_NO_UNPIN)
		sys->sched_setaffinity(0, &a->wish);
	memset(table, 0, (size_t)nb_slots_used() * sizeof(*table));
	nb_unlock(&lock, &fork_sigstate);
}

/**
 * nb_affinity_reinit() - a thread that is not here may have held the lock
 *
 * For a fork that nb_affinity_fork_prepare() did not precede: nothing is
 * pinned any more.
 *
 * Context: forked child, the only thread there.
 */
void nb_affinity_reinit(void)
{
	nb_lock_reinit(&lock);
	if (table)
		memset(table, 0, (size_t)nb_slots_used() * sizeof(*table));
}
