/* SPDX-License-Identifier: MIT */
/*
 * What a process may use of the machine: its cpuset, and the nodes that its
 * user has named.  All there is, unless sim_limit() says otherwise, which has
 * to come before the process's first thread and first memory.
 */
#ifndef NB_SIM_LIMITS_H
#define NB_SIM_LIMITS_H

#include "machine.h"

struct sim;

struct sim_limits {
	struct nb_nodemask mems;  /* where its memory may be */
	struct nb_cpumask cpus;	  /* where its threads may run */
	struct nb_nodemask nodes; /* NUMABAL_NODES; empty: mems */
};

struct sim_limits sim_limits_none(const struct sim_machine *m);
void sim_limit(struct sim *s, int proc, const struct sim_limits *l);
struct nb_nodemask sim_cpu_nodes(const struct sim *s, int proc);
bool sim_may_run(const struct sim *s, int thread, int cpu);
void sim_bind(struct sim *s, int thread, struct nb_nodemask nodes);
uint64_t sim_room_4k(const struct sim *s, int proc, uint32_t page_4k);

#endif /* NB_SIM_LIMITS_H */
