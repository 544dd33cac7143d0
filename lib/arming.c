/* SPDX-License-Identifier: MIT */
/*
 * From the scan cursor to armed memory: one scan takes windows from policy,
 * leaves out what must not or need not be armed, and arms the rest.
 *
 * Each step is checked against the region table under the as lock, which the
 * interposers hold when they change it: so what is armed is what the program
 * has mapped now, not what it had when the scan began.
 *
 * Runs in numabald only.
 */
#include "guard_hooks.h"
#include "guard_mm.h"
#include "mech/arm.h"
#include "nb.h"
#include "plat/arena.h"
#include "plat/maps.h"
#include "record.h"
#include "regions.h"
#include "tiering.h"

#include <errno.h>
#include <linux/mempolicy.h>
#include <string.h>

#define BLOCK_PAGES (NB_BLOCK_BYTES >> NB_PAGE_SHIFT_MIN)
#define STEP_BLOCKS 8 /* in a step, at most */

/* Linux: vma_numab_state, a new VMA is left alone for scan_delay. */
#define YOUNG_NS NB_NSEC_PER_SEC

static struct nb_vma *vmas; /* NB_MAX_REGIONS of them */
static unsigned char resident[BLOCK_PAGES];
static unsigned char step_resident[STEP_BLOCKS * BLOCK_PAGES];

/**
 * nb_arming_init() - get the snapshot's memory
 *
 * Context: start only.
 * Return: 0 or -ENOMEM.
 */
int nb_arming_init(void)
{
	if (!vmas)
		vmas = nb_arena_map(NB_MAX_REGIONS * sizeof(*vmas));
	return vmas ? 0 : -ENOMEM;
}

/* Memory that the program placed with mbind(2) is its own business. */
static bool placed_by_program(uint64_t addr)
{
	int mode = 0;

	return !nb.sys->get_vma_policy(addr, &mode) && mode != MPOL_DEFAULT;
}

/*
 * A bit for each chunk of the block that lies in @range and has pages.
 * Returns the number of resident pages in those chunks.
 */
static unsigned int find_eligible(const struct nb_block *b,
				  const struct nb_range *range, uint64_t *bits)
{
	unsigned int per_chunk =
		(unsigned int)(nb_chunk_bytes(b) / nb.page_bytes);
	uint64_t from =
		nb_align_up(nb_max(range->start, b->start), nb_chunk_bytes(b));
	uint64_t to =
		nb_align_down(nb_min(range->end, b->start + NB_BLOCK_BYTES),
			      nb_chunk_bytes(b));
	unsigned int pages = 0, first = nb_chunk_index(b, from);
	unsigned int nr;

	memset(bits, 0, 8 * sizeof(*bits));
	if (from >= to || nb.sys->mincore(from, to - from, resident))
		return 0;
	nr = (unsigned int)((to - from) >> b->chunk_shift);
	for (unsigned int c = 0; c < nr; c++) {
		unsigned int in = 0;

		for (unsigned int p = 0; p < per_chunk; p++)
			in += resident[c * per_chunk + p] & 1;
		if (!in || atomic_load(&b->state[first + c]) != NB_CHUNK_NONE)
			continue;
		bits[(first + c) / 64] |= 1ULL << (first + c) % 64;
		pages += in;
	}
	return pages;
}

static bool any_resident(const unsigned char *vec, uint64_t nr)
{
	unsigned char any = 0;

	for (uint64_t i = 0; i < nr; i++)
		any |= vec[i];
	return any & 1;
}

/*
 * A bit for each block that a step touches: are there pages in that part of
 * it?  One call for all: of a large mapping with little memory most are empty,
 * and that is all that need be known of them.  What is not told may have some.
 */
static uint64_t blocks_in_use(const struct nb_range *step)
{
	uint64_t first = nb_align_down(step->start, NB_BLOCK_BYTES);
	uint64_t len = step->end - step->start, bits = 0;

	if (len / nb.page_bytes > sizeof(step_resident) ||
	    nb.sys->mincore(step->start, len, step_resident))
		return UINT64_MAX;
	for (uint64_t a = first; a < step->end; a += NB_BLOCK_BYTES) {
		uint64_t from = nb_max(a, step->start) - step->start;
		uint64_t to = nb_min(a + NB_BLOCK_BYTES, step->end);

		if (any_resident(step_resident + from / nb.page_bytes,
				 (to - step->start - from) / nb.page_bytes))
			bits |= 1ULL << (a - first) / NB_BLOCK_BYTES;
	}
	return bits;
}

