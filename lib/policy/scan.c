/* SPDX-License-Identifier: MIT */
/*
 * 1. What to arm next.
 *
 * A cursor walks the eligible mappings.  numabald calls nb_scan_begin() once
 * per scan period, then nb_scan_next() for one step after the other, arms each
 * step, and tells nb_scan_charge() how much of it was armed.  A scan ends when
 * one of two budgets is used up: pages in steps where something was armed
 * (scan_size), and pages merely looked at (8 times that), so that neither a
 * dense nor a sparse address space makes a scan long.  The next scan goes on
 * where this one stopped.
 *
 * Memory that is too much for one scan is divided into windows: window w of W
 * has every W-th step, from the w-th on.  So each scan is a sample of all
 * memory, and its hint faults come from all threads alike, not from the one
 * thread whose memory is in turn.  The end of the last window ends a pass
 * (scan_seq), which is the clock of all statistics.
 *
 * Owns nothing: the state is the caller's struct nb_scan.
 *
 * Differs from Linux:
 * - Windows are interleaved; the kernel's are one after the other.
 * - A step also ends at a multiple of step_bytes.  The kernel's step is bounded
 *   by the budget alone because marking takes the mmap lock for reading;
 *   mprotect() takes it for writing and must be kept short.
 * - A budget used up exactly at the end of memory ends the pass in that scan,
 *   not at the start of the next, which would arm nothing.
 */
#include "scan.h"

/* Linux: task_numa_work(), virtpages = pages * 8 */
#define VIRTPAGES_FACTOR 8

/* Linux: task_numa_work(), ALIGN(..., HPAGE_SIZE): never cut a huge page */
#define STEP_ALIGN (2 * NB_MIB)

/**
 * nb_scan_begin() - start a scan: fill the budgets, keep the position.
 * @s: the cursor; all zero before the first scan
 * @o: sizes
 * @nr_windows: into how many windows memory is to be divided; the next pass
 *	will be
 *
 * Context: numabald.
 */
void nb_scan_begin(struct nb_scan *s, const struct nb_scan_opts *o,
		   uint64_t nr_windows)
{
	uint64_t pages = o->scan_size_mb * NB_MIB / o->page_bytes;

	/* A page larger than scan_size must not mean that nothing is armed. */
	s->pages = nb_max(pages, 1ULL);
	s->virtpages = s->pages * VIRTPAGES_FACTOR;
	s->pass_ended = false;
	/* Only between passes: else some steps had two turns, others none. */
	if (!s->nr_windows || (!s->window && !s->scan_offset))
		s->nr_windows = nb_max(nr_windows, 1ULL);
}

/* Index of the first mapping that ends after @addr, or @nr. */
static size_t find_vma(const struct nb_vma *vmas, size_t nr, uint64_t addr)
{
	size_t lo = 0;
	size_t hi = nr;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (vmas[mid].end > addr)
			hi = mid;
		else
			lo = mid + 1;
	}
	return lo;
}

/*
 * Where a step from @start inside @vma ends.  Works on lengths: a mapping may
 * end so close to 2^64 that the end of its last block is not representable.
 */
static uint64_t step_end(const struct nb_scan *s, const struct nb_scan_opts *o,
			 const struct nb_vma *vma, uint64_t start)
{
	uint64_t in_block = o->step_bytes - (start & (o->step_bytes - 1));
	uint64_t in_budget = s->pages * o->page_bytes;
	uint64_t len = vma->end - start;

	/* What is missing to the next multiple of STEP_ALIGN, modulo 2^64. */
	in_budget += -(start + in_budget) & (STEP_ALIGN - 1);
	len = nb_min(len, in_block);
	len = nb_min(len, in_budget);
	return start + len;
}

/*
 * The first address from @addr on that belongs to the window; beyond the end
 * of memory, 0.
 */
static uint64_t in_window(const struct nb_scan *s, const struct nb_scan_opts *o,
			  uint64_t addr)
{
	uint64_t index = addr / o->step_bytes;
	uint64_t past = index % s->nr_windows;
	uint64_t skip = past <= s->window ? s->window - past
					  : s->nr_windows - past + s->window;

	return skip ? (index + skip) * o->step_bytes : addr;
}

/* The cursor is at the end of memory; true if that was the last window. */
static bool window_ends(struct nb_scan *s)
{
	s->scan_offset = 0;
	if (++s->window < s->nr_windows)
		return false;
	s->window = 0;
	s->scan_seq++;
	s->pass_ended = true;
	return true;
}

/**
 * nb_scan_next() - give the next step of this scan.
 * @s: the cursor
 * @o: sizes
 * @vmas: the eligible mappings: sorted, none empty, none overlapping
 * @nr: how many
 * @step: out: the range to arm, inside one mapping
 *
 * The mappings may change between two calls: the position is an address.
 *
 * Context: numabald.
 * Return: true with a step; false when this scan is over, because a budget is
 * used up or because the end of memory ended the pass (s->pass_ended).
 */
bool nb_scan_next(struct nb_scan *s, const struct nb_scan_opts *o,
		  const struct nb_vma *vmas, size_t nr, struct nb_range *step)
{
	/* At most one pass per scan, however small the memory. */
	while (!s->pass_ended) {
		size_t i = find_vma(vmas, nr, s->scan_offset);
		uint64_t start, at;

		if (i == nr) {
			if (window_ends(s))
				break;
			continue;
		}
		if (!s->pages || !s->virtpages)
			break;
		start = nb_max(s->scan_offset, vmas[i].start);
		at = in_window(s, o, start);
		if (at != start) {
			/* Past 2^64 there is nothing. */
			s->scan_offset = at > start ? at : UINT64_MAX;
			continue;
		}
		step->start = start;
		step->end = step_end(s, o, &vmas[i], start);
		s->scan_offset = step->end;
		return true;
	}
	return false;
}

/**
 * nb_scan_charge() - pay for a step.
 * @s: the cursor
 * @o: sizes
 * @step: what nb_scan_next() gave
 * @nr_armed: pages of it that were armed
 *
 * A step in which anything was armed is paid in full, as in Linux: what cost
 * time is the walk over it.
 *
 * Context: numabald.
 */
void nb_scan_charge(struct nb_scan *s, const struct nb_scan_opts *o,
		    const struct nb_range *step, uint64_t nr_armed)
{
	uint64_t nr = nb_div_round_up(step->end - step->start, o->page_bytes);

	s->virtpages -= nb_min(nr, s->virtpages);
	if (nr_armed)
		s->pages -= nb_min(nr, s->pages);
}
