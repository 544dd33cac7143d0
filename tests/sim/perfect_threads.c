/* SPDX-License-Identifier: MIT */
/*
 * The oracle's threads: ways to deal them out to nodes.  Threads that share
 * most come next to each other in a list, and the list is cut into pieces of a
 * node's CPUs, or dealt out team by team.
 */
#include "perfect.h"

#include <stdlib.h>
#include <string.h>

struct deal {
	double load[NB_MAX_NODES];
	int nr[NB_MAX_NODES];
	int visit[NB_MAX_NODES]; /* nodes with CPUs, neighbours together */
	int nr_visit;
};

/* Nodes with CPUs from @first on, each the nearest to the one before. */
static void find_visits(const struct sim *s, struct deal *d, int first)
{
	uint64_t done = 0;
	int at = first;

	memset(d, 0, sizeof(*d));
	while (at >= 0) {
		int best = -1;

		d->visit[d->nr_visit++] = at;
		done |= 1ULL << at;
		for (int n = 0; n < s->m.nr_nodes; n++) {
			if (done >> n & 1 || !s->m.node_cpus[n])
				continue;
			if (best < 0 ||
			    s->m.distance[at][n] < s->m.distance[at][best])
				best = n;
		}
		at = best;
	}
}

/* The segment that a thread uses most together with others, or most. */
static int main_seg(const struct sim *s, const struct sim_thread *t)
{
	double best_weight = -1;
	int best = -1;

	for (uint32_t k = 0; k < t->nr_uses; k++) {
		uint32_t users = s->seg[t->use[k].seg].nr_users;
		double w = t->use[k].weight + (users > 1 ? 1 : 0);

		/* What all use tells nothing. */
		if (users >= (uint32_t)s->m.nr_cpus && s->m.nr_cpus > 2)
			w -= 1;
		if (w <= best_weight)
			continue;
		best_weight = w;
		best = t->use[k].seg;
	}
	return best;
}

static const struct sim *sort_sim;

static int by_team(const void *a, const void *b)
{
	int i = *(const int *)a, k = *(const int *)b;
	int si = main_seg(sort_sim, &sort_sim->thread[i]);
	int sk = main_seg(sort_sim, &sort_sim->thread[k]);

	if (sort_sim->thread[i].proc != sort_sim->thread[k].proc)
		return sort_sim->thread[i].proc - sort_sim->thread[k].proc;
	return si != sk ? si - sk : i - k;
}

/* Threads that run, sorted so that teams are together. */
static int list_threads(struct perfect *p)
{
	const struct sim *s = p->s;
	int nr = 0;

	for (int i = 0; i < s->nr_threads; i++)
		if (s->thread[i].alive && s->thread[i].nr_uses)
			p->order[nr++] = i;
	sort_sim = s;
	qsort(p->order, (size_t)nr, sizeof(*p->order), by_team);
	return nr;
}

static bool may(const struct sim *s, int thread, int nid)
{
	return s->m.node_cpus[nid] &&
	       nb_node_isset(&s->thread[thread].own, nid);
}

/* The node that has least to do, of those where @nr more threads fit. */
static int least_loaded(const struct sim *s, const struct deal *d, int thread,
			int nr)
{
	int best = -1;

	for (int i = 0; i < d->nr_visit; i++) {
		int n = d->visit[i];

		if (!may(s, thread, n) || d->nr[n] + nr > s->m.node_cpus[n])
			continue;
		if (best < 0 || d->load[n] * s->m.node_cpus[best] <
					d->load[best] * s->m.node_cpus[n])
			best = n;
	}
	return best;
}

static int any_node(const struct sim *s, const struct deal *d, int thread)
{
	int best = -1;

	for (int i = 0; i < d->nr_visit; i++) {
		int n = d->visit[i];

		if (!may(s, thread, n))
			continue;
		if (best < 0 || d->load[n] * s->m.node_cpus[best] <
					d->load[best] * s->m.node_cpus[n])
			best = n;
	}
	return best;
}

static void assign(const struct sim *s, struct deal *d,
		   struct perfect_plan *plan, int thread, int nid)
{
	plan->nid[thread] = (int8_t)nid;
	d->nr[nid]++;
	d->load[nid] += s->thread[thread].duty_pct / 100.0;
}

/* Fill one node after the other. */
static void fill(struct perfect *p, struct perfect_plan *plan, struct deal *d,
		 int nr)
{
	const struct sim *s = p->s;
	double all = 0, cpus = 0, over;

	for (int i = 0; i < nr; i++)
		all += s->thread[p->order[i]].duty_pct / 100.0;
	for (int n = 0; n < s->m.nr_nodes; n++)
		cpus += s->m.node_cpus[n];
	over = nb_max(all / cpus, 1.0);
	for (int i = 0, at = 0; i < nr; i++) {
		int t = p->order[i], n;
		double duty = s->thread[t].duty_pct / 100.0;

		while (at + 1 < d->nr_visit &&
		       d->load[d->visit[at]] + duty / 2 >
			       s->m.node_cpus[d->visit[at]] * over)
			at++;
		n = d->visit[at];
		if (!may(s, t, n))
			n = any_node(s, d, t);
		assign(s, d, plan, t, n);
	}
}

