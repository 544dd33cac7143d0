/* SPDX-License-Identifier: MIT */
/*
 * policy/scan_period.c: windows, bounds, adaptation, overhead ceiling.
 */
#include "../../lib/policy/scan_period.h"

#include "policy_test.h"

#define MIB NB_MIB
#define GIB (1024 * NB_MIB)

/* Linux's defaults. */
static const struct nb_scan_period_opts opts = {1000, 60000, 256};

static void windows_round_up(void **state)
{
	(void)state;
	assert_int_equal(nb_nr_scan_windows(0, 256), 1);
	assert_int_equal(nb_nr_scan_windows(1, 256), 1);
	assert_int_equal(nb_nr_scan_windows(256 * MIB, 256), 1);
	assert_int_equal(nb_nr_scan_windows(256 * MIB + 1, 256), 2);
	assert_int_equal(nb_nr_scan_windows(8 * GIB, 256), 32);
	assert_int_equal(nb_nr_scan_windows(UINT64_MAX, 1), 1ULL << 44);
	assert_int_equal(nb_nr_scan_windows(5 * MIB, 0), 5);
}

/* The table that follows from Linux's rules S12 to S16, without groups. */
static void bounds_as_in_linux(void **state)
{
	static const struct {
		uint64_t rss;
		uint32_t min, max;
	} c[] = {
		{0, 1000, 60000},      {256 * MIB, 1000, 60000},
		{GIB, 250, 15000},     {2560 * MIB, 100, 6000},
		{8 * GIB, 100, 1875},  {64 * GIB, 100, 234},
		{256 * GIB, 100, 100}, {UINT64_MAX, 100, 100},
	};

	(void)state;
	for (size_t i = 0; i < nb_array_size(c); i++) {
		assert_int_equal(nb_scan_period_min(&opts, c[i].rss), c[i].min);
		assert_int_equal(nb_scan_period_max(&opts, c[i].rss), c[i].max);
	}
}

static void floor_depends_on_scan_size(void **state)
{
	static const struct {
		uint32_t size_mb, floor_ms;
	} c[] = {
		{0, 1},	      {1, 1},	     {2, 1},
		{3, 1},	      {64, 25},	     {255, 100},
		{256, 100},   {257, 111},    {1280, 500},
		{1281, 1000}, {2559, 1000},  {2560, 1000},
		{2561, 1000}, {10000, 1000}, {0xffffffff, 1000},
	};

	(void)state;
	for (size_t i = 0; i < nb_array_size(c); i++) {
		struct nb_scan_period_opts o = {1, 1, c[i].size_mb};

		assert_int_equal(nb_scan_period_min(&o, 0), c[i].floor_ms);
		assert_int_equal(nb_scan_period_max(&o, 0), c[i].floor_ms);
	}
}

static void period_starts_at_the_minimum(void **state)
{
	struct nb_scan_period p = {.scan_period_ms = 1, .failed = 1};

	(void)state;
	nb_scan_period_start(&p, &opts, GIB);
	assert_int_equal(p.scan_period_ms, 62); /* and a quick one */
	assert_int_equal(p.failed, 0);
	assert_true(p.quick);
}

/* The period after one pass with these faults, from @from ms. */
static uint32_t after(uint32_t from, struct nb_pass_faults pf)
{
	struct nb_scan_period p = {.scan_period_ms = from};

	nb_scan_period_update(&p, &opts, &pf, 256 * MIB);
	return p.scan_period_ms;
}

static void nothing_seen_doubles(void **state)
{
	(void)state;
	assert_int_equal(after(10000, (struct nb_pass_faults){0}), 20000);
	assert_int_equal(after(30000, (struct nb_pass_faults){0}), 60000);
	assert_int_equal(after(30001, (struct nb_pass_faults){0}), 60000);
	/* Faults whose place is unknown say nothing about locality. */
	assert_int_equal(after(10000, (struct nb_pass_faults){.priv = 5}),
			 20000);
}

static void kernel_mistake_o1_private_remote_speeds_up(void **state)
{
	struct nb_pass_faults pf = {.remote = 100, .priv = 100};

	(void)state;
	/* The kernel: 20000. */
	assert_int_equal(after(10000, pf), 3000);
}

