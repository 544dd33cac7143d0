/* SPDX-License-Identifier: MIT */
/*
 * policy/numa_group.c: groups of threads that share memory.
 */
#include "numa_group_test.h"

/* What thread @a has noted of @b, exactly. */
static void knows(size_t a, size_t b, uint32_t weight)
{
	for (int i = 0; i < NB_NR_PARTNERS; i++) {
		if (partners[a].id[i] && partners[a].id[i] != t[b].id)
			continue;
		partners[a].id[i] = weight ? t[b].id : 0;
		partners[a].weight[i] = weight;
		return;
	}
	fail();
}

CASE(nobody_shares)
{
	form(0, 4);
	for (size_t i = 0; i < 16; i++)
		partners[i].total = LEAST - 1;
	knows(0, 1, LEAST - 1);
	t[3].partners = NULL;
	form(16, 4);
	assert_alone(0, 16);
	form(16, 16);
	assert_alone(0, 16);
}

CASE(teams_on_a_busy_machine)
{
	/* Each team takes turns in its memory, and all in some. */
	team(0, 16, 4);
	for (size_t i = 0; i < 16; i += 4)
		team(i, i + 4, 100);
	form(16, 4);
	for (size_t i = 0; i < 16; i += 4)
		assert_group(i, i + 4);
	assert_int_equal(t[0].group, t[1].group);
}

CASE(teams_whose_threads_are_mixed)
{
	for (size_t a = 0; a < 32; a++)
		for (size_t b = a + 1; b < 32; b++)
			share(a, b, a % 2 == b % 2 ? 150 : 15);
	form(32, 16);
	for (size_t i = 2; i < 32; i++)
		assert_int_equal(t[i].group, t[i % 2].group);
	assert_int_not_equal(t[0].group, t[1].group);
}

/* Pairs that share nothing are not tied together by those who do. */
CASE(pairs_and_loners)
{
	for (size_t i = 0; i < 20; i += 2)
		share(i, i + 1, 8);
	form(32, 4);
	for (size_t i = 0; i < 20; i += 2)
		assert_group(i, i + 2);
	assert_alone(20, 32);
}

CASE(all_with_all_is_a_group_if_it_fits)
{
	team(0, 16, 100);
	form(16, 15);
	assert_alone(0, 16);
	form(16, 16);
	assert_group(0, 16);
	/* Those that share nothing need no room. */
	form(32, 16);
	assert_group(0, 16);
	assert_alone(16, 32);
	partners[16].total = LEAST;
	form(32, 16);
	assert_alone(16, 32);
}

/* ... and what was found when there was room does not stay. */
CASE(all_with_all_ends)
{
	team(0, 16, 100);
	form(16, 16);
	assert_group(0, 16);
	form(16, 15);
	assert_alone(0, 16);
}

/* Half of what a thread shares with its average partner. */
CASE(few_need_half_of_the_average)
{
	partners[0].total = 700;
	partners[1].total = partners[2].total = LEAST;
	knows(0, 3, 100); /* does not share: does not count */
	knows(0, 1, 100);
	knows(0, 2, 300);
	partners[0].id[5] = 190; /* has ended */
	partners[0].weight[5] = 200;
	form(4, 4);
	assert_group(0, 3);
	knows(0, 1, 99);
	form(4, 4);
	assert_int_equal(t[0].group, t[2].group);
	assert_alone(1, 2);
	assert_alone(3, 4);
}

/* A chain, each only with the next; the longest way around. */
CASE(few_are_found_by_others)
{
	for (size_t i = 0; i < 31; i++)
		share(i, i + 1, 10);
	form(32, 32);
	assert_group(0, 32);
	setup(NULL);
	for (size_t i = 0; i < 150; i++) {
		t[i].group = t[i].id = (uint32_t)(150 - i);
		partners[i].total = LEAST;
	}
	for (size_t i = 0; i < 149; i++)
		knows(i, i + 1, LEAST);
	form(150, 150); /* some of it, in limited time */
	assert_int_equal(t[149].group, t[148].group);
	assert_int_not_equal(t[149].group, t[0].group);
}

/*
 * One of 16 that share: alike would be 100 of 1600, half as much again and 3
 * events are 198, and three deviations of 6.25 events 120.
 */
static void one_of_16(uint32_t weight)
{
	for (size_t i = 0; i < 16; i++)
		partners[i].total = LEAST;
	partners[0].total = 1600;
	knows(0, 1, weight);
	form(20, 15); /* four share nothing */
}

CASE(a_team_is_more_than_chance)
{
	one_of_16(317);
	assert_alone(0, 16);
	one_of_16(318);
	assert_group(0, 2);
}

CASE(three_events_at_least)
{
	/* Alike is nothing: 128 of 130 threads. */
	for (size_t i = 0; i < 130; i++)
		partners[i].total = LEAST;
	knows(0, 1, 3 * EVENT - 1);
	form(130, 100);
	assert_alone(0, 130);
	knows(0, 1, 3 * EVENT);
	form(130, 100);
	assert_group(0, 2);
}

