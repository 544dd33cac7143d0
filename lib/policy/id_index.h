/* SPDX-License-Identifier: MIT */
/*
 * 5. Ids to values: a hash table in the caller's memory, all zero at first.
 */
#ifndef NB_ID_INDEX_H
#define NB_ID_INDEX_H

#include <stddef.h>
#include <stdint.h>

struct nb_id_index {
	uint32_t id, value; /* id 0: not in use */
};

/* Places for @nr ids: half of them stay free. A power of two. */
static inline size_t nb_id_index_size(size_t nr)
{
	size_t size = 16;

	while (size < nr * 2)
		size *= 2;
	return size;
}

/*
 * The place of @id, or the one for it, where .id is 0.  Knuth's multiplicative
 * hashing; 2^32 divided by the golden ratio.
 */
static inline struct nb_id_index *nb_id_index_at(struct nb_id_index *x,
						 size_t size, uint32_t id)
{
	size_t at = (id * 2654435769U) & (size - 1);

	while (x[at].id && x[at].id != id)
		at = (at + 1) & (size - 1);
	return &x[at];
}

#endif /* NB_ID_INDEX_H */
