/* SPDX-License-Identifier: MIT */
/*
 * The engine's state: making it, memory and its first use, threads and what
 * they use.  See engine.h.
 */
#include "engine.h"

#include "rand.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* One more element of @size bytes, zeroed, at the end of an array. */
static void *grow(void *array, int nr, int *cap, size_t size)
{
	if (nr == *cap) {
		*cap = *cap ? *cap * 2 : 16;
		array = realloc(array, (size_t)*cap * size);
		assert(array);
	}
	memset((char *)array + (size_t)nr * size, 0, size);
	return array;
}

/**
 * sim_new() - a machine at time 0, with nothing on it
 * @m: the machine
 * @b: who decides
 * @seed: of all that is random
 * @grain_4k: 4 KiB pages to a page that is not huge
 *
 * Return: the simulation.
 */
struct sim *sim_new(const struct sim_machine *m, const struct sim_brain *b,
		    uint64_t seed, uint32_t grain_4k)
{
	struct sim *s = calloc(1, sizeof(*s));

	assert(s);
	s->m = *m;
	s->brain = b;
	s->grain_4k = grain_4k;
	s->rng = sim_rand_seed(seed);
	s->rng_sched = sim_rand_seed(~seed);
	s->window = calloc(SIM_MAX_WINDOWS, sizeof(*s->window));
	assert(s->window);
	for (int n = 0; n < m->nr_nodes; n++) {
		s->crowd_mem[n] = 1;
		s->least_free_4k[n] = UINT64_MAX;
		for (int k = 0; k < m->nr_nodes; k++)
			s->crowd_link[n][k] = 1;
	}
	sim_prices(s);
	for (int i = 0; i < SIM_MAX_PROCS; i++)
		s->limits[i] = sim_limits_none(m);
	if (b->init)
		s->ctx = b->init(s);
	return s;
}

void sim_free(struct sim *s)
{
	if (s->brain->fini)
		s->brain->fini(s->ctx);
	for (int i = 0; i < s->nr_threads; i++)
		free(s->thread[i].use);
	for (int i = 0; i < s->nr_segs; i++) {
		free(s->seg[i].user);
		free(s->seg[i].unit);
	}
	free(s->thread);
	free(s->region);
	free(s->seg);
	free(s->page_nid);
	free(s->page_seg);
	free(s->arm_seq);
	free(s->window);
	free(s->scenario);
	free(s);
}

/**
 * sim_add_region() - a new mapping
 * @s: the simulation
 * @proc: whose
 * @thp: made of huge pages
 *
 * Return: its number.  It has no memory before sim_add_seg().
 */
int sim_add_region(struct sim *s, int proc, bool thp)
{
	struct sim_region *r;

	assert(proc < SIM_MAX_PROCS);
	s->region = grow(s->region, s->nr_regions, &s->cap_regions, sizeof(*r));
	r = &s->region[s->nr_regions];
	r->proc = proc;
	r->alive = true;
	r->thp = thp;
	r->page_4k = thp ? 512 : s->grain_4k;
	r->first = s->nr_pages;
	r->born_ns = s->now_ns;
	s->nr_procs = nb_max(s->nr_procs, proc + 1);
	return s->nr_regions++;
}

static void more_pages(struct sim *s, uint32_t nr)
{
	while (s->nr_pages + nr > s->cap_pages) {
		s->cap_pages = s->cap_pages ? s->cap_pages * 2 : 4096;
		s->page_nid = realloc(s->page_nid, s->cap_pages);
		s->page_seg = realloc(s->page_seg, s->cap_pages * 4ULL);
		s->arm_seq = realloc(s->arm_seq, s->cap_pages * 4ULL);
		assert(s->page_nid && s->page_seg && s->arm_seq);
	}
	memset(s->page_nid + s->nr_pages, SIM_NOWHERE, nr);
	memset(s->arm_seq + s->nr_pages, 0, nr * 4ULL);
	for (uint32_t i = 0; i < nr; i++)
		s->page_seg[s->nr_pages + i] = (uint32_t)s->nr_segs;
	s->nr_pages += nr;
}

/**
 * sim_add_seg() - more memory at the end of the latest region
 * @s: the simulation
 * @region: the region
 * @bytes: how much, rounded up to whole pages
 *
 * Return: the segment's number.
 */
int sim_add_seg(struct sim *s, int region, uint64_t bytes)
{
	struct sim_region *r = &s->region[region];
	struct sim_seg *g;

	assert(region == s->nr_regions - 1);
	s->seg = grow(s->seg, s->nr_segs, &s->cap_segs, sizeof(*g));
	g = &s->seg[s->nr_segs];
	g->region = region;
	g->first = s->nr_pages;
	g->nr = (uint32_t)nb_div_round_up(bytes, r->page_4k * 4096ULL);
	g->one_nid = NB_NO_NODE;
	more_pages(s, g->nr);
	r->nr += g->nr;
	return s->nr_segs++;
}

/* The node itself or the nearest that has room, of those allowed. */
static int with_room(const struct sim *s, const struct sim_region *r, int nid)
{
	int best = NB_NO_NODE;
	int n;

	nb_for_each_nid (n, &s->limits[r->proc].mems) {
		if (sim_free_4k(s, n) < r->page_4k)
			continue;
		if (best == NB_NO_NODE ||
		    s->m.distance[nid][n] < s->m.distance[nid][best])
			best = n;
	}
	return best;
}

