/* SPDX-License-Identifier: MIT */
/*
 * What processes and threads may use of the machine: see limits.h.
 */
#include "engine.h"

/**
 * sim_limits_none() - all of a machine
 * @m: the machine
 *
 * Return: the limits.
 */
struct sim_limits sim_limits_none(const struct sim_machine *m)
{
	struct sim_limits l = {0};

	for (int n = 0; n < m->nr_nodes; n++)
		if (m->mem_4k[n])
			nb_node_set(&l.mems, n);
	for (int cpu = 0; cpu < m->nr_cpus; cpu++)
		nb_cpu_set(&l.cpus, cpu);
	return l;
}

/**
 * sim_limit() - let a process use some of the machine only
 * @s: the simulation
 * @proc: the process, which has neither threads nor memory yet
 * @l: what it may use: a node with memory and a CPU at least
 */
void sim_limit(struct sim *s, int proc, const struct sim_limits *l)
{
	s->limits[proc] = *l;
}

/* The nodes with CPUs that a process may use. */
struct nb_nodemask sim_cpu_nodes(const struct sim *s, int proc)
{
	struct nb_nodemask nodes = {0};
	int cpu;

	nb_for_each_cpu (cpu, &s->limits[proc].cpus)
		nb_node_set(&nodes, s->m.cpu_nid[cpu]);
	return nodes;
}

bool sim_may_run(const struct sim *s, int thread, int cpu)
{
	const struct sim_thread *t = &s->thread[thread];

	return nb_node_isset(&t->allowed, s->m.cpu_nid[cpu]) &&
	       nb_cpu_isset(&s->limits[t->proc].cpus, cpu);
}

/**
 * sim_bind() - the program chooses a thread's nodes itself
 * @s: the simulation
 * @thread: the thread
 * @nodes: the nodes; those that its process may not use are left out
 *
 * What the brain wished for the thread before is forgotten.  All nodes: it is
 * not bound any more.  None that it may use: nothing happens.
 */
void sim_bind(struct sim *s, int thread, struct nb_nodemask nodes)
{
	struct sim_thread *t = &s->thread[thread];
	struct nb_nodemask all = sim_cpu_nodes(s, t->proc);
	uint64_t moves = s->total.moves;

	nodes.bits &= all.bits;
	if (!nodes.bits)
		return;
	t->own = nodes;
	t->bound = nodes.bits != all.bits;
	sim_set_affinity(s, thread, nodes);
	/* Neither the brain's move nor its call. */
	t->nr_masks--;
	s->total.moves = moves;
}

/**
 * sim_room_4k() - how much more memory a process can use
 * @s: the simulation
 * @proc: the process
 * @page_4k: in pages of that size
 *
 * Return: in 4 KiB pages, a multiple of @page_4k.
 */
uint64_t sim_room_4k(const struct sim *s, int proc, uint32_t page_4k)
{
	uint64_t sum = 0;
	int n;

	nb_for_each_nid (n, &s->limits[proc].mems)
		sum += sim_free_4k(s, n) / page_4k;
	return sum * page_4k;
}
