/* SPDX-License-Identifier: MIT */
/*
 * policy/scan.c: steps, budgets, passes.
 */
#include "../../lib/policy/scan.h"

#include "policy_test.h"

#define MIB NB_MIB

static const struct nb_scan_opts opts = {
	.scan_size_mb = 8,
	.page_bytes = 4096,
	.step_bytes = 4 * MIB,
};

static struct nb_vma vma(uint64_t start, uint64_t end)
{
	struct nb_vma v = {.start = start, .end = end};

	return v;
}

static void assert_step(struct nb_scan *s, const struct nb_scan_opts *o,
			const struct nb_vma *vmas, size_t nr, uint64_t start,
			uint64_t end)
{
	struct nb_range step = {0};

	assert_true(nb_scan_next(s, o, vmas, nr, &step));
	assert_int_equal(step.start, start);
	assert_int_equal(step.end, end);
	assert_int_equal(s->scan_offset, end);
}

static void assert_over(struct nb_scan *s, const struct nb_scan_opts *o,
			const struct nb_vma *vmas, size_t nr)
{
	struct nb_range step = {.start = 1, .end = 2};

	assert_false(nb_scan_next(s, o, vmas, nr, &step));
	assert_int_equal(step.start, 1);
	assert_int_equal(step.end, 2);
}

static void begin_fills_budgets(void **state)
{
	struct nb_scan s = {.scan_offset = 77, .scan_seq = 5};

	(void)state;
	s.pass_ended = true;
	nb_scan_begin(&s, &opts, 1);
	assert_int_equal(s.pages, 2048);
	assert_int_equal(s.virtpages, 8 * 2048);
	assert_int_equal(s.scan_offset, 77);
	assert_int_equal(s.scan_seq, 5);
	assert_false(s.pass_ended);
}

static void huge_pages_still_get_a_step(void **state)
{
	struct nb_scan_opts o = opts;
	struct nb_scan s = {0};

	(void)state;
	o.page_bytes = 1U << 30;
	nb_scan_begin(&s, &o, 1);
	assert_int_equal(s.pages, 1);
	assert_int_equal(s.virtpages, 8);
}

static void largest_options_do_not_overflow(void **state)
{
	struct nb_scan_opts o = {UINT32_MAX, 1, 1ULL << 63};
	struct nb_vma v = vma(4096, UINT64_MAX);
	struct nb_scan s = {0};

	(void)state;
	nb_scan_begin(&s, &o, 1);
	assert_int_equal(s.pages, (uint64_t)UINT32_MAX * MIB);
	assert_int_equal(s.virtpages, (uint64_t)UINT32_MAX * MIB * 8);
	/* The budget ends within 2 MiB: rounded up to its end. */
	assert_step(&s, &o, &v, 1, 4096, ((uint64_t)UINT32_MAX + 1) * MIB);
}

static void no_memory_is_a_pass(void **state)
{
	struct nb_scan s = {.scan_offset = 4096};

	(void)state;
	nb_scan_begin(&s, &opts, 1);
	assert_over(&s, &opts, NULL, 0);
	assert_true(s.pass_ended);
	assert_int_equal(s.scan_seq, 1);
	assert_int_equal(s.scan_offset, 0);
	/* ... but only one in this scan. */
	assert_over(&s, &opts, NULL, 0);
	assert_int_equal(s.scan_seq, 1);
	nb_scan_begin(&s, &opts, 1);
	assert_over(&s, &opts, NULL, 0);
	assert_int_equal(s.scan_seq, 2);
}

static void steps_end_at_blocks_and_mappings(void **state)
{
	struct nb_vma v[] = {vma(3 * MIB, 9 * MIB), vma(9 * MIB, 9 * MIB + 1)};
	struct nb_scan s = {0};

	(void)state;
	nb_scan_begin(&s, &opts, 1);
	assert_step(&s, &opts, v, 2, 3 * MIB, 4 * MIB);
	assert_step(&s, &opts, v, 2, 4 * MIB, 8 * MIB);
	assert_step(&s, &opts, v, 2, 8 * MIB, 9 * MIB);
	assert_step(&s, &opts, v, 2, 9 * MIB, 9 * MIB + 1);
	assert_over(&s, &opts, v, 2);
	assert_true(s.pass_ended);
	assert_int_equal(s.scan_seq, 1);
}

static void budget_is_rounded_up_to_a_huge_page(void **state)
{
	struct nb_vma v = vma(4 * MIB, 8 * MIB);
	struct nb_scan s = {0};

	(void)state;
	nb_scan_begin(&s, &opts, 1);
	s.pages = 1;
	assert_step(&s, &opts, &v, 1, 4 * MIB, 6 * MIB);
	s.pages = 512;
	assert_step(&s, &opts, &v, 1, 6 * MIB, 8 * MIB);
	s.scan_offset = 4 * MIB;
	s.pages = 513;
	assert_step(&s, &opts, &v, 1, 4 * MIB, 8 * MIB);
	s.scan_offset = 4 * MIB + 4096;
	s.pages = 511;
	assert_step(&s, &opts, &v, 1, 4 * MIB + 4096, 6 * MIB);
}

