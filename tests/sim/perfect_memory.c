/* SPDX-License-Identifier: MIT */
/*
 * The oracle's memory: where it lies best for given threads, and what that
 * would cost.
 */
#include "perfect.h"

#include <stdlib.h>
#include <string.h>

/* How much of a node's memory the oracle fills: what others also may. */
#define USABLE 1.0

struct room {
	double left[NB_MAX_NODES];
};

/* What each node's threads ask of a segment, in CPUs. */
static double demand(const struct perfect *p, const struct perfect_plan *plan,
		     const struct sim_seg *g, double *by_nid)
{
	const struct sim *s = p->s;
	double sum = 0;

	for (int n = 0; n < s->m.nr_nodes; n++)
		by_nid[n] = 0;
	for (uint32_t k = 0; k < g->nr_users; k++) {
		const struct sim_thread *t = &s->thread[g->user[k].thread];
		double d = t->use[g->user[k].use].weight * t->duty_pct / 100;

		by_nid[plan->nid[g->user[k].thread]] += d;
		sum += d;
	}
	return sum;
}

static double put(double *part, struct room *room, int nid, double pages)
{
	double got = nb_min(pages, room->left[nid]);

	got = nb_max(got, 0.0);
	part[nid] += got;
	room->left[nid] -= got;
	return pages - got;
}

/* The rest of a segment: to the nodes that cost its users least. */
static void put_nearest(const struct perfect *p, double *part,
			struct room *room, const double *by_nid, double pages)
{
	const struct sim *s = p->s;
	uint64_t done = 0;

	while (pages > 1e-9) {
		double best_cost = 0;
		int best = -1;

		for (int n = 0; n < s->m.nr_nodes; n++) {
			double cost = s->m.distance[n][n] / 1e6;

			if (done >> n & 1)
				continue;
			for (int k = 0; k < s->m.nr_nodes; k++)
				cost += by_nid[k] * s->m.distance[k][n];
			/* Nobody uses it: the slowest memory will do. */
			if (!s->m.node_cpus[n])
				cost -= 1e-3;
			if (best >= 0 && cost >= best_cost)
				continue;
			best = n;
			best_cost = cost;
		}
		if (best < 0)
			return;
		done |= 1ULL << best;
		pages = put(part, room, best, pages);
	}
}

static void place_seg(struct perfect *p, struct perfect_plan *plan, int i,
		      struct room *room)
{
	const struct sim *s = p->s;
	const struct sim_seg *g = &s->seg[i];
	double *part = &plan->part[i * s->m.nr_nodes];
	double nr_4k = s->region[g->region].page_4k, pages = 0, sum = 0;
	double by_nid[NB_MAX_NODES], want[NB_MAX_NODES] = {0};

	for (int n = 0; n < s->m.nr_nodes; n++)
		pages += g->nr_on[n] * nr_4k;
	demand(p, plan, g, by_nid);
	for (int n = 0; n < s->m.nr_nodes; n++) {
		if (plan->spread[i] == PERFECT_USERS)
			want[n] = by_nid[n];
		else if (plan->spread[i] == PERFECT_MOSTLY)
			want[n] = by_nid[n] * by_nid[n];
		else if (plan->spread[i] == PERFECT_CPUS)
			want[n] = s->m.node_cpus[n] > 0;
		else if (plan->spread[i] == PERFECT_ALL)
			want[n] = s->m.mem_mbps[n];
		sum += want[n];
	}
	for (int n = 0; n < s->m.nr_nodes; n++)
		part[n] = 0;
	want[0] += sum > 0 ? 0 : -1;
	for (int n = 0; n < s->m.nr_nodes && sum > 0; n++)
		put(part, room, n, pages * want[n] / sum);
	for (int n = 0; n < s->m.nr_nodes; n++)
		pages -= part[n];
	put_nearest(p, part, room, by_nid, pages);
	/* From 4 KiB pages to parts of the segment. */
	for (int n = 0; n < s->m.nr_nodes; n++)
		part[n] /= nb_max((double)g->nr * nr_4k, 1.0);
}

static const double *sort_key;

static int by_key(const void *a, const void *b)
{
	int i = *(const int *)a, k = *(const int *)b;

	if (sort_key[i] != sort_key[k])
		return sort_key[i] > sort_key[k] ? -1 : 1;
	return i - k;
}

/**
 * perfect_place_memory() - where memory lies best, the most used pages first
 * @p: the oracle
 * @plan: its threads and spreads are given, the rest is made
 */
