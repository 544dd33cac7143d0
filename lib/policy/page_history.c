/* SPDX-License-Identifier: MIT */
/*
 * 2. Who used a chunk of memory last.
 *
 * One record per chunk, in address order of the hint faults.  numabald notes
 * every fault here before anything else looks at it: "the same thread as last
 * time" is what makes memory private.  A record also tells whether threads take
 * turns, for how long one node had the chunk to itself, and how often it was
 * moved for nothing.
 *
 * Owns nothing: the records live in the caller's table.
 *
 * Differs from Linux: the kernel packs the low 8 bits of the PID and the CPU
 * into the page's flags, so that one thread in 256 passes for another.  Here
 * the thread is an id that is never used twice, and the node is kept as such.
 * The record belongs to an address, so migration does not lose it.  The kernel
 * calls a page shared as soon as one other thread has used it; here two of the
 * last four uses must have been such changes: memory that is handed on once is
 * as private as before.
 */
#include "page_history.h"

#include "../base/util.h"

#define RECENT 0xfU /* of .changes: the last four uses */

/* Uses in a row from one node that make a bounce forgotten, but the first. */
#define FORGIVE_RUN 24

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
	uint8_t nid1 = nb_node_valid(nid) ? (uint8_t)(nid + 1) : 0;
	unsigned int changes;
	struct nb_last_user last = {
		.first = h->last_task == 0,
		.same_task = h->last_task == 0 || h->last_task == task,
		.task = h->last_task,
	};

	h->changes = (uint8_t)(h->changes << 1 | !last.same_task);
	if (nid1 && h->last_nid1 == nid1) {
		h->run = nb_min(h->run + 1U, NB_RUN_MAX + 0U) & 0x1f;
	} else {
		last.ended = h->run;
		h->run = 1;
	}
	if (h->run == FORGIVE_RUN && h->bounces > 1)
		h->bounces--;
	h->last_task = task;
	h->last_nid1 = nid1;
	changes = h->changes & RECENT;
	last.shared = changes & (changes - 1); /* two or more */
	last.run = h->run;
	last.bounces = h->bounces;
	return last;
}

/**
 * nb_page_history_moved() - the chunk was moved to the node of its last user
 * @h: its record
 *
 * A first move is what numabal is for.  Each further one makes the next
 * harder, until one node has had it to itself for long.
 *
 * Context: numabald.
 */
void nb_page_history_moved(struct nb_page_history *h)
{
	if (h->moved)
		h->bounces = nb_min(h->bounces + 1U, NB_BOUNCES_MAX + 0U) & 0x7;
	h->moved = 1;
}
