/* SPDX-License-Identifier: MIT */
/*
 * policy/numa_group.c: groups over many rounds, how they change and end.
 */
#include "numa_group_test.h"

static void decay(size_t nr)
{
	for (size_t i = 0; i < nr; i++)
		nb_partners_decay(&partners[i]);
}

CASE(names_stay)
{
	uint32_t names[16];

	for (int round = 0; round < 10; round++) {
		for (size_t i = 0; i < 16; i += 4)
			team(i, i + 4, 100);
		team(0, 16, 4);
		decay(16);
		form(16, 4);
		for (size_t i = 0; i < 16; i++) {
			if (!round)
				names[i] = t[i].group;
			assert_int_equal(t[i].group, names[i]);
		}
	}
	/* A newcomer takes the name, whatever its id is. */
	for (size_t i = 0; i < 4; i++)
		share(16, i, 200);
	form(17, 4);
	assert_int_equal(t[16].group, names[0]);
	assert_int_equal(t[0].group, names[0]);
}

/* Thread @who of a team of four does so no longer. */
static void one_leaves(size_t who, uint32_t cpus)
{
	setup(NULL);
	for (size_t i = 0; i < 16; i += 4)
		team(i, i + 4, 100);
	form(16, cpus);
	assert_int_equal(t[0].group, t[3].group);
	assert_int_equal(t[0].group, t[who].group);
	for (int round = 0; round < 12; round++) {
		decay(16);
		for (size_t a = 0; a < 16; a++)
			for (size_t b = a + 1; b < 16; b++)
				if (a / 4 == b / 4 && a != who && b != who)
					share(a, b, 100);
		form(16, cpus);
	}
	assert_alone(who, who + 1);
	for (size_t i = 0; i < 16; i++)
		for (size_t k = i + 1; k < 16; k++)
			assert_int_equal(t[i].group == t[k].group,
					 i / 4 == k / 4 && i != who &&
						 k != who);
}

CASE(who_stops_sharing_leaves)
{
	for (size_t who = 0; who < 4; who++) {
		one_leaves(who, 4);
		one_leaves(who, 16);
	}
}

/* The one whose name it has ends. */
CASE(a_group_outlives_its_founder)
{
	uint32_t name;

	for (size_t i = 0; i < 16; i += 4)
		team(i, i + 4, 100);
	form(16, 4);
	name = t[0].group;
	for (size_t i = 0; i < 4; i++) {
		if (t[i].id != name)
			continue;
		t[i].id = t[i].group = 1000;
		memset(&partners[i], 0, sizeof(partners[i]));
	}
	form(16, 4);
	for (size_t i = 0; i < 4; i++)
		if (t[i].id != 1000)
			assert_int_equal(t[i].group, name);
		else
			assert_alone(i, i + 1);
	decay(16);
	form(16, 4);
	assert_int_equal(t[2].group == t[3].group, t[3].id != 1000);
}

CASE(a_team_becomes_two)
{
	for (uint32_t cpus = 8; cpus <= 32; cpus += 24) {
		setup(NULL);
		for (size_t i = 0; i < 32; i += 8)
			team(i, i + 8, 300);
		form(32, cpus);
		for (size_t i = 0; i < 32; i += 8)
			assert_group(i, i + 8);
		for (int round = 0; round < 12; round++) {
			decay(32);
			team(0, 32, 2);
			for (size_t i = 0; i < 32; i += 4)
				team(i, i + 4, 300);
			form(32, cpus);
		}
		for (size_t i = 0; i < 32; i += 4)
			assert_group(i, i + 4);
	}
}

/* Whatever the notes: all names are of threads, and who is alone is alone. */
CASE(property_random_notes)
{
	uint64_t seed = 31;

	for (int round = 0; round < 500; round++) {
		size_t nr = 1 + prng_below(&seed, 40);
		int events = (int)prng_below(&seed, 2000);

		setup(NULL);
		for (int pass = 0; pass < 4; pass++) {
			size_t span = 1 + prng_below(&seed, 8);

			for (int e = 0; e < events; e++) {
				size_t a = prng_below(&seed, nr);
				size_t b = a + prng_below(&seed, span);

				if (b != a && b < nr)
					share(a, b, 1);
			}
			form(nr, (uint32_t)prng_below(&seed, nr + 2));
			for (size_t i = 0; i < nr; i++) {
				assert_in_range(t[i].group, 1, nr);
				/* Its founder is still in it. */
				assert_int_equal(t[t[i].group - 1].group,
						 t[i].group);
				if (partners[i].total < LEAST)
					assert_alone(i, i + 1);
			}
			decay(nr);
		}
	}
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup(f, setup)
	const struct CMUnitTest tests[] = {
		TEST(names_stay),
		TEST(who_stops_sharing_leaves),
		TEST(a_group_outlives_its_founder),
		TEST(a_team_becomes_two),
		TEST(property_random_notes),
	};

	return cmocka_run_group_tests_name("group_life", tests, NULL, NULL);
}
