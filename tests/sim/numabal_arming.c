/* SPDX-License-Identifier: MIT */
/*
 * numabal's arming, as in lib/arming.c: steps from the real scan cursor, cut
 * into chunks as nb_region_chunk_shift() of lib/regions.c does.
 *
 * Costs: mprotect(2) takes 60 ns for a small page and 300 ns for a huge one
 * (measured); each call flushes the TLBs of the CPUs that run the process's
 * threads, 1 us each (an estimate).
 */
#include "numabal.h"

#define YOUNG_NS NB_NSEC_PER_SEC
#define CHUNK_SHIFT_SMALL 16
#define CHUNKS_PER_REGION_SHIFT 12
#define BLOCK_SHIFT 21
#define ARM_4K_NS 60.0
#define ARM_HUGE_NS 300.0
#define ARM_CALL_NS 1200.0
#define FLUSH_NS 1000.0

static uint32_t page_bytes(const struct sim_region *r)
{
	return r->page_4k * N_PAGE_BYTES;
}

/*
 * All of it: max_stall_us is 1000 by default, which 2 MiB of small pages are
 * below.
 */
static unsigned int chunk_shift(const struct sim_region *r)
{
	uint64_t bytes = r->nr * (uint64_t)page_bytes(r);
	unsigned int shift = CHUNK_SHIFT_SMALL;

	if (r->thp)
		return BLOCK_SHIFT;
	while (shift < BLOCK_SHIFT && bytes >> CHUNKS_PER_REGION_SHIFT >> shift)
		shift++;
	return shift;
}

/**
 * n_chunk() - the chunk around a page
 * @b: numabal
 * @page: the page
 * @nr: out: how many pages it has
 *
 * Regions start at whole blocks; only the last block of one may be cut, and
 * has small chunks.
 *
 * Return: its first page.
 */
uint32_t n_chunk(const struct n_brain *b, uint32_t page, uint32_t *nr)
{
	const struct sim_region *r = sim_region_of(b->s, page);
	uint32_t block = nb_max((uint32_t)(N_BLOCK_BYTES / page_bytes(r)), 1U);
	uint32_t in = page - r->first;
	unsigned int shift = chunk_shift(r);

	if (in / block * block + block > r->nr)
		shift = CHUNK_SHIFT_SMALL;
	*nr = nb_max((1U << shift) / page_bytes(r), 1U);
	in = in / *nr * *nr;
	*nr = nb_min(*nr, r->nr - in);
	return r->first + in;
}

static int find_region(const struct n_brain *b, uint64_t addr)
{
	int lo = 0, hi = b->nr_regions - 1;

	while (lo < hi) {
		int mid = (lo + hi + 1) / 2;

		if (b->va[mid] <= addr)
			lo = mid;
		else
			hi = mid - 1;
	}
	return lo;
}

/* Arm what of a step is not armed yet; returns 4 KiB pages. */
static uint64_t arm_step(struct n_proc *p, const struct nb_range *step)
{
	struct n_brain *b = p->b;
	int i = find_region(b, step->start);
	const struct sim_region *r = &b->s->region[i];
	uint32_t from = (uint32_t)((step->start - b->va[i]) / page_bytes(r));
	uint32_t to =
		(uint32_t)nb_div_round_up(step->end - b->va[i], page_bytes(r));
	uint64_t armed = 0, calls, max;
	struct n_task *t;
	int k;

	to = r->first + nb_min(to, r->nr);
	for (uint32_t page = r->first + from, nr; page < to; page += nr) {
		uint32_t got;

		page = n_chunk(b, page, &nr);
		got = sim_arm(b->s, page, nr);
		if (got && p->tiering)
			nb_tier_armed(&p->tiering->tier, &b->tier_chunk[page]);
		armed += got * (uint64_t)r->page_4k;
	}
	if (!armed)
		return 0;
	max = (r->thp ? 8 : 2) * N_BLOCK_BYTES / N_PAGE_BYTES;
	calls = nb_div_round_up(armed, max);
	n_pay(p,
	      (double)armed * (r->thp ? ARM_HUGE_NS / 512 : ARM_4K_NS) +
		      ARM_CALL_NS * (double)calls,
	      SIM_SCAN);
	n_for_each_task(t, k, p) if (b->s->thread[k].share > 0)
		sim_charge(b->s, k, FLUSH_NS * (double)calls, SIM_SCAN);
	return armed;
}

static size_t snapshot(struct n_proc *p)
{
	const struct sim *s = p->b->s;
	size_t nr = 0;

	for (int i = 0; i < p->b->nr_regions; i++) {
		const struct sim_region *r = &s->region[i];
		struct nb_vma *v = &p->b->vmas[nr];

		if (!r->alive || r->proc != p->proc || !r->nr ||
		    r->born_ns + YOUNG_NS > s->now_ns)
			continue;
		v->start = p->b->va[i];
		v->end = v->start + r->nr * (uint64_t)page_bytes(r);
		v->flags = NB_VMA_READ | NB_VMA_WRITE;
		nr++;
	}
	return nr;
}

/* lib/arming.c, nb_scan_run() */
void n_scan_run(struct n_proc *p)
{
	const struct nb_scan_opts *o = &p->scan_opts;
	size_t nr = snapshot(p);
	struct nb_range step;

	nb_scan_begin(&p->scan, o,
		      nb_nr_scan_windows(p->rss_bytes, o->scan_size_mb));
	while (nb_scan_next(&p->scan, o, p->b->vmas, nr, &step))
		nb_scan_charge(&p->scan, o, &step, arm_step(p, &step));
}
