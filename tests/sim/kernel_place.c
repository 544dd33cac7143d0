/* SPDX-License-Identifier: MIT */
/*
 * The kernel's thread placement (X1-X18): to an idle CPU of the preferred
 * node, or in exchange with a thread that runs there, or to another node that
 * is better than where it is; all of it in a hint fault.
 */
#include "kernel.h"

#include <stdlib.h>

#define SMALLIMP 30
#define RETRY_MAX_NS NB_NSEC_PER_SEC
#define IMBALANCE_PCT 108 /* X5: 100 + (117 - 100) / 2 */
#define IMBALANCE_MIN 2

enum node_type { HAS_SPARE, FULLY_BUSY, OVERLOADED };

struct node_stats {
	int64_t load, util, capacity;
	int nr_running, weight, idle_cpu;
	enum node_type type;
};

struct env {
	struct kernel *k;
	int p, src_cpu, src_nid, dst_nid, dst_cpu, dist;
	struct node_stats src, dst;
	int best_task, best_cpu;
	int64_t best_imp;
};

/* X5 */
static enum node_type classify(const struct node_stats *ns)
{
	if (ns->nr_running > ns->weight &&
	    ns->capacity * 100 < ns->util * IMBALANCE_PCT)
		return OVERLOADED;
	if (ns->nr_running < ns->weight ||
	    ns->capacity * 100 > ns->util * IMBALANCE_PCT)
		return HAS_SPARE;
	return FULLY_BUSY;
}

/* X4; @task's mask decides which idle CPU counts. */
static void update_stats(const struct kernel *k, int task, int nid,
			 struct node_stats *ns)
{
	const struct sim *s = k->s;

	*ns = (struct node_stats){.idle_cpu = -1};
	for (int i = 0; i < s->m.node_cpus[nid]; i++) {
		int cpu = s->m.first_cpu[nid] + i;

		ns->load += (int64_t)(s->load[cpu] * 1024);
		ns->util += (int64_t)(nb_min(s->load[cpu], 1.0) * 1024);
		ns->nr_running += s->nr_running[cpu];
		ns->capacity += 1024;
		ns->weight++;
		if (!s->nr_running[cpu] && ns->idle_cpu < 0 &&
		    nb_node_isset(&s->thread[task].allowed, nid))
			ns->idle_cpu = cpu;
	}
	ns->type = classify(ns);
}

/* X9 */
static bool too_imbalanced(const struct env *e, int64_t src_load,
			   int64_t dst_load)
{
	int64_t now =
		llabs(dst_load * e->src.capacity - src_load * e->dst.capacity);
	int64_t before = llabs(e->dst.load * e->src.capacity -
			       e->src.load * e->dst.capacity);

	return now > before;
}

static int64_t load_of(const struct env *e, int task)
{
	return e->k->s->thread[task].duty_pct * 1024LL / 100;
}

/* X7 */
static int allowance(const struct sim *s, int nid)
{
	int llcs = s->m.node_cpus[nid] / s->m.cpus_per_llc;

	return nb_max(llcs > 1 ? llcs : s->m.node_cpus[nid] / 8, 1);
}

static void assign(struct env *e, int task, int64_t imp)
{
	e->best_task = task;
	e->best_imp = imp;
	e->best_cpu = e->dst_cpu;
	/* An idle CPU, if the thread only moves. */
	if (task < 0 && e->dst.idle_cpu >= 0)
		e->best_cpu = e->dst.idle_cpu;
}

static int64_t gain_of_partner(const struct env *e, int cur, bool group)
{
	if (group)
		return k_group_weight(e->k, cur, e->src_nid, e->dist) -
		       k_group_weight(e->k, cur, e->dst_nid, e->dist);
	return k_task_weight(e->k, cur, e->src_nid, e->dist) -
	       k_task_weight(e->k, cur, e->dst_nid, e->dist);
}

/* X10: what an exchange with @cur is worth; false: not at all. */
static bool swap_gain(const struct env *e, int cur, int64_t taskimp,
		      int64_t groupimp, int64_t *imp)
{
	int cur_ng = e->k->task[cur].group, p_ng = e->k->task[e->p].group;
	int pref = e->k->task[cur].preferred;

	if (cur_ng == p_ng) {
		if (e->dst.type == HAS_SPARE)
			return false;
		*imp = taskimp + gain_of_partner(e, cur, false);
		if (cur_ng >= 0)
			*imp -= *imp / 16;
	} else {
		*imp = p_ng >= 0 ? groupimp : taskimp;
		*imp += gain_of_partner(e, cur, cur_ng >= 0 && p_ng >= 0);
	}
	if (pref == e->dst_nid)
		*imp -= *imp / 16;
	if (pref == e->src_nid)
		*imp += *imp / 8;
	return true;
}

/* X13 */
static bool swap_imbalances(const struct env *e, int cur)
{
	int64_t d = load_of(e, e->p) - load_of(e, cur);

	return d && too_imbalanced(e, e->src.load - d, e->dst.load + d);
}

