/* SPDX-License-Identifier: MIT */
/*
 * policy/numa_group.c: the notes of each thread, with whom it shares memory.
 */
#include "../../lib/policy/numa_group.h"

#include "policy_test.h"

#define CASE(name) static void name(void **state __attribute__((unused)))
#define EVENT NB_SHARED_EVENT

static struct nb_partners p;

static int setup(void **state)
{
	(void)state;
	memset(&p, 0, sizeof(p));
	return 0;
}

static void note(uint32_t id, int times)
{
	for (int i = 0; i < times; i++)
		nb_partners_note(&p, id);
}

/* 0: it is not in the table; nobody is there twice. */
static uint32_t weight(uint32_t id)
{
	uint32_t w = 0;

	for (int i = 0; i < NB_NR_PARTNERS; i++) {
		if (p.id[i] != id)
			continue;
		assert_int_equal(w, 0);
		w = p.weight[i];
		assert_int_not_equal(w, 0);
	}
	return w;
}

static int nr_known(void)
{
	int nr = 0;

	for (int i = 0; i < NB_NR_PARTNERS; i++) {
		assert_int_equal(!p.id[i], !p.weight[i]);
		nr += !!p.id[i];
	}
	return nr;
}

CASE(few_partners_are_counted_exactly)
{
	for (uint32_t id = 1; id <= NB_NR_PARTNERS; id++)
		note(id, (int)id);
	for (uint32_t id = 1; id <= NB_NR_PARTNERS; id++)
		assert_int_equal(weight(id), id * EVENT);
	assert_int_equal(p.total,
			 NB_NR_PARTNERS * (NB_NR_PARTNERS + 1) / 2 * EVENT);
	assert_int_equal(weight(NB_NR_PARTNERS + 1), 0);
}

/* One too many takes an event from each, and leaves with them. */
CASE(one_too_many_takes_from_all)
{
	for (uint32_t id = 1; id <= NB_NR_PARTNERS; id++)
		note(id, 2);
	note(99, 1);
	assert_int_equal(weight(99), 0);
	assert_int_equal(nr_known(), NB_NR_PARTNERS);
	for (uint32_t id = 1; id <= NB_NR_PARTNERS; id++)
		assert_int_equal(weight(id), EVENT);
	note(99, 1);
	assert_int_equal(nr_known(), 0);
	note(99, 1);
	assert_int_equal(weight(99), EVENT);
	assert_int_equal(p.total, (2 * NB_NR_PARTNERS + 3) * EVENT);
}

/* Who has less than an event is replaced, by what is more. */
CASE(the_smallest_makes_room)
{
	note(7, 1);
	nb_partners_decay(&p);
	assert_int_equal(weight(7), EVENT / 2);
	for (uint32_t id = 100; id < 100 + NB_NR_PARTNERS - 1; id++)
		note(id, 2);
	note(8, 1);
	assert_int_equal(weight(7), 0);
	assert_int_equal(weight(8), EVENT / 2);
	assert_int_equal(weight(100), EVENT * 3 / 2);
	assert_int_equal(nr_known(), NB_NR_PARTNERS);
}

CASE(decay_halves_and_frees)
{
	note(1, 4);
	note(2, 1);
	for (uint32_t left = EVENT; left; left /= 2) {
		assert_int_equal(weight(2), left);
		assert_int_equal(weight(1), 4 * left);
		assert_int_equal(p.total, 5 * left);
		nb_partners_decay(&p);
	}
	assert_int_equal(weight(2), 0);
	assert_int_equal(weight(1), 2);
	nb_partners_decay(&p);
	nb_partners_decay(&p);
	assert_int_equal(nr_known(), 0);
	assert_int_equal(p.total, 0);
	/* A place that was freed can be used. */
	for (uint32_t id = 1; id <= NB_NR_PARTNERS; id++)
		note(id, 1);
	assert_int_equal(nr_known(), NB_NR_PARTNERS);
}

#define NR_IDS 200

/* Some are often chosen, most seldom; how skewed differs by round. */
static uint32_t skewed(uint64_t *seed, uint64_t heavy)
{
	if (heavy && prng_below(seed, 2))
		return (uint32_t)(1 + prng_below(seed, heavy));
	return (uint32_t)(1 + prng_below(seed, NR_IDS));
}

/*
 * What is noted is never more than there was, and less by a 33rd of all at
 * most: so whoever has more than that is in the table.
 */
CASE(property_a_large_share_is_never_lost)
{
	uint64_t seed = 5;

	for (uint64_t round = 0; round < 40; round++) {
		uint32_t seen[NR_IDS + 1] = {0};
		uint64_t all = 0;

		setup(NULL);
		for (int i = 0; i < 3000; i++) {
			uint32_t id = skewed(&seed, round % 20);

			note(id, 1);
			seen[id] += EVENT;
			all += EVENT;
			if (i % 100)
				continue;
			assert_int_equal(p.total, all);
			for (id = 1; id <= NR_IDS; id++) {
				uint32_t w = weight(id);

				assert_true(w <= seen[id]);
				assert_true((seen[id] - w) *
						    (NB_NR_PARTNERS + 1ULL) <=
					    all);
			}
		}
	}
}

/* The same over passes, but for what halves lose by rounding. */
CASE(property_decay_keeps_the_bound)
{
	uint64_t seed = 6;
	double seen[NR_IDS + 1] = {0};
	double all = 0;

	for (int pass = 0; pass < 100; pass++) {
		for (int i = 0; i < 200; i++) {
			uint32_t id = skewed(&seed, 8);

			note(id, 1);
			seen[id] += EVENT;
			all += EVENT;
		}
		nb_partners_decay(&p);
		all /= 2;
		assert_true((double)p.total > all - 2);
		for (uint32_t id = 1; id <= NR_IDS; id++) {
			uint32_t w = weight(id);

			seen[id] /= 2;
			assert_true((double)w <= seen[id]);
			assert_true(seen[id] - w <=
				    all / (NB_NR_PARTNERS + 1) + 2);
		}
	}
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup(f, setup)
	const struct CMUnitTest tests[] = {
		TEST(few_partners_are_counted_exactly),
		TEST(one_too_many_takes_from_all),
		TEST(the_smallest_makes_room),
		TEST(decay_halves_and_frees),
		TEST(property_a_large_share_is_never_lost),
		TEST(property_decay_keeps_the_bound),
	};

	return cmocka_run_group_tests_name("partners", tests, NULL, NULL);
}
