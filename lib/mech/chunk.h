/* SPDX-License-Identifier: MIT */
/*
 * 1a. The chunk table: which memory is armed, one state byte per chunk.
 *
 * Memory is divided into aligned blocks of 2 MiB (a transparent huge page),
 * each block into chunks of one power-of-two size from a page to the block.
 * A chunk is armed, faulted on and given back as a whole.
 */
#ifndef NB_CHUNK_H
#define NB_CHUNK_H

#include "../base/util.h"

#include <stdatomic.h>

#define NB_BLOCK_SHIFT 21
#define NB_BLOCK_BYTES (1ULL << NB_BLOCK_SHIFT)
#define NB_PAGE_SHIFT_MIN 12
#define NB_VA_BITS 47 /* user addresses of x86-64 and most of arm64 */

/*
 * NONE -> ARMING -> ARMED -> BUSY -> NONE, NONE <-> EXCLUDED, and
 * NONE <-> KEPT + n (keep.h).
 * ARMING and BUSY belong to who set them, for one mprotect(2).
 */
enum nb_chunk_state {
	NB_CHUNK_NONE,	   /* accessible */
	NB_CHUNK_ARMING,   /* numabald is taking the access away */
	NB_CHUNK_ARMED,	   /* PROT_NONE */
	NB_CHUNK_BUSY,	   /* somebody is giving the access back */
	NB_CHUNK_EXCLUDED, /* accessible, never to be armed */
	NB_CHUNK_KEPT,	   /* from here on: accessible, kept for a keeper */
};

/* Accessible, and nobody is about to change that. */
static inline bool nb_chunk_open(uint8_t state)
{
	return state == NB_CHUNK_NONE || state >= NB_CHUNK_EXCLUDED;
}

struct nb_block {
	uint64_t start;
	uint8_t chunk_shift;
	uint16_t nr_chunks;
	_Atomic uint32_t nr_armed; /* chunks not accessible, about */
	uint64_t *data;		   /* 8 bytes per chunk for numabald */
	uint64_t *tier;		   /* 8 more, or NULL: there is one tier */
	struct nb_block *spare;	 /* others that were here: under the as lock */
	_Atomic uint8_t state[]; /* enum nb_chunk_state, nr_chunks of them */
};

int nb_chunk_table_init(void);
void nb_chunk_table_tiers(void);
struct nb_block *nb_block_find(uint64_t addr);
struct nb_block *nb_block_next(uint64_t addr, uint64_t end);
struct nb_block *nb_block_get(uint64_t addr, unsigned int chunk_shift);
uint64_t nb_chunk_table_bytes(void);

static inline unsigned int nb_chunk_index(const struct nb_block *b,
					  uint64_t addr)
{
	return (unsigned int)((addr - b->start) >> b->chunk_shift);
}

static inline uint64_t nb_chunk_bytes(const struct nb_block *b)
{
	return 1ULL << b->chunk_shift;
}

static inline uint64_t nb_chunk_start(const struct nb_block *b, unsigned int i)
{
	return b->start + ((uint64_t)i << b->chunk_shift);
}

/* The chunks of @b that overlap [start, end), which overlaps @b. */
static inline void nb_block_part(const struct nb_block *b, uint64_t start,
				 uint64_t end, unsigned int *first,
				 unsigned int *last)
{
	uint64_t block_end = b->start + NB_BLOCK_BYTES;

	*first = start > b->start ? nb_chunk_index(b, start) : 0;
	*last = end < block_end ? nb_chunk_index(b, end - 1) + 1 : b->nr_chunks;
}

#define nb_for_each_block(b, start, end)                                       \
	for ((b) = nb_block_next((start), (end)); (b);                         \
	     (b) = nb_block_next((b)->start + NB_BLOCK_BYTES, (end)))

bool nb_range_excluded(uint64_t start, uint64_t end);
bool nb_range_armed(uint64_t start, uint64_t end);
bool nb_range_shut(uint64_t start, uint64_t end);

#endif /* NB_CHUNK_H */