/* X10-X14 for one CPU; true: search no further. */
static bool compare(struct env *e, int64_t taskimp, int64_t groupimp,
		    bool maymove)
{
	struct kernel *k = e->k;
	int cur = k->curr[e->dst_cpu];
	int64_t moveimp = k->task[e->p].group >= 0 ? groupimp : taskimp, imp;
	bool gains;

	if (cur == e->p)
		return true;
	/* The thread may have moved on, or ended, since it was seen there. */
	if (cur >= 0 &&
	    (!k->s->thread[cur].alive || k->s->thread[cur].cpu != e->dst_cpu))
		cur = -1;
	if (cur < 0) {
		if (maymove && moveimp >= e->best_imp)
			assign(e, -1, moveimp);
		return maymove && e->best_cpu >= 0 && e->best_task < 0 &&
		       e->dst.idle_cpu >= 0;
	}
	gains = k->task[cur].preferred == e->src_nid;
	if (!nb_node_isset(&k->s->thread[cur].allowed, e->src_nid))
		return false;
	if (e->best_task >= 0 && !gains &&
	    k->task[e->best_task].preferred == e->src_nid)
		return false;
	if (!swap_gain(e, cur, taskimp, groupimp, &imp))
		return false;
	/* X11 */
	if (maymove && moveimp > imp && moveimp > e->best_imp) {
		assign(e, -1, moveimp);
		return e->dst.idle_cpu >= 0;
	}
	if (gains && (e->best_task < 0 ||
		      k->task[e->best_task].preferred != e->src_nid)) {
		assign(e, cur, 0);
		return true;
	}
	/* X12 */
	if (imp < SMALLIMP || imp <= e->best_imp + SMALLIMP / 2)
		return false;
	if (swap_imbalances(e, cur))
		return false;
	assign(e, cur, imp);
	return false;
}

/* X6, X8, X9, and all CPUs of the node. */
static void find_cpu(struct env *e, int64_t taskimp, int64_t groupimp)
{
	const struct sim *s = e->k->s;
	bool maymove = false;

	if (e->dst.type == HAS_SPARE) {
		int dst = e->dst.nr_running + 1;
		int imbalance = nb_max(0, dst - (e->src.nr_running - 1));

		if (dst <= allowance(s, e->dst_nid) &&
		    imbalance <= IMBALANCE_MIN)
			imbalance = 0;
		if (!imbalance) {
			maymove = true;
			if (e->dst.idle_cpu >= 0) {
				e->dst_cpu = e->dst.idle_cpu;
				assign(e, -1, 0);
				return;
			}
		}
	} else {
		int64_t load = load_of(e, e->p);

		maymove = !too_imbalanced(e, e->src.load - load,
					  e->dst.load + load);
	}
	if (!nb_node_isset(&s->thread[e->p].allowed, e->dst_nid))
		return;
	for (int i = 0; i < s->m.node_cpus[e->dst_nid]; i++) {
		e->dst_cpu = s->m.first_cpu[e->dst_nid] + i;
		if (compare(e, taskimp, groupimp, maymove))
			return;
	}
}

static void try_node(struct env *e, int nid, bool must_gain)
{
	struct kernel *k = e->k;
	int64_t taskimp, groupimp;

	taskimp = k_task_weight(k, e->p, nid, e->dist) -
		  k_task_weight(k, e->p, e->src_nid, e->dist);
	groupimp = k_group_weight(k, e->p, nid, e->dist) -
		   k_group_weight(k, e->p, e->src_nid, e->dist);
	if (must_gain && taskimp < 0 && groupimp < 0)
		return;
	e->dst_nid = nid;
	update_stats(k, e->p, nid, &e->dst);
	find_cpu(e, taskimp, groupimp);
}

/* X15 */
static void try_others(struct env *e)
{
	const struct kernel *k = e->k;
	const struct k_task *t = &k->task[e->p];

	if (e->best_cpu >= 0 &&
	    !(t->group >= 0 && k->group[t->group].active_nodes > 1))
		return;
	for (int n = 0; n < k->s->m.nr_nodes; n++) {
		if (!k->s->m.node_cpus[n] || n == e->src_nid ||
		    n == t->preferred)
			continue;
		/* From the node tried before, by mistake. */
		if (k->topo.type == NB_TOPOLOGY_BACKPLANE)
			e->dist = k->s->m.distance[e->src_nid][e->dst_nid];
		try_node(e, n, true);
	}
}

/* X16 */
static void settle(struct env *e)
{
	struct k_task *t = &e->k->task[e->p];
	int nid = e->src_nid;

	if (t->group < 0)
		return;
	if (e->best_cpu >= 0)
		nid = e->k->s->m.cpu_nid[e->best_cpu];
	if (nid == t->preferred)
		return;
	t->preferred = nid;
	sim_prefer(e->k->s, e->p, nid);
}

static void migrate(struct kernel *k, int task)
{
	struct env e = {
		.k = k,
		.p = task,
		.src_cpu = k->s->thread[task].cpu,
		.src_nid = sim_nid(k->s, task),
		.best_task = -1,
		.best_cpu = -1,
	};
	int dst = k->task[task].preferred;

	e.dist = k->s->m.distance[e.src_nid][dst];
	update_stats(k, task, e.src_nid, &e.src);
	try_node(&e, dst, false);
	try_others(&e);
	settle(&e);
	if (e.best_cpu < 0)
		return;
	/* X17 */
	if (e.best_task < 0)
		sim_move(k->s, task, e.best_cpu);
	else
		sim_swap(k->s, task, e.best_task);
	k->curr[e.best_cpu] = task;
	k->curr[e.src_cpu] = e.best_task;
}

/**
 * k_migrate_preferred() - bring a thread to its preferred node, if it is not
 * there
 * @k: the kernel
 * @task: the thread
 */
void k_migrate_preferred(struct kernel *k, int task)
{
	struct k_task *t = &k->task[task];
	uint64_t interval = t->period_ms * NB_NSEC_PER_MSEC / 16;

	if (t->preferred == NB_NO_NODE || !t->f)
		return;
	t->retry_ns = k->s->now_ns + nb_min(interval, RETRY_MAX_NS);
	if (sim_nid(k->s, task) != t->preferred)
		migrate(k, task);
}
