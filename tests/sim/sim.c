/* SPDX-License-Identifier: MIT */
/*
 * The simulated machine: see sim.h.  sim_pass() follows numabald's pass.
 */
#include "sim.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* Buffers lie 1 MiB apart, so that there are holes between them. */
#define BUF_STRIDE NB_MIB
#define BUF_BYTES ((uint64_t)SIM_BUF_PAGES * SIM_PAGE_BYTES)

/* One pass of wall time; threads on a full node share its CPUs. */
#define PASS_NS NB_NSEC_PER_SEC

void sim_init(struct sim *s, int nr_nodes, int cpus_per_node)
{
	memset(s, 0, sizeof(*s));
	assert(nr_nodes <= SIM_MAX_NODES);
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
	s->scan_opts = (struct nb_scan_opts){256, SIM_PAGE_BYTES, 16 * 4096};
	s->period_opts = (struct nb_scan_period_opts){100, 10000, 256};
	nb_scan_period_start(&s->period, &s->period_opts, 0);
	s->seed = 1;
}

void sim_destroy(struct sim *s)
{
	for (int i = 0; i < s->nr_tasks; i++)
		free(s->tasks[i].f);
}

int sim_add_task(struct sim *s, int nid, bool bound)
{
	struct sim_task *t = &s->tasks[s->nr_tasks];

	assert(s->nr_tasks < SIM_MAX_TASKS);
	*t = (struct sim_task){.nid = nid, .bound = bound};
	t->pinned_nid = NB_NO_NODE;
	t->f = malloc(nb_numa_faults_size(s->topo.nr_nids));
	assert(t->f);
	nb_numa_faults_init(t->f, s->topo.nr_nids);
	return s->nr_tasks++;
}

int sim_add_buf(struct sim *s, int nid, uint32_t users, bool locked)
{
	struct sim_buf *b = &s->bufs[s->nr_bufs];

	assert(s->nr_bufs < SIM_MAX_BUFS);
	memset(b, 0, sizeof(*b));
	b->users = users;
	b->locked = locked;
	for (int i = 0; i < SIM_BUF_PAGES; i++)
		b->nid[i] = nid;
	return s->nr_bufs++;
}

int sim_nr_on(const struct sim *s, int nid)
{
	int nr = 0;

	for (int i = 0; i < s->nr_tasks; i++)
		nr += s->tasks[i].nid == nid;
	return nr;
}

static int nr_cpus(const struct sim *s, int nid)
{
	return nb_node_isset(&s->topo.has_cpu, nid)
		       ? nb_cpus_weight(&s->topo.node_cpus[nid])
		       : 0;
}

/* The kernel's part: even out what is not pinned. */
static void schedule(struct sim *s)
{
	for (int i = 0; i < s->nr_tasks; i++) {
		struct sim_task *t = &s->tasks[i];
		int best = t->nid;
		int n;

		if (t->bound || t->pinned_nid != NB_NO_NODE ||
		    sim_nr_on(s, t->nid) <= nr_cpus(s, t->nid))
			continue;
		nb_for_each_nid (n, &s->topo.has_cpu)
			if (sim_nr_on(s, n) < sim_nr_on(s, best))
				best = n;
		if (sim_nr_on(s, best) + 1 < sim_nr_on(s, t->nid))
			t->nid = best;
	}
}

static int random_user(struct sim *s, uint32_t users)
{
	int nth;

	/* Numerical Recipes' linear congruence: its high bits are good. */
	s->seed = s->seed * 1664525 + 1013904223;
	nth = (int)((s->seed >> 16) % (uint64_t)__builtin_popcount(users));
	while (nth--)
		users &= users - 1;
	return __builtin_ctz(users);
}

