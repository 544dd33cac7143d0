/* SPDX-License-Identifier: MIT */
/*
 * 6a. The node for each numa_group, and for the threads that are in none.
 *
 * Threads that share memory should run on one node, with their memory.  All
 * groups are looked at together, the largest first, and each gets the node
 * where most of its memory is and most of its threads are, by distance, of
 * those that still have room for it; a group that has a node keeps it unless
 * another is clearly better.  So threads that have to change places do so in
 * one round.  What finds no room as a whole is divided over the nodes that it
 * likes best.
 *
 * The answer is a wish for each thread (want_nid), which takes the place of
 * what its own faults alone would tell; task_place.c carries it out.
 *
 * Owns nothing.
 *
 * Differs from Linux (task_numa_migrate(), task_numa_compare()): there each
 * task looks for itself, for one exchange with one other that makes the sum
 * better, and a group never gets together that has to pass through worse
 * places.
 */
#include "group_place.h"

#include "placement.h"

#include <string.h>

/* A node is left for one with more than 9/8 of its score. */
#define STAY_NUM 9
#define STAY_DEN 8

/* All threads of a group together count for half of its memory. */
#define RUNS_THERE_DIV 2

/* Working state of a round. */
struct plan {
	const struct nb_task_place *tp;
	struct nb_group_task *t;
	size_t nr;
	uint32_t left[NB_MAX_NODES]; /* threads that still fit */
};

static bool usable(const struct nb_task_place *tp, int nid)
{
	return nb_node_isset(&tp->nodes, nid) && tp->load[nid].nr_cpus;
}

/* As many threads as CPUs, or all alike where there are more threads. */
static void find_room(struct plan *p, size_t nr_running)
{
	uint32_t cpus = 0;
	int n;

	nb_for_each_nid (n, &p->tp->nodes)
		cpus += p->tp->load[n].nr_cpus;
	nb_for_each_nid (n, &p->tp->nodes) {
		uint64_t own = p->tp->load[n].nr_cpus;

		if (!usable(p->tp, n))
			continue;
		if (nr_running > cpus)
			own = nb_div_round_up(own * nr_running, cpus);
		p->left[n] = (uint32_t)own;
	}
}

static void score(const struct plan *p, const struct nb_numa_group *g,
		  int index, uint64_t *scores)
{
	const struct nb_topology *topo = p->tp->topo;
	const struct nb_group_task *t = p->t;
	uint64_t mem[NB_MAX_NODES] = {0}, all = 0;
	uint32_t there[NB_MAX_NODES] = {0};
	int n, m;

	for (size_t i = 0; i < p->nr; i++) {
		if (t[i].index != index)
			continue;
		nb_for_each_nid (n, &topo->online)
			mem[n] += t[i].nf ? nb_numa_faults_mem(t[i].nf, n) : 0;
		if (t[i].running && nb_node_valid(t[i].current_nid))
			there[t[i].current_nid]++;
	}
	nb_for_each_nid (n, &topo->online)
		all += mem[n];
	nb_for_each_nid (n, &p->tp->nodes) {
		scores[n] = 0;
		if (!usable(p->tp, n))
			continue;
		nb_for_each_nid (m, &topo->online)
			scores[n] += mem[m] * NB_LOCAL_DISTANCE /
				     nb_max(topo->distance[n][m], 1);
		scores[n] += all / RUNS_THERE_DIV * there[n] / g->nr_running;
	}
}

static bool has_node(const struct plan *p, int nid, uint32_t need)
{
	return usable(p->tp, nid) && p->left[nid] >= need;
}

/* The best node with room for @need threads; NB_NO_NODE: there is none. */
static int best_node(const struct plan *p, const uint64_t *scores,
		     uint32_t need, int cur)
{
	int best = NB_NO_NODE, n;

	nb_for_each_nid (n, &p->tp->nodes)
		if (has_node(p, n, need) &&
		    (best == NB_NO_NODE || scores[n] > scores[best]))
			best = n;
	if (best != NB_NO_NODE && has_node(p, cur, need) &&
	    scores[best] * STAY_DEN <= scores[cur] * STAY_NUM)
		return cur;
	return best;
}

/* The rest of a group should not be far from its first node. */
static void go_near(const struct plan *p, uint64_t *scores, int nid)
{
	const struct nb_topology *topo = p->tp->topo;
	int n;

	nb_for_each_nid (n, &p->tp->nodes)
		scores[n] = scores[n] * NB_LOCAL_DISTANCE /
			    nb_max(topo->distance[nid][n], 1);
}

