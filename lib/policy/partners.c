/* SPDX-License-Identifier: MIT */
/*
 * 5. With whom a thread shares memory: a sketch of the largest shares.
 *
 * numabald notes each time that a chunk passes from one thread to another, in
 * the notes of both.
 *
 * Owns nothing: the notes are the caller's.
 */
#include "numa_group.h"

/**
 * nb_partners_note() - two threads use the same memory in turn.
 * @p: the notes of one
 * @id: the other, not 0
 *
 * Misra and Gries, "Finding repeated elements" (1982): who has more than a
 * 33rd of all is in the table for certain, with a weight that is too small by
 * a 33rd at most.
 *
 * Context: numabald.
 */
void nb_partners_note(struct nb_partners *p, uint32_t id)
{
	uint32_t more = NB_SHARED_EVENT, least = more;
	int empty = -1;

	p->total += more;
	for (int i = 0; i < NB_NR_PARTNERS; i++) {
		if (p->id[i] == id) {
			p->weight[i] += more;
			return;
		}
		if (!p->id[i])
			empty = i;
		else
			least = nb_min(least, p->weight[i]);
	}
	if (empty < 0) {
		for (int i = 0; i < NB_NR_PARTNERS; i++) {
			p->weight[i] -= least;
			if (p->weight[i])
				continue;
			p->id[i] = 0;
			empty = i;
		}
		more -= least;
	}
	if (empty < 0 || !more)
		return;
	p->id[empty] = id;
	p->weight[empty] = more;
}

/**
 * nb_partners_decay() - end of a pass: half of what was is forgotten.
 * @p: the notes
 *
 * Context: numabald.
 */
void nb_partners_decay(struct nb_partners *p)
{
	p->total /= 2;
	for (int i = 0; i < NB_NR_PARTNERS; i++) {
		p->weight[i] /= 2;
		if (!p->weight[i])
			p->id[i] = 0;
	}
}
