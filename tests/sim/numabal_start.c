/* SPDX-License-Identifier: MIT */
/*
 * Threads that start beside their creators, as in lib/start_room.c.
 */
#include "numabal.h"

#define WALK_NS NB_NSEC_PER_SEC /* lib/numabald.c */

/* nb_start_publish() */
void n_start_publish(struct n_proc *p)
{
	const struct sim *s = p->b->s;
	double passed = (double)(s->now_ns - p->start_ns);
	double idle[NB_MAX_NODES] = {0};

	if (s->now_ns < p->next_walk_ns)
		return;
	p->next_walk_ns = s->now_ns + WALK_NS;
	p->start_ns = s->now_ns;
	for (int cpu = 0; cpu < s->m.nr_cpus; cpu++) {
		double busy = s->busy_ns[cpu] - p->start_busy[cpu];

		p->start_busy[cpu] = s->busy_ns[cpu];
		if (passed > 0 && nb_cpu_isset(&p->topo.cpus_allowed, cpu))
			idle[s->m.cpu_nid[cpu]] +=
				nb_max(passed - busy, 0.0) / passed;
	}
	p->start.topo = &p->topo;
	p->start.nodes = p->nodes;
	p->start_epoch++;
	for (int n = 0; n < s->m.nr_nodes; n++) {
		uint32_t nr = (uint32_t)(idle[n] + 0.2);

		/* They have run for a part of that time only. */
		p->start.room[n] = nr - nb_min(nr, p->start.started[n]);
		p->start.started[n] = 0;
	}
}

/* nb_start_begin(), before the thread is there */
int n_start_place(struct n_proc *p, int creator)
{
	const struct n_task *t = p->b->task[creator];
	struct nb_task_creator who = {
		.nid = t->nf ? t->nf->numa_preferred_nid : NB_NO_NODE,
		.bound = p->b->s->thread[creator].bound,
	};
	enum nb_why why;

	p->placed_nid = NB_NO_NODE;
	if (p->off || !p->start.topo)
		return NB_NO_NODE;
	why = nb_task_start(&p->start, &who, &p->placed_nid);
	p->b->why_count[why]++;
	return p->placed_nid;
}

/* ... and when it is */
void n_start_begin(struct n_proc *p, int thread)
{
	struct n_task *t = p->b->task[thread];

	t->start_nid = (int16_t)p->placed_nid;
	p->placed_nid = NB_NO_NODE;
	if (t->start_nid == NB_NO_NODE)
		return;
	p->start.started[t->start_nid]++;
	t->start_epoch = p->start_epoch;
}

/* nb_start_end() */
void n_start_end(struct n_proc *p, int thread)
{
	const struct n_task *t = p->b->task[thread];

	if (t->start_nid != NB_NO_NODE && t->start_epoch == p->start_epoch)
		p->start.started[t->start_nid]--;
}
