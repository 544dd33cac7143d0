/* SPDX-License-Identifier: MIT */
/*
 * 4. Moving pages, in batches.
 */
#ifndef NB_MIGRATE_H
#define NB_MIGRATE_H

#include "../base/plan.h"
#include "../base/topology.h"
#include "../plat/sys.h"

/* Pages that are looked at together. */
#define NB_MIGRATE_WINDOW 4096

struct nb_migrate {
	const struct nb_sys *sys; /* all fields: (D) */
	const struct nb_topology *topo;
	uint32_t page_bytes;
	uint32_t batch_pages; /* at most so many pages in one move_pages(2) */
	bool huge;	      /* memory may be in transparent huge pages */
	uint64_t reserve_pct; /* of a node's memory to be left free */
	/* results since start */
	uint64_t nr_moved;
	uint64_t nr_failed;
	uint64_t nr_full;  /* pages not moved: target full */
	uint64_t nr_calls; /* move_pages(2) calls that moved */
	/* the window: NB_MIGRATE_WINDOW of each */
	void **pages;
	int *nodes;
	int *status;
	uint16_t *owner; /* which move a page belongs to */
};

int nb_migrate_init(struct nb_migrate *m, const struct nb_sys *sys,
		    const struct nb_topology *topo, uint32_t page_bytes);
int nb_migrate_run(struct nb_migrate *m, struct nb_page_move *moves,
		   unsigned int nr);
int nb_page_nids(struct nb_migrate *m, const uint64_t *addrs, int *nids,
		 unsigned int nr);

#endif /* NB_MIGRATE_H */
