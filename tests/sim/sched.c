/* SPDX-License-Identifier: MIT */
/*
 * What stands for the kernel's scheduler.  It knows nothing of memory:
 *
 * - a new thread starts on the CPU with the least to do;
 * - within a node CPUs are evened out at once;
 * - a node with an idle CPU takes a thread from one where threads queue;
 * - now and then nodes are evened out, with the small imbalance that Linux
 *   leaves alone (L5, X6, X7), and with 25 % when all are busy;
 * - now and then a thread wakes up on another idle CPU.
 *
 * A brain's soft preference (sim_prefer) is what Linux's numa_preferred_nid is
 * to its load balancer (L2, L3): threads without one go first, then those not
 * on it; who is on it stays while the other CPU is busy, but not for ever.
 */
#include "engine.h"

#include "rand.h"

#define EVEN_TICKS 10 /* Linux: a NUMA domain is balanced each 100 ms or so */
#define SOFT_TRIES 3  /* Linux: cache_nice_tries is 2 for NUMA domains */
#define NOISE_TICKS 6400 /* a thread is woken elsewhere once a minute */

static void count(struct sim *s)
{
	for (int cpu = 0; cpu < s->m.nr_cpus; cpu++) {
		s->nr_running[cpu] = 0;
		s->load[cpu] = 0;
	}
	for (int i = 0; i < s->nr_threads; i++) {
		const struct sim_thread *t = &s->thread[i];

		if (!t->alive || !t->duty_pct)
			continue;
		s->nr_running[t->cpu]++;
		s->load[t->cpu] += t->duty_pct / 100.0;
	}
}

static void move(struct sim *s, int thread, int cpu)
{
	uint64_t moves = s->total.moves;

	sim_move(s, thread, cpu);
	s->total.balanced += s->total.moves - moves;
	s->total.moves = moves;
}

/* The CPU of a node with the most (or least) to do. */
static int extreme_cpu(const struct sim *s, int nid, bool most)
{
	int best = s->m.first_cpu[nid];

	for (int i = 1; i < s->m.node_cpus[nid]; i++) {
		int cpu = s->m.first_cpu[nid] + i;

		if (most ? s->load[cpu] > s->load[best]
			 : s->load[cpu] < s->load[best])
			best = cpu;
	}
	return best;
}

/*
 * A thread to take from @from_nid (from its CPU @from, if not -1) to @cpu, or
 * -1.  Who has been in the way often enough goes, too.
 */
static int pick(struct sim *s, int from_nid, int from, int cpu)
{
	int nid = s->m.cpu_nid[cpu], best = -1, best_rank = 3;

	for (int i = 0; i < s->nr_threads; i++) {
		struct sim_thread *t = &s->thread[i];
		int rank;

		if (!t->alive || !t->duty_pct ||
		    s->m.cpu_nid[t->cpu] != from_nid ||
		    (from >= 0 && t->cpu != from) || !sim_may_run(s, i, cpu))
			continue;
		rank = t->soft_nid == NB_NO_NODE || t->soft_nid == nid ? 0
		       : t->soft_nid != from_nid		       ? 1
								       : 2;
		if (rank == 2 && nid != from_nid && s->nr_running[cpu] &&
		    t->soft_failed++ < SOFT_TRIES)
			continue;
		if (rank >= best_rank)
			continue;
		best_rank = rank;
		best = i;
	}
	return best;
}

static void even_in_node(struct sim *s, int nid)
{
	for (int i = 0; i < s->m.node_cpus[nid]; i++) {
		int busy = extreme_cpu(s, nid, true);
		int idle = extreme_cpu(s, nid, false);
		int t;

		if (s->nr_running[busy] < 2)
			return;
		t = pick(s, nid, busy, idle);
		if (t < 0 || s->load[idle] + s->thread[t].duty_pct / 100.0 >=
				     s->load[busy])
			return;
		move(s, t, idle);
	}
}

static double node_load(const struct sim *s, int nid, int *nr)
{
	double load = 0;

	*nr = 0;
	for (int i = 0; i < s->m.node_cpus[nid]; i++) {
		load += s->load[s->m.first_cpu[nid] + i];
		*nr += s->nr_running[s->m.first_cpu[nid] + i];
	}
	return load / nb_max(s->m.node_cpus[nid], 1);
}

