/* SPDX-License-Identifier: MIT */
/*
 * 2. Who used a chunk of memory last: the kernel's last_cpupid, exact, and
 * what its last uses were like.
 */
#ifndef NB_PAGE_HISTORY_H
#define NB_PAGE_HISTORY_H

#include "../base/nodemask.h"

#define NB_RUN_MAX 31
#define NB_BOUNCES_MAX 7

/* One per chunk. All zero: never used. */
struct nb_page_history {
	uint32_t last_task;  /* 0: none. Unique to a thread's life, not a tid */
	uint8_t last_nid1;   /* node + 1, 0: none */
	uint8_t changes;     /* bit 0, the latest: another thread than before */
	uint8_t run : 5;     /* latest uses from one and the same node */
	uint8_t bounces : 3; /* moves too many, see nb_page_history_moved() */
	uint8_t moved : 1;   /* since it was seen first */
	uint8_t reserved : 7;
};

/* What was known before the fault that is being noted. */
struct nb_last_user {
	bool first;	/* nobody was seen here before */
	bool same_task; /* the same thread, or nobody before */
	uint32_t task;	/* the last user, or 0 */
	/* with the fault itself */
	bool shared;	 /* two threads take turns */
	uint8_t run;	 /* latest uses from this node, without a break */
	uint8_t ended;	 /* .run of the node before, if this is another */
	uint8_t bounces; /* how often it moved for nothing */
};

struct nb_last_user nb_page_history_note(struct nb_page_history *h,
					 uint32_t task, int nid);
void nb_page_history_moved(struct nb_page_history *h);

/* Is the user the only one, as far as is known?  Linux: "private" */
static inline bool nb_last_user_owns(const struct nb_last_user *u)
{
	return u->same_task && !u->shared;
}

#endif /* NB_PAGE_HISTORY_H */
