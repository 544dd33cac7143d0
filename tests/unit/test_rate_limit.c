/* SPDX-License-Identifier: MIT */
/*
 * policy/rate_limit.c: the token bucket.
 */
#include "../../lib/policy/rate_limit.h"

#include "policy_test.h"

#define MIB NB_MIB
#define MSEC NB_NSEC_PER_MSEC
#define SEC NB_NSEC_PER_SEC

static void zero_is_no_limit(void **state)
{
	struct nb_rate_limit r;

	(void)state;
	nb_rate_limit_init(&r, 0, 5);
	assert_int_equal(nb_rate_limit_take(&r, UINT64_MAX, 5), UINT64_MAX);
	assert_int_equal(nb_rate_limit_take(&r, 1, 0), 1);
	assert_int_equal(nb_rate_limit_take(&r, 0, 5), 0);
}

static void burst_is_a_tenth_of_a_second(void **state)
{
	struct nb_rate_limit r;

	(void)state;
	nb_rate_limit_init(&r, 100 * MIB, SEC);
	assert_int_equal(nb_rate_limit_take(&r, 4 * MIB, SEC), 4 * MIB);
	assert_int_equal(nb_rate_limit_take(&r, 100 * MIB, SEC), 6 * MIB);
	assert_int_equal(nb_rate_limit_take(&r, 1, SEC), 0);
	/* However long nothing was asked for, it is no more than that. */
	assert_int_equal(nb_rate_limit_take(&r, 100 * MIB, 1000 * SEC),
			 10 * MIB);
	assert_int_equal(nb_rate_limit_take(&r, 100 * MIB, UINT64_MAX),
			 10 * MIB);
}

static void burst_holds_a_huge_page(void **state)
{
	struct nb_rate_limit r;

	(void)state;
	nb_rate_limit_init(&r, 1, 0);
	assert_int_equal(nb_rate_limit_take(&r, 3 * MIB, 0), 2 * MIB);
	nb_rate_limit_init(&r, 20 * MIB, 0);
	assert_int_equal(nb_rate_limit_take(&r, 3 * MIB, 0), 2 * MIB);
	nb_rate_limit_init(&r, 21 * MIB, 0);
	assert_int_equal(nb_rate_limit_take(&r, 3 * MIB, 0), 21 * MIB / 10);
}

static void refill_is_exact(void **state)
{
	struct nb_rate_limit r;

	(void)state;
	nb_rate_limit_init(&r, 1000 * MIB, 0);
	assert_int_equal(nb_rate_limit_take(&r, 100 * MIB, 0), 100 * MIB);
	assert_int_equal(nb_rate_limit_take(&r, 100 * MIB, 10 * MSEC),
			 10 * MIB);
	assert_int_equal(nb_rate_limit_take(&r, MIB, 20 * MSEC), MIB);
	assert_int_equal(nb_rate_limit_take(&r, 100 * MIB, 20 * MSEC), 9 * MIB);
}

static void slow_rates_refill_over_whole_seconds(void **state)
{
	struct nb_rate_limit r;

	(void)state;
	nb_rate_limit_init(&r, MIB, 0);
	assert_int_equal(nb_rate_limit_take(&r, 2 * MIB, 0), 2 * MIB);
	assert_int_equal(nb_rate_limit_take(&r, 2 * MIB, SEC), MIB);
	assert_int_equal(nb_rate_limit_take(&r, 4 * MIB, SEC * 5 / 2),
			 3 * MIB / 2);
	/* 2.5 s are worth more than the bucket holds. */
	assert_int_equal(nb_rate_limit_take(&r, 4 * MIB, SEC * 5), 2 * MIB);
}

static void frequent_calls_do_not_lose_time(void **state)
{
	struct nb_rate_limit r;
	uint64_t sum = 0;

	(void)state;
	nb_rate_limit_init(&r, 100, 0);
	(void)nb_rate_limit_take(&r, 2 * MIB, 0);
	/* A tenth of a byte per call. */
	for (uint64_t t = 0; t <= 10 * SEC; t += MSEC)
		sum += nb_rate_limit_take(&r, MIB, t);
	assert_int_equal(sum, 1000);
}

static void clock_going_backwards_is_harmless(void **state)
{
	struct nb_rate_limit r;

	(void)state;
	nb_rate_limit_init(&r, 100 * MIB, 100 * SEC);
	assert_int_equal(nb_rate_limit_take(&r, 10 * MIB, 100 * SEC), 10 * MIB);
	assert_int_equal(nb_rate_limit_take(&r, 10 * MIB, 50 * SEC), 0);
	assert_int_equal(nb_rate_limit_take(&r, 10 * MIB, 50 * SEC + 10 * MSEC),
			 MIB);
}

static void the_highest_rate_does_not_overflow(void **state)
{
	struct nb_rate_limit r;
	uint64_t burst = UINT64_MAX / 10;

	(void)state;
	nb_rate_limit_init(&r, UINT64_MAX, 0);
	assert_int_equal(nb_rate_limit_take(&r, UINT64_MAX, 0), burst);
	/* 18446744073.709551615 bytes per ns. */
	assert_int_equal(nb_rate_limit_take(&r, UINT64_MAX, 10), 184467440737);
	assert_int_equal(nb_rate_limit_take(&r, UINT64_MAX, SEC), burst);
	assert_int_equal(nb_rate_limit_take(&r, UINT64_MAX, 2 * SEC - 1),
			 burst);
	assert_int_equal(nb_rate_limit_take(&r, UINT64_MAX, UINT64_MAX), burst);
}

/* Over any time, no more than the burst and what that time is worth. */
static void property_rate_holds(void **state)
{
	uint64_t seed = 5;

	(void)state;
	for (int round = 0; round < 300; round++) {
		uint64_t rate = 1 + (prng(&seed) >> (24 + round % 36));
		uint64_t now = prng(&seed) >> 20;
		uint64_t start = now;
		uint64_t burst = nb_max(rate / 10, 2 * MIB);
		uint64_t sum = 0;
		struct nb_rate_limit r;

		nb_rate_limit_init(&r, rate, now);
		for (int i = 0; i < 200; i++) {
			uint64_t ask = prng(&seed) >> 32;
			uint64_t got = nb_rate_limit_take(&r, ask, now);

			assert_true(got <= ask);
			assert_true(r.tokens <= burst);
			sum += got;
			now += prng_below(&seed, 50 * MSEC);
		}
		assert_true((long double)sum <=
			    (long double)burst +
				    (long double)rate * (now - start) / SEC);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(zero_is_no_limit),
		cmocka_unit_test(burst_is_a_tenth_of_a_second),
		cmocka_unit_test(burst_holds_a_huge_page),
		cmocka_unit_test(refill_is_exact),
		cmocka_unit_test(slow_rates_refill_over_whole_seconds),
		cmocka_unit_test(frequent_calls_do_not_lose_time),
		cmocka_unit_test(clock_going_backwards_is_harmless),
		cmocka_unit_test(the_highest_rate_does_not_overflow),
		cmocka_unit_test(property_rate_holds),
	};

	return cmocka_run_group_tests_name("rate_limit", tests, NULL, NULL);
}
