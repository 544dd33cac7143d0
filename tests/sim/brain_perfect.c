/* SPDX-License-Identifier: MIT */
/*
 * The brain that knows everything: who uses what, now and from now on.  When
 * patterns change it makes plans, predicts what they cost, improves the best
 * one by exchanging threads, and carries it out at once and for nothing.  What
 * others reach can be measured by it; it is no rival.
 */
#include "brains.h"
#include "perfect.h"
#include "rand.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* Segments of which other spreads are tried, and exchanges of threads. */
#define MAX_SPREADS 24
#define MAX_TRIES 400
#define GAIN 0.9995 /* less is no improvement */

static void *perfect_init(struct sim *s)
{
	struct perfect *p = calloc(1, sizeof(*p));

	assert(p);
	p->s = s;
	p->rng = sim_rand_seed(1);
	p->model = malloc(sizeof(*p->model));
	assert(p->model);
	return p;
}

static void free_plan(struct perfect_plan *plan)
{
	free(plan->nid);
	free(plan->spread);
	free(plan->part);
}

static void perfect_fini(void *ctx)
{
	struct perfect *p = ctx;

	free_plan(&p->best);
	free_plan(&p->try);
	free(p->order);
	free(p->key);
	free(p->model);
	free(p);
}

static void make_plan(struct perfect *p, struct perfect_plan *plan)
{
	size_t segs = (size_t)p->cap_segs, threads = (size_t)p->cap_threads;

	plan->nid = realloc(plan->nid, threads);
	plan->spread = realloc(plan->spread, segs);
	plan->part = realloc(plan->part,
			     segs * (size_t)p->s->m.nr_nodes * sizeof(double));
	assert(plan->nid && plan->spread && plan->part);
	memset(plan->spread, PERFECT_NEAREST, segs);
	memset(plan->nid, 0, threads);
}

static void make_room(struct perfect *p)
{
	struct sim *s = p->s;
	int nr = nb_max(s->cap_threads, s->cap_segs);

	p->cap_threads = s->cap_threads;
	p->cap_segs = s->cap_segs;
	make_plan(p, &p->best);
	make_plan(p, &p->try);
	p->order = realloc(p->order, (size_t)nr * sizeof(*p->order));
	p->key = realloc(p->key, (size_t)nr * sizeof(*p->key));
	assert(p->order && p->key);
}

/* Keep what was tried if it is better. */
static bool keep_better(struct perfect *p)
{
	perfect_place_memory(p, &p->try);
	if (perfect_predict(p, &p->try) >= p->best.cost * GAIN)
		return false;
	perfect_copy(p, &p->best, &p->try);
	return true;
}

/* Would it be better to spread some memory?  Shared segments are asked. */
static void try_spreads(struct perfect *p)
{
	const struct sim *s = p->s;
	int nr = 0;

	for (int sp = 1; sp < PERFECT_NR_SPREADS; sp++) {
		perfect_copy(p, &p->try, &p->best);
		for (int i = 0; i < s->nr_segs; i++)
			if (s->seg[i].nr_users > 1)
				p->try.spread[i] = (uint8_t)sp;
		keep_better(p);
	}
	for (int i = 0; i < s->nr_segs && nr < MAX_SPREADS; i++) {
		if (s->seg[i].nr_users < 2)
			continue;
		nr++;
		for (int sp = 0; sp < PERFECT_NR_SPREADS; sp++) {
			perfect_copy(p, &p->try, &p->best);
			p->try.spread[i] = (uint8_t)sp;
			keep_better(p);
		}
	}
}

static int random_thread(struct perfect *p)
{
	const struct sim *s = p->s;

	for (int i = 0; i < 100; i++) {
		int t = (int)sim_rand_below(&p->rng, (uint32_t)s->nr_threads);

		if (s->thread[t].alive && s->thread[t].nr_uses)
			return t;
	}
	return -1;
}

