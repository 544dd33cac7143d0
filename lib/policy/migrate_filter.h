/* SPDX-License-Identifier: MIT */
/*
 * 7. Should this page move to the node of the thread that used it?
 */
#ifndef NB_MIGRATE_FILTER_H
#define NB_MIGRATE_FILTER_H

#include "../base/topology.h"
#include "../base/why.h"
#include "numa_group.h"
#include "page_history.h"

struct nb_migrate_query {
	int page_nid; /* where the page is */
	int cpu_nid;  /* where its user runs: the target */
	struct nb_last_user last;
	int numa_preferred_nid; /* of the user, or NB_NO_NODE */
	bool task_free; /* the user may be moved to its preferred node */
	uint64_t task_scan_seq;		   /* passes the user has seen */
	struct nb_nodemask nodes;	   /* nodes that numabal may use */
	const struct nb_numa_group *group; /* the user's, or NULL */
	uint32_t dice; /* at random, so that a part of many pages moves */
};

/* A number for a chunk, as if at random: Knuth's multiplicative hashing. */
static inline uint32_t nb_chunk_dice(uint64_t start)
{
	return (uint32_t)(start >> 12) * 2654435761U >> 7;
}

enum nb_why nb_migrate_filter(const struct nb_migrate_query *q,
			      const struct nb_topology *t);

#endif /* NB_MIGRATE_FILTER_H */
