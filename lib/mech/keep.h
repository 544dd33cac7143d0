/* SPDX-License-Identifier: MIT */
/*
 * Chunks that are kept accessible for a keeper: a number that stands for one
 * thread, or several, that must not take hint faults.
 */
#ifndef NB_KEEP_H
#define NB_KEEP_H

#include "../plat/sys.h"
#include "chunk.h"

#define NB_NR_KEEPERS 128 /* 0 is none; those of a region have 7 bits */

/* A bit per keeper. */
struct nb_keepers {
	uint64_t bits[NB_NR_KEEPERS / 64];
};

static inline bool nb_keeper_isset(const struct nb_keepers *k, unsigned int n)
{
	return k->bits[n / 64] >> n % 64 & 1;
}

static inline void nb_keeper_set(struct nb_keepers *k, unsigned int n)
{
	k->bits[n / 64] |= 1ULL << n % 64;
}

void nb_keep_block(const struct nb_sys *sys, struct nb_block *b,
		   uint8_t keeper);
void nb_keep_range(const struct nb_sys *sys, uint64_t start, uint64_t end,
		   uint8_t keeper);
void nb_keep_release(const struct nb_keepers *gone);

#endif /* NB_KEEP_H */