static void kernel_mistake_o2_failures_fade(void **state)
{
	struct nb_pass_faults failed = {.remote = 8, .priv = 8, .failed = 8};
	struct nb_pass_faults fine = {.remote = 8, .priv = 8, .moved = 3};
	struct nb_scan_period p = {.scan_period_ms = 2000};

	(void)state;
	nb_scan_period_update(&p, &opts, &failed, 0);
	assert_int_equal(p.scan_period_ms, 4000);
	assert_int_equal(p.failed, 8);
	nb_scan_period_update(&p, &opts, &fine, 0); /* 4 failed, 3 moved */
	assert_int_equal(p.scan_period_ms, 8000);
	assert_int_equal(p.failed, 4);
	nb_scan_period_update(&p, &opts, &fine, 0); /* 2 failed, 3 moved */
	assert_int_equal(p.scan_period_ms, 8000 - 7 * 800);
	assert_int_equal(p.failed, 2);
	fine.moved = 0;
	nb_scan_period_update(&p, &opts, &fine, 0); /* 1 failed, 0 moved */
	assert_int_equal(p.scan_period_ms, 4800);
	nb_scan_period_update(&p, &opts, &fine, 0); /* none */
	assert_int_equal(p.failed, 0);
	assert_int_equal(p.scan_period_ms, 4800 - 7 * 480);
}

static void failures_do_not_count_while_fewer_than_moves(void **state)
{
	struct nb_pass_faults pf = {.remote = 100, .priv = 100};

	(void)state;
	pf.failed = 50;
	pf.moved = 50;
	assert_int_equal(after(10000, pf), 3000);
	pf.failed = 51;
	assert_int_equal(after(10000, pf), 20000);
}

static void kernel_mistake_o3_locality_comes_before_sharing(void **state)
{
	struct nb_pass_faults pf = {.priv = 10};

	(void)state;
	/* All private: the kernel slows down by 3 slots whatever is remote. */
	for (uint64_t local = 0; local < 7; local++) {
		pf.local = local;
		pf.remote = 10 - local;
		assert_int_equal(after(10000, pf), 10000 - (7 - local) * 1000);
	}
}

static void local_slows_down(void **state)
{
	struct nb_pass_faults pf = {.shared = 100};

	(void)state;
	pf.local = 70;
	pf.remote = 30;
	assert_int_equal(after(10000, pf), 11000);
	pf.local = 89;
	pf.remote = 11;
	assert_int_equal(after(10000, pf), 11000);
	pf.local = 90;
	pf.remote = 10;
	assert_int_equal(after(10000, pf), 12000);
	pf.local = 99;
	pf.remote = 1;
	assert_int_equal(after(10000, pf), 12000);
	pf.local = 1;
	pf.remote = 0;
	assert_int_equal(after(10000, pf), 13000);
}

static void shared_slows_down_only_without_progress(void **state)
{
	struct nb_pass_faults pf = {.local = 69, .remote = 31};

	(void)state;
	pf.shared = 70;
	pf.priv = 30;
	assert_int_equal(after(10000, pf), 11000);
	pf.moved = 1;
	assert_int_equal(after(10000, pf), 10000);
	pf.shared = 100;
	pf.priv = 0;
	assert_int_equal(after(10000, pf), 10000);
	pf.moved = 0;
	assert_int_equal(after(10000, pf), 13000);
	pf.shared = 69;
	pf.priv = 31;
	assert_int_equal(after(10000, pf), 9000);
	/* Neither: nothing is known about sharing. */
	pf.shared = 0;
	pf.priv = 0;
	assert_int_equal(after(10000, pf), 9000);
}

static void slots_round_up(void **state)
{
	struct nb_pass_faults local = {.local = 7, .remote = 3};
	struct nb_pass_faults remote = {.remote = 1};

	(void)state;
	assert_int_equal(after(1001, local), 1001 + 101);
	assert_int_equal(after(10001, remote), 10001 - 7 * 1001);
}

static void period_stays_within_bounds(void **state)
{
	struct nb_pass_faults remote = {.remote = 1};
	struct nb_pass_faults local = {.local = 1};

	(void)state;
	assert_int_equal(after(1000, remote), 1000);
	assert_int_equal(after(1500, remote), 1000);
	assert_int_equal(after(59000, local), 60000);
	/* Growing memory pulls the bounds along. */
	assert_int_equal(after(100, local), 1000);
	assert_int_equal(after(4000000000U, remote), 60000);
	assert_int_equal(after(4000000000U, (struct nb_pass_faults){0}), 60000);
}

static void tiny_periods_do_not_wrap(void **state)
{
	struct nb_scan_period_opts o = {1, 5, 1};
	struct nb_scan_period p = {.scan_period_ms = 1};
	struct nb_pass_faults remote = {.remote = 1};

	(void)state;
	nb_scan_period_update(&p, &o, &remote, 0); /* 1 - 7 ms */
	assert_int_equal(p.scan_period_ms, 1);
}

