/* SPDX-License-Identifier: MIT */
/*
 * 8. Where a new thread starts: beside its creator, if there is room.
 *
 * What a thread uses first is allocated where it runs, and it mostly works on
 * what its creator prepared.  So it starts on the node where its creator
 * belongs, on an idle CPU; when there is none, on the nearest node that has
 * one, those of the creator's group first.  When nobody knows where the creator
 * belongs, or there is no idle CPU, the kernel's scheduler decides.
 *
 * A program's first threads come before anything is known, so that a pool
 * which a main thread makes at the start is spread as it always was; one that
 * is made later takes idle CPUs only, each once.
 *
 * Owns nothing: who creates a thread makes a struct nb_task_start of what
 * numabald has published.
 *
 * Differs from Linux (sched_balance_find_dst_group() at fork): the scheduler
 * looks for the idlest node, and keeps a thread near its creator only while
 * less than a quarter of a node, or a cache's part of it, is in use.
 */
#include "task_start.h"

static uint32_t nr_free(const struct nb_task_start *ts, int nid)
{
	return ts->room[nid] - nb_min(ts->room[nid], ts->started[nid]);
}

static bool has_room(const struct nb_task_start *ts, int nid)
{
	return nb_node_isset(&ts->topo->has_cpu, nid) && nr_free(ts, nid);
}

/* Is @a a better place than @b, which has a lower number? */
static bool is_better(const struct nb_task_start *ts,
		      const struct nb_task_creator *c, int a, int b)
{
	const uint16_t *distance = ts->topo->distance[c->nid];
	bool in_a = a == c->nid || nb_node_isset(&c->group, a);
	bool in_b = b == c->nid || nb_node_isset(&c->group, b);

	if (in_a != in_b)
		return in_a;
	if (distance[a] != distance[b])
		return distance[a] < distance[b];
	return nr_free(ts, a) > nr_free(ts, b);
}

/**
 * nb_task_start() - where a new thread starts
 * @ts: what is known of the nodes
 * @creator: who creates it
 * @nid: out: the node; NB_NO_NODE: the kernel decides
 *
 * Context: any thread.
 * Return: the reason, yes or no.
 */
enum nb_why nb_task_start(const struct nb_task_start *ts,
			  const struct nb_task_creator *creator, int *nid)
{
	int n;

	*nid = NB_NO_NODE;
	if (creator->bound)
		return NB_WHY_TASK_BOUND;
	if (!nb_node_isset(&ts->topo->online, creator->nid))
		return NB_WHY_TASK_NO_PREFERENCE;
	nb_for_each_nid (n, &ts->nodes)
		if (has_room(ts, n) &&
		    (*nid == NB_NO_NODE || is_better(ts, creator, n, *nid)))
			*nid = n;
	return *nid == NB_NO_NODE ? NB_WHY_TASK_NODE_BUSY : NB_WHY_TASK_START;
}
