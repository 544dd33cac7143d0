/* SPDX-License-Identifier: MIT */
/*
 * The machine as policy sees it: plain data, filled once by plat/topology.c
 * (or by a test) and constant afterwards.
 */
#ifndef NB_TOPOLOGY_H
#define NB_TOPOLOGY_H

#include "nodemask.h"

/* The distance of a node to itself, as the ACPI SLIT has it. */
#define NB_LOCAL_DISTANCE 10

/* Linux: sched/topology.c, init_numa_topology_type() */
enum nb_topology_type {
	NB_TOPOLOGY_DIRECT,
	NB_TOPOLOGY_GLUELESS_MESH,
	NB_TOPOLOGY_BACKPLANE,
};

struct nb_topology {
	int nr_nids;		   /* highest node id + 1; holes are possible */
	int nr_cpus;		   /* highest CPU number + 1 */
	struct nb_nodemask online; /* nodes that exist */
	struct nb_nodemask has_cpu;	 /* ... and have CPUs */
	struct nb_nodemask has_memory;	 /* ... and have memory */
	struct nb_nodemask mems_allowed; /* the process may allocate there */
	enum nb_topology_type type;
	uint16_t distance[NB_MAX_NODES][NB_MAX_NODES];
	uint64_t mem_total_kb[NB_MAX_NODES];
	int16_t cpu_to_nid[NB_MAX_CPUS]; /* NB_NO_NODE: no such CPU */
	struct nb_cpumask cpus_allowed;	 /* the process may run there */
	struct nb_cpumask node_cpus[NB_MAX_NODES];
};

/* The node of @cpu, or NB_NO_NODE. */
static inline int nb_cpu_to_nid(const struct nb_topology *t, int cpu)
{
	if (cpu < 0 || cpu >= t->nr_cpus)
		return NB_NO_NODE;
	return t->cpu_to_nid[cpu];
}

#endif /* NB_TOPOLOGY_H */