static void windows_are_samples(void **state)
{
	(void)state;
	assert_int_equal(nb_scan_size_mb(0, 256), 8);
	assert_int_equal(nb_scan_size_mb(GIB, 256), 64);
	assert_int_equal(nb_scan_size_mb(UINT64_MAX, 256), 256);
	assert_int_equal(nb_scan_size_mb(GIB, 1), 1);
	assert_int_equal(nb_scan_size_mb(GIB, 0), 1);
}

static void a_window_tells_of_new_ways(void **state)
{
	struct nb_pass_faults a = {.local = 100, .remote = 50, .faults = 20};
	struct nb_pass_faults b = {.local = 130, .remote = 120, .faults = 84};

	(void)state;
	/* 30 % of it are local. */
	assert_true(nb_scan_phase_changed(&a, &b, 601));
	assert_false(nb_scan_phase_changed(&a, &b, 600));
	b.faults = 83;
	assert_false(nb_scan_phase_changed(&a, &b, 1000));
	/* Counters that began anew in between are not compared. */
	b.faults = 84;
	assert_true(nb_scan_phase_changed(&a, &b, 1000));
	b.local = 99;
	assert_false(nb_scan_phase_changed(&a, &b, 1000));
	b.local = 130;
	b.remote = 49;
	assert_false(nb_scan_phase_changed(&a, &b, 1000));
	b.remote = 120;
	b.faults = 19;
	assert_false(nb_scan_phase_changed(&a, &b, 1000));
}

static void quick_passes(void **state)
{
	struct nb_scan_period p = {.scan_period_ms = 10000, .quick = true};
	struct nb_pass_faults remote = {.remote = 100, .priv = 100};
	struct nb_pass_faults local = {.local = 100, .priv = 100};

	(void)state;
	nb_scan_period_update(&p, &opts, &remote, 256 * MIB);
	assert_int_equal(p.scan_period_ms, 250);
	nb_scan_period_update(&p, &opts, &local, 256 * MIB);
	assert_int_equal(p.scan_period_ms, 325);
}

static void budget_delay(void **state)
{
	(void)state;
	/* Linux's 32 times, about: 3 % of 33.3 times the cost. */
	assert_int_equal(nb_scan_budget_delay(300, 300, 3), 9700);
	assert_int_equal(nb_scan_budget_delay(300, 9999, 3), 1);
	assert_int_equal(nb_scan_budget_delay(300, 10000, 3), 0);
	assert_int_equal(nb_scan_budget_delay(300, 10001, 3), 0);
	assert_int_equal(nb_scan_budget_delay(1, 0, 3), 34);
	assert_int_equal(nb_scan_budget_delay(99, 99, 99), 1);
	assert_int_equal(nb_scan_budget_delay(99, 0, 100), 0);
	assert_int_equal(nb_scan_budget_delay(99, 0, UINT32_MAX), 0);
	assert_int_equal(nb_scan_budget_delay(0, 0, 2), 0);
	assert_int_equal(nb_scan_budget_delay(0, 0, 0), 0);
	assert_int_equal(nb_scan_budget_delay(1, UINT64_MAX, 0), UINT64_MAX);
	assert_int_equal(nb_scan_budget_delay(UINT64_MAX / 100, 0, 1),
			 UINT64_MAX / 100 * 100);
	assert_int_equal(nb_scan_budget_delay(UINT64_MAX / 100 + 1, 0, 1),
			 UINT64_MAX);
}

static void ask_delay(void **state)
{
	const uint64_t ms = NB_NSEC_PER_MSEC;

	(void)state;
	/* At the pace at which the process runs. */
	assert_int_equal(nb_scan_ask_delay(100 * ms, 50 * ms, 50 * ms, 0),
			 100 * ms);
	assert_int_equal(nb_scan_ask_delay(100 * ms, 200 * ms, 50 * ms, 0),
			 25 * ms);
	assert_int_equal(nb_scan_ask_delay(100 * ms, 10 * ms, 40 * ms, 0),
			 400 * ms);
	assert_int_equal(nb_scan_ask_delay(ms, ms, ms, 5 * ms), 5 * ms);
	/* It sleeps, or may never be scanned: that may change. */
	assert_int_equal(nb_scan_ask_delay(ms, 0, ms, 0), NB_SCAN_ASK_MAX_NS);
	assert_int_equal(nb_scan_ask_delay(UINT64_MAX, 1, UINT64_MAX, 0),
			 NB_SCAN_ASK_MAX_NS);
	assert_int_equal(nb_scan_ask_delay(UINT64_MAX, ms, UINT64_MAX, 0),
			 NB_SCAN_ASK_MAX_NS);
	assert_int_equal(nb_scan_ask_delay(ms, ms, ms, UINT64_MAX),
			 NB_SCAN_ASK_MAX_NS);
	assert_int_equal(nb_scan_ask_delay(0, ms, ms, 0), 0);
}

