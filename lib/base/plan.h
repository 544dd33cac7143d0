/* SPDX-License-Identifier: MIT */
/*
 * What policy asks of mech.
 */
#ifndef NB_PLAN_H
#define NB_PLAN_H

#include "why.h"

#include <stdint.h>

/* Move the pages of [start, end) that are elsewhere to @dst_nid. */
struct nb_page_move {
	uint64_t start;
	uint64_t end;
	int16_t dst_nid;
	uint16_t why;	    /* enum nb_why, rewritten by mech when refused */
	uint32_t tag;	    /* the caller's own, kept through sorting */
	uint32_t nr_moved;  /* out: pages moved */
	uint32_t nr_failed; /* out: pages the kernel refused */
};

/* Pin a thread to a node, or release it (nid NB_NO_NODE). */
struct nb_task_move {
	int32_t slot; /* the thread's slot in the task table */
	int16_t nid;
	uint16_t why; /* enum nb_why */
};

#endif /* NB_PLAN_H */
