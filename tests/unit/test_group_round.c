/* SPDX-License-Identifier: MIT */
/*
 * policy/group_place.c: the whole round, and those that are in no group.
 */
#include "group_test.h"

static void nb_round(void)
{
	void *scratch = malloc(nb_group_scratch_bytes(nr));

	assert_non_null(scratch);
	nb_group_round(&set, t, nr, &tp, scratch);
	free(scratch);
}

/* Threads [from, to) share with each other, @events each with each. */
static void share(size_t from, size_t to, int events)
{
	for (size_t i = from; i < to; i++)
		for (size_t k = from; k < to; k++)
			for (int e = 0; i != k && e < events; e++)
				nb_partners_note(&partners[i], t[k].id);
}

CASE(round_brings_teams_together)
{
	for (int i = 0; i < 8; i++) {
		add(-1, i % 2, 1);
		mem((size_t)i, i / 4 * 2, 1000);
	}
	mem(0, 1, 1500); /* it alone would go there */
	add(-1, 3, 4);
	mem(8, 3, 1000);
	share(0, 4, 300);
	share(4, 8, 300);
	share(8, 12, 300);
	t[11].partners = NULL;
	nb_round();
	for (size_t i = 0; i < 8; i++) {
		assert_int_equal(t[i].index, i / 4);
		assert_int_equal(t[i].want_nid, i / 4 * 2);
	}
	assert_int_equal(partners[0].total, 3 * 300 * NB_SHARED_EVENT / 2);
	assert_int_equal(partners[11].total, 3 * 300 * NB_SHARED_EVENT);
	assert_int_equal(t[8].index, 2);
	assert_int_equal(t[8].want_nid, 3);
	assert_int_equal(t[11].index, -1);
	assert_int_equal(t[11].want_nid, NONE);
}

/* All that share with all are a group on half of the machine, or a node. */
CASE(round_knows_when_all_have_room)
{
	add(-1, 0, 9);
	share(0, 8, 100);
	nb_round();
	for (size_t i = 0; i < 8; i++)
		assert_int_equal(t[i].index, 0);
	assert_int_equal(t[8].index, -1);
	share(0, 9, 100);
	nb_round();
	for (size_t i = 0; i < 9; i++)
		assert_int_equal(t[i].index, -1);
	tp.load[1].nr_cpus = 9;
	tp.load[2].nr_cpus = 1;
	tp.load[3].nr_cpus = 1;
	nb_round();
	assert_int_equal(t[0].index, 0);
	tp.nodes.bits = 13;
	for (size_t i = 0; i < 9; i++)
		t[i].group = t[i].id;
	nb_round();
	assert_int_equal(t[0].index, -1);
}

/* Who is in no group goes to its memory. */
CASE(round_and_those_in_no_group)
{
	add(-1, 0, 3);
	uses(0, 1, true, 400);
	uses(0, 2, false, 500);
	uses(1, 3, false, 500);
	nf[1]->numa_preferred_nid = 0;
	/* Used from several nodes: what others use as well does not count. */
	uses(2, 0, false, 0);
	for (int n = 0; n < 2; n++)
		nf[2]->faults[nb_numa_faults_idx(nf[2], NB_NUMA_CPU, n,
						 false)] = 100;
	nb_round();
	assert_int_equal(t[0].want_nid, 1);
	assert_int_equal(t[1].want_nid, 0);
	assert_int_equal(t[2].want_nid, NONE);
	/* From one: all of it. */
	nf[2]->faults[nb_numa_faults_idx(nf[2], NB_NUMA_CPU, 1, false)] = 0;
	nb_round();
	assert_int_equal(t[0].want_nid, 2);
	assert_int_equal(t[1].want_nid, 3);
	/* From none: nobody knows. */
	nf[2]->faults[nb_numa_faults_idx(nf[2], NB_NUMA_CPU, 0, false)] = 0;
	nb_round();
	assert_int_equal(t[0].want_nid, 1);
	assert_int_equal(t[1].want_nid, 0);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(round_brings_teams_together),
		TEST(round_knows_when_all_have_room),
		TEST(round_and_those_in_no_group),
	};

	return cmocka_run_group_tests_name("group_round", tests, NULL, NULL);
}