/*
 * Each time somebody asks, that is 1 ms to earn: 50 ms at 2 %.  Who asks again
 * just when all has been earned finds 50 ms missing, for ever.
 */
static void asking_does_not_use_up_what_is_earned(void **state)
{
	const uint64_t ms = NB_NSEC_PER_MSEC;
	uint64_t cost = 100 * ms, cpu = 0, to_go, wait = 10 * ms;
	int asked = 0;

	(void)state;
	while ((to_go = nb_scan_budget_delay(cost, cpu, 2))) {
		uint64_t delay = nb_scan_ask_delay(to_go, 1, 1, wait);

		wait = nb_min(wait * 2, 500 * ms);
		cpu += delay;
		cost += ms;
		assert_true(++asked < 100);
	}
	assert_true(cpu < 10000 * ms);
}

static void property_period_is_always_within_bounds(void **state)
{
	uint64_t seed = 6;

	(void)state;
	for (int round = 0; round < 2000; round++) {
		struct nb_scan_period_opts o = {
			.scan_period_min_ms = (uint32_t)prng_below(&seed, 5000),
			.scan_period_max_ms = (uint32_t)(prng(&seed) >> 40),
			.scan_size_mb = (uint32_t)prng_below(&seed, 4000),
		};
		struct nb_scan_period p;

		nb_scan_period_start(&p, &o, prng(&seed) >> 24);
		for (int pass = 0; pass < 20; pass++) {
			int shift = 24 + (int)prng_below(&seed, 40);
			uint64_t rss = prng(&seed) >> shift;
			struct nb_pass_faults pf = {
				prng(&seed) >> shift, prng(&seed) >> shift,
				prng(&seed) >> shift, prng(&seed) >> shift,
				prng(&seed) >> shift, prng(&seed) >> shift,
				prng(&seed) >> shift,
			};
			uint32_t min = nb_scan_period_min(&o, rss);
			uint32_t max = nb_scan_period_max(&o, rss);

			assert_true(min >= 1 && min <= max);
			p.quick = prng(&seed) & 1;
			if (p.quick)
				min = nb_max(min / 4, 1U);
			nb_scan_period_update(&p, &o, &pf, rss);
			assert_in_range(p.scan_period_ms, min, max);
		}
	}
}

/* Waiting as long as told keeps the cost at or under the ceiling. */
static void property_budget_holds(void **state)
{
	uint64_t seed = 7;

	(void)state;
	for (int i = 0; i < 20000; i++) {
		uint32_t pct = 1 + (uint32_t)prng_below(&seed, 99);
		uint64_t cost = prng(&seed) >> 20;
		uint64_t cpu = prng(&seed) >> 16;
		uint64_t delay = nb_scan_budget_delay(cost, cpu, pct);

		assert_true(cost * 100 <= (cpu + delay) * pct);
		if (delay)
			assert_true(cost * 100 > (cpu + delay - 1) * pct);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(windows_round_up),
		cmocka_unit_test(bounds_as_in_linux),
		cmocka_unit_test(floor_depends_on_scan_size),
		cmocka_unit_test(period_starts_at_the_minimum),
		cmocka_unit_test(nothing_seen_doubles),
		cmocka_unit_test(kernel_mistake_o1_private_remote_speeds_up),
		cmocka_unit_test(kernel_mistake_o2_failures_fade),
		cmocka_unit_test(failures_do_not_count_while_fewer_than_moves),
		cmocka_unit_test(
			kernel_mistake_o3_locality_comes_before_sharing),
		cmocka_unit_test(local_slows_down),
		cmocka_unit_test(shared_slows_down_only_without_progress),
		cmocka_unit_test(slots_round_up),
		cmocka_unit_test(period_stays_within_bounds),
		cmocka_unit_test(tiny_periods_do_not_wrap),
		cmocka_unit_test(windows_are_samples),
		cmocka_unit_test(a_window_tells_of_new_ways),
		cmocka_unit_test(quick_passes),
		cmocka_unit_test(budget_delay),
		cmocka_unit_test(ask_delay),
		cmocka_unit_test(asking_does_not_use_up_what_is_earned),
		cmocka_unit_test(property_period_is_always_within_bounds),
		cmocka_unit_test(property_budget_holds),
	};

	return cmocka_run_group_tests_name("scan_period", tests, NULL, NULL);
}
