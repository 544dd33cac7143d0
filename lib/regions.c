/* SPDX-License-Identifier: MIT */
/*
 * The table of regions: private anonymous read-write memory that the program
 * mapped itself and that numabal may therefore arm.
 *
 * The guard's hooks, or interposers, add and remove; numabald reads.  What is
 * not in here is never armed: files, shared memory, what nobody saw mapped.
 *
 * Invariants, under the as lock:
 * 1. Sorted by start, without overlap or empty entries.
 * 2. Every byte of a region is mapped, private and anonymous.  What may be
 *    armed of it says nb_region_eligible().
 * 3. A range leaves the table before the program's call that changes it.
 * 4. [low, high) contains all regions: what lies outside needs no lock to be
 *    known as not ours.
 * 5. version is odd while entries move, and different after: who reads
 *    without the lock sees that what it read cannot be trusted.
 */
#include "regions.h"

#include "mech/arm.h"
#include "mech/protect.h"
#include "nb.h"
#include "plat/arena.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

/* Without huge pages, chunks are a 1/4096 of a region, within these bounds. */
#define CHUNK_SHIFT_SMALL 16 /* 64 KiB */
#define CHUNKS_PER_REGION_SHIFT 12

static struct nb_region *regions;
static int nr_regions;
static _Atomic uint64_t low = UINT64_MAX, high;
static _Atomic uint32_t version; /* odd while the table changes */
static _Atomic bool only_large;

/**
 * nb_regions_init() - get the table
 *
 * Context: start only.
 * Return: 0 or -ENOMEM.
 */
int nb_regions_init(void)
{
	if (!regions)
		regions = nb_arena_map(NB_MAX_REGIONS * sizeof(*regions));
	return regions ? 0 : -ENOMEM;
}

