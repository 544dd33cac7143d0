/* SPDX-License-Identifier: MIT */
/*
 * The simulated machine: see pipeline.h.  pipe_pass() follows numabald's pass.
 */
#include "pipeline.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* Buffers lie 1 MiB apart, so that there are holes between them. */
#define BUF_STRIDE NB_MIB
#define BUF_BYTES ((uint64_t)PIPE_BUF_PAGES * PIPE_PAGE_BYTES)

/* One pass of wall time; threads on a full node share its CPUs. */
#define PASS_NS NB_NSEC_PER_SEC

void pipe_init(struct pipe *s, int nr_nodes, int cpus_per_node)
{
	memset(s, 0, sizeof(*s));
	assert(nr_nodes <= PIPE_MAX_NODES);
	s->topo.nr_nids = nr_nodes;
	s->topo.nr_cpus = nr_nodes * cpus_per_node;
	for (int n = 0; n < nr_nodes; n++) {
		nb_node_set(&s->topo.online, n);
		nb_node_set(&s->topo.has_cpu, n);
		for (int m = 0; m < nr_nodes; m++)
			s->topo.distance[n][m] =
				n == m ? NB_LOCAL_DISTANCE : 20;
	}
	s->topo.has_memory = s->topo.online;
	s->topo.mems_allowed = s->topo.online;
	for (int cpu = 0; cpu < s->topo.nr_cpus; cpu++) {
		s->topo.cpu_to_nid[cpu] = (int16_t)(cpu / cpus_per_node);
		nb_cpu_set(&s->topo.node_cpus[cpu / cpus_per_node], cpu);
		nb_cpu_set(&s->topo.cpus_allowed, cpu);
	}
	s->scan_opts = (struct nb_scan_opts){256, PIPE_PAGE_BYTES, 16 * 4096};
	s->period_opts = (struct nb_scan_period_opts){100, 10000, 256};
	nb_scan_period_start(&s->period, &s->period_opts, 0);
	s->period.quick = false; /* as if it had settled */
	s->groups.g = s->group;
	s->groups.max = PIPE_MAX_TASKS;
	s->seed = 1;
}

void pipe_destroy(struct pipe *s)
{
	for (int i = 0; i < s->nr_tasks; i++)
		free(s->tasks[i].f);
}

int pipe_add_task(struct pipe *s, int nid, bool bound)
{
	struct pipe_task *t = &s->tasks[s->nr_tasks];

	assert(s->nr_tasks < PIPE_MAX_TASKS);
	*t = (struct pipe_task){.nid = nid, .bound = bound};
	t->pinned_nid = NB_NO_NODE;
	t->group_index = -1;
	t->f = malloc(nb_numa_faults_size(s->topo.nr_nids));
	assert(t->f);
	nb_numa_faults_init(t->f, s->topo.nr_nids);
	return s->nr_tasks++;
}

int pipe_add_buf(struct pipe *s, int nid, uint32_t users, bool locked)
{
	struct pipe_buf *b = &s->bufs[s->nr_bufs];

	assert(s->nr_bufs < PIPE_MAX_BUFS);
	memset(b, 0, sizeof(*b));
	b->users = users;
	b->locked = locked;
	for (int i = 0; i < PIPE_BUF_PAGES; i++)
		b->nid[i] = nid;
	return s->nr_bufs++;
}

int pipe_nr_on(const struct pipe *s, int nid)
{
	int nr = 0;

	for (int i = 0; i < s->nr_tasks; i++)
		nr += s->tasks[i].nid == nid;
	return nr;
}

static int nr_cpus(const struct pipe *s, int nid)
{
	return nb_node_isset(&s->topo.has_cpu, nid)
		       ? nb_cpus_weight(&s->topo.node_cpus[nid])
		       : 0;
}

