/* SPDX-License-Identifier: MIT */
/*
 * lib/regions.c against a model: an array with what each page should be.
 */
#include "../../lib/regions.h"

#include "../../lib/mech/arm.h"
#include "../../lib/nb.h"
#include "fake_sys.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#define NR_PAGES 512
#define BASE (FAKE_BASE + NB_BLOCK_BYTES)

struct model_page {
	bool ours;
	uint32_t region; /* pages with one number are one region */
	uint64_t born_ns;
};

static struct model_page model[NR_PAGES];
static uint32_t next_region;
static uint64_t seed;

static int setup(void **state)
{
	(void)state;
	fake_reset();
	fake_map(FAKE_BASE, FAKE_END - FAKE_BASE, 0);
	nb.sys = &fake_sys;
	nb.page_bytes = FAKE_PAGE;
	nb.thp = NB_THP_NEVER;
	nb.cfg.chunk_kb = 0;
	nb.cfg.max_stall_us = 1000;
	memset(model, 0, sizeof(model));
	next_region = 0;
	if (nb_chunk_table_init() || nb_regions_init())
		return -1;
	nb_regions_clear();
	nb_forget_range(FAKE_BASE, FAKE_END, true);
	return 0;
}

static uint64_t rnd(uint64_t n)
{
	seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
	return (seed >> 33) % n;
}

static uint64_t at(unsigned int page)
{
	return BASE + page * FAKE_PAGE;
}

/* The table says of each page, and as a whole, what the model says. */
static void check_model(void)
{
	uint64_t bytes = 0, last_end = 0;
	int nr = 0;

	for (unsigned int i = 0; i < NR_PAGES; i++) {
		const struct nb_region *r = nb_regions_find(at(i) + rnd(4096));

		assert_int_equal(r != NULL, model[i].ours);
		if (!r)
			continue;
		bytes += FAKE_PAGE;
		assert_int_equal(r->born_ns, model[i].born_ns);
		if (i == 0 || !model[i - 1].ours ||
		    model[i - 1].region != model[i].region) {
			nr++;
			assert_int_equal(r->start, at(i));
		}
		assert_true(nb_regions_may_overlap(at(i), at(i) + 1));
	}
	assert_int_equal(nb_regions_count(), nr);
	assert_int_equal(nb_regions_bytes(), bytes);
	for (int i = 0; i < nr; i++) {
		const struct nb_region *r = nb_regions_at(i);

		assert_true(r->start < r->end);
		assert_true(r->start >= last_end);
		last_end = r->end;
	}
}

static void check_range(unsigned int first, unsigned int end)
{
	bool all = true, any = false;

	for (unsigned int i = first; i < end; i++) {
		all &= model[i].ours;
		any |= model[i].ours;
	}
	assert_int_equal(nb_regions_cover(at(first), at(end)), all);
	assert_int_equal(nb_regions_may_overlap(at(first), at(end)), any);
}

static void random_step(uint64_t now)
{
	unsigned int first = (unsigned int)rnd(NR_PAGES - 1);
	unsigned int end = first + 1 + (unsigned int)rnd(40);
	bool add = rnd(3) != 0;

	end = nb_min(end, (unsigned int)NR_PAGES);
	if (add)
		assert_int_equal(nb_regions_add(at(first), at(end), 0, now), 0);
	else
		nb_regions_remove(at(first), at(end));
	next_region++;
	for (unsigned int i = first; i < end; i++) {
		model[i].ours = add;
		model[i].region = next_region;
		model[i].born_ns = now;
	}
	/* a region that was cut in two is two */
	for (unsigned int i = end; i < NR_PAGES && first > 0 && model[i].ours &&
				   model[first - 1].ours &&
				   model[i].region == model[first - 1].region;
	     i++)
		model[i].region = next_region + (1U << 31);
}

static void test_model(void **state)
{
	(void)state;
	for (seed = 1; seed < 5; seed++) {
		uint64_t start_seed = seed;

		setup(NULL);
		for (uint64_t i = 0; i < 4000; i++) {
			unsigned int first = (unsigned int)rnd(NR_PAGES - 30);

			random_step(i);
			check_range(first, first + 1 + (unsigned int)rnd(29));
			if (i % 8 == 0)
				check_model();
		}
		seed = start_seed;
	}
}

