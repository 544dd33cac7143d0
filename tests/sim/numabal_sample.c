/* SPDX-License-Identifier: MIT */
/*
 * From hint faults to statistics and page moves, as in lib/sample.c, and the
 * part of lib/mech/migrate.c that leaves some of each node free.
 */
#include "numabal.h"

#include <assert.h>
#include <stdlib.h>

static struct nb_numa_faults *faults_of(const struct n_proc *p,
					struct n_task *t)
{
	if (t->nf)
		return t->nf;
	t->nf = malloc(nb_numa_faults_size(p->topo.nr_nids));
	t->partners = calloc(1, sizeof(*t->partners));
	assert(t->nf && t->partners);
	nb_numa_faults_init(t->nf, p->topo.nr_nids);
	return t->nf;
}

/* lib/sample.c, decide() */
static enum nb_why decide(struct n_proc *p, struct n_sample *sm)
{
	struct n_task *t = p->b->task[sm->fault->thread];
	struct nb_numa_faults *nf = faults_of(p, t);
	struct nb_migrate_query q = {
		.page_nid = sm->page_nid,
		.cpu_nid = sm->fault->nid,
		.last = sm->last,
		.numa_preferred_nid = nf->numa_preferred_nid,
		.task_free = nb_task_follows(t->place_why, t->running),
		.task_scan_seq = nf->numa_scan_seq,
		.nodes = p->nodes,
		.group = nb_group_at(&p->groups, t->group_index),
		.dice = nb_chunk_dice((uint64_t)sm->start * N_PAGE_BYTES),
	};
	enum nb_why why = n_tiering_filter(p, sm, &q);

	if (why == NB_WHY_NONE)
		why = nb_migrate_filter(&q, &p->topo);
	if (!nb_why_is_yes(why))
		return why;
	if (sim_region_of(p->b->s, sm->start)->locked)
		return NB_WHY_PAGE_LOCKED;
	if (sm->dst_nid == NB_NO_NODE)
		sm->dst_nid = sm->fault->nid;
	return n_tiering_admit(p, sm, why);
}

static bool has_room(const struct sim *s, int nid, uint32_t nr_4k)
{
	return sim_free_4k(s, nid) >=
	       s->m.mem_4k[nid] / 100 * N_RESERVE_PCT + nr_4k;
}

/* Move a chunk, and pay for it; returns pages that were moved. */
uint32_t n_move(struct n_proc *p, uint32_t start, uint32_t nr, int nid,
		uint32_t *nr_failed)
{
	struct sim *s = p->b->s;
	uint32_t page_4k = sim_region_of(s, start)->page_4k;
	double ns = s->total.cost_ns[SIM_MIGRATE] + s->total.background_ns;
	uint32_t elsewhere = 0, moved = 0;

	for (uint32_t pg = start; pg < start + nr; pg++) {
		if (s->page_nid[pg] == nid || s->page_nid[pg] == SIM_NOWHERE)
			continue;
		elsewhere++;
		if (has_room(s, nid, page_4k))
			moved += sim_migrate(s, SIM_PROC(p->proc), pg, 1, nid);
	}
	*nr_failed = (elsewhere - moved) * page_4k;
	moved *= page_4k;
	p->nr_moved += moved;
	p->pass.moved += moved;
	ns = s->total.cost_ns[SIM_MIGRATE] + s->total.background_ns - ns;
	p->daemon_ns += (uint64_t)ns;
	p->late_ns += ns;
	if (p->nr_moved <= p->rss_bytes / N_PAGE_BYTES)
		p->placing_ns += (uint64_t)ns;
	return moved;
}

/* lib/sample.c, run_moves(), of one chunk */
static void run_move(struct n_proc *p, struct n_sample *sm)
{
	sm->nr_moved =
		n_move(p, sm->start, sm->nr, sm->dst_nid, &sm->nr_failed);
	if (sm->nr_failed)
		sm->why = NB_WHY_PAGE_TARGET_FULL;
	n_tiering_moved(p, sm->start, sm->dst_nid, sm->nr_moved, sm->nr_failed);
}

/* lib/sample.c, account() */
static void account(struct n_proc *p, const struct n_sample *sm)
{
	struct nb_fault_sample fs = {
		.mem_nid = sm->page_nid,
		.cpu_nid = sm->fault->nid,
		.nr_pages = sm->nr_4k,
		.priv = nb_last_user_owns(&sm->last),
	};
	bool wanted = sm->dst_nid != NB_NO_NODE;

	if (wanted && sm->nr_moved)
		fs.mem_nid = sm->dst_nid;
	fs.migrate_fail = (wanted && sm->nr_failed > sm->nr_moved) ||
			  sm->why == NB_WHY_PAGE_LOCKED;
	fs.local = fs.mem_nid == fs.cpu_nid;
	p->pass.faults++;
	if (sm->page_nid == sm->fault->nid || nb_tier_in_place(sm->why))
		p->pass.local += sm->nr_4k;
	else
		p->pass.remote += sm->nr_4k;
	if (fs.migrate_fail)
		p->pass.failed += sm->nr_4k;
	if (fs.priv)
		p->pass.priv += sm->nr_4k;
	else
		p->pass.shared += sm->nr_4k;
	/* Linux: task_numa_fault(), of slow memory in tiering mode */
	if (nb_tier_in_place(sm->why) || sm->why == NB_WHY_PAGE_WAITS)
		return;
	nb_numa_faults_account(faults_of(p, p->b->task[sm->fault->thread]),
			       &fs);
}

/* lib/sample.c, note_partners() */
static void note_partners(struct n_brain *b, uint32_t id,
			  const struct n_sample *sm)
{
	uint32_t other = sm->last.task;
	struct n_task *t = b->task[id - 1];
	struct n_task *o = other ? b->task[other - 1] : NULL;

	if (!sm->last.shared || sm->last.same_task)
		return;
	if (t->partners)
		nb_partners_note(t->partners, other);
	if (o && o->partners)
		nb_partners_note(o->partners, id);
}

static void take(struct n_proc *p, const struct sim_fault *f, uint64_t ns)
{
	struct n_brain *b = p->b;
	struct n_sample sm = {
		.fault = f,
		.ns = ns,
		.page_nid = b->s->page_nid[f->page],
		.dst_nid = NB_NO_NODE,
	};

	/* Unmapped since. */
	if (sm.page_nid == SIM_NOWHERE)
		return;
	sm.start = n_chunk(b, f->page, &sm.nr);
	sm.nr_4k = sm.nr * sim_region_of(b->s, f->page)->page_4k;
	sm.last = nb_page_history_note(&b->history[sm.start],
				       (uint32_t)f->thread + 1, f->nid);
	note_partners(b, (uint32_t)f->thread + 1, &sm);
	sm.why = decide(p, &sm);
	if (nb_why_is_yes(sm.why))
		run_move(p, &sm);
	if (sm.nr_moved)
		nb_page_history_moved(&b->history[sm.start]);
	b->why_count[sm.why]++;
	account(p, &sm);
}

/**
 * n_fault_drain() - take, decide on and account all waiting hint faults
 * @p: whose
 *
 * Return: how many there were.
 */
unsigned int n_fault_drain(struct n_proc *p)
{
	unsigned int nr = 0;
	struct n_task *t;
	int i;

	n_for_each_task(t, i, p)
	{
		for (uint32_t k = 0; k < t->nr_ring; k++)
			take(p, &t->ring[k], t->ring_ns[k]);
		nr += t->nr_ring;
		t->nr_ring = 0;
	}
	return nr;
}