/* The node with the most (or least) to do for each of its CPUs. */
static int extreme_node(const struct sim *s, bool most, double *load, int *nr)
{
	int best = -1;

	for (int n = 0; n < s->m.nr_nodes; n++) {
		double l;
		int k;

		if (!s->m.node_cpus[n])
			continue;
		l = node_load(s, n, &k);
		if (best >= 0 && (most ? l <= *load : l >= *load))
			continue;
		best = n;
		*load = l;
		*nr = k;
	}
	return best;
}

/* Of the nodes where a thread may run, the one with the least to do. */
static int node_for(const struct sim *s, int thread)
{
	double least = 0;
	int best = NB_NO_NODE, n, nr;

	nb_for_each_nid (n, &s->thread[thread].allowed) {
		double load = node_load(s, n, &nr);

		if (best != NB_NO_NODE && load >= least)
			continue;
		best = n;
		least = load;
	}
	return best;
}

/**
 * sim_place_thread() - put a new thread on a CPU
 * @s: the simulation
 * @thread: the thread
 * @nid: the node, or NB_NO_NODE: the one with the least to do; it is that one,
 * too, if the thread may not run on @nid
 */
void sim_place_thread(struct sim *s, int thread, int nid)
{
	struct sim_thread *t = &s->thread[thread];
	int best = -1;

	if (!nb_node_isset(&t->allowed, nid))
		nid = node_for(s, thread);
	for (int i = 0; i < s->m.node_cpus[nid]; i++) {
		int cpu = s->m.first_cpu[nid] + i;

		if (sim_may_run(s, thread, cpu) &&
		    (best < 0 || s->load[cpu] < s->load[best]))
			best = cpu;
	}
	t->cpu = best;
	s->nr_running[t->cpu]++;
	s->load[t->cpu] += t->duty_pct / 100.0;
}

/* An idle CPU takes a thread from a queue, wherever that is. */
static void take_queued(struct sim *s, int cpu)
{
	int busy = -1;
	int t;

	for (int c = 0; c < s->m.nr_cpus; c++)
		if (s->nr_running[c] > 1 && s->load[c] > 1.05 &&
		    (busy < 0 || s->load[c] > s->load[busy]))
			busy = c;
	if (busy < 0)
		return;
	t = pick(s, s->m.cpu_nid[busy], busy, cpu);
	if (t >= 0)
		move(s, t, cpu);
}

/* Linux: imb_numa_nr */
static int allowance(const struct sim *s, int nid)
{
	int llcs = s->m.node_cpus[nid] / s->m.cpus_per_llc;

	return nb_max(llcs > 1 ? llcs : s->m.node_cpus[nid] / 8, 1);
}

static void even_nodes(struct sim *s)
{
	double most = 0, least = 0;
	int nr_most = 0, nr_least = 0;
	int busy = extreme_node(s, true, &most, &nr_most);
	int idle = extreme_node(s, false, &least, &nr_least);
	int cpu, t;

	if (busy == idle)
		return;
	cpu = extreme_cpu(s, idle, false);
	if (s->nr_running[cpu]) {
		/* Both are busy: 25 %, and more than one thread makes. */
		if (most < least * 1.25 || nr_most - nr_least < 2)
			return;
	} else if (nr_most - nr_least * s->m.node_cpus[busy] /
					   s->m.node_cpus[idle] <
			   2 ||
		   nr_most <= allowance(s, busy)) {
		return;
	}
	t = pick(s, busy, -1, cpu);
	if (t >= 0)
		move(s, t, cpu);
}

static void noise(struct sim *s)
{
	uint32_t nr = (uint32_t)s->nr_threads;
	struct sim_thread *t;
	uint32_t i;
	int cpu;

	/* Rarely, but for each thread alike. */
	if (!nr || sim_rand_below(&s->rng_sched, NOISE_TICKS) >= nr)
		return;
	i = sim_rand_below(&s->rng_sched, nr);
	cpu = (int)sim_rand_below(&s->rng_sched, (uint32_t)s->m.nr_cpus);
	t = &s->thread[i];
	if (t->alive && t->duty_pct && !s->nr_running[cpu] &&
	    sim_may_run(s, (int)i, cpu))
		move(s, (int)i, cpu);
}

/**
 * sim_schedule() - the scheduler's part of a tick
 * @s: the simulation
 */
void sim_schedule(struct sim *s)
{
	count(s);
	noise(s);
	for (int n = 0; n < s->m.nr_nodes; n++)
		if (s->m.node_cpus[n])
			even_in_node(s, n);
	for (int cpu = 0; cpu < s->m.nr_cpus; cpu++)
		if (!s->nr_running[cpu])
			take_queued(s, cpu);
	if (s->tick % EVEN_TICKS == 0)
		even_nodes(s);
}