static void fault(struct sim *s, struct sim_buf *b, int page)
{
	int user = random_user(s, b->users);
	struct sim_task *t = &s->tasks[user];
	struct nb_migrate_query q = {
		.page_nid = b->nid[page],
		.cpu_nid = t->nid,
		.numa_preferred_nid = t->f->numa_preferred_nid,
		.task_scan_seq = t->f->numa_scan_seq,
		.nodes = s->topo.online,
	};
	struct nb_fault_sample f = {
		.cpu_nid = t->nid,
		.nr_pages = 1,
		.local = b->nid[page] == t->nid,
	};

	q.last = nb_page_history_note(&b->history[page], (uint32_t)user + 1,
				      t->nid);
	if (nb_why_is_yes(nb_migrate_filter(&q, &s->topo))) {
		if (b->locked) {
			f.migrate_fail = true;
			s->pass.failed++;
		} else {
			b->nid[page] = t->nid;
			s->nr_page_moves++;
			s->pass.moved++;
		}
	}
	f.mem_nid = b->nid[page];
	f.priv = q.last.same_task;
	nb_numa_faults_account(t->f, &f);
	s->pass.local += f.local;
	s->pass.remote += !f.local;
	s->pass.priv += f.priv;
	s->pass.shared += !f.priv;
}

/* Scan until the pass ends; what is armed is used at once. */
static void scan(struct sim *s)
{
	struct nb_vma vmas[SIM_MAX_BUFS];
	struct nb_range step;

	for (int i = 0; i < s->nr_bufs; i++) {
		vmas[i].start = (uint64_t)(i + 1) * BUF_STRIDE;
		vmas[i].end = vmas[i].start + BUF_BYTES;
	}
	do {
		nb_scan_begin(&s->scan, &s->scan_opts);
		while (nb_scan_next(&s->scan, &s->scan_opts, vmas,
				    (size_t)s->nr_bufs, &step)) {
			struct sim_buf *b =
				&s->bufs[step.start / BUF_STRIDE - 1];
			uint64_t at = step.start;

			for (; at < step.end; at += SIM_PAGE_BYTES)
				fault(s, b,
				      (int)(at % BUF_STRIDE / SIM_PAGE_BYTES));
			nb_scan_charge(&s->scan, &s->scan_opts, &step, 1);
		}
	} while (!s->scan.pass_ended);
}

static struct nb_task_view view(const struct sim_task *t)
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

static void place_task(struct sim *s, struct nb_task_place *tp,
		       struct sim_task *t)
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

static void place(struct sim *s)
{
	struct nb_task_place tp = {.topo = &s->topo, .nodes = s->topo.online};

	for (int n = 0; n < s->topo.nr_nids; n++) {
		struct nb_node_load *l = &tp.load[n];

		l->nr_cpus = (uint32_t)nr_cpus(s, n);
		l->nr_running = (uint32_t)sim_nr_on(s, n);
		l->nr_idle = l->nr_cpus - nb_min(l->nr_cpus, l->nr_running);
		l->run_ns = (l->nr_cpus - l->nr_idle) * PASS_NS;
		l->wait_ns = l->nr_running * PASS_NS - l->run_ns;
	}
	for (int i = 0; i < s->nr_tasks; i++) {
		struct nb_task_view v = view(&s->tasks[i]);

		nb_task_place_count(&tp, &v);
	}
	for (int i = 0; i < s->nr_tasks; i++)
		place_task(s, &tp, &s->tasks[i]);
}

void sim_pass(struct sim *s)
{
	schedule(s);
	scan(s);
	for (int i = 0; i < s->nr_tasks; i++) {
		struct sim_task *t = &s->tasks[i];

		nb_numa_faults_decay(t->f, PASS_NS, PASS_NS);
		t->f->numa_preferred_nid = nb_placement(t->f, &s->topo);
	}
	place(s);
	nb_scan_period_update(&s->period, &s->period_opts, &s->pass, 0);
	memset(&s->pass, 0, sizeof(s->pass));
}

/* Of all pairs of a page and a user of it: how many are on one node. */
int sim_local_permille(const struct sim *s)
{
	int all = 0;
	int local = 0;

	for (int i = 0; i < s->nr_bufs; i++) {
		const struct sim_buf *b = &s->bufs[i];

		for (int page = 0; page < SIM_BUF_PAGES; page++) {
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
