/* SPDX-License-Identifier: MIT */
/*
 * 8. Which threads to pin to which node, and which to let go.
 */
#ifndef NB_TASK_PLACE_H
#define NB_TASK_PLACE_H

#include "../base/plan.h"
#include "../base/topology.h"
#include "../base/why.h"

/* One node's CPUs since the last decision, as seen by this process. */
struct nb_node_load {
	uint32_t nr_cpus;    /* CPUs that the program may use there */
	uint32_t nr_idle;    /* of them, idle (rounded down) */
	uint32_t nr_running; /* own threads that ran there */
	uint64_t run_ns;     /* time those threads ran ... */
	uint64_t wait_ns;    /* ... and waited for a CPU */
	uint32_t own_milli;  /* CPUs that they used, in thousandths */
	uint32_t busy_milli; /* CPUs in use by anybody; 0: not known */
};

struct nb_task_view {
	int numa_preferred_nid;
	int pinned_nid;	 /* node that numabal pinned it to, or NB_NO_NODE */
	int current_nid; /* node it last ran on, or NB_NO_NODE */
	bool bound;	 /* the program chose its CPUs: never touched */
	bool running;	 /* used the CPU since the last decision */
	uint32_t hold;	 /* decisions left to wait after a relief */
};

/*
 * Working state over the threads of one decision round.  The caller fills the
 * first part and zeroes the rest, calls nb_task_place_count() for every thread,
 * and then nb_task_place() for every thread, both in the order of their slots.
 */
struct nb_task_place {
	const struct nb_topology *topo;
	struct nb_nodemask nodes; /* nodes that numabal may use */
	struct nb_node_load load[NB_MAX_NODES];
	bool turn; /* this process may go first, where two are equal */

	uint32_t relieved[NB_MAX_NODES];   /* released in this round */
	uint32_t planned[NB_MAX_NODES];	   /* moves in planned this round */
	uint32_t nr_pinned[NB_MAX_NODES];  /* running threads that must stay */
	uint32_t nr_leaving[NB_MAX_NODES]; /* of them, those that want to go */
};

/* Will the next round bring a thread to its preferred node, or keep it there?
 */
static inline bool nb_task_follows(enum nb_why place_why, bool running)
{
	return place_why == NB_WHY_TASK_PREFERRED ||
	       (place_why == NB_WHY_TASK_STAY && running);
}

/* Rounds that a released thread waits before it may be pinned again. */
#define NB_TASK_HOLD_ROUNDS 8

bool nb_node_overloaded(const struct nb_task_place *tp, int nid);
void nb_task_place_count(struct nb_task_place *tp,
			 const struct nb_task_view *task);
enum nb_why nb_task_place(struct nb_task_place *tp,
			  const struct nb_task_view *task, int *nid);

#endif /* NB_TASK_PLACE_H */
