/* SPDX-License-Identifier: MIT */
/*
 * From statistics to threads on nodes, as in lib/place.c and, for what a
 * thread has done lately, lib/tasks.c.
 */
#include "numabal.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* lib/tasks.c, sample_one() */
static void sample_tasks(struct n_proc *p)
{
	const struct sim *s = p->b->s;
	struct n_task *t;
	int i;

	n_for_each_task(t, i, p)
	{
		const struct sim_thread *th = &s->thread[i];

		t->d_ns = t->round_ns ? s->now_ns - t->round_ns : 0;
		t->d_run_ns = t->round_ns ? th->run_ns - t->run_ns : 0;
		t->d_wait_ns = t->round_ns ? th->wait_ns - t->wait_ns : 0;
		t->run_ns = th->run_ns;
		t->wait_ns = th->wait_ns;
		t->round_ns = s->now_ns;
		t->current_nid = (int16_t)sim_nid(s, i);
		t->running = t->d_run_ns > t->d_ns / 20;
	}
}

/* lib/place.c, load_idle() */
static void load_idle(struct n_proc *p, struct nb_task_place *place)
{
	const struct sim *s = p->b->s;
	double passed = (double)(s->now_ns - p->busy_ns);
	uint64_t idle[NB_MAX_NODES] = {0};

	for (int cpu = 0; cpu < s->m.nr_cpus; cpu++) {
		int nid = s->m.cpu_nid[cpu];
		double busy = s->busy_ns[cpu] - p->busy_before[cpu];

		if (!nb_cpu_isset(&p->topo.cpus_allowed, cpu))
			continue;
		place->load[nid].nr_cpus++;
		if (passed > 0)
			idle[nid] += (uint64_t)(nb_max(passed - busy, 0.0) *
						1000 / passed);
		p->busy_before[cpu] = s->busy_ns[cpu];
	}
	p->busy_ns = s->now_ns;
	for (int n = 0; n < s->m.nr_nodes; n++) {
		struct nb_node_load *l = &place->load[n];
		uint64_t all = l->nr_cpus * 1000ULL;

		l->nr_idle = (uint32_t)((idle[n] + 200) / 1000);
		l->busy_milli = (uint32_t)(all - nb_min(all, idle[n]));
	}
}

/* lib/place.c, load_threads() */
static void load_threads(struct n_proc *p, struct nb_task_place *place)
{
	struct n_task *t;
	int i;

	n_for_each_task(t, i, p)
	{
		struct nb_node_load *l;

		if (!t->running || t->current_nid == NB_NO_NODE)
			continue;
		l = &place->load[t->current_nid];
		l->nr_running++;
		l->run_ns += t->d_run_ns;
		l->wait_ns += t->d_wait_ns;
		if (t->d_ns)
			l->own_milli +=
				(uint32_t)(t->d_run_ns * 1000 / t->d_ns);
	}
}

static void view_of(struct n_proc *p, int i, struct nb_task_view *v)
{
	struct n_task *t = p->b->task[i];

	memset(v, 0, sizeof(*v));
	v->numa_preferred_nid = t->nf ? t->nf->numa_preferred_nid : NB_NO_NODE;
	v->current_nid = t->current_nid;
	v->running = t->running;
	v->hold = t->hold;
	v->bound = p->b->s->thread[i].bound;
	/* lib/mech/affinity.c, nb_affinity_set_wish() */
	if (v->bound)
		t->pinned_nid = NB_NO_NODE;
	v->pinned_nid = t->pinned_nid;
}

/* lib/place.c, act() */
static void act(struct n_proc *p, int i, enum nb_why why, int nid)
{
	struct n_task *t = p->b->task[i];
	struct nb_nodemask nodes = p->topo.has_cpu;

	if (why == NB_WHY_TASK_RELIEF) {
		t->hold = NB_TASK_HOLD_ROUNDS;
		t->pinned_nid = NB_NO_NODE;
	} else {
		nodes.bits = 1ULL << nid;
		t->pinned_nid = (int16_t)nid;
		t->moves++;
	}
	sim_set_affinity(p->b->s, i, nodes);
}

