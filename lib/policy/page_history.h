/* SPDX-License-Identifier: MIT */
/*
 * 2. Who used a chunk of memory last: the kernel's last_cpupid, exact.
 */
#ifndef NB_PAGE_HISTORY_H
#define NB_PAGE_HISTORY_H

#include "../base/nodemask.h"

/* One per chunk. All zero: never used. */
struct nb_page_history {
	uint32_t last_task; /* 0: none. Unique to a thread's life, not a tid */
	int16_t last_nid1;  /* node + 1, 0: none */
	uint16_t reserved;
};

/* What was known before the fault that is being noted. */
struct nb_last_user {
	bool first;	/* nobody was seen here before */
	bool same_task; /* the same thread, or nobody before: "private" */
	int last_nid;	/* node of the last user, or NB_NO_NODE */
};

struct nb_last_user nb_page_history_note(struct nb_page_history *h,
					 uint32_t task, int nid);

#endif /* NB_PAGE_HISTORY_H */