/* Index of the first region that ends after @addr. */
static int lower_bound(uint64_t addr)
{
	int lo = 0, hi = nr_regions;

	while (lo < hi) {
		int mid = lo + (hi - lo) / 2;

		if (regions[mid].end <= addr)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static int insert_at(int i, const struct nb_region *r)
{
	if (nr_regions == NB_MAX_REGIONS)
		return -ENOMEM;
	memmove(&regions[i + 1], &regions[i],
		(size_t)(nr_regions - i) * sizeof(*regions));
	regions[i] = *r;
	nr_regions++;
	return 0;
}

static void widen(uint64_t start, uint64_t end)
{
	if (start < atomic_load(&low))
		atomic_store(&low, start);
	if (end > atomic_load(&high))
		atomic_store(&high, end);
}

/* No room in the table: nobody would give it back. */
static void drop(const struct nb_region *r)
{
	if (r->prot != (PROT_READ | PROT_WRITE))
		return;
	if (nb_disarm_range(nb.sys, r->start, r->end) &&
	    !nb_protect_open(nb.sys, r->start, r->end - r->start))
		nb_forget_range(r->start, r->end, false);
}

static void remove_range(uint64_t start, uint64_t end)
{
	int i = lower_bound(start);

	while (i < nr_regions && regions[i].start < end) {
		struct nb_region *r = &regions[i], tail = *r;

		if (r->start < start && r->end > end) {
			r->end = start;
			tail.start = end;
			if (insert_at(i + 1, &tail))
				drop(&tail);
			return;
		}
		if (r->start < start) {
			r->end = start;
			i++;
		} else if (r->end > end) {
			r->start = end;
			return;
		} else {
			nr_regions--;
			memmove(r, r + 1,
				(size_t)(nr_regions - i) * sizeof(*r));
		}
	}
}

/**
 * nb_regions_add() - a mapping that may be armed
 * @start: first byte.
 * @end: one past the last.
 * @flags: NB_VMA_LOCKED, NB_VMA_HUGE or 0.
 * @now_ns: for its age.
 *
 * What was in the table at these addresses is replaced.
 *
 * Context: any thread, as lock held.
 * Return: 0; -ENOMEM when the table is full: it is not balanced then.
 */
int nb_regions_add(uint64_t start, uint64_t end, uint32_t flags,
		   uint64_t now_ns)
{
	struct nb_region r = {start, end, flags, PROT_READ | PROT_WRITE,
			      now_ns};
	int err;

	if (start >= end)
		return -EINVAL;
	nb_regions_remove(start, end);
	atomic_fetch_add(&version, 1);
	err = insert_at(lower_bound(start), &r);
	atomic_fetch_add(&version, 1);
	if (!err)
		widen(start, end);
	return err;
}

static bool alike(const struct nb_region *a, const struct nb_region *b)
{
	return a->end == b->start && a->prot == b->prot && a->flags == b->flags;
}

/* One region of two: the age is the older part's. */
static void join_with_next(int i)
{
	if (i < 0 || i + 1 >= nr_regions ||
	    !alike(&regions[i], &regions[i + 1]))
		return;
	regions[i].end = regions[i + 1].end;
	regions[i].born_ns = nb_min(regions[i].born_ns, regions[i + 1].born_ns);
	nr_regions--;
	memmove(&regions[i + 1], &regions[i + 2],
		(size_t)(nr_regions - i - 1) * sizeof(*regions));
}

/**
 * nb_regions_add_prot() - a mapping with a protection of its own
 * @r: all of it; its neighbours are joined when they are alike.
 *
 * What was in the table at these addresses is replaced.  When the table is
 * full it is not balanced.
 *
 * Context: any thread, as lock held.
 */
void nb_regions_add_prot(const struct nb_region *r)
{
	int i;

	if (r->start >= r->end)
		return;
	atomic_fetch_add(&version, 1);
	remove_range(r->start, r->end);
	i = lower_bound(r->start);
	if (insert_at(i, r)) {
		drop(r);
	} else {
		widen(r->start, r->end);
		join_with_next(i);
		join_with_next(i - 1);
	}
	atomic_fetch_add(&version, 1);
}

/* Other attributes for a part of a region. */
struct change {
	uint32_t set, clear;
	int64_t prot; /* negative: as it was */
};

/*
 * Give the parts of regions that lie in a range other attributes: each part is
 * put in anew, so that it is split off or joined as need be.
 */
static void change(uint64_t start, uint64_t end, const struct change *c)
{
	while (start < end) {
		int i = lower_bound(start);
		struct nb_region part;

		if (i >= nr_regions || regions[i].start >= end)
			return;
		part = regions[i];
		part.start = nb_max(part.start, start);
		part.end = nb_min(part.end, end);
		part.flags = (part.flags & ~c->clear) | c->set;
		if (c->prot >= 0)
			part.prot = (uint32_t)c->prot;
		start = part.end;
		nb_regions_add_prot(&part);
	}
}

/**
 * nb_regions_protect() - the program changes a protection
 * @start: first byte.
 * @end: one past the last.
 * @prot: PROT_*; only exactly readable and writable memory may be armed.
 *
 * Context: any thread, as lock held; the range is disarmed.
 */
void nb_regions_protect(uint64_t start, uint64_t end, uint32_t prot)
{
	change(start, end, &(struct change){.prot = prot});
}

/**
 * nb_regions_never() - a range must never be armed while it is mapped
 * @start: first byte, of a page.
 * @end: one past the last.
 *
 * Context: any thread, as lock held; the range is disarmed.
 */
void nb_regions_never(uint64_t start, uint64_t end)
{
	change(start, end,
	       &(struct change){.set = NB_REGION_NEVER, .prot = -1});
}

/**
 * nb_regions_only_large() - what the conservative tier may arm
 * @only: only mappings marked NB_REGION_LARGE.
 *
 * Context: any thread.
 */
void nb_regions_only_large(bool only)
{
	atomic_store(&only_large, only);
}

/**
 * nb_region_eligible() - may memory of a region be armed at all?
 * @r: the region.
 *
 * Context: as lock held.
 * Return: true if so.
 */
bool nb_region_eligible(const struct nb_region *r)
{
	return r->prot == (PROT_READ | PROT_WRITE) &&
	       !(r->flags & (NB_REGION_NEVER | NB_REGION_KEEPER)) &&
	       (!atomic_load(&only_large) || r->flags & NB_REGION_LARGE);
}

/**
 * nb_regions_remove() - a range is no longer ours
 * @start: first byte.
 * @end: one past the last.
 *
 * Context: any thread, as lock held; the range is disarmed.
 */
void nb_regions_remove(uint64_t start, uint64_t end)
{
	atomic_fetch_add(&version, 1);
	remove_range(start, end);
	atomic_fetch_add(&version, 1);
}

/**
 * nb_regions_flag() - set or clear a flag of a range
 * @start: first byte, of a page.
 * @end: one past the last.
 * @flag: NB_VMA_*.
 * @set: or clear.
 *
 * Context: any thread, as lock held.
 */
void nb_regions_flag(uint64_t start, uint64_t end, uint32_t flag, bool set)
{
	struct change c = {.prot = -1};

	if (set)
		c.set = flag;
	else
		c.clear = flag;
	change(start, end, &c);
}

/**
 * nb_regions_find() - the region of an address
 * @addr: any address.
 *
 * Context: as lock held.
 * Return: valid until the lock is dropped; NULL: not ours.
 */
const struct nb_region *nb_regions_find(uint64_t addr)
{
	int i = lower_bound(addr);

	return i < nr_regions && regions[i].start <= addr ? &regions[i] : NULL;
}

/**
 * nb_regions_gap() - where around an address nothing is ours
 * @addr: an address in no region, inside of @within.
 * @within: in: the limits; out: what of them holds no region.
 *
 * Context: as lock held.
 */
void nb_regions_gap(uint64_t addr, struct nb_range *within)
{
	int i = lower_bound(addr);

	if (i > 0)
		within->start = nb_max(within->start, regions[i - 1].end);
	if (i < nr_regions)
		within->end = nb_min(within->end, regions[i].start);
}

/**
 * nb_regions_cover() - is all of a range ours?
 * @start: first byte.
 * @end: one past the last.
 *
 * Context: as lock held.
 * Return: true if so.
 */
bool nb_regions_cover(uint64_t start, uint64_t end)
{
	for (int i = lower_bound(start); i < nr_regions; i++) {
		if (regions[i].start > start)
			return false;
		if (regions[i].end >= end)
			return true;
		start = regions[i].end;
	}
	return false;
}

/*
 * Reads entries that may be moving: the caller looks at the version after,
 * and thread sanitizers are told not to look.
 */
__attribute__((no_sanitize("thread"))) static bool
overlap_unlocked(uint64_t start, uint64_t end)
{
	int lo = 0, hi = nb_min(*(volatile int *)&nr_regions, NB_MAX_REGIONS);
	int nr = hi;

	while (lo < hi) {
		int mid = lo + (hi - lo) / 2;

		if (*(volatile uint64_t *)&regions[mid].end <= start)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < nr && *(volatile uint64_t *)&regions[lo].start < end;
}

/**
 * nb_regions_peek() - the region of an address, without the lock
 * @addr: any address.
 * @r: out: a copy.
 * @seen: out: for nb_regions_unchanged().
 *
 * Context: any thread.
 * Return: false: none, or the table is changing.
 */
__attribute__((no_sanitize("thread"))) bool
nb_regions_peek(uint64_t addr, struct nb_region *r, uint32_t *seen)
{
	int i = lower_bound(addr);

	*seen = atomic_load(&version);
	if (*seen & 1 || i >= *(volatile int *)&nr_regions)
		return false;
	*r = regions[i];
	return nb_regions_unchanged(*seen) && r->start <= addr && addr < r->end;
}

/**
 * nb_regions_unchanged() - is what nb_regions_peek() saw still so?
 *
 * Context: any thread.
 * Return: true; what the caller stored before comes before the next change.
 */
bool nb_regions_unchanged(uint32_t seen)
{
	/* Pairs with the additions to version, as does the load. */
	atomic_thread_fence(memory_order_seq_cst);
	return seen == atomic_load(&version);
}

/**
 * nb_regions_may_overlap() - a quick no, without the lock
 * @start: first byte.
 * @end: one past the last.
 *
 * Context: any thread, signal handler.
 * Return: false: certainly not ours.
 */
bool nb_regions_may_overlap(uint64_t start, uint64_t end)
{
	uint32_t before;
	bool found;

	if (start >= atomic_load_explicit(&high, memory_order_relaxed) ||
	    end <= atomic_load_explicit(&low, memory_order_relaxed))
		return false;
	before = atomic_load(&version);
	found = overlap_unlocked(start, end);
	atomic_thread_fence(memory_order_acquire);
	return found || before & 1 || before != atomic_load(&version);
}

/**
 * nb_regions_index() - the first region that ends after an address
 * @addr: the address
 *
 * Context: as lock held.
 * Return: its index; nb_regions_count(): there is none.
 */
int nb_regions_index(uint64_t addr)
{
	return lower_bound(addr);
}

/**
 * nb_regions_count() - how many
 *
 * Context: as lock held.
 * Return: how many.
 */
int nb_regions_count(void)
{
	return nr_regions;
}

/**
 * nb_regions_at() - the i-th region
 *
 * Context: as lock held.
 * Return: the region.
 */
const struct nb_region *nb_regions_at(int i)
{
	return &regions[i];
}

/**
 * nb_regions_bytes() - size of all together
 *
 * Context: as lock held.
 * Return: bytes.
 */
uint64_t nb_regions_bytes(void)
{
	uint64_t bytes = 0;

	for (int i = 0; i < nr_regions; i++)
		if (nb_region_eligible(&regions[i]))
			bytes += regions[i].end - regions[i].start;
	return bytes;
}

/**
 * nb_regions_snapshot() - copy for the scan cursor
 * @vmas: out.
 * @max: room there.
 * @born_before_ns: leave out what was mapped later: most of it is gone soon,
 *	or about to be given a policy or a protection of its own.
 *
 * Context: numabald, as lock held.
 * Return: how many.
 */
int nb_regions_snapshot(struct nb_vma *vmas, int max, uint64_t born_before_ns)
{
	int n = 0;

	for (int i = 0; i < nr_regions && n < max; i++) {
		if (regions[i].born_ns > born_before_ns ||
		    !nb_region_eligible(&regions[i]))
			continue;
		vmas[n].start = regions[i].start;
		vmas[n].end = regions[i].end;
		vmas[n].flags =
			(regions[i].flags & (NB_VMA_LOCKED | NB_VMA_HUGE)) |
			NB_VMA_READ | NB_VMA_WRITE;
		n++;
	}
	return n;
}

/**
 * nb_regions_clear() - forget all
 *
 * Context: as lock held.
 */
void nb_regions_clear(void)
{
	nr_regions = 0;
	atomic_store(&low, UINT64_MAX);
	atomic_store(&high, 0);
}

/**
 * nb_region_chunk_shift() - the unit in which memory at an address is armed
 * @r: its region.
 * @addr: the address.
 *
 * A block of 2 MiB that may be one huge page is one chunk, so that arming
 * never splits it.  Blocks at the ends of a region, which it fills in part
 * only, have small chunks.
 *
 * Context: as lock held.
 * Return: log2 of bytes.
 */
unsigned int nb_region_chunk_shift(const struct nb_region *r, uint64_t addr)
{
	uint64_t block = nb_align_down(addr, NB_BLOCK_BYTES);
	bool whole = block >= r->start && block + NB_BLOCK_BYTES <= r->end;
	unsigned int shift = CHUNK_SHIFT_SMALL;
	uint64_t bytes;

	if (nb.cfg.chunk_kb)
		return (unsigned int)__builtin_ctzll(nb.cfg.chunk_kb * 1024ULL);
	if (!whole)
		return shift;
	if (nb.thp == NB_THP_ALWAYS ||
	    (nb.thp == NB_THP_MADVISE && (r->flags & NB_VMA_HUGE)))
		return NB_BLOCK_SHIFT;
	bytes = r->end - r->start;
	while (shift < NB_BLOCK_SHIFT &&
	       bytes >> CHUNKS_PER_REGION_SHIFT >> shift)
		shift++;
	/* Giving back 4 KiB pages takes about 0.1 us each. */
	while (shift > CHUNK_SHIFT_SMALL &&
	       (1ULL << (shift - NB_PAGE_SHIFT_MIN)) / 10 > nb.cfg.max_stall_us)
		shift--;
	return shift;
}

/**
 * nb_exclude_region_part() - never arm a part of a region again
 * @r: the region.
 * @part: what the kernel is about to use; may reach beyond the region.
 *
 * Context: any thread, as lock held.
 * Return: 0 or -errno: then nothing may be armed any more.
 */
int nb_exclude_region_part(const struct nb_region *r,
			   const struct nb_range *part)
{
	uint64_t start = nb_max(r->start, part->start);
	uint64_t end = nb_min(r->end, part->end);

	while (start < end) {
		uint64_t next =
			nb_align_down(start, NB_BLOCK_BYTES) + NB_BLOCK_BYTES;
		int err;

		next = nb_min(next, end);
		err = nb_exclude_range(nb.sys, start, next,
				       nb_region_chunk_shift(r, start));
		if (err)
			return err;
		start = next;
	}
	return 0;
}
