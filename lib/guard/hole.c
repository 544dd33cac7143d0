/* SPDX-License-Identifier: MIT */
/*
 * Holes in the guard: memory of a call in flight that is armed.  There should
 * be none: a call that ends with EFAULT is asked about it.  Called by guard.c.
 */
#include "guard.h"

#include "../mech/chunk.h"

/* Chunk by chunk: a neighbour that is armed proves nothing. */
static bool has_armed(uint64_t start, uint64_t end)
{
	while (start < end) {
		struct nb_block *b = nb_block_next(start, end);
		uint64_t stop;

		if (!b)
			return false;
		start = nb_max(start, b->start);
		stop = nb_min(end, b->start + NB_BLOCK_BYTES);
		for (; start < stop;
		     start = nb_chunk_start(b, nb_chunk_index(b, start)) +
			     nb_chunk_bytes(b))
			if (atomic_load(&b->state[nb_chunk_index(b, start)]) ==
			    NB_CHUNK_ARMED)
				return true;
	}
	return false;
}

/**
 * nb_call_has_armed() - is memory armed that a call has published?
 * @call: its entry.  A range that spans several tells nothing.
 *
 * Context: the thread that makes it.
 * Return: true if so.
 */
bool nb_call_has_armed(const struct nb_call *call)
{
	uint32_t nr =
		atomic_load_explicit(&call->nr_ranges, memory_order_relaxed);

	for (uint32_t i = 0; i < nr; i++) {
		uint64_t start = atomic_load_explicit(&call->range[i].start,
						      memory_order_relaxed);
		uint64_t end = atomic_load_explicit(&call->range[i].end,
						    memory_order_relaxed);

		if (has_armed(start, end))
			return i < NB_CALL_RANGES - 1 ||
			       !(atomic_load_explicit(&call->flags,
						      memory_order_relaxed) &
				 NB_CALL_HULL);
	}
	return false;
}
