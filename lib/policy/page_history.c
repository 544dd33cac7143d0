/* SPDX-License-Identifier: MIT */
/*
 * 2. Who used a chunk of memory last.
 *
 * One record per chunk, in address order of the hint faults.  numabald notes
 * every fault here before anything else looks at it: "the same thread as last
 * time" is what makes memory private, "the same node as last time" is what the
 * two-stage filter asks for.
 *
 * Owns nothing: the records live in the caller's table.
 *
 * Differs from Linux: the kernel packs the low 8 bits of the PID and the CPU
 * into the page's flags, so that one thread in 256 passes for another.  Here
 * the thread is an id that is never used twice, and the node is kept as such.
 * The record belongs to an address, so migration does not lose it.
 */
#include "page_history.h"

/**
 * nb_page_history_note() - note a use, and tell about the one before.
 * @h: the chunk's record
 * @task: the thread, never 0
 * @nid: the node it ran on, or NB_NO_NODE
 *
 * Context: numabald.
 * Return: what was known before this use.
 */
struct nb_last_user nb_page_history_note(struct nb_page_history *h,
					 uint32_t task, int nid)
{
	struct nb_last_user last = {
		.first = h->last_task == 0,
		.same_task = h->last_task == 0 || h->last_task == task,
		.last_nid = h->last_nid1 ? h->last_nid1 - 1 : NB_NO_NODE,
	};

	h->last_task = task;
	h->last_nid1 = nb_node_valid(nid) ? (int16_t)(nid + 1) : 0;
	return last;
}
