/* SPDX-License-Identifier: MIT */
/*
 * Simulated machines: nodes with CPUs, caches and memory, and what is between
 * them.  Constant while a simulation runs.
 */
#ifndef NB_SIM_MACHINE_H
#define NB_SIM_MACHINE_H

#include "../../lib/base/topology.h"

struct sim_machine {
	const char *name;
	const char *doc;
	int nr_nodes, nr_cpus, nr_llcs;
	int first_cpu[NB_MAX_NODES];
	int node_cpus[NB_MAX_NODES]; /* 0: memory only */
	int cpus_per_llc;
	uint64_t mem_4k[NB_MAX_NODES]; /* in pages of 4 KiB */
	uint32_t mem_mbps[NB_MAX_NODES];
	uint8_t distance[NB_MAX_NODES][NB_MAX_NODES];
	uint32_t link_mbps[NB_MAX_NODES][NB_MAX_NODES]; /* 0: no link */
	int8_t hop[NB_MAX_NODES][NB_MAX_NODES]; /* next node on the way */
	int16_t cpu_nid[NB_MAX_CPUS];
	int16_t cpu_llc[NB_MAX_CPUS];
};

/* What sim_machine_make() starts from. */
struct sim_machine_spec {
	const char *name;
	const char *doc;
	int nr_nodes;
	int cpus_per_llc;
	int cpus[16];	    /* by node, the last repeated */
	uint32_t gib_4[16]; /* memory in quarters of a GiB, likewise */
	uint32_t mbps[16];  /* memory bandwidth, likewise */
	uint32_t link_mbps; /* of a link between two nodes */
	/* The distance of two nodes. */
	int (*distance)(int a, int b);
	bool apart; /* not in the table, unless it is named */
};

extern const struct sim_machine_spec sim_machines[];
extern const unsigned int sim_nr_machines;

int sim_machine_add_node(struct sim_machine *m, int cpus, uint64_t mem_4k,
			 uint32_t mbps);
void sim_machine_link(struct sim_machine *m, uint32_t mbps);
void sim_machine_make(struct sim_machine *m, const struct sim_machine_spec *sp);
const struct sim_machine_spec *sim_machine_find(const char *name);
void sim_machine_topology(const struct sim_machine *m, struct nb_topology *t);

#endif /* NB_SIM_MACHINE_H */