static void pages_budget_keeps_the_position(void **state)
{
	struct nb_vma v = vma(0, 64 * MIB);
	struct nb_scan s = {0};
	struct nb_range step;

	(void)state;
	nb_scan_begin(&s, &opts, 1);
	for (int i = 0; i < 2; i++) {
		assert_true(nb_scan_next(&s, &opts, &v, 1, &step));
		nb_scan_charge(&s, &opts, &step, 1);
	}
	assert_int_equal(s.pages, 0);
	assert_int_equal(s.virtpages, 7 * 2048);
	assert_over(&s, &opts, &v, 1);
	assert_false(s.pass_ended);
	assert_int_equal(s.scan_offset, 8 * MIB);
	nb_scan_begin(&s, &opts, 1);
	assert_step(&s, &opts, &v, 1, 8 * MIB, 12 * MIB);
}

static void virtpages_budget_ends_a_scan_that_arms_nothing(void **state)
{
	struct nb_vma v = vma(0, 1024 * MIB);
	struct nb_scan s = {0};
	struct nb_range step;
	int nr = 0;

	(void)state;
	nb_scan_begin(&s, &opts, 1);
	while (nb_scan_next(&s, &opts, &v, 1, &step)) {
		nb_scan_charge(&s, &opts, &step, 0);
		nr++;
	}
	assert_int_equal(nr, 16); /* 64 MiB in steps of 4 */
	assert_int_equal(s.pages, 2048);
	assert_int_equal(s.virtpages, 0);
	assert_int_equal(s.scan_offset, 64 * MIB);
	assert_int_equal(s.scan_seq, 0);
}

static void budget_used_up_at_the_end_ends_the_pass(void **state)
{
	struct nb_vma v = vma(0, 8 * MIB);
	struct nb_scan s = {0};
	struct nb_range step;

	(void)state;
	nb_scan_begin(&s, &opts, 1);
	while (nb_scan_next(&s, &opts, &v, 1, &step))
		nb_scan_charge(&s, &opts, &step, 1);
	assert_int_equal(s.pages, 0);
	assert_true(s.pass_ended);
	assert_int_equal(s.scan_seq, 1);
}

static void charge_is_in_full_and_never_negative(void **state)
{
	struct nb_range step = {4096, 4096 + 3 * 4096 + 1};
	struct nb_scan s = {.pages = 3, .virtpages = 5};

	(void)state;
	nb_scan_charge(&s, &opts, &step, 0);
	assert_int_equal(s.pages, 3);
	assert_int_equal(s.virtpages, 1);
	nb_scan_charge(&s, &opts, &step, 1);
	assert_int_equal(s.pages, 0);
	assert_int_equal(s.virtpages, 0);
}

static void mappings_may_change_between_steps(void **state)
{
	struct nb_vma a = vma(0, 16 * MIB);
	struct nb_vma b[] = {vma(0, MIB), vma(5 * MIB, 7 * MIB)};
	struct nb_scan s = {0};

	(void)state;
	nb_scan_begin(&s, &opts, 1);
	assert_step(&s, &opts, &a, 1, 0, 4 * MIB);
	assert_step(&s, &opts, b, 2, 5 * MIB, 7 * MIB);
	assert_step(&s, &opts, &a, 1, 7 * MIB, 8 * MIB);
	assert_over(&s, &opts, b, 1);
	assert_true(s.pass_ended);
}

static void the_last_page_of_the_address_space(void **state)
{
	uint64_t last = UINT64_MAX - 4095;
	struct nb_vma v[] = {vma(last - 4 * MIB, last), vma(last, UINT64_MAX)};
	struct nb_scan s = {.scan_offset = last - 8192};

	(void)state;
	nb_scan_begin(&s, &opts, 1);
	assert_step(&s, &opts, v, 2, last - 8192, last);
	assert_step(&s, &opts, v, 2, last, UINT64_MAX);
	assert_over(&s, &opts, v, 2);
	assert_true(s.pass_ended);
}

/* A random, sorted list of mappings; returns how many. */
static size_t random_vmas(uint64_t *seed, struct nb_vma *v, size_t max,
			  uint64_t page)
{
	size_t nr = prng_below(seed, max + 1);
	uint64_t addr = prng_below(seed, 3) * page;

	for (size_t i = 0; i < nr; i++) {
		v[i].start = addr;
		addr += (1 + prng_below(seed, 3000)) * page;
		v[i].end = addr;
		addr += prng_below(seed, 2) * prng_below(seed, 5000) * page;
	}
	return nr;
}

