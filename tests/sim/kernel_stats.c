/* SPDX-License-Identifier: MIT */
/*
 * The kernel's statistics: decay (T5-T7, T9), preferred node (D2-D8), and the
 * scan period that follows from them (O1-O6, with their mistakes).
 */
#include "kernel.h"

#define SLOTS 10
#define THRESHOLD 7
#define ACTIVE_FRACTION 3

int64_t k_task_faults(const struct kernel *k, int task, int nid)
{
	const struct k_task *t = &k->task[task];

	return t->f ? t->f[K_MEM][nid][0] + t->f[K_MEM][nid][1] : 0;
}

int64_t k_group_faults(const struct k_group *g, int nid)
{
	return g->f[K_MEM][nid][0] + g->f[K_MEM][nid][1];
}

int64_t k_group_cpu(const struct k_group *g, int nid)
{
	return g->f[K_CPU][nid][0] + g->f[K_CPU][nid][1];
}

static int64_t faults_of(const struct kernel *k, int task, bool group, int nid)
{
	if (group)
		return k_group_faults(&k->group[k->task[task].group], nid);
	return k_task_faults(k, task, nid);
}

/* D8 */
static int64_t nearby(const struct kernel *k, int task, bool group, int nid,
		      int limit)
{
	int64_t score = 0;

	if (k->topo.type == NB_TOPOLOGY_DIRECT)
		return 0;
	for (int n = 0; n < k->s->m.nr_nodes; n++) {
		int dist = k->s->m.distance[nid][n];
		int64_t f;

		if (n == nid || dist >= k->max_distance)
			continue;
		if (k->topo.type == NB_TOPOLOGY_BACKPLANE && dist >= limit)
			continue;
		f = faults_of(k, task, group, n);
		if (k->topo.type == NB_TOPOLOGY_GLUELESS_MESH)
			f = f * (k->max_distance - dist) /
			    (k->max_distance - NB_LOCAL_DISTANCE);
		score += f;
	}
	return score;
}

/* D7 */
int64_t k_task_weight(const struct kernel *k, int task, int nid, int dist)
{
	int64_t total = k->task[task].total;

	if (!total)
		return 0;
	return 1000 *
	       (k_task_faults(k, task, nid) +
		nearby(k, task, false, nid, dist)) /
	       total;
}

int64_t k_group_weight(const struct kernel *k, int task, int nid, int dist)
{
	const struct k_group *g;

	if (k->task[task].group < 0)
		return 0;
	g = &k->group[k->task[task].group];
	if (!g->total)
		return 0;
	return 1000 *
	       (k_group_faults(g, nid) + nearby(k, task, true, nid, dist)) /
	       g->total;
}

/* T9 */
static void count_active(const struct kernel *k, struct k_group *g)
{
	int64_t max = 0;
	int nr = 0;

	for (int n = 0; n < k->s->m.nr_nodes; n++)
		if (k->s->m.node_cpus[n])
			max = nb_max(max, k_group_cpu(g, n));
	for (int n = 0; n < k->s->m.nr_nodes; n++)
		if (k->s->m.node_cpus[n])
			nr += k_group_cpu(g, n) * ACTIVE_FRACTION > max;
	g->max_faults_cpu = max;
	g->active_nodes = nr;
}

/* D6: the half that has more, of the half that has more, ... */
static int backplane_nid(const struct kernel *k, const struct k_group *g,
			 int nid)
{
	uint64_t nodes = k->topo.online.bits;

	for (int dist = k->max_distance; dist > NB_LOCAL_DISTANCE; dist--) {
		int64_t max = 0;
		uint64_t best = 0, left = nodes;

		for (int a = 0; a < k->s->m.nr_nodes; a++) {
			int64_t sum = 0;
			uint64_t near = 0;

			if (!(left >> a & 1))
				continue;
			for (int b = 0; b < k->s->m.nr_nodes; b++) {
				if (!(left >> b & 1) ||
				    k->s->m.distance[a][b] >= dist)
					continue;
				sum += k_group_faults(g, b);
				near |= 1ULL << b;
			}
			left &= ~near;
			if (sum <= max)
				continue;
			max = sum;
			best = near;
			nid = a;
		}
		if (!max)
			break;
		nodes = best;
	}
	return nid;
}

static int group_nid(const struct kernel *k, int task, int nid)
{
	int64_t best = 0;

	switch (k->topo.type) {
	case NB_TOPOLOGY_DIRECT:
		return nid;
	case NB_TOPOLOGY_BACKPLANE:
		return backplane_nid(k, &k->group[k->task[task].group], nid);
	default:
		break;
	}
	/* D5 */
	for (int n = 0; n < k->s->m.nr_nodes; n++) {
		int64_t score;

		if (!k->s->m.node_cpus[n])
			continue;
		score = k_group_weight(k, task, n, k->max_distance);
		if (score <= best)
			continue;
		best = score;
		nid = n;
	}
	return nid;
}