/*
 * Give a node with room to members: first to those that run there.
 * Return: to how many, at least to one while there is one without.
 */
static uint32_t fill(struct plan *p, int index, int nid)
{
	struct nb_group_task *t = p->t;
	uint32_t given = 0;

	for (int pass = 0; pass < 2; pass++) {
		for (size_t i = 0; i < p->nr && p->left[nid]; i++) {
			if (t[i].index != index || !t[i].running ||
			    t[i].want_nid != NB_NO_NODE ||
			    (t[i].current_nid == nid) != !pass)
				continue;
			t[i].want_nid = (int16_t)nid;
			p->left[nid]--;
			given++;
		}
	}
	return given;
}

static void place(struct plan *p, struct nb_numa_group *g, int index)
{
	struct nb_group_task *t = p->t;
	uint64_t scores[NB_MAX_NODES];
	uint32_t need = g->nr_running;

	score(p, g, index, scores);
	for (bool first = true; need; first = false) {
		int nid = best_node(p, scores, need, g->nid);

		/* It is too large for any: all of the best one, and so on. */
		if (nid == NB_NO_NODE)
			nid = best_node(p, scores, 1, g->nid);
		if (first)
			g->nid = nid;
		if (nid == NB_NO_NODE)
			return;
		need -= fill(p, index, nid);
		if (first)
			go_near(p, scores, nid);
	}
	/* Who sleeps takes no room, and starts there. */
	for (size_t i = 0; i < p->nr; i++)
		if (t[i].index == index && !t[i].running)
			t[i].want_nid = (int16_t)g->nid;
}

/**
 * nb_group_place() - where each thread of a group should run.
 * @set: the groups
 * @t: all threads, with their groups; want_nid is the answer
 * @nr: how many
 * @tp: loads, nodes and the machine
 *
 * Context: numabald.
 */
void nb_group_place(struct nb_group_set *set, struct nb_group_task *t,
		    size_t nr, const struct nb_task_place *tp)
{
	struct plan p = {.tp = tp, .t = t, .nr = nr};
	uint32_t limit = UINT32_MAX;

	for (size_t i = 0; i < nr; i++)
		t[i].want_nid = NB_NO_NODE;
	find_room(&p, set->all.nr_running);
	/* The largest first: what is small fits everywhere. */
	for (;;) {
		uint32_t next = 0;

		for (int i = 0; i < set->nr; i++) {
			uint32_t size = set->g[i].nr_running;

			if (size < limit && size > next)
				next = size;
		}
		if (next < 2)
			return;
		limit = next;
		for (int has = 1; has >= 0; has--)
			for (int i = 0; i < set->nr; i++)
				if (set->g[i].nr_running == next &&
				    (set->g[i].nid != NB_NO_NODE) == has)
					place(&p, &set->g[i], i);
	}
}

/*
 * For how many threads that share memory it is worth while to bring together
 * even those that have no team: one node's, or half of the machine's CPUs.
 */
static uint32_t few_cpus(const struct nb_task_place *tp)
{
	uint32_t most = 0, all = 0;
	int n;

	nb_for_each_nid (n, &tp->nodes) {
		most = nb_max(most, tp->load[n].nr_cpus);
		all += tp->load[n].nr_cpus;
	}
	return nb_max(most, all / 2);
}

/**
 * nb_group_round() - make groups, and choose a node for every thread.
 * @set: the groups
 * @t: all threads, decayed at the end of the pass; want_nid is the answer:
 *	what its group wants of it, else what its own memory does (placement.c)
 * @nr: how many
 * @tp: loads, nodes and the machine
 * @scratch: nb_group_scratch_bytes(@nr) bytes
 *
 * Context: numabald, once per pass.
 */
void nb_group_round(struct nb_group_set *set, struct nb_group_task *t,
		    size_t nr, const struct nb_task_place *tp, void *scratch)
{
	bool alone;

	for (size_t i = 0; i < nr; i++)
		if (t[i].partners)
			nb_partners_decay(t[i].partners);
	nb_groups_form(t, nr, few_cpus(tp), scratch);
	nb_group_set_update(set, t, nr, tp->topo, &tp->nodes);
	nb_group_place(set, t, nr, tp);
	alone = !nb_nodes_single(&set->all.active_nodes);
	for (size_t i = 0; i < nr; i++)
		if (t[i].nf && t[i].want_nid == NB_NO_NODE)
			t[i].want_nid =
				(int16_t)nb_placement(t[i].nf, tp->topo, alone);
}