static void test_edges(void **state)
{
	struct nb_range gap;

	(void)state;
	assert_int_equal(nb_regions_add(at(5), at(5), 0, 0), -EINVAL);
	assert_int_equal(nb_regions_add(at(6), at(5), 0, 0), -EINVAL);
	assert_int_equal(nb_regions_count(), 0);
	assert_false(nb_regions_may_overlap(0, UINT64_MAX));
	assert_false(nb_regions_cover(at(0), at(1)));
	assert_null(nb_regions_find(at(0)));
	nb_regions_remove(0, UINT64_MAX);
	assert_int_equal(nb_regions_add(at(10), at(20), 0, 7), 0);
	assert_null(nb_regions_find(at(10) - 1));
	assert_null(nb_regions_find(at(20)));
	assert_int_equal(nb_regions_find(at(20) - 1)->start, at(10));
	assert_true(nb_regions_cover(at(10), at(20)));
	assert_false(nb_regions_cover(at(10), at(20) + 1));
	gap = (struct nb_range){at(0), at(500)};
	nb_regions_gap(at(5), &gap);
	assert_true(gap.start == at(0) && gap.end == at(10));
	assert_false(nb_regions_may_overlap(at(20), UINT64_MAX));
	assert_false(nb_regions_may_overlap(0, at(10)));
	assert_true(nb_regions_may_overlap(0, at(10) + 1));
	nb_regions_remove(0, UINT64_MAX);
	assert_int_equal(nb_regions_count(), 0);
	assert_false(nb_regions_may_overlap(at(10), at(20)));
}

/* Without the lock: a copy, and whether it is still true. */
static void test_peek(void **state)
{
	struct nb_region r;
	uint32_t seen;

	(void)state;
	nb_regions_clear();
	assert_false(nb_regions_peek(at(1), &r, &seen));
	nb_regions_add(at(1), at(3), NB_VMA_HUGE, 7);
	assert_false(nb_regions_peek(at(0), &r, &seen));
	assert_false(nb_regions_peek(at(3), &r, &seen));
	assert_true(nb_regions_peek(at(2), &r, &seen));
	assert_true(r.start == at(1) && r.end == at(3));
	assert_int_equal(r.flags, NB_VMA_HUGE);
	assert_true(nb_regions_unchanged(seen));
	nb_regions_remove(at(5), at(6));
	assert_false(nb_regions_unchanged(seen));
}

static void test_flags(void **state)
{
	(void)state;
	nb_regions_add(at(0), at(10), 0, 0);
	nb_regions_add(at(10), at(20), NB_VMA_HUGE, 0);
	nb_regions_add(at(30), at(40), 0, 0);
	nb_regions_flag(at(5), at(30), NB_VMA_LOCKED, true);
	assert_int_equal(nb_regions_find(at(0))->flags, 0);
	assert_int_equal(nb_regions_find(at(5))->flags, NB_VMA_LOCKED);
	assert_int_equal(nb_regions_find(at(19))->flags,
			 NB_VMA_LOCKED | NB_VMA_HUGE);
	assert_int_equal(nb_regions_find(at(30))->flags, 0);
	nb_regions_flag(at(10), at(11), NB_VMA_HUGE, false);
	assert_int_equal(nb_regions_find(at(10))->flags, NB_VMA_LOCKED);
	assert_int_equal(nb_regions_find(at(11))->flags,
			 NB_VMA_LOCKED | NB_VMA_HUGE);
	/* what was split is joined again */
	nb_regions_flag(at(0), at(10), NB_VMA_LOCKED, true);
	assert_int_equal(nb_regions_find(at(0))->end, at(11));
	/* both parts of a split keep them */
	nb_regions_remove(at(3), at(4));
	assert_int_equal(nb_regions_find(at(2))->flags, NB_VMA_LOCKED);
	assert_int_equal(nb_regions_find(at(4))->flags, NB_VMA_LOCKED);
}

