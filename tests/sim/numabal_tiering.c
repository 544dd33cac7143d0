/* SPDX-License-Identifier: MIT */
/*
 * Slow memory, as in lib/tiering.c: what is used often comes to its users, and
 * what is used rarely makes room for it.
 */
#include "numabal.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* lib/tiering.c */
#define ROUND_NS (100 * NB_NSEC_PER_MSEC)
#define RATE_BYTES (512 * NB_MIB)

#define LOOK_NS 10.0 /* at a chunk's record */

void n_tiering_init(struct n_proc *p)
{
	struct n_tiering *t;

	if (!nb_tier_needed(&p->topo, p->nodes))
		return;
	t = calloc(1, sizeof(*t));
	assert(t);
	nb_tier_init(&t->tier, &p->topo, p->nodes);
	nb_rate_limit_init(&t->rate, RATE_BYTES, 0);
	p->tiering = t;
}

static uint64_t bytes_of(const struct n_proc *p, uint32_t start, uint32_t nr)
{
	return (uint64_t)nr * sim_region_of(p->b->s, start)->page_4k *
	       N_PAGE_BYTES;
}

static void look_at_nodes(struct n_proc *p)
{
	const struct sim *s = p->b->s;

	for (int n = 0; n < s->m.nr_nodes; n++)
		nb_tier_set_free(&p->tiering->tier, n,
				 sim_free_4k(s, n) * N_PAGE_BYTES,
				 N_RESERVE_PCT);
}

/**
 * n_tiering_begin() - before the faults of a pass
 * @p: whose
 * @cpu_ns: CPU time of its threads
 */
void n_tiering_begin(struct n_proc *p, uint64_t cpu_ns)
{
	if (!p->tiering)
		return;
	nb_tier_tick(&p->tiering->tier, p->b->s->now_ns, cpu_ns);
	look_at_nodes(p);
}

/**
 * n_tiering_filter() - is a fault one on slow memory, and should it move?
 * @p: whose
 * @sm: the fault; out: where to
 * @q: what is known of its user
 *
 * Return: the reason, or NB_WHY_NONE: not a question of tiers.
 */
enum nb_why n_tiering_filter(struct n_proc *p, struct n_sample *sm,
			     const struct nb_migrate_query *q)
{
	struct n_tiering *t = p->tiering;
	struct nb_tier_query tq = {
		.page_nid = sm->page_nid,
		.dst_nid = q->cpu_nid,
	};
	struct nb_tier_chunk *c = &p->b->tier_chunk[sm->start];
	enum nb_why why;

	if (!t)
		return NB_WHY_NONE;
	nb_tier_used(&t->tier, c, sm->page_nid, sm->ns,
		     !sim_region_of(p->b->s, sm->start)->locked);
	if (q->task_free && q->numa_preferred_nid != NB_NO_NODE)
		tq.dst_nid = q->numa_preferred_nid;
	tq.bytes = bytes_of(p, sm->start, sm->nr);
	why = nb_tier_promote(&t->tier, &tq, c);
	if (nb_why_is_yes(why))
		sm->dst_nid = tq.dst_nid;
	return why;
}

/**
 * n_tiering_admit() - what is to move waits if there is no room for it
 * @p: whose
 * @sm: the fault, and where to; out: nowhere, if it waits
 * @why: why it is to move
 *
 * Return: @why, or NB_WHY_PAGE_WAITS.
 */
enum nb_why n_tiering_admit(struct n_proc *p, struct n_sample *sm,
			    enum nb_why why)
{
	struct n_tiering *t = p->tiering;

	if (!t || nb_tier_take_room(&t->tier, sm->dst_nid,
				    bytes_of(p, sm->start, sm->nr)))
		return why;
	if (t->nr_waiting < N_MAX_WAITING)
		t->waiting[t->nr_waiting++] =
			(struct n_waiting){sm->start, (int16_t)sm->dst_nid};
	sm->dst_nid = NB_NO_NODE;
	return NB_WHY_PAGE_WAITS;
}