static void try_exchanges(struct perfect *p, int tries)
{
	const struct sim *s = p->s;

	while (tries--) {
		int a = random_thread(p), b = random_thread(p), n, m;

		if (a < 0 || b < 0)
			return;
		perfect_copy(p, &p->try, &p->best);
		n = p->try.nid[a];
		m = p->try.nid[b];
		if (tries % 3 == 0) /* or just a move */
			m = (int)sim_rand_below(&p->rng,
						(uint32_t)s->m.nr_nodes);
		else
			p->try.nid[b] = (int8_t)n;
		if (n == m || !s->m.node_cpus[m] ||
		    !nb_node_isset(&s->thread[a].own, m) ||
		    !nb_node_isset(&s->thread[b].own, p->try.nid[b]))
			continue;
		p->try.nid[a] = (int8_t)m;
		keep_better(p);
	}
}

/* Pages of a segment to nodes, by parts; whole pages only. */
static void lay_out(const struct sim *s, const struct perfect *p, int i,
		    uint8_t *nids, double *left)
{
	const struct sim_seg *g = &s->seg[i];
	const double *part = &p->best.part[i * s->m.nr_nodes];
	double nr_4k = s->region[g->region].page_4k, due[NB_MAX_NODES] = {0};

	for (uint32_t pg = g->first; pg < g->first + g->nr; pg++) {
		int best = -1;

		if (s->page_nid[pg] == SIM_NOWHERE)
			continue;
		for (int n = 0; n < s->m.nr_nodes; n++) {
			due[n] += part[n];
			if (left[n] >= nr_4k &&
			    (best < 0 || due[n] > due[best]))
				best = n;
		}
		assert(best >= 0);
		due[best] -= 1;
		left[best] -= nr_4k;
		nids[pg] = (uint8_t)best;
	}
}

static void carry_out(struct perfect *p)
{
	struct sim *s = p->s;
	uint8_t *nids = malloc(s->nr_pages + 1ULL);
	double left[NB_MAX_NODES];

	assert(nids);
	memcpy(nids, s->page_nid, s->nr_pages);
	for (int n = 0; n < s->m.nr_nodes; n++)
		left[n] = (double)s->m.mem_4k[n];
	for (int i = 0; i < s->nr_segs; i++)
		for (int n = 0;
		     s->region[s->seg[i].region].locked && n < s->m.nr_nodes;
		     n++)
			left[n] -= s->seg[i].nr_on[n] *
				   (double)s->region[s->seg[i].region].page_4k;
	for (int i = 0; i < s->nr_segs; i++)
		if (!s->region[s->seg[i].region].locked &&
		    s->region[s->seg[i].region].alive)
			lay_out(s, p, i, nids, left);
	sim_relocate(s, nids);
	free(nids);
	for (int i = 0; i < s->nr_threads; i++) {
		struct nb_nodemask one = {1ULL << p->best.nid[i]};
		struct sim_totals before = s->total;
		double debt = s->thread[i].debt_ns;

		if (!s->thread[i].alive || !s->thread[i].nr_uses)
			continue;
		sim_set_affinity(s, i, one);
		s->thread[i].debt_ns = debt;
		s->total = before;
	}
}

static void perfect_patterns(void *ctx)
{
	struct perfect *p = ctx;

	make_room(p);
	memcpy(p->model, p->s, sizeof(*p->model));
	memset(p->model->bytes, 0, sizeof(p->model->bytes));
	p->best.cost = 1e9;
	for (int how = 0; how < PERFECT_NR_WAYS; how++) {
		memset(p->try.spread, PERFECT_NEAREST, (size_t)p->s->nr_segs);
		perfect_place_threads(p, &p->try, how);
		keep_better(p);
	}
	try_spreads(p);
	try_exchanges(p, p->planned ? MAX_TRIES / 20 : MAX_TRIES);
	p->planned = true;
	carry_out(p);
}

const struct sim_brain sim_brain_perfect = {
	.name = "perfect",
	.doc = "knows all patterns, moves at once and for nothing",
	.init = perfect_init,
	.fini = perfect_fini,
	.patterns = perfect_patterns,
};