static void test_snapshot(void **state)
{
	struct nb_vma vmas[4];

	(void)state;
	for (unsigned int i = 0; i < 4; i++)
		nb_regions_add(at(10 * i), at(10 * i + 5), i ? 0 : NB_VMA_HUGE,
			       100 * i);
	assert_int_equal(nb_regions_snapshot(vmas, 4, 200), 3);
	assert_int_equal(vmas[2].start, at(20));
	assert_int_equal(vmas[2].end, at(25));
	assert_int_equal(vmas[0].flags,
			 NB_VMA_READ | NB_VMA_WRITE | NB_VMA_HUGE);
	assert_int_equal(nb_regions_snapshot(vmas, 2, 200), 2);
	assert_int_equal(nb_regions_snapshot(vmas, 4, 0), 1);
}

/* Full: a new mapping is not taken, an old one is not half forgotten. */
static void test_table_full(void **state)
{
	uint64_t big = FAKE_BASE + 4 * NB_BLOCK_BYTES, far = 1ULL << 40;
	uint64_t end = big + 2 * NB_BLOCK_BYTES, bits[8];
	unsigned int nr;

	(void)state;
	memset(bits, 0xff, sizeof(bits));
	assert_int_equal(nb_regions_add(big, end, 0, 0), 0);
	for (unsigned int i = 0; i < NB_MAX_REGIONS - 1; i++)
		assert_int_equal(nb_regions_add(far + i * 2 * FAKE_PAGE,
						far + (i * 2 + 1) * FAKE_PAGE,
						0, 0),
				 0);
	assert_int_equal(nb_regions_count(), NB_MAX_REGIONS);
	assert_int_equal(nb_regions_add(at(0), at(1), 0, 0), -ENOMEM);
	assert_false(nb_regions_may_overlap(at(0), at(1)));
	for (uint64_t a = big; a < end; a += NB_BLOCK_BYTES)
		nb_arm_block(&fake_sys, nb_block_get(a, 16), bits, &nr);
	/* a hole in the middle makes two of one */
	nb_disarm_range(&fake_sys, big + 16 * 65536, big + 17 * 65536);
	nb_regions_remove(big + 16 * 65536, big + 17 * 65536);
	assert_int_equal(nb_regions_count(), NB_MAX_REGIONS);
	for (uint64_t a = big; a < end; a += FAKE_PAGE) {
		if (fake_page(a)->prot == PROT_NONE)
			assert_non_null(nb_regions_find(a));
	}
	/* other attributes for a part of it are as many regions too much */
	nb_arm_block(&fake_sys, nb_block_get(big, 16), &(uint64_t){0xffff},
		     &nr);
	nb_regions_flag(big + 4 * 65536, big + 5 * 65536, NB_VMA_HUGE, true);
	for (uint64_t a = big; a < end; a += FAKE_PAGE) {
		if (fake_page(a)->prot == PROT_NONE)
			assert_non_null(nb_regions_find(a));
	}
	/* also when block by block is not possible */
	nb_regions_remove(big, end);
	fake_reset();
	fake_map(FAKE_BASE, FAKE_END - FAKE_BASE, 0);
	nb_forget_range(FAKE_BASE, FAKE_END, true);
	nb_regions_add(big, end, 0, 0);
	nb_arm_block(&fake_sys, nb_block_find(big), bits, &nr);
	nb_arm_block(&fake_sys, nb_block_find(end - 1), bits, &nr);
	nb_disarm_range(&fake_sys, big + FAKE_PAGE, big + 2 * FAKE_PAGE);
	fake_fail(FAKE_MPROTECT, 1, ENOMEM);
	nb_regions_remove(big + FAKE_PAGE, big + 2 * FAKE_PAGE);
	assert_int_equal(fake_fail_end(), 1);
	for (uint64_t a = big + 2 * FAKE_PAGE; a < end; a += FAKE_PAGE)
		assert_int_equal(fake_page(a)->prot, PROT_READ | PROT_WRITE);
	assert_false(nb_range_armed(big, end));
	/* one goes, one can come */
	nb_regions_remove(far, far + FAKE_PAGE);
	assert_int_equal(nb_regions_add(at(0), at(1), 0, 0), 0);
}

