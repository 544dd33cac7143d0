/* SPDX-License-Identifier: MIT */
/*
 * 8. Where a new thread starts.
 */
#ifndef NB_TASK_START_H
#define NB_TASK_START_H

#include "../base/topology.h"
#include "../base/why.h"

/* The nodes' CPUs, as they are known when a thread is created. */
struct nb_task_start {
	const struct nb_topology *topo;
	struct nb_nodemask nodes;	/* nodes that numabal may use */
	uint32_t room[NB_MAX_NODES];	/* CPUs that were idle lately */
	uint32_t started[NB_MAX_NODES]; /* threads that have got one since */
};

struct nb_task_creator {
	int nid;		  /* where it belongs, or NB_NO_NODE */
	struct nb_nodemask group; /* nodes that its group uses; empty: none */
	bool bound;		  /* the program chose its CPUs */
};

enum nb_why nb_task_start(const struct nb_task_start *ts,
			  const struct nb_task_creator *creator, int *nid);

#endif /* NB_TASK_START_H */