void n_tiering_moved(struct n_proc *p, uint32_t start, int nid,
		     uint32_t nr_moved, uint32_t nr_failed)
{
	struct nb_tier_chunk *c = &p->b->tier_chunk[start];
	struct n_tiering *t = p->tiering;
	uint64_t bytes = (nr_moved + nr_failed) * (uint64_t)N_PAGE_BYTES;

	if (!t || !bytes)
		return;
	nb_tier_learn(&t->tier, nid, bytes, nr_moved > nr_failed);
	if (nr_moved > nr_failed)
		nb_tier_moved(&t->tier, c, nid);
	else
		nb_tier_stayed(&t->tier, c);
	if (nr_moved && nr_failed)
		nb_tier_torn(&t->tier, c, nid);
}

/* The level of a chunk that may make room; -1: not known, or it cannot. */
static int level_cold(const struct n_proc *p, uint32_t start)
{
	const struct sim *s = p->b->s;

	if (s->page_nid[start] == SIM_NOWHERE ||
	    sim_region_of(s, start)->locked)
		return -1;
	return nb_tier_level_cold(&p->tiering->tier, &p->b->tier_chunk[start],
				  s->arm_seq[start]);
}

/* All chunks of the process. */
static void for_each_chunk(struct n_proc *p,
			   void (*what)(struct n_proc *p, uint32_t start,
					uint32_t nr))
{
	const struct sim *s = p->b->s;

	for (int i = 0; i < p->b->nr_regions; i++) {
		const struct sim_region *r = &s->region[i];
		uint32_t start = r->first, nr;

		if (!r->alive || r->proc != p->proc)
			continue;
		for (; start < r->first + r->nr; start += nr) {
			n_chunk(p->b, start, &nr);
			n_pay(p, LOOK_NS, SIM_SCAN);
			what(p, start, nr);
		}
	}
}

static void count(struct n_proc *p, uint32_t start, uint32_t nr)
{
	nb_tier_have(&p->tiering->tier, p->b->s->page_nid[start],
		     level_cold(p, start), bytes_of(p, start, nr));
}

static void demote(struct n_proc *p, uint32_t start, uint32_t nr)
{
	int to = nb_tier_demote(&p->tiering->tier, p->b->s->page_nid[start],
				level_cold(p, start), bytes_of(p, start, nr));
	uint32_t moved, failed;

	if (to == NB_NO_NODE)
		return;
	moved = n_move(p, start, nr, to, &failed);
	n_tiering_moved(p, start, to, moved, failed);
	p->b->why_count[NB_WHY_PAGE_DEMOTED]++;
}

static void admit(struct n_proc *p, const struct n_waiting *w)
{
	int level = nb_tier_level_hot(&p->b->tier_chunk[w->start]);
	uint32_t nr, moved, failed;

	n_chunk(p->b, w->start, &nr);
	if (level < 0 || !nb_tier_admit(&p->tiering->tier, w->dst_nid, level,
					bytes_of(p, w->start, nr)))
		return;
	moved = n_move(p, w->start, nr, w->dst_nid, &failed);
	n_tiering_moved(p, w->start, w->dst_nid, moved, failed);
	p->b->why_count[NB_WHY_PAGE_HOT]++;
}

/**
 * n_tiering_run() - make room, and let in what waits
 * @p: whose
 */
void n_tiering_run(struct n_proc *p)
{
	struct n_tiering *t = p->tiering;
	uint64_t now = p->b->s->now_ns, max;
	bool due;

	if (!t)
		return;
	due = t->nr_waiting || t->scan_seq != p->scan.scan_seq;
	if (!due || now < t->next_ns)
		return;
	t->next_ns = now + ROUND_NS;
	t->scan_seq = p->scan.scan_seq;
	look_at_nodes(p);
	nb_tier_plan_begin(&t->tier);
	for_each_chunk(p, count);
	for (uint32_t i = 0; i < t->nr_waiting; i++) {
		const struct n_waiting *w = &t->waiting[i];
		int level = nb_tier_level_hot(&p->b->tier_chunk[w->start]);
		uint32_t nr;

		n_chunk(p->b, w->start, &nr);
		if (level >= 0)
			nb_tier_want(&t->tier, w->dst_nid, level,
				     bytes_of(p, w->start, nr));
	}
	max = nb_rate_limit_take(&t->rate, UINT64_MAX, now);
	if (nb_tier_plan(&t->tier, max))
		for_each_chunk(p, demote);
	look_at_nodes(p);
	for (uint32_t i = 0; i < t->nr_waiting; i++)
		admit(p, &t->waiting[i]);
	t->nr_waiting = 0;
}