/* Where all pages of a segment are, if there is such a node. */
static void note_one_nid(struct sim_seg *g, int nid)
{
	g->one_nid = g->nr_on[nid] == g->nr ? nid : NB_NO_NODE;
}

/**
 * sim_touch() - use memory for the first time
 * @s: the simulation
 * @seg: the segment; pages that are there already stay where they are
 * @nid: from where
 *
 * Pages go where the brain says, and by default to @nid, or to the nearest
 * node that has room and that the process may use.
 */
void sim_touch(struct sim *s, int seg, int nid)
{
	struct sim_seg *g = &s->seg[seg];
	const struct sim_region *r = &s->region[g->region];

	for (uint32_t p = g->first; p < g->first + g->nr; p++) {
		int n = nid;

		if (s->page_nid[p] != SIM_NOWHERE)
			continue;
		if (s->brain->alloc_nid)
			n = s->brain->alloc_nid(s->ctx, p, nid);
		n = with_room(s, r, n);
		assert(n != NB_NO_NODE);
		s->page_nid[p] = (uint8_t)n;
		g->nr_on[n]++;
		s->used_4k[n] += r->page_4k;
		note_one_nid(g, n);
	}
}

/**
 * sim_drop_region() - unmap it
 * @s: the simulation
 * @region: the region; no thread uses it any more
 */
void sim_drop_region(struct sim *s, int region)
{
	struct sim_region *r = &s->region[region];

	sim_disarm(s, r->first, r->nr);
	for (uint32_t p = r->first; p < r->first + r->nr; p++) {
		struct sim_seg *g = &s->seg[s->page_seg[p]];

		assert(!g->nr_users);
		if (s->page_nid[p] == SIM_NOWHERE)
			continue;
		s->used_4k[s->page_nid[p]] -= r->page_4k;
		g->nr_on[s->page_nid[p]]--;
		g->one_nid = NB_NO_NODE;
		g->nr_units = 0;
		s->page_nid[p] = SIM_NOWHERE;
	}
	r->alive = false;
}

static int add_thread(struct sim *s, int proc, int nid, int creator)
{
	struct sim_thread *t;
	int id = s->nr_threads;

	s->thread = grow(s->thread, id, &s->cap_threads, sizeof(*t));
	t = &s->thread[s->nr_threads++];
	t->proc = proc;
	t->alive = true;
	t->duty_pct = 100;
	t->soft_nid = NB_NO_NODE;
	t->own = sim_cpu_nodes(s, proc);
	t->allowed = t->own;
	s->nr_procs = nb_max(s->nr_procs, proc + 1);
	if (creator >= 0 && s->brain->thread_place)
		nid = s->brain->thread_place(s->ctx, id, creator);
	sim_place_thread(s, id, nid);
	if (s->brain->thread_start)
		s->brain->thread_start(s->ctx, id);
	return id;
}

/**
 * sim_add_thread() - a new thread
 * @s: the simulation
 * @proc: whose
 * @nid: where it starts, or NB_NO_NODE: where there is most room
 *
 * Return: its number, which is never used again.
 */
int sim_add_thread(struct sim *s, int proc, int nid)
{
	return add_thread(s, proc, nid, -1);
}

/**
 * sim_add_child() - a thread creates another one
 * @s: the simulation
 * @creator: who
 *
 * It starts where the brain says, if it says anything.
 *
 * Return: its number, which is never used again.
 */
int sim_add_child(struct sim *s, int creator)
{
	return add_thread(s, s->thread[creator].proc, NB_NO_NODE, creator);
}

/**
 * sim_use() - let a thread use a segment
 * @s: the simulation
 * @thread: the thread
 * @use: what it does there
 */
void sim_use(struct sim *s, int thread, const struct sim_use *use)
{
	struct sim_thread *t = &s->thread[thread];
	struct sim_seg *g = &s->seg[use->seg];
	int cap = (int)t->cap_uses;

	t->use = grow(t->use, (int)t->nr_uses, &cap, sizeof(*use));
	t->cap_uses = (uint32_t)cap;
	cap = (int)g->cap_users;
	g->user = grow(g->user, (int)g->nr_users, &cap, sizeof(*g->user));
	g->cap_users = (uint32_t)cap;
	t->use[t->nr_uses] = *use;
	g->user[g->nr_users].thread = thread;
	g->user[g->nr_users++].use = t->nr_uses++;
}

/**
 * sim_use_nothing() - end all of a thread's uses
 * @s: the simulation
 * @thread: the thread
 */
void sim_use_nothing(struct sim *s, int thread)
{
	struct sim_thread *t = &s->thread[thread];

	for (uint32_t i = 0; i < t->nr_uses; i++) {
		struct sim_seg *g = &s->seg[t->use[i].seg];
		uint32_t left = 0;

		for (uint32_t u = 0; u < g->nr_users; u++)
			if (g->user[u].thread != thread)
				g->user[left++] = g->user[u];
		g->nr_users = left;
	}
	t->nr_uses = 0;
}

void sim_exit_thread(struct sim *s, int thread)
{
	if (s->brain->thread_exit)
		s->brain->thread_exit(s->ctx, thread);
	sim_use_nothing(s, thread);
	s->thread[thread].alive = false;
}

/**
 * sim_changed() - tell those who may know that the patterns have changed
 * @s: the simulation
 */
void sim_changed(struct sim *s)
{
	s->patterns_changed = true;
	s->last_change = s->tick;
}