/* Every eligible byte is given exactly once per pass, in order. */
static void property_each_byte_once_per_pass(void **state)
{
	uint64_t seed = 1;
	struct nb_vma v[12];

	(void)state;
	for (int round = 0; round < 400; round++) {
		struct nb_scan_opts o = {
			.scan_size_mb = 1 + (uint32_t)prng_below(&seed, 8),
			.page_bytes = prng_below(&seed, 2) ? 4096 : 1024,
			.step_bytes = 4096ULL << prng_below(&seed, 13),
		};
		size_t nr = random_vmas(&seed, v, 12, o.page_bytes);
		struct nb_scan s = {0};
		size_t cur = 0;
		uint64_t at = nr ? v[0].start : 0;
		int scans = 0;

		do {
			struct nb_range r;
			uint64_t virt;
			uint64_t pages;

			nb_scan_begin(&s, &o, 1);
			virt = s.virtpages;
			pages = s.pages;
			while (nb_scan_next(&s, &o, v, nr, &r)) {
				assert_true(cur < nr);
				assert_int_equal(r.start, at);
				assert_true(r.end > r.start);
				assert_true(r.end <= v[cur].end);
				assert_true((r.start ^ (r.end - 1)) <
					    o.step_bytes);
				at = r.end;
				if (at == v[cur].end && ++cur < nr)
					at = v[cur].start;
				nb_scan_charge(&s, &o, &r,
					       prng_below(&seed, 3));
				assert_true(s.virtpages < virt);
				assert_true(s.pages <= pages);
				virt = s.virtpages;
				pages = s.pages;
			}
			assert_true(++scans < 10000);
		} while (!s.pass_ended);
		assert_int_equal(cur, nr);
		assert_int_equal(s.scan_seq, 1);
		assert_int_equal(s.scan_offset, 0);
	}
}

static void windows_are_interleaved(void **state)
{
	struct nb_vma v[] = {vma(MIB, 13 * MIB),
			     vma(UINT64_MAX - 5 * MIB + 1, UINT64_MAX)};
	struct nb_scan s = {0};

	(void)state;
	nb_scan_begin(&s, &opts, 2);
	/* Blocks of 4 MiB, every other one. */
	assert_step(&s, &opts, v, 2, MIB, 4 * MIB);
	assert_step(&s, &opts, v, 2, 8 * MIB, 12 * MIB);
	assert_step(&s, &opts, v, 2, UINT64_MAX - 5 * MIB + 1,
		    UINT64_MAX - 4 * MIB + 1);
	nb_scan_begin(&s, &opts, 3); /* not in the middle of a pass */
	assert_int_equal(s.nr_windows, 2);
	assert_step(&s, &opts, v, 2, 4 * MIB, 8 * MIB);
	assert_int_equal(s.window, 1);
	assert_step(&s, &opts, v, 2, 12 * MIB, 13 * MIB);
	assert_step(&s, &opts, v, 2, UINT64_MAX - 4 * MIB + 1, UINT64_MAX);
	assert_over(&s, &opts, v, 2);
	assert_true(s.pass_ended);
	assert_int_equal(s.scan_seq, 1);
	nb_scan_begin(&s, &opts, 3);
	assert_int_equal(s.nr_windows, 3);
	assert_int_equal(s.window, 0);
}

/* In a pass each page has one turn, into however many windows it is cut. */
static void property_each_page_has_one_turn(void **state)
{
	uint64_t seed = 9;

	(void)state;
	for (int round = 0; round < 200; round++) {
		uint64_t nr_windows = 1 + prng_below(&seed, 9), seen = 0;
		uint64_t from = prng_below(&seed, 64) * MIB;
		struct nb_vma v[] = {vma(from, from + 30 * MIB),
				     vma(from + 40 * MIB, from + 41 * MIB)};
		struct nb_scan s = {0};
		struct nb_range step;

		for (int scan = 0; scan < 100 && !s.pass_ended; scan++) {
			nb_scan_begin(&s, &opts, nr_windows);
			while (nb_scan_next(&s, &opts, v, 2, &step)) {
				nb_scan_charge(&s, &opts, &step, 1);
				seen += step.end - step.start;
			}
		}
		assert_true(s.pass_ended);
		assert_int_equal(seen, 31 * MIB);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(begin_fills_budgets),
		cmocka_unit_test(windows_are_interleaved),
		cmocka_unit_test(property_each_page_has_one_turn),
		cmocka_unit_test(huge_pages_still_get_a_step),
		cmocka_unit_test(largest_options_do_not_overflow),
		cmocka_unit_test(no_memory_is_a_pass),
		cmocka_unit_test(steps_end_at_blocks_and_mappings),
		cmocka_unit_test(budget_is_rounded_up_to_a_huge_page),
		cmocka_unit_test(pages_budget_keeps_the_position),
		cmocka_unit_test(
			virtpages_budget_ends_a_scan_that_arms_nothing),
		cmocka_unit_test(budget_used_up_at_the_end_ends_the_pass),
		cmocka_unit_test(charge_is_in_full_and_never_negative),
		cmocka_unit_test(mappings_may_change_between_steps),
		cmocka_unit_test(the_last_page_of_the_address_space),
		cmocka_unit_test(property_each_byte_once_per_pass),
	};

	return cmocka_run_group_tests_name("scan", tests, NULL, NULL);
}
