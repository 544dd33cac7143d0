/* SPDX-License-Identifier: MIT */
/*
 * What the brain that knows everything plans.
 */
#ifndef NB_SIM_PERFECT_H
#define NB_SIM_PERFECT_H

#include "engine.h"

/* How a segment lies on the nodes. */
enum perfect_spread {
	PERFECT_NEAREST, /* where its users pay least */
	PERFECT_USERS,	 /* over their nodes, as they use it */
	PERFECT_MOSTLY,	 /* the same, but more where it is used most */
	PERFECT_CPUS,	 /* evenly over nodes with CPUs */
	PERFECT_ALL,	 /* over all nodes, by bandwidth */
	PERFECT_NR_SPREADS,
};

struct perfect_plan {
	double cost;	 /* as predicted */
	int8_t *nid;	 /* by thread */
	uint8_t *spread; /* by segment */
	double *part;	 /* by segment and node */
};

struct perfect {
	struct sim *s;
	struct sim *model; /* its prices are for a plan, not for what is */
	uint64_t rng;
	bool planned;
	struct perfect_plan best, try;
	int *order; /* threads or segments */
	double *key;
	int cap_threads, cap_segs;
};

void perfect_place_memory(struct perfect *p, struct perfect_plan *plan);
double perfect_predict(struct perfect *p, struct perfect_plan *plan);
void perfect_copy(const struct perfect *p, struct perfect_plan *to,
		  const struct perfect_plan *from);
void perfect_place_threads(struct perfect *p, struct perfect_plan *plan,
			   int how);

#define PERFECT_NR_WAYS 7 /* that threads can be dealt out */

#endif /* NB_SIM_PERFECT_H */
