/* SPDX-License-Identifier: MIT */
/*
 * 5. Threads that share memory, and where their memory is: numa_group.
 */
#ifndef NB_NUMA_GROUP_H
#define NB_NUMA_GROUP_H

#include "../base/topology.h"
#include "numa_faults.h"

#define NB_NR_PARTNERS 32
#define NB_SHARED_EVENT 16U /* weight of one: halves of halves still count */

/* With whom a thread shares memory: a sketch of the largest shares. */
struct nb_partners {
	uint32_t id[NB_NR_PARTNERS];	 /* 0: not in use */
	uint32_t weight[NB_NR_PARTNERS]; /* events, decayed, or less */
	uint64_t total;			 /* events with anybody, decayed */
};

/* A thread as groups are made. */
struct nb_group_task {
	uint32_t id;	/* unique to its life */
	uint32_t group; /* in and out: its group's name; its own id: alone */
	int index;	/* out: in the set of groups, or -1 */
	int16_t current_nid;
	int16_t want_nid; /* out: its preferred node, see group_place.c */
	bool running;
	struct nb_partners *partners; /* or NULL */
	const struct nb_numa_faults *nf;
};

struct nb_numa_group {
	uint32_t id; /* the name; 0: all threads of the process */
	uint32_t nr_tasks, nr_running;
	int nid; /* the node for all of it, or NB_NO_NODE */
	struct nb_nodemask active_nodes;
	struct nb_nodemask under; /* have less shared memory than they use */
	uint64_t mem[NB_MAX_NODES], cpu[NB_MAX_NODES]; /* shared faults */
	uint16_t over_permille[NB_MAX_NODES]; /* part of it that should go */
};

#define NB_MAX_GROUPS 512

struct nb_group_set {
	struct nb_numa_group *g; /* room for .max, NB_MAX_GROUPS at most */
	int nr, max;
	struct nb_numa_group all; /* the process as a whole */
};

void nb_partners_note(struct nb_partners *p, uint32_t id);
void nb_partners_decay(struct nb_partners *p);
size_t nb_group_scratch_bytes(size_t nr_tasks);
void nb_groups_form(struct nb_group_task *t, size_t nr, uint32_t cpus,
		    void *scratch);

void nb_group_set_update(struct nb_group_set *set, struct nb_group_task *t,
			 size_t nr, const struct nb_topology *topo,
			 const struct nb_nodemask *nodes);

/* The set's record of a group, or of the process: never NULL. */
static inline const struct nb_numa_group *
nb_group_at(const struct nb_group_set *set, int index)
{
	return index >= 0 && index < set->nr ? &set->g[index] : &set->all;
}

#endif /* NB_NUMA_GROUP_H */
