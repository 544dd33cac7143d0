/* SPDX-License-Identifier: MIT */
/*
 * Over a fork: the child has a copy of everything but the threads.
 *
 * Invariants:
 * 1. Nothing is being armed while the address space is copied: the forking
 *    thread holds the as and affinity locks.
 * 2. In the child no page is armed, no mask is pinned and no slot is taken
 *    before any code of the program runs; until it starts its own numabald,
 *    nothing is armed there.
 */
#include "hooks.h"

#include "guard_hooks.h"
#include "mech/affinity.h"
#include "mech/arm.h"
#include "mech/protect.h"
#include "mech/sigchain.h"
#include "nb.h"
#include "regions.h"
#include "tasks.h"

#include <sys/mman.h>

/* Most children that do not exec(3) have done what they are for by then. */
#define YOUNG_NS (50 * NB_NSEC_PER_MSEC)

static struct nb_sigstate as_sigstate;
static int forking_slot = -1;
static bool forking_policy;
static _Atomic bool prepared;

static int slot_index(const struct nb_slot *s)
{
	return s ? (int)(s - nb_slot_at(0)) : -1;
}

/**
 * nb_hook_fork_prepare() - before the copy
 *
 * Context: the forking thread.
 */
void nb_hook_fork_prepare(void)
{
	if (!nb_is_active())
		return;
	nb_lock(&nb.as_lock, &as_sigstate);
	nb_affinity_fork_prepare();
	forking_slot = slot_index(nb_slot_self_existing());
	forking_policy =
		forking_slot >= 0 &&
		atomic_load(&nb_task_at(forking_slot)->explicit_policy);
	atomic_store(&prepared, true);
}

/**
 * nb_hook_fork_parent() - after the copy
 *
 * Context: the forking thread.
 */
void nb_hook_fork_parent(void)
{
	if (!atomic_exchange(&prepared, false))
		return;
	nb_affinity_fork_parent();
	nb_unlock(&nb.as_lock, &as_sigstate);
}

/* Whatever state the chunks were copied in, the memory is accessible again. */
static void give_all_back(void)
{
	for (int i = 0; i < nb_regions_count(); i++) {
		const struct nb_region *r = nb_regions_at(i);

		if (r->prot == (PROT_READ | PROT_WRITE) &&
		    nb_range_armed(r->start, r->end))
			nb_protect_open(nb.sys, r->start, r->end - r->start);
		nb_forget_range(r->start, r->end, false);
	}
	/* Threads that are not here may have been about to count. */
	atomic_store(&nb_nr_armed, 0);
}

/* Nobody held the tables still when they were copied. */
static void balance_no_more(void)
{
	give_all_back();
	nb_regions_clear();
	nb_daemon_after_fork();
	nb_guard_on(false);
	atomic_store(&nb.why, "a child whose parent waited for it");
	atomic_store(&nb.state, NB_IDLE);
}

/*
 * Nothing is balanced, but the program's view of its signals lives on: it
 * needs a slot for each thread, and no lock that a thread of the parent held.
 */
static void only_the_view(void)
{
	int pid;

	if (nb_hook_filtered())
		return;
	pid = (int)nb_sys_getpid();
	if (!nb_guarded() || atomic_exchange(&nb.pid, pid) == pid)
		return;
	nb.root_process = false;
	nb_lock_reinit(&nb.as_lock);
	nb_sigchain_fork_child();
	nb_affinity_reinit();
	nb_tasks_after_fork();
	nb_slots_set_owner(pid);
	if (nb_is_active())
		balance_no_more();
}

/**
 * nb_hook_fork_child() - after the copy
 *
 * Context: the child's only thread.
 */
void nb_hook_fork_child(void)
{
	if (!atomic_exchange(&prepared, false)) {
		only_the_view();
		return;
	}
	atomic_store(&nb.pid, (int)nb_sys_getpid());
	nb.root_process = false;
	atomic_store(&nb.inhibit, 0);
	atomic_store(&nb.inhibit_until_ns, 0);
	nb_sigchain_fork_child();
	nb_affinity_fork_child(forking_slot);
	nb_tasks_after_fork();
	nb_slots_set_owner((pid_t)nb_sys_getpid());
	give_all_back();
	nb_daemon_after_fork();
	nb_unlock(&nb.as_lock, &as_sigstate);
	nb.start_ns = nb_clock_ns();
	if (forking_policy)
		nb_task_set_explicit_policy(slot_index(nb_slot_self()), true);
	if (nb.cfg.follow == NB_FOLLOW_NONE) {
		atomic_store(&nb.why, "NUMABAL_FOLLOW=none: a forked child");
		atomic_store(&nb.state, NB_IDLE);
	} else if (nb_guarded()) {
		atomic_store(&nb.young_until_ns, nb.start_ns + YOUNG_NS);
		nb_guard_watch(true);
	}
}

/**
 * nb_hook_forked() - the child may start its own balancer now
 *
 * Guarded, it does so when it has lived for a while.
 *
 * Context: the child, outside of libc.
 */
void nb_hook_forked(void)
{
	if (!nb_guarded())
		nb_maybe_start_daemon();
}