/* The kernel's part: even out what is not pinned. */
static void schedule(struct pipe *s)
{
	for (int i = 0; i < s->nr_tasks; i++) {
		struct pipe_task *t = &s->tasks[i];
		int best = t->nid;
		int n;

		if (t->bound || t->pinned_nid != NB_NO_NODE ||
		    pipe_nr_on(s, t->nid) <= nr_cpus(s, t->nid))
			continue;
		nb_for_each_nid (n, &s->topo.has_cpu)
			if (pipe_nr_on(s, n) < pipe_nr_on(s, best))
				best = n;
		if (pipe_nr_on(s, best) + 1 < pipe_nr_on(s, t->nid))
			t->nid = best;
	}
}

static int random_user(struct pipe *s, uint32_t users)
{
	int nth;

	/* Numerical Recipes' linear congruence: its high bits are good. */
	s->seed = s->seed * 1664525 + 1013904223;
	nth = (int)((s->seed >> 16) % (uint64_t)__builtin_popcount(users));
	while (nth--)
		users &= users - 1;
	return __builtin_ctz(users);
}

static void note_partners(struct pipe *s, int user,
			  const struct nb_last_user *last)
{
	if (!last->shared || last->same_task)
		return;
	nb_partners_note(&s->tasks[user].partners, last->task);
	nb_partners_note(&s->tasks[last->task - 1].partners,
			 (uint32_t)user + 1);
}

static void fault(struct pipe *s, struct pipe_buf *b, int page)
{
	int user = random_user(s, b->users);
	struct pipe_task *t = &s->tasks[user];
	struct nb_migrate_query q = {
		.page_nid = b->nid[page],
		.cpu_nid = t->nid,
		.numa_preferred_nid = t->f->numa_preferred_nid,
		.task_scan_seq = t->f->numa_scan_seq,
		.nodes = s->topo.online,
		.group = nb_group_at(&s->groups, t->group_index),
		.dice = nb_chunk_dice((uint64_t)page * PIPE_PAGE_BYTES),
	};
	struct nb_fault_sample f = {
		.cpu_nid = t->nid,
		.nr_pages = 1,
		.local = b->nid[page] == t->nid,
	};

	q.last = nb_page_history_note(&b->history[page], (uint32_t)user + 1,
				      t->nid);
	note_partners(s, user, &q.last);
	if (nb_why_is_yes(nb_migrate_filter(&q, &s->topo))) {
		if (b->locked) {
			f.migrate_fail = true;
			s->pass.failed++;
		} else {
			b->nid[page] = t->nid;
			nb_page_history_moved(&b->history[page]);
			s->nr_page_moves++;
			s->pass.moved++;
		}
	}
	f.mem_nid = b->nid[page];
	f.priv = nb_last_user_owns(&q.last);
	nb_numa_faults_account(t->f, &f);
	s->pass.local += f.local;
	s->pass.remote += !f.local;
	s->pass.priv += f.priv;
	s->pass.shared += !f.priv;
}

/* Scan until the pass ends; what is armed is used at once. */
static void scan(struct pipe *s)
{
	struct nb_vma vmas[PIPE_MAX_BUFS];
	struct nb_range step;

	for (int i = 0; i < s->nr_bufs; i++) {
		vmas[i].start = (uint64_t)(i + 1) * BUF_STRIDE;
		vmas[i].end = vmas[i].start + BUF_BYTES;
	}
	do {
		nb_scan_begin(&s->scan, &s->scan_opts, 1);
		while (nb_scan_next(&s->scan, &s->scan_opts, vmas,
				    (size_t)s->nr_bufs, &step)) {
			struct pipe_buf *b =
				&s->bufs[step.start / BUF_STRIDE - 1];
			uint64_t at = step.start;

			for (; at < step.end; at += PIPE_PAGE_BYTES)
				fault(s, b,
				      (int)(at % BUF_STRIDE / PIPE_PAGE_BYTES));
			nb_scan_charge(&s->scan, &s->scan_opts, &step, 1);
		}
	} while (!s->scan.pass_ended);
}