static void test_chunk_shift(void **state)
{
	struct nb_region r = {FAKE_BASE, FAKE_BASE + 4 * NB_BLOCK_BYTES, 0, 0,
			      0};

	(void)state;
	assert_int_equal(nb_region_chunk_shift(&r, r.start), 16);
	nb.cfg.chunk_kb = 4;
	assert_int_equal(nb_region_chunk_shift(&r, r.start), 12);
	nb.cfg.chunk_kb = 2048;
	assert_int_equal(nb_region_chunk_shift(&r, r.start), 21);
	nb.cfg.chunk_kb = 0;
	nb.thp = NB_THP_ALWAYS;
	assert_int_equal(nb_region_chunk_shift(&r, r.start), 21);
	/* a block that is not all of this region is cut small */
	r.start += FAKE_PAGE;
	assert_int_equal(nb_region_chunk_shift(&r, r.start), 16);
	assert_int_equal(nb_region_chunk_shift(&r, r.start + NB_BLOCK_BYTES),
			 21);
	nb.thp = NB_THP_MADVISE;
	assert_int_equal(nb_region_chunk_shift(&r, r.start + NB_BLOCK_BYTES),
			 16);
	r.flags = NB_VMA_HUGE;
	assert_int_equal(nb_region_chunk_shift(&r, r.start + NB_BLOCK_BYTES),
			 21);
	/* large regions have larger chunks, as far as a stall may last */
	r = (struct nb_region){1ULL << 40, 1ULL << 41, 0, 0, 0};
	nb.thp = NB_THP_NEVER;
	assert_int_equal(nb_region_chunk_shift(&r, r.start), 21);
	nb.cfg.max_stall_us = 3;
	assert_int_equal(nb_region_chunk_shift(&r, r.start), 17);
	nb.cfg.max_stall_us = 1;
	assert_int_equal(nb_region_chunk_shift(&r, r.start), 16);
}

static void test_exclude_part(void **state)
{
	struct nb_range part = {at(0) + 100, at(3000)};
	const struct nb_region *r;

	(void)state;
	nb_regions_add(at(0), at(600), 0, 0);
	r = nb_regions_find(at(0));
	assert_int_equal(nb_exclude_region_part(r, &part), 0);
	assert_true(nb_range_excluded(at(0), at(600)));
	assert_false(nb_range_excluded(at(0), at(640)));
	fake_fail(FAKE_MPROTECT, 1, EINVAL);
	nb_forget_range(FAKE_BASE, FAKE_END, true);
	assert_int_equal(nb_exclude_region_part(r, &part), 0); /* not armed */
	part.start = part.end;
	assert_int_equal(nb_exclude_region_part(r, &part), 0);
}

/* ---- readers without the lock -------------------------------------------- */

static _Atomic bool over;

static void *reader(void *arg)
{
	(void)arg;
	/* a region that stays is found whatever moves around it */
	while (!atomic_load(&over))
		if (!nb_regions_may_overlap(at(300), at(301)))
			return (void *)1;
	return NULL;
}

static void test_unlocked_readers(void **state)
{
	pthread_t t[2];
	void *ret;

	(void)state;
	nb_regions_add(at(300), at(310), 0, 0);
	for (int i = 0; i < 2; i++)
		pthread_create(&t[i], NULL, reader, NULL);
	for (unsigned int i = 0; i < 100000; i++) {
		unsigned int p = 2 * (unsigned int)rnd(140);

		if (i % 2)
			nb_regions_add(at(p), at(p + 1), 0, 0);
		else
			nb_regions_remove(at(p), at(p + 9));
	}
	atomic_store(&over, true);
	for (int i = 0; i < 2; i++) {
		pthread_join(t[i], &ret);
		assert_null(ret);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_edges, setup),
		cmocka_unit_test_setup(test_peek, setup),
		cmocka_unit_test_setup(test_flags, setup),
		cmocka_unit_test_setup(test_snapshot, setup),
		cmocka_unit_test_setup(test_chunk_shift, setup),
		cmocka_unit_test_setup(test_exclude_part, setup),
		cmocka_unit_test_setup(test_model, setup),
		cmocka_unit_test_setup(test_unlocked_readers, setup),
		cmocka_unit_test_setup(test_table_full, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
