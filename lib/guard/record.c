/* SPDX-License-Identifier: MIT */
/*
 * The records of guarded sites.
 *
 * Owns the table: chunks that are made when they are needed, one after the
 * other, by who holds the lock of patch.c.  Readers take no lock.
 */
#include "record.h"

#include "../plat/arena.h"

#include <errno.h>
#include <stdatomic.h>

#define CHUNK 1024 /* records */
#define MAX_CHUNKS 256

static _Atomic(struct nb_patched *) chunks[MAX_CHUNKS]; /* (A) */
static _Atomic uint32_t nr_sites;			/* (A) */

/**
 * nb_record() - a record, published or not
 * @index: its index
 *
 * Context: Anywhere; no vector registers, no libc.
 * Return: the record; NULL: there is no memory for it yet.
 */
struct nb_patched *nb_record(uint64_t index)
{
	struct nb_patched *chunk;

	if (index / CHUNK >= MAX_CHUNKS)
		return NULL;
	/* Pairs with the store in nb_records_make(). */
	chunk = atomic_load_explicit(&chunks[index / CHUNK],
				     memory_order_acquire);
	return chunk ? &chunk[index % CHUNK] : NULL;
}

/**
 * nb_records_make() - get memory for records
 * @first: index of the first
 * @nr: how many, at least one
 *
 * Context: under the lock of patch.c.
 * Return: 0, -ENOSPC or -ENOMEM.
 */
int nb_records_make(uint32_t first, uint32_t nr)
{
	struct nb_patched *chunk;

	for (uint32_t i = first / CHUNK; i <= (first + nr - 1) / CHUNK; i++) {
		if (i >= MAX_CHUNKS)
			return -ENOSPC;
		if (atomic_load_explicit(&chunks[i], memory_order_relaxed))
			continue;
		chunk = nb_arena_map(CHUNK * sizeof(*chunk));
		if (!chunk)
			return -ENOMEM;
		/* Pairs with the load in nb_record(). */
		atomic_store_explicit(&chunks[i], chunk, memory_order_release);
	}
	return 0;
}

/**
 * nb_records_publish() - records are complete
 * @nr: all below this index are
 *
 * Context: under the lock of patch.c.
 */
void nb_records_publish(uint32_t nr)
{
	/* Pairs with the load in nb_patch_nr_sites(). */
	atomic_store_explicit(&nr_sites, nr, memory_order_release);
}

/**
 * nb_patch_nr_sites() - guarded sites, those of gone modules included
 *
 * Context: Anywhere.
 * Return: how many.
 */
uint32_t nb_patch_nr_sites(void)
{
	/* Pairs with the store in nb_records_publish(). */
	return atomic_load_explicit(&nr_sites, memory_order_acquire);
}

/**
 * nb_patch_site() - look at a guarded site
 * @index: its index: nb_regs.site
 *
 * Context: Anywhere; no vector registers, no libc.
 * Return: the site; NULL: there is no such one.
 */
const struct nb_patched *nb_patch_site(uint64_t index)
{
	return index < nb_patch_nr_sites() ? nb_record(index) : NULL;
}
