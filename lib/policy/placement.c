/* SPDX-License-Identifier: MIT */
/*
 * 6. numa_preferred_nid: the node that a thread should run on.
 *
 * It is where most of the memory is that the thread used lately, or the node
 * with CPUs nearest to that memory.  numabald asks once per pass and thread,
 * after the statistics have decayed.
 *
 * Owns nothing.
 *
 * Differs from Linux:
 * - Hysteresis.  The kernel takes the plain maximum.  Two threads that share a
 *   buffer evenly over two nodes then see a maximum that is sampling noise, and
 *   change sides every few passes, each time dragging pages along.  Here a
 *   preferred node is left only for one with more than 9/8 of its faults.
 * - "Nearest node with CPUs" means CPUs that the program may use: preferring a
 *   node where the thread can never run helps nobody.
 */
#include "placement.h"

/*
 * Leave a preferred node at more than 9/8 of its faults.  Noise of an even
 * split stays below that from a few hundred sampled pages on, and a real change
 * of use passes it within one pass, as old faults count half.
 */
#define STAY_NUM 9
#define STAY_DEN 8

/* With less than a quarter for itself alone a thread goes nowhere for it. */
#define OWN_DEN 4

/* True if the program has a CPU to run on there. */
static bool has_allowed_cpu(const struct nb_topology *t, int nid)
{
	struct nb_cpumask usable;

	if (!nb_node_isset(&t->has_cpu, nid))
		return false;
	nb_cpus_and(&usable, &t->node_cpus[nid], &t->cpus_allowed);
	return !nb_cpus_empty(&usable);
}

/**
 * nb_nearest_cpu_node() - where to run to be near memory on a node.
 * @t: the machine
 * @nid: the node of the memory
 *
 * Context: numabald.
 * Return: @nid itself if the program may use CPUs there, else the nearest node
 * where it may, the lowest of equals; NB_NO_NODE if @nid is none or there is no
 * such node.
 */
int nb_nearest_cpu_node(const struct nb_topology *t, int nid)
{
	int best = NB_NO_NODE;
	int n;

	if (!nb_node_isset(&t->online, nid))
		return NB_NO_NODE;
	if (has_allowed_cpu(t, nid))
		return nid;
	nb_for_each_nid (n, &t->online) {
		if (!has_allowed_cpu(t, n))
			continue;
		if (best == NB_NO_NODE ||
		    t->distance[nid][n] < t->distance[nid][best])
			best = n;
	}
	return best;
}

static uint64_t priv(const struct nb_numa_faults *f, int nid)
{
	return nid < f->nr_nids ? f->faults[nb_numa_faults_idx(f, NB_NUMA_MEM,
							       nid, true)]
				: 0;
}

/* Is enough of what a thread uses its own? */
static bool has_own(const struct nb_numa_faults *f)
{
	uint64_t own = 0, all = 0;

	for (int n = 0; n < f->nr_nids; n++) {
		own += priv(f, n);
		all += nb_numa_faults_mem(f, n);
	}
	return own * OWN_DEN >= all;
}

/**
 * nb_placement() - the node that a thread should run on.
 * @f: its statistics, decayed at the end of the pass
 * @t: the machine
 * @alone: only memory that nobody else uses counts: the rest is used from
 *	several nodes, and being near to a part of it helps little
 *
 * A node counts as still in use if it, or a node without CPUs whose nearest it
 * is, has faults.
 *
 * Context: numabald.
 * Return: the new numa_preferred_nid; the old one if there is nothing to go by.
 */
int nb_placement(const struct nb_numa_faults *f, const struct nb_topology *t,
		 bool alone)
{
	int cur = f->numa_preferred_nid;
	int best = cur;
	uint64_t best_faults = 0;
	uint64_t cur_faults = 0;
	int nid;

	if (alone && !has_own(f))
		return cur;
	nb_for_each_nid (nid, &t->online) {
		uint64_t faults =
			alone ? priv(f, nid) : nb_numa_faults_mem(f, nid);
		int run_nid;

		if (!faults)
			continue;
		run_nid = nb_nearest_cpu_node(t, nid);
		if (run_nid == NB_NO_NODE)
			continue;
		if (run_nid == cur)
			cur_faults = nb_max(cur_faults, faults);
		if (faults > best_faults) {
			best_faults = faults;
			best = run_nid;
		}
	}
	if (cur_faults && best_faults * STAY_DEN <= cur_faults * STAY_NUM)
		return cur;
	return best;
}
