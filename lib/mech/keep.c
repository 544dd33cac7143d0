/* SPDX-License-Identifier: MIT */
/*
 * Chunks that are not armed, for the sake of a thread that must not take hint
 * faults: once it has taken one in a block it takes none there again.
 *
 * Owns nothing: the mark is the chunk's state, so that who arms sees it by the
 * compare-and-swap that it makes anyway.  The handler sets it for the block of
 * its fault: more of it is likely to be used, and one change of a protection
 * is cheaper than many faults.  numabald takes it away when the keeper is
 * nobody's any more, and who maps new memory there.
 */
#include "keep.h"

#include "arm.h"

#pragma GCC poison malloc free calloc realloc printf fprintf pthread_mutex_lock

static void keep_chunk(const struct nb_sys *sys, struct nb_block *b,
		       unsigned int i, uint8_t keeper)
{
	uint64_t start = nb_chunk_start(b, i);
	uint8_t none = NB_CHUNK_NONE;

	while (!atomic_compare_exchange_strong(
		       &b->state[i], &none,
		       (uint8_t)(NB_CHUNK_KEPT + keeper)) &&
	       !nb_chunk_open(none)) {
		/* numabald has taken it up again. */
		if (nb_disarm_for_call(sys, start, start + 1) < 0)
			return;
		none = NB_CHUNK_NONE;
	}
}

/**
 * nb_keep_block() - a block is not to be armed while a keeper is somebody's
 * @sys: system calls.
 * @b: the block.
 * @keeper: which.
 *
 * What is armed of it is given back; what another keeper has stays that one's.
 *
 * Context: any thread of the program, signal handler; without a lock.
 */
void nb_keep_block(const struct nb_sys *sys, struct nb_block *b, uint8_t keeper)
{
	/* Neighbours in one go; what the kernel refuses stays armed. */
	nb_disarm_for_call(sys, b->start, b->start + NB_BLOCK_BYTES);
	for (unsigned int i = 0; i < b->nr_chunks; i++)
		keep_chunk(sys, b, i, keeper);
}

/**
 * nb_keep_range() - the same for what a call was handed and was armed
 * @sys: system calls.
 * @start: first byte.
 * @end: one past the last.
 * @keeper: which.
 *
 * Context: as nb_keep_block(); general registers only.
 */
void nb_keep_range(const struct nb_sys *sys, uint64_t start, uint64_t end,
		   uint8_t keeper)
{
	struct nb_block *b;

	nb_for_each_block(b, start, end)
	{
		nb_keep_block(sys, b, keeper);
	}
}

static void release_block(struct nb_block *b, const struct nb_keepers *gone)
{
	for (unsigned int i = 0; i < b->nr_chunks; i++) {
		uint8_t state = atomic_load(&b->state[i]);

		if (state > NB_CHUNK_KEPT &&
		    nb_keeper_isset(gone, state - NB_CHUNK_KEPT))
			atomic_compare_exchange_strong(&b->state[i], &state,
						       NB_CHUNK_NONE);
	}
}

/**
 * nb_keep_release() - what is kept for nobody may be armed again
 * @gone: the keepers that are nobody's any more.
 *
 * Context: numabald.
 */
void nb_keep_release(const struct nb_keepers *gone)
{
	const uint64_t start = 0, end = 1ULL << NB_VA_BITS;
	struct nb_block *b;

	nb_for_each_block(b, start, end)
	{
		release_block(b, gone);
	}
}
