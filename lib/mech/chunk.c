/* SPDX-License-Identifier: MIT */
/*
 * The chunk table: two levels over the address space, 1 GiB and 2 MiB.
 *
 * The SIGSEGV handler looks addresses up while others add blocks, so there is
 * no lock on the reading side and nothing is ever freed: a block stays when
 * its memory is unmapped and serves the next mapping at that address.  One
 * that is replaced is kept, and used again when its size is wanted there: as
 * mappings come and go, an address has a block of each size at most.
 *
 * Invariants:
 * 1. Pointers go from NULL to a block, or from a block to one with smaller
 *    chunks or a single one; all only under the as lock, and the latter only
 *    while no chunk of the old block is armed.  None of a spare one is.
 * 2. state[] changes by compare-and-swap; who moved a chunk to ARMING or BUSY
 *    moves it on.
 */
#include "chunk.h"

#include "../plat/arena.h"

#include <errno.h>

#pragma GCC poison malloc free calloc realloc printf fprintf pthread_mutex_lock

#define LEAF_SHIFT 30
#define ROOT_SLOTS (1ULL << (NB_VA_BITS - LEAF_SHIFT))
#define LEAF_SLOTS (1ULL << (LEAF_SHIFT - NB_BLOCK_SHIFT))

typedef struct nb_block *_Atomic block_ptr;

struct leaf {
	block_ptr block[LEAF_SLOTS];
};

typedef struct leaf *_Atomic leaf_ptr;

static leaf_ptr *root; /* set once at start; ROOT_SLOTS of them */
static uint64_t table_bytes;
static bool with_tiers; /* (I) after start */

/**
 * nb_chunk_table_init() - map the empty table
 *
 * Address space only: a page of it becomes real when an address is tracked.
 *
 * Context: start only.
 * Return: 0 or -ENOMEM.
 */
int nb_chunk_table_init(void)
{
	if (root)
		return 0;
	root = nb_arena_map(ROOT_SLOTS * sizeof(*root));
	return root ? 0 : -ENOMEM;
}

/**
 * nb_chunk_table_tiers() - blocks have room for what is known of tiers
 *
 * Context: start only, before there is a block.
 */
void nb_chunk_table_tiers(void)
{
	with_tiers = true;
}

/**
 * nb_block_find() - the block of an address
 * @addr: any address.
 *
 * Context: any thread, signal handler.
 * Return: the block, or NULL where nothing was ever tracked.
 */
struct nb_block *nb_block_find(uint64_t addr)
{
	struct leaf *leaf;

	if (nb_unlikely(!root || addr >> NB_VA_BITS))
		return NULL;
	/* acquire: pairs with the releases in nb_block_get() */
	leaf = atomic_load_explicit(&root[addr >> LEAF_SHIFT],
				    memory_order_acquire);
	if (!leaf)
		return NULL;
	return atomic_load_explicit(
		&leaf->block[(addr >> NB_BLOCK_SHIFT) % LEAF_SLOTS],
		memory_order_acquire);
}

/**
 * nb_block_next() - the first block that overlaps a range
 * @addr: first byte.
 * @end: one past the last; any range, however large.
 *
 * Context: any thread, signal handler.
 * Return: the block, or NULL.
 */
struct nb_block *nb_block_next(uint64_t addr, uint64_t end)
{
	const uint64_t leaf_bytes = 1ULL << LEAF_SHIFT;

	if (addr >= end)
		return NULL;
	end = nb_min(end, 1ULL << NB_VA_BITS);
	addr = nb_align_down(addr, NB_BLOCK_BYTES);
	while (root && addr < end) {
		struct nb_block *b;

		/* acquire: as in nb_block_find() */
		if (!atomic_load_explicit(&root[addr >> LEAF_SHIFT],
					  memory_order_acquire)) {
			addr = nb_align_down(addr, leaf_bytes) + leaf_bytes;
			continue;
		}
		b = nb_block_find(addr);
		if (b)
			return b;
		addr += NB_BLOCK_BYTES;
	}
	return NULL;
}

static struct nb_block *new_block(uint64_t addr, unsigned int chunk_shift)
{
	unsigned int nr = 1U << (NB_BLOCK_SHIFT - chunk_shift);
	size_t head = nb_align_up(sizeof(struct nb_block) + nr, 8);
	size_t bytes = head + (nr << with_tiers) * sizeof(uint64_t);
	struct nb_block *b = nb_arena_alloc(bytes);

	if (!b)
		return NULL;
	table_bytes += bytes;
	b->start = nb_align_down(addr, NB_BLOCK_BYTES);
	b->chunk_shift = (uint8_t)chunk_shift;
	b->nr_chunks = (uint16_t)nr;
	b->data = (uint64_t *)((char *)b + head);
	b->tier = with_tiers ? b->data + nr : NULL;
	return b;
}

/* Is a block with chunks of another size needed instead of @b? */
static bool is_unfit(const struct nb_block *b, unsigned int chunk_shift)
{
	if (b->chunk_shift > chunk_shift)
		return true;
	/* A huge page is one chunk, or it is split. */
	if (chunk_shift != NB_BLOCK_SHIFT || b->chunk_shift == chunk_shift)
		return false;
	for (unsigned int i = 0; i < b->nr_chunks; i++)
		if (atomic_load(&b->state[i]) != NB_CHUNK_NONE)
			return false;
	return true;
}