void perfect_place_memory(struct perfect *p, struct perfect_plan *plan)
{
	const struct sim *s = p->s;
	struct room room;
	double unused[NB_MAX_NODES];

	for (int n = 0; n < s->m.nr_nodes; n++)
		room.left[n] = (double)s->m.mem_4k[n] * USABLE;
	for (int i = 0; i < s->nr_segs; i++) {
		const struct sim_seg *g = &s->seg[i];
		double nr_4k = s->region[g->region].page_4k;

		p->order[i] = i;
		p->key[i] =
			demand(p, plan, g, unused) / ((double)g->nr * nr_4k);
		if (!s->region[g->region].locked)
			continue;
		p->key[i] = -1;
		for (int n = 0; n < s->m.nr_nodes; n++) {
			room.left[n] -= g->nr_on[n] * nr_4k;
			plan->part[i * s->m.nr_nodes + n] =
				(double)g->nr_on[n] / g->nr;
		}
	}
	sort_key = p->key;
	qsort(p->order, (size_t)s->nr_segs, sizeof(*p->order), by_key);
	for (int i = 0; i < s->nr_segs; i++)
		if (p->key[p->order[i]] >= 0 &&
		    s->region[s->seg[p->order[i]].region].alive)
			place_seg(p, plan, p->order[i], &room);
}

/* One round of threads at the model's prices; the traffic goes to the model. */
static double run(struct perfect *p, const struct perfect_plan *plan,
		  const double *share)
{
	const struct sim *s = p->s;
	double needed = 0;
	int nr = s->m.nr_nodes;

	for (int i = 0; i < s->nr_threads; i++) {
		const struct sim_thread *t = &s->thread[i];
		int nid = plan->nid[i];
		const double *price = p->model->price[nid];
		double *bytes = p->model->bytes[nid];
		double cost = 0, acc, duty = t->duty_pct / 100.0;

		if (!t->alive || !t->duty_pct || !t->nr_uses)
			continue;
		for (uint32_t k = 0; k < t->nr_uses; k++)
			for (int n = 0; n < nr; n++)
				cost += t->use[k].weight * price[n] *
					plan->part[t->use[k].seg * nr + n];
		needed += duty * cost / share[nid];
		acc = duty * share[nid] * SIM_TICK_NS / (SIM_ACCESS_NS * cost);
		for (uint32_t k = 0; k < t->nr_uses; k++)
			for (int n = 0; n < nr; n++)
				bytes[n] += acc * t->use[k].weight * 64 *
					    (1 + t->use[k].write_pct / 100.0) *
					    plan->part[t->use[k].seg * nr + n];
	}
	return needed;
}

/**
 * perfect_predict() - what a plan would cost
 * @p: the oracle
 * @plan: the plan; its cost is noted in it
 *
 * Return: the cost, as in measure.c.
 */
double perfect_predict(struct perfect *p, struct perfect_plan *plan)
{
	const struct sim *s = p->s;
	double load[NB_MAX_NODES] = {0}, share[NB_MAX_NODES];
	double wanted = 0, needed = 0;

	for (int i = 0; i < s->nr_threads; i++) {
		const struct sim_thread *t = &s->thread[i];

		if (!t->alive || !t->nr_uses)
			continue;
		load[(int)plan->nid[i]] += t->duty_pct / 100.0;
		wanted += t->duty_pct / 100.0;
	}
	for (int n = 0; n < s->m.nr_nodes; n++) {
		share[n] = load[n] > s->m.node_cpus[n]
				   ? s->m.node_cpus[n] / load[n]
				   : 1;
		p->model->crowd_mem[n] = 1;
		for (int k = 0; k < s->m.nr_nodes; k++)
			p->model->crowd_link[n][k] = 1;
	}
	sim_prices(p->model);
	for (int round = 0; round < 12; round++) {
		needed = run(p, plan, share);
		sim_crowd(p->model);
		sim_prices(p->model);
	}
	plan->cost = wanted > 0 ? needed / wanted : 0;
	return plan->cost;
}

void perfect_copy(const struct perfect *p, struct perfect_plan *to,
		  const struct perfect_plan *from)
{
	const struct sim *s = p->s;

	to->cost = from->cost;
	memcpy(to->nid, from->nid, (size_t)s->nr_threads);
	memcpy(to->spread, from->spread, (size_t)s->nr_segs);
	memcpy(to->part, from->part,
	       (size_t)(s->nr_segs * s->m.nr_nodes) * sizeof(*to->part));
}