CASE(members_need_a_fifth_less)
{
	one_of_16(318);
	one_of_16(255); /* 5/4 of it are 318 */
	assert_group(0, 2);
	one_of_16(254);
	assert_alone(0, 16);
	one_of_16(255);
	assert_alone(0, 16);
}

CASE(changes_for_a_quarter_more)
{
	one_of_16(400);
	assert_int_equal(t[0].group, t[1].group);
	knows(0, 2, 500);
	form(16, 15);
	assert_int_equal(t[0].group, t[1].group);
	knows(0, 2, 501);
	form(16, 15);
	assert_int_equal(t[0].group, t[2].group);
	knows(0, 2, 400);
	form(16, 15);
	assert_int_equal(t[0].group, t[2].group);
}

/* Of two that are equal the older one. */
CASE(equals_go_to_the_older)
{
	one_of_16(0);
	knows(0, 5, 400);
	knows(0, 3, 400);
	form(16, 15);
	assert_int_equal(t[0].group, t[3].group);
	assert_int_not_equal(t[0].group, t[5].group);
}

/* Several members weigh together, and a large group needs more. */
CASE(votes_of_a_group_add_up)
{
	for (size_t i = 0; i < 16; i++)
		partners[i].total = LEAST;
	t[2].group = t[3].group = t[1].id;
	for (size_t i = 2; i < 4; i++)
		knows(i, 1, LEAST);
	knows(1, 2, LEAST);
	partners[0].total = 1600;
	knows(0, 1, 200);
	knows(0, 2, 200);
	knows(0, 3, 257);
	knows(0, 4, 320);
	/* Alike 300, least 498, deviations 208: not enough. */
	form(16, 15);
	assert_group(1, 4);
	partners[0].total = 1200;
	form(16, 15);
	assert_group(0, 4);
}

/* ... also if it has just come together, and not if it has just gone. */
CASE(members_are_those_of_now)
{
	for (size_t i = 0; i < 16; i++)
		partners[i].total = LEAST;
	knows(1, 2, LEAST);
	knows(2, 1, LEAST);
	knows(3, 1, LEAST);
	partners[15].total = 1600;
	knows(15, 1, 200);
	knows(15, 2, 200);
	knows(15, 3, 257);
	form(16, 15);
	assert_group(1, 4);
	setup(NULL);
	for (size_t i = 0; i < 16; i++)
		partners[i].total = LEAST;
	t[1].group = t[2].group = t[3].group = t[14].id;
	partners[15].total = 1600;
	knows(15, 14, 318);
	form(16, 15);
	assert_group(14, 16);
}

/* Only one shares with anybody: nobody to compare it with. */
CASE(the_only_one_that_shares)
{
	partners[0].total = 100 * EVENT;
	knows(0, 1, 100 * EVENT);
	form(2, 0);
	assert_alone(0, 2);
	partners[1].total = LEAST;
	form(2, 0);
	assert_group(0, 2);
}

CASE(chance_makes_no_team)
{
	uint64_t seed = 21;

	for (int round = 0; round < 300; round++) {
		size_t nr = 12 + prng_below(&seed, 60);
		uint64_t events = nr * (8 + prng_below(&seed, 200));

		setup(NULL);
		while (events--) {
			size_t a = prng_below(&seed, nr);
			size_t b = prng_below(&seed, nr - 1);

			share(a, b + (b >= a), 1);
		}
		form(nr, 8);
		assert_alone(0, nr);
	}
}

/* Each shares with the next, who does not know of it: eight get together. */
CASE(the_time_for_it_is_limited)
{
	for (size_t i = 0; i < 40; i++) {
		partners[i].total = 100 * EVENT;
		if (i < 39)
			knows(i, i + 1, 100 * EVENT);
	}
	form(40, 4);
	assert_alone(0, 31);
	assert_group(31, 40);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup(f, setup)
	const struct CMUnitTest tests[] = {
		TEST(nobody_shares),
		TEST(teams_on_a_busy_machine),
		TEST(teams_whose_threads_are_mixed),
		TEST(pairs_and_loners),
		TEST(all_with_all_is_a_group_if_it_fits),
		TEST(all_with_all_ends),
		TEST(few_need_half_of_the_average),
		TEST(few_are_found_by_others),
		TEST(a_team_is_more_than_chance),
		TEST(three_events_at_least),
		TEST(members_need_a_fifth_less),
		TEST(changes_for_a_quarter_more),
		TEST(equals_go_to_the_older),
		TEST(votes_of_a_group_add_up),
		TEST(members_are_those_of_now),
		TEST(the_only_one_that_shares),
		TEST(chance_makes_no_team),
		TEST(the_time_for_it_is_limited),
	};

	return cmocka_run_group_tests_name("numa_group", tests, NULL, NULL);
}