/* A block of other chunks that was at the address of @b before. */
static struct nb_block *take_spare(struct nb_block *b, unsigned int chunk_shift)
{
	struct nb_block **at = &b->spare, *s;

	for (; (s = *at) && s->chunk_shift != chunk_shift; at = &s->spare)
		;
	if (s)
		*at = s->spare;
	return s;
}

/* What was excluded or kept of @b stays so, in other pieces; else it is new. */
static void succeed(struct nb_block *fresh, struct nb_block *b)
{
	for (unsigned int i = 0; i < fresh->nr_chunks; i++) {
		unsigned int old = nb_chunk_index(b, nb_chunk_start(fresh, i));
		uint8_t was = atomic_load(&b->state[old]);

		atomic_store(&fresh->state[i],
			     was >= NB_CHUNK_EXCLUDED ? was : NB_CHUNK_NONE);
		fresh->data[i] = 0;
		if (fresh->tier)
			fresh->tier[i] = 0;
	}
	fresh->spare = b;
}

/**
 * nb_block_get() - the block of an address, made if need be
 * @addr: an address.
 * @chunk_shift: log2 of the largest chunk wanted there.  A block that has
 *	smaller chunks stays as it is, unless one chunk is to be all of it; one
 *	with larger chunks is replaced.  Either only if none of them is armed.
 *
 * Context: with the as lock held.
 * Return: the block, or NULL for no memory or an address out of range.
 */
struct nb_block *nb_block_get(uint64_t addr, unsigned int chunk_shift)
{
	struct nb_block *b = nb_block_find(addr), *fresh;
	struct leaf *leaf;

	if (nb_unlikely(!root || addr >> NB_VA_BITS))
		return NULL;
	if (b && (atomic_load(&b->nr_armed) || !is_unfit(b, chunk_shift)))
		return b;
	leaf = atomic_load(&root[addr >> LEAF_SHIFT]);
	if (!leaf) {
		leaf = nb_arena_alloc(sizeof(*leaf));
		if (!leaf)
			return NULL;
		table_bytes += sizeof(*leaf);
		/* release: an empty leaf before its pointer */
		atomic_store_explicit(&root[addr >> LEAF_SHIFT], leaf,
				      memory_order_release);
	}
	fresh = b ? take_spare(b, chunk_shift) : NULL;
	if (!fresh)
		fresh = new_block(addr, chunk_shift);
	if (!fresh)
		return b;
	if (b)
		succeed(fresh, b);
	/* release: the block's contents before its pointer */
	atomic_store_explicit(
		&leaf->block[(addr >> NB_BLOCK_SHIFT) % LEAF_SLOTS], fresh,
		memory_order_release);
	return fresh;
}

/**
 * nb_chunk_table_bytes() - memory that blocks take
 *
 * Context: numabald.
 * Return: bytes.
 */
uint64_t nb_chunk_table_bytes(void)
{
	return table_bytes;
}

/**
 * nb_range_excluded() - has all of a range been excluded already?
 * @start: first byte.
 * @end: one past the last.
 *
 * Context: any thread.
 * Return: true if so.
 */
bool nb_range_excluded(uint64_t start, uint64_t end)
{
	uint64_t addr = nb_align_down(start, NB_BLOCK_BYTES);
	unsigned int first, last;

	for (; addr < end; addr += NB_BLOCK_BYTES) {
		struct nb_block *b = nb_block_find(addr);

		if (!b)
			return false;
		nb_block_part(b, start, end, &first, &last);
		for (; first < last; first++)
			if (atomic_load(&b->state[first]) != NB_CHUNK_EXCLUDED)
				return false;
	}
	return true;
}

/**
 * nb_range_armed() - is any chunk of a range not accessible?
 * @start: first byte.
 * @end: one past the last.
 *
 * Context: any thread.
 * Return: true if so.
 */
bool nb_range_armed(uint64_t start, uint64_t end)
{
	struct nb_block *b;

	nb_for_each_block(b, start, end)
	{
		if (atomic_load(&b->nr_armed))
			return true;
	}
	return false;
}

/**
 * nb_range_shut() - is no chunk of a range surely accessible?
 * @start: first byte.
 * @end: one past the last.
 *
 * Context: any thread.
 * Return: true if so: it is right that the kernel shows no access there.
 */
bool nb_range_shut(uint64_t start, uint64_t end)
{
	while (start < end) {
		struct nb_block *b = nb_block_find(start);
		uint64_t stop =
			nb_align_down(start, NB_BLOCK_BYTES) + NB_BLOCK_BYTES;
		unsigned int i, last;

		if (!b)
			return false;
		nb_block_part(b, start, nb_min(stop, end), &i, &last);
		for (; i < last; i++) {
			if (nb_chunk_open(atomic_load(&b->state[i])))
				return false;
		}
		start = stop;
	}
	return true;
}