/* A team where there is most room for all of it. */
static void deal_teams(struct perfect *p, struct perfect_plan *plan,
		       struct deal *d, int nr)
{
	const struct sim *s = p->s;

	for (int i = 0, next; i < nr; i = next) {
		int seg = main_seg(s, &s->thread[p->order[i]]), n;

		for (next = i; next < nr; next++)
			if (main_seg(s, &s->thread[p->order[next]]) != seg)
				break;
		n = least_loaded(s, d, p->order[i], next - i);
		for (int k = i; k < next; k++) {
			int t = p->order[k], on = n;

			if (on < 0 || !may(s, t, on))
				on = any_node(s, d, t);
			assign(s, d, plan, t, on);
		}
	}
}

/*
 * The node that a team of @nr threads fills best: the biggest that it fills,
 * or else the smallest that holds it.
 */
static int best_fit(const struct sim *s, const struct deal *d, int thread,
		    int nr)
{
	int best = -1, best_room = 0;

	for (int i = 0; i < d->nr_visit; i++) {
		int n = d->visit[i], room = s->m.node_cpus[n] - d->nr[n];
		bool better;

		if (!may(s, thread, n) || room <= 0)
			continue;
		if (room <= nr)
			better = best_room > nr || room > best_room;
		else
			better = best_room > nr && room < best_room;
		if (best >= 0 && !better)
			continue;
		best = n;
		best_room = room;
	}
	return best;
}

/* A team on as few nodes as possible, and nodes with few teams. */
static void fit_teams(struct perfect *p, struct perfect_plan *plan,
		      struct deal *d, int nr)
{
	const struct sim *s = p->s;

	for (int i = 0, next; i < nr; i = next) {
		int seg = main_seg(s, &s->thread[p->order[i]]);

		for (next = i; next < nr; next++)
			if (main_seg(s, &s->thread[p->order[next]]) != seg)
				break;
		for (int k = i, n = -1; k < next; k++) {
			int t = p->order[k];

			if (n < 0 || d->nr[n] >= s->m.node_cpus[n])
				n = best_fit(s, d, t, next - k);
			if (n < 0 || !may(s, t, n))
				assign(s, d, plan, t, any_node(s, d, t));
			else
				assign(s, d, plan, t, n);
		}
	}
}

/* Each thread beside the memory that it has now, as far as there is room. */
static void deal_to_memory(struct perfect *p, struct perfect_plan *plan,
			   struct deal *d, int nr)
{
	const struct sim *s = p->s;

	for (int i = 0; i < nr; i++) {
		const struct sim_thread *t = &s->thread[p->order[i]];
		double best_cost = 0;
		int best = -1;

		for (int v = 0; v < d->nr_visit; v++) {
			int n = d->visit[v];
			double cost = 0;

			if (!may(s, p->order[i], n) ||
			    d->nr[n] >= s->m.node_cpus[n])
				continue;
			for (uint32_t k = 0; k < t->nr_uses; k++)
				for (int m = 0; m < s->m.nr_nodes; m++)
					cost += t->use[k].weight *
						s->m.distance[n][m] *
						s->seg[t->use[k].seg].nr_on[m] /
						s->seg[t->use[k].seg].nr;
			if (best >= 0 && cost >= best_cost)
				continue;
			best = n;
			best_cost = cost;
		}
		if (best < 0)
			best = any_node(s, d, p->order[i]);
		assign(s, d, plan, p->order[i], best);
	}
}

/**
 * perfect_place_threads() - deal the threads out
 * @p: the oracle
 * @plan: out: the node of each thread
 * @how: which way, below PERFECT_NR_WAYS
 */
void perfect_place_threads(struct perfect *p, struct perfect_plan *plan,
			   int how)
{
	const struct sim *s = p->s;
	int nr = list_threads(p), first = 0;
	struct deal d;

	while (!s->m.node_cpus[first])
		first++;
	/* From the biggest memory on, too. */
	for (int n = 0; how == 4 && n < s->m.nr_nodes; n++)
		if (s->m.node_cpus[n] && s->m.mem_4k[n] > s->m.mem_4k[first])
			first = n;
	find_visits(s, &d, first);
	switch (how) {
	case 0:
		for (int i = 0; i < nr; i++)
			assign(s, &d, plan, p->order[i],
			       sim_nid(s, p->order[i]));
		break;
	case 1:
	case 4:
		fill(p, plan, &d, nr);
		break;
	case 2:
		deal_teams(p, plan, &d, nr);
		break;
	case 3:
		for (int i = 0; i < nr; i++)
			assign(s, &d, plan, p->order[i],
			       any_node(s, &d, p->order[i]));
		break;
	case 5:
		fit_teams(p, plan, &d, nr);
		break;
	default:
		deal_to_memory(p, plan, &d, nr);
	}
}