/* lib/place.c, place_all() and place_one() */
static void place_all(struct n_proc *p, struct nb_task_place *place)
{
	struct nb_task_view v;
	struct n_task *t;
	int i;

	n_for_each_task(t, i, p)
	{
		view_of(p, i, &v);
		nb_task_place_count(place, &v);
	}
	n_for_each_task(t, i, p)
	{
		int nid = NB_NO_NODE;
		enum nb_why why;

		view_of(p, i, &v);
		if (t->hold)
			t->hold--;
		why = nb_task_place(place, &v, &nid);
		p->b->why_count[why]++;
		t->place_why = (uint16_t)why;
		if (nb_why_is_yes(why))
			act(p, i, why, nid);
	}
}

/* lib/place.c, take_turn() */
static bool take_turn(struct n_proc *p)
{
	uint64_t x = (uint64_t)(p->proc + 1) << 32 | ++p->nr_rounds;

	x ^= x >> 33;
	x *= 0xff51afd7ed558ccdULL;
	x ^= x >> 33;
	x *= 0xc4ceb9fe1a85ec53ULL;
	return (x ^ x >> 33) & 1;
}

/* Twice what is needed; there are two threads in a group. */
static void make_room(struct n_proc *p)
{
	struct nb_group_set *g = &p->groups;
	size_t nr = 0;
	struct n_task *t;
	int i;

	n_for_each_task(t, i, p) nr++;
	if (p->cap_members >= nr)
		return;
	p->cap_members = nr * 2;
	g->max = (int)nb_min(nr, (size_t)NB_MAX_GROUPS);
	p->members = realloc(p->members, p->cap_members * sizeof(*p->members));
	p->scratch =
		realloc(p->scratch, nb_group_scratch_bytes(p->cap_members));
	g->g = realloc(g->g, (size_t)g->max * sizeof(*g->g));
	assert(p->members && p->scratch && g->g);
}

/* lib/place.c, group_all() */
static void group_all(struct n_proc *p, const struct nb_task_place *place)
{
	struct n_task *t;
	size_t nr = 0;
	int i;

	make_room(p);
	n_for_each_task(t, i, p)
	{
		p->members[nr++] = (struct nb_group_task){
			.id = (uint32_t)i + 1,
			.group = t->group ? t->group : (uint32_t)i + 1,
			.current_nid = t->current_nid,
			.running = t->running,
			.partners = t->partners,
			.nf = t->nf,
		};
	}
	nb_group_round(&p->groups, p->members, nr, place, p->scratch);
	nr = 0;
	n_for_each_task(t, i, p)
	{
		const struct nb_group_task *m = &p->members[nr++];

		t->group = m->group;
		t->group_index = m->index;
		if (t->nf)
			t->nf->numa_preferred_nid = m->want_nid;
	}
}

/* lib/place.c, nb_place_round() */
void n_place_round(struct n_proc *p)
{
	static struct nb_task_place place;
	struct nb_pass_faults *pf = &p->pass;
	uint64_t seen = pf->local + pf->remote;
	struct n_task *t;
	int i;

	memset(&place, 0, sizeof(place));
	place.topo = &p->topo;
	place.nodes = p->nodes;
	place.turn = take_turn(p);
	sample_tasks(p);
	load_idle(p, &place);
	load_threads(p, &place);
	n_for_each_task(t, i, p)
	{
		if (!t->nf)
			continue;
		nb_numa_faults_decay(t->nf, t->d_run_ns, t->d_ns);
	}
	group_all(p, &place);
	place_all(p, &place);
	if (seen)
		p->local_permille = (uint32_t)(pf->local * 1000 / seen);
	nb_scan_period_update(&p->period, &p->period_opts, pf, p->rss_bytes);
	memset(pf, 0, sizeof(*pf));
}