/* Add one block's part of a step; returns pages taken or -errno. */
static int arm_part(struct nb_arm_batch *batch, uint64_t addr,
		    const struct nb_range *step)
{
	const struct nb_region *r = nb_regions_find(nb_max(addr, step->start));
	struct nb_range range = *step;
	unsigned int pages, armed = 0;
	struct nb_block *b;
	uint64_t bits[8];
	int err;

	if (!r || !nb_region_eligible(r))
		return 0;
	/* The region may have shrunk since the snapshot. */
	range.start = nb_max(range.start, r->start);
	range.end = nb_min(range.end, r->end);
	if (range.start >= range.end || placed_by_program(range.start))
		return 0;
	b = nb_block_get(addr, nb_region_chunk_shift(r, addr));
	if (!b)
		return -ENOMEM;
	/* Chunks that a step's end cuts belong to the region's range. */
	range.start =
		nb_max(r->start, nb_align_down(range.start, nb_chunk_bytes(b)));
	range.end = nb_min(r->end, nb_align_up(range.end, nb_chunk_bytes(b)));
	pages = find_eligible(b, &range, bits);
	if (!pages)
		return 0;
	/* How long others wait for mmap_lock: by pages, not by bytes. */
	batch->max_bytes =
		b->chunk_shift == NB_BLOCK_SHIFT && nb.thp != NB_THP_NEVER
			? 8 * NB_BLOCK_BYTES
			: 2 * NB_BLOCK_BYTES;
	nb_tiering_armed(b, bits);
	err = nb_arm_add(batch, b, bits, &armed);
	if (err)
		return err;
	if (!armed)
		return 0;
	nb_count(numa_pte_updates, pages);
	if (b->chunk_shift == NB_BLOCK_SHIFT)
		nb_count(numa_huge_pte_updates, armed);
	return (int)pages;
}

/* Under the as lock, as what ends or suspends balancing is done under it. */
static bool may_arm_now(void)
{
	return nb_is_active() && !atomic_load(&nb.inhibit) &&
	       !atomic_load(&nb.crashed) && !atomic_load(&nb.paused) &&
	       nb_clock_ns() >= atomic_load(&nb.inhibit_until_ns);
}

/* Everything of a step under one lock: it is 16 MiB at most. */
static int arm_step(const struct nb_range *step)
{
	struct nb_arm_batch batch = {.sys = nb.sys};
	uint64_t in_use = blocks_in_use(step);
	struct nb_sigstate ss;
	int pages = 0, n = 0, err;

	if (!in_use)
		return 0;
	nb_lock(&nb.as_lock, &ss);
	if (!may_arm_now())
		n = -EAGAIN;
	else if (!nb_verify_range(step))
		n = nb_guarded() ? -ESTALE : 0;
	for (uint64_t a = nb_align_down(step->start, NB_BLOCK_BYTES);
	     a < step->end && n >= 0; a += NB_BLOCK_BYTES, in_use >>= 1) {
		if (!(in_use & 1))
			continue;
		n = arm_part(&batch, a, step);
		pages += nb_max(n, 0);
	}
	err = nb_arm_flush(&batch);
	nb_unlock(&nb.as_lock, &ss);
	n = nb_min(n, err);
	return n < 0 ? n : pages;
}

static int io_uring_vma(const struct nb_vma *vma, const char *name, void *arg)
{
	(void)name;
	*(bool *)arg |= !!(vma->flags & NB_VMA_IO_URING);
	return 0;
}

/* A program that got itself a ring without passing an interposer. */
static bool uses_io_uring(void)
{
	bool found = false;

	nb_maps_for_each(io_uring_vma, &found);
	return found;
}

static int snapshot(uint64_t now_ns)
{
	uint64_t young = nb.cfg.scan_delay_ms * NB_NSEC_PER_MSEC;
	struct nb_sigstate ss;
	int nr;

	young = nb_min(young, YOUNG_NS);
	nb_lock(&nb.as_lock, &ss);
	nr = nb_regions_snapshot(vmas, NB_MAX_REGIONS,
				 now_ns > young ? now_ns - young : 0);
	nb_unlock(&nb.as_lock, &ss);
	return nr;
}

/**
 * nb_scan_run() - one scan: arm the next window
 * @now_ns: the time.
 *
 * Context: numabald.
 */
void nb_scan_run(uint64_t now_ns)
{
	uint64_t cpu_ns = nb_thread_cpu_ns();
	uint64_t seq = nb.scan.scan_seq;
	struct nb_range step;
	int nr, armed = 0;

	/* Where calls are guarded, none has made one; see nb_reconcile(). */
	if (!nb_guarded() && uses_io_uring()) {
		nb_standdown("the program uses io_uring");
		return;
	}
	/* The program's share of the kernel's mappings is not touched. */
	if (atomic_load(&nb_map_room) <= 0)
		return;
	nr = snapshot(now_ns);
	nb_scan_begin(
		&nb.scan, &nb.scan_opts,
		nb_nr_scan_windows(nb.rss_bytes, nb.scan_opts.scan_size_mb));
	while (nb_scan_next(&nb.scan, &nb.scan_opts, vmas, (size_t)nr, &step)) {
		int n = arm_step(&step);

		if (n == -EAGAIN)
			break;
		if (n == -ESTALE) {
			/* Nor is what it has changed elsewhere ours to open. */
			nb_verify_all();
			nb_standdown(nb_why_unseen_change);
			return;
		}
		if (n < 0) {
			nb_standdown("mprotect failed while arming");
			return;
		}
		nb_scan_charge(&nb.scan, &nb.scan_opts, &step, (uint64_t)n);
		armed += n;
		if (atomic_load(&nb.stop))
			break;
	}
	nb_record_scan(now_ns, vmas, nr, (uint64_t)armed);
	nb_count(numa_scan_seq, nb.scan.scan_seq - seq);
	atomic_fetch_add(&nb.scan_ns, nb_thread_cpu_ns() - cpu_ns);
}