/* D4 */
static int nearest_cpus(const struct kernel *k, int nid)
{
	int best = nid;

	for (int n = 0;
	     nid >= 0 && !k->s->m.node_cpus[nid] && n < k->s->m.nr_nodes; n++)
		if (k->s->m.node_cpus[n] &&
		    (best == nid ||
		     k->s->m.distance[nid][n] < k->s->m.distance[nid][best]))
			best = n;
	return best;
}

/* T6: the share of time that the thread ran, as 16.16. */
static int64_t run_weight(struct kernel *k, int task)
{
	struct k_task *t = &k->task[task];
	uint64_t run = k->s->thread[task].run_ns;
	uint64_t runtime = run - t->placed_run_ns;
	uint64_t period = k->s->now_ns - t->placed_ns;

	if (!t->placed_ns) {
		runtime = k->s->thread[task].duty_pct;
		period = 100;
	}
	t->placed_run_ns = run;
	t->placed_ns = k->s->now_ns;
	return (int64_t)((runtime << 16) / (period + 1));
}

/* T5-T7: one cell of a task's statistics; the group's follows. */
static void decay(struct kernel *k, int task, int nid, int priv, int64_t weight)
{
	struct k_task *t = &k->task[task];
	int64_t *mem = &t->f[K_MEM][nid][priv];
	int64_t *cpu = &t->f[K_CPU][nid][priv];
	int64_t *membuf = &t->f[K_MEMBUF][nid][priv];
	int64_t *cpubuf = &t->f[K_CPUBUF][nid][priv];
	int64_t faults = t->locality[K_REMOTE] + t->locality[K_LOCAL];
	int64_t d_mem = *membuf - *mem / 2;
	int64_t d_cpu = weight * *cpubuf / (faults + 1) - *cpu / 2;

	*membuf = 0;
	*cpubuf = 0;
	*mem += d_mem;
	*cpu += d_cpu;
	t->total += d_mem;
	if (t->group >= 0) {
		struct k_group *g = &k->group[t->group];

		g->f[K_MEM][nid][priv] += d_mem;
		g->f[K_CPU][nid][priv] += d_cpu;
		g->total += d_mem;
	}
}

/* O1-O6 */
static void update_period(struct kernel *k, int task, int64_t shared,
			  int64_t priv)
{
	struct k_task *t = &k->task[task];
	int64_t local = t->locality[K_LOCAL], remote = t->locality[K_REMOTE];
	int64_t slot, diff, lr, ps, period = t->period_ms;

	if (local + shared == 0 || t->locality[K_FAILED]) {
		t->period_ms = nb_min(t->period_max_ms, t->period_ms * 2);
		k->mm[k->s->thread[task].proc].next_scan_ns =
			k->s->now_ns + t->period_ms * NB_NSEC_PER_MSEC;
		return;
	}
	slot = (period + SLOTS - 1) / SLOTS;
	lr = local * SLOTS / (local + remote);
	ps = priv * SLOTS / (priv + shared);
	if (ps >= THRESHOLD)
		diff = nb_max(ps - THRESHOLD, 1L) * slot;
	else if (lr >= THRESHOLD)
		diff = nb_max(lr - THRESHOLD, 1L) * slot;
	else
		diff = -(THRESHOLD - nb_max(lr, ps)) * slot;
	period = nb_min(period + diff, (int64_t)t->period_max_ms);
	period = nb_max(period, (int64_t)k_period_min(k, task));
	t->period_ms = (uint32_t)period;
	for (int i = 0; i < K_NR_LOCALITY; i++)
		t->locality[i] = 0;
}

static int most_faults(struct kernel *k, int task, int64_t *max)
{
	bool grouped = k->task[task].group >= 0;
	int best = NB_NO_NODE;

	*max = 0;
	for (int n = 0; n < k->s->m.nr_nodes; n++) {
		int64_t f = faults_of(k, task, grouped, n);

		if (f <= *max)
			continue;
		*max = f;
		best = n;
	}
	return best;
}

/**
 * k_placement() - once a pass, in a thread's hint fault: where should it be?
 * @k: the kernel
 * @task: the thread
 */
void k_placement(struct kernel *k, int task)
{
	struct k_task *t = &k->task[task];
	uint32_t seq = k->mm[k->s->thread[task].proc].scan_seq;
	int64_t sums[2] = {0}, weight, max;
	int nid;

	if (t->scan_seq == seq)
		return;
	t->scan_seq = seq;
	t->period_max_ms = k_period_max(k, task);
	weight = run_weight(k, task);
	for (int n = 0; n < k->s->m.nr_nodes; n++) {
		for (int priv = 0; priv < 2; priv++) {
			sums[priv] += t->f[K_MEMBUF][n][priv];
			decay(k, task, n, priv, weight);
		}
	}
	nid = nearest_cpus(k, most_faults(k, task, &max));
	if (t->group >= 0) {
		count_active(k, &k->group[t->group]);
		nid = group_nid(k, task, nid);
	}
	if (max && nid != t->preferred) {
		t->preferred = nid;
		sim_prefer(k->s, task, nid);
	}
	update_period(k, task, sums[0], sums[1]);
}