static struct nb_task_view view(const struct pipe_task *t)
{
	return (struct nb_task_view){
		.numa_preferred_nid = t->f->numa_preferred_nid,
		.pinned_nid = t->pinned_nid,
		.current_nid = t->nid,
		.bound = t->bound,
		.running = true,
		.hold = t->hold,
	};
}

static void place_task(struct pipe *s, struct nb_task_place *tp,
		       struct pipe_task *t)
{
	struct nb_task_view v = view(t);
	int nid;
	enum nb_why why = nb_task_place(tp, &v, &nid);

	t->hold -= t->hold > 0;
	if (!nb_why_is_yes(why))
		return;
	s->nr_task_moves++;
	t->pinned_nid = nid;
	if (why == NB_WHY_TASK_RELIEF)
		t->hold = NB_TASK_HOLD_ROUNDS;
	else
		t->nid = nid;
}

static void group_all(struct pipe *s, const struct nb_task_place *tp)
{
	struct nb_group_task m[PIPE_MAX_TASKS];
	static _Alignas(8) char scratch[4096];

	assert(nb_group_scratch_bytes(PIPE_MAX_TASKS) <= sizeof(scratch));
	for (int i = 0; i < s->nr_tasks; i++) {
		struct pipe_task *t = &s->tasks[i];

		m[i] = (struct nb_group_task){
			.id = (uint32_t)i + 1,
			.group = t->group ? t->group : (uint32_t)i + 1,
			.current_nid = (int16_t)t->nid,
			.running = true,
			.partners = &t->partners,
			.nf = t->f,
		};
	}
	nb_group_round(&s->groups, m, (size_t)s->nr_tasks, tp, scratch);
	for (int i = 0; i < s->nr_tasks; i++) {
		s->tasks[i].group = m[i].group;
		s->tasks[i].group_index = m[i].index;
		s->tasks[i].f->numa_preferred_nid = m[i].want_nid;
	}
}

static void place(struct pipe *s)
{
	struct nb_task_place tp = {.topo = &s->topo, .nodes = s->topo.online};

	for (int n = 0; n < s->topo.nr_nids; n++) {
		struct nb_node_load *l = &tp.load[n];

		l->nr_cpus = (uint32_t)nr_cpus(s, n);
		l->nr_running = (uint32_t)pipe_nr_on(s, n);
		l->nr_idle = l->nr_cpus - nb_min(l->nr_cpus, l->nr_running);
		l->run_ns = (l->nr_cpus - l->nr_idle) * PASS_NS;
		l->wait_ns = l->nr_running * PASS_NS - l->run_ns;
	}
	group_all(s, &tp);
	for (int i = 0; i < s->nr_tasks; i++) {
		struct nb_task_view v = view(&s->tasks[i]);

		nb_task_place_count(&tp, &v);
	}
	for (int i = 0; i < s->nr_tasks; i++)
		place_task(s, &tp, &s->tasks[i]);
}

void pipe_pass(struct pipe *s)
{
	schedule(s);
	scan(s);
	for (int i = 0; i < s->nr_tasks; i++)
		nb_numa_faults_decay(s->tasks[i].f, PASS_NS, PASS_NS);
	place(s);
	nb_scan_period_update(&s->period, &s->period_opts, &s->pass, 0);
	memset(&s->pass, 0, sizeof(s->pass));
}

/* Of all pairs of a page and a user of it: how many are on one node. */
int pipe_local_permille(const struct pipe *s)
{
	int all = 0;
	int local = 0;

	for (int i = 0; i < s->nr_bufs; i++) {
		const struct pipe_buf *b = &s->bufs[i];

		for (int page = 0; page < PIPE_BUF_PAGES; page++) {
			for (int t = 0; t < s->nr_tasks; t++) {
				if (!(b->users >> t & 1))
					continue;
				all++;
				local += s->tasks[t].nid == b->nid[page];
			}
		}
	}
	return local * 1000 / all;
}
