/* SPDX-License-Identifier: MIT */
/*
 * Standing down: disarm everything, give every thread its mask back, stop.
 * The only answer to an internal surprise; the program goes on as if numabal
 * had not been there.
 */
#include "guard/guard.h"
#include "mech/affinity.h"
#include "mech/arm.h"
#include "mech/protect.h"
#include "mech/sigchain.h"
#include "nb.h"
#include "plat/log.h"
#include "regions.h"
#include "tasks.h"

#include <sys/mman.h>

/* Who arms is soon done; but it may be our own thread that crashes. */
#define CRASH_WAIT_NS NB_NSEC_PER_SEC

static int disarm_region(const struct nb_region *r)
{
	int err;

	/* Nothing of it was ever armed. */
	if (r->prot != (PROT_READ | PROT_WRITE))
		return 0;
	err = nb_disarm_range(nb.sys, r->start, r->end);
	if (!err)
		return 0;
	/* Perhaps no room for another mapping: one for all of it is needed. */
	err = (int)nb_protect_open(nb.sys, r->start, r->end - r->start);
	if (!err)
		nb_forget_range(r->start, r->end, false);
	return err;
}

/**
 * nb_disarm_all() - give all memory back
 *
 * Context: any thread, with the as lock held.
 * Return: 0 or the last -errno.
 */
int nb_disarm_all(void)
{
	int err = 0;

	for (int i = 0; i < nb_regions_count(); i++) {
		int e = disarm_region(nb_regions_at(i));

		err = e ? e : err;
	}
	return err;
}

/**
 * nb_before_crash() - the default action of SIGSEGV is about to strike
 *
 * Gives all memory back, so that it strikes the thread that earned it, and the
 * core shows the memory as the program had it.
 *
 * Context: signal handler.
 */
void nb_before_crash(void)
{
	uint64_t until = nb_clock_ns() + CRASH_WAIT_NS;
	struct nb_sigstate ss;
	bool locked;

	atomic_store(&nb.crashed, true);
	while (!(locked = nb_trylock(&nb.as_lock, &ss)) &&
	       nb_clock_ns() < until)
		nb_sys_sched_yield();
	for (int i = 0; i < nb_regions_count(); i++) {
		const struct nb_region *r = nb_regions_at(i);

		if (r->prot == (PROT_READ | PROT_WRITE) &&
		    nb_range_armed(r->start, r->end))
			nb_protect_open(nb.sys, r->start, r->end - r->start);
	}
	if (locked)
		nb_unlock(&nb.as_lock, &ss);
}

static void release_threads(void)
{
	int used = nb_slots_used();

	for (int i = 0; i < used; i++) {
		int tid = nb_slot_tid(nb_slot_at(i));

		if (tid)
			nb_affinity_release(i, tid);
	}
}

/**
 * nb_standdown() - stop balancing this process for good
 * @why: a constant text for people; first one wins.
 *
 * Context: any thread; not with the as lock held.
 */
void nb_standdown(const char *why)
{
	struct nb_sigstate ss;
	int state = atomic_load(&nb.state);

	if (state == NB_OFF || state == NB_STOOD_DOWN)
		return;
	nb_lock(&nb.as_lock, &ss);
	atomic_store(&nb.why, why);
	atomic_store(&nb.state, NB_STOOD_DOWN);
	nb_disarm_all();
	nb_unlock(&nb.as_lock, &ss);
	/* Nothing is armed any more: what is in flight does not matter. */
	nb_guard_on(false);
	release_threads();
	nb_log(NB_LOG_INFO, "stood down: %s", why);
	nb_daemon_wake();
}

/**
 * nb_release_all() - disarm and unpin, to stop in good order
 *
 * Context: any thread; numabald has ended.
 */
void nb_release_all(void)
{
	struct nb_sigstate ss;

	nb_lock(&nb.as_lock, &ss);
	nb_disarm_all();
	nb_unlock(&nb.as_lock, &ss);
	release_threads();
}
