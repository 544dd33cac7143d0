/* SPDX-License-Identifier: MIT */
/*
 * Slow memory: what sample.c, arming.c and numabald.c ask of tiering.c.
 */
#ifndef NB_TIERING_H
#define NB_TIERING_H

#include "base/plan.h"
#include "mech/chunk.h"
#include "policy/migrate_filter.h"

/* A chunk that took a hint fault. */
struct nb_tiering_use {
	struct nb_block *block;
	unsigned int chunk;
	uint64_t cycles; /* when: nb_cycles() */
	uint64_t bytes;	 /* of what would move */
	bool may_move;
};

int nb_tiering_init(void);
void nb_tiering_begin(uint64_t now_ns);
void nb_tiering_armed(struct nb_block *b, const uint64_t *chunks);
enum nb_why nb_tiering_filter(const struct nb_tiering_use *u,
			      const struct nb_migrate_query *q, int *dst_nid);
enum nb_why nb_tiering_admit(const struct nb_tiering_use *u,
			     struct nb_page_move *mv, enum nb_why why);
void nb_tiering_moved(struct nb_block *b, unsigned int chunk,
		      const struct nb_page_move *mv);
void nb_tiering_run(uint64_t now_ns);

#endif /* NB_TIERING_H */
