/* SPDX-License-Identifier: MIT */
/*
 * policy/group_place.c: a node for each group.
 */
#include "group_test.h"

/* So far apart that what is on another node is worth nothing. */
static void far_apart(void)
{
	for (int n = 0; n < NR_NODES; n++)
		for (int m = 0; m < NR_NODES; m++)
			topo.distance[n][m] = n == m ? 10 : 60000;
}

static void add_sleeping(int index, int nid, int count)
{
	size_t from = nr;

	for (add(index, nid, count); from < nr; from++)
		t[from].running = false;
}

static void place(void)
{
	set.all.nr_running = 0;
	for (int i = 0; i < set.nr; i++)
		g[i].nr_running = 0;
	for (size_t i = 0; i < nr; i++) {
		set.all.nr_running += t[i].running;
		if (t[i].index >= 0)
			g[t[i].index].nr_running += t[i].running;
	}
	nb_group_place(&set, t, nr, &tp);
}

/* Threads of a group that shall run on a node. */
static int wants(int index, int nid)
{
	int count = 0;

	for (size_t i = 0; i < nr; i++)
		count += t[i].index == index && t[i].want_nid == nid;
	return count;
}

static void assert_all_at(int index, int nid)
{
	for (size_t i = 0; i < nr; i++)
		if (t[i].index == index)
			assert_int_equal(t[i].want_nid, nid);
	if (index >= 0)
		assert_int_equal(g[index].nid, nid);
}

CASE(goes_to_its_memory)
{
	add(0, 1, 1);
	add(0, 3, 1);
	add(-1, 3, 1);
	mem(0, 2, 1000);
	mem(1, 2, 1000);
	mem(2, 0, 1000);
	place();
	assert_all_at(0, 2);
	assert_all_at(-1, NONE);
}

/* Running there is worth half of the group's memory. */
CASE(where_it_runs_counts_for_half)
{
	far_apart();
	add(0, 1, 2);
	mem(0, 0, 300);
	mem(1, 1, 100);
	place(); /* 300, 100 + 200: the lowest of equals */
	assert_all_at(0, 0);
	g[0].nid = NONE;
	mem(1, 1, 1);
	place(); /* 300, 101 + 200 */
	assert_all_at(0, 1);
	g[0].nid = NONE;
	t[0].current_nid = 0;
	place(); /* 300 + 100, 101 + 100 */
	assert_all_at(0, 0);
}

CASE(only_who_runs_counts_where_it_is)
{
	far_apart();
	add(0, 0, 2);
	add_sleeping(0, 1, 6);
	mem(0, 0, 300);
	mem(1, 1, 310);
	place(); /* 300 + 305, 310 */
	assert_all_at(0, 0);
	g[0].nid = NONE;
	t[0].current_nid = t[1].current_nid = NONE;
	place(); /* 300, 310 */
	assert_all_at(0, 1);
}

CASE(between_its_memory)
{
	add(0, 2, 2);
	mem(0, 1, 300);
	mem(1, 3, 300);
	place(); /* 300 + 100, the other 150 + 150, one with + 300 */
	assert_all_at(0, 2);
	g[0].nid = NONE;
	t[0].current_nid = t[1].current_nid = NONE;
	place();
	assert_all_at(0, 1);
	topo.distance[0][1] = topo.distance[0][3] = 14;
	place(); /* 214 + 214 is not enough to leave for */
	assert_all_at(0, 1);
	g[0].nid = NONE;
	place();
	assert_all_at(0, 0);
	/* A distance that nobody knows. */
	topo.distance[2][3] = 0;
	place();
	assert_all_at(0, 2);
}

CASE(stays_until_another_is_an_eighth_better)
{
	far_apart();
	add(0, NONE, 2);
	g[0].nid = 1;
	mem(0, 1, 800);
	mem(0, 0, 900);
	place();
	assert_all_at(0, 1);
	mem(1, 0, 1);
	place();
	assert_all_at(0, 0);
	/* ... but not where it has no room, or must not be. */
	g[0].nid = 1;
	tp.load[1].nr_cpus = 1;
	mem(1, 1, 101);
	place();
	assert_all_at(0, 0);
	g[0].nid = 1;
	tp.load[1].nr_cpus = 0;
	place();
	assert_all_at(0, 0);
	g[0].nid = 1;
	tp.load[1].nr_cpus = 4;
	tp.nodes.bits = 13;
	place();
	assert_all_at(0, 0);
}

CASE(memory_where_it_cannot_run)
{
	add(0, NONE, 2);
	mem(0, 2, 1000);
	mem(1, 3, 10);
	tp.load[2].nr_cpus = 0;
	place();
	assert_all_at(0, 3);
	tp.load[2].nr_cpus = 4;
	tp.nodes.bits = 3;
	place();
	assert_all_at(0, 1);
}

CASE(nowhere_to_run)
{
	add(0, 0, 3);
	add_sleeping(0, 0, 1);
	mem(0, 0, 1000);
	g[0].nid = 0;
	for (int n = 0; n < NR_NODES; n++)
		tp.load[n].nr_cpus = 0;
	place();
	assert_all_at(0, NONE);
	for (int n = 0; n < NR_NODES; n++)
		tp.load[n].nr_cpus = 4;
	tp.nodes.bits = 0;
	place();
	assert_all_at(0, NONE);
}

CASE(the_largest_first)
{
	add(0, 0, 2);
	add(1, 3, 3);
	mem(0, 0, 1000);
	mem(2, 0, 10);
	place();
	assert_all_at(1, 0);
	assert_all_at(0, 1);
	/* If all fit, both. */
	tp.load[0].nr_cpus = 5;
	place();
	assert_all_at(1, 0);
	assert_all_at(0, 0);
	tp.load[0].nr_cpus = 3;
	g[0].nid = NONE;
	place();
	assert_all_at(1, 0);
	assert_all_at(0, 1);
}

CASE(of_equal_ones_first_who_has_a_node)
{
	add(0, 0, 3);
	add(1, 0, 3);
	mem(0, 0, 1000);
	mem(3, 0, 1000);
	g[1].nid = 0;
	place();
	assert_all_at(1, 0);
	assert_all_at(0, 1);
	g[0].nid = g[1].nid = NONE;
	place();
	assert_all_at(0, 0);
	assert_all_at(1, 1);
}

CASE(groups_change_places_in_one_round)
{
	far_apart();
	add(0, 1, 4);
	add(1, 0, 4);
	mem(0, 0, 1000);
	mem(4, 1, 1000);
	g[0].nid = 1;
	g[1].nid = 0;
	place();
	assert_all_at(0, 0);
	assert_all_at(1, 1);
}

CASE(who_is_alone_is_no_group)
{
	add(0, NONE, 1);
	add_sleeping(0, NONE, 3);
	mem(0, 1, 1000);
	place();
	assert_all_at(0, NONE);
	t[1].running = true;
	place();
	assert_all_at(0, 1);
}

CASE(who_sleeps_takes_no_room)
{
	add(0, NONE, 4);
	add_sleeping(0, NONE, 5);
	add(1, NONE, 2);
	mem(0, 2, 1000);
	mem(9, 3, 1000);
	place();
	assert_all_at(0, 2);
	assert_all_at(1, 3);
}

/* Node 2 has more memory than 1, but is far from the first one. */
CASE(the_rest_goes_to_the_nearest)
{
	add(0, NONE, 7);
	add_sleeping(0, 3, 2);
	mem(0, 0, 1000);
	mem(0, 2, 600);
	mem(0, 1, 1);
	place();
	assert_int_equal(wants(0, 0), 4 + 2);
	assert_int_equal(wants(0, 1), 3);
	assert_int_equal(g[0].nid, 0);
	/* Nodes that are full or not to be used. */
	tp.nodes.bits = 13;
	tp.load[3].nr_cpus = 1;
	place(); /* 9 CPUs */
	assert_int_equal(wants(0, 0), 4 + 2);
	assert_int_equal(wants(0, 2), 3);
	add(1, 3, 12);
	tp.nodes.bits = 15;
	tp.load[1].nr_cpus = tp.load[3].nr_cpus = 4;
	tp.load[3].nr_cpus = 12;
	mem(9, 3, 10000);
	place();
	assert_int_equal(wants(1, 3), 12);
	assert_int_equal(wants(0, 1), 3);
	topo.distance[0][2] = 0;
	place();
	assert_int_equal(wants(0, 2), 3);
}

/* Near the first, not near the one before. */
CASE(all_the_rest_goes_near_the_first)
{
	add(0, NONE, 10);
	mem(0, 0, 1100);
	mem(0, 1, 1000);
	mem(0, 2, 100);
	place();
	assert_int_equal(wants(0, 0), 4);
	assert_int_equal(wants(0, 1), 4);
	assert_int_equal(wants(0, 3), 2);
}

CASE(a_large_one_stays_as_well)
{
	far_apart();
	add(0, NONE, 6);
	mem(0, 0, 900);
	mem(0, 1, 800);
	g[0].nid = 1;
	place();
	assert_int_equal(g[0].nid, 1);
	assert_int_equal(wants(0, 1), 4);
	assert_int_equal(wants(0, 0), 2);
	mem(0, 0, 1);
	place();
	assert_int_equal(g[0].nid, 0);
	assert_int_equal(wants(0, 0), 4);
	assert_int_equal(wants(0, 1), 2);
}

CASE(who_runs_there_stays_there)
{
	add(0, 1, 3);
	add(0, 0, 3);
	mem(0, 0, 1000);
	place();
	assert_int_equal(wants(0, 0), 4);
	for (size_t i = 3; i < 6; i++)
		assert_int_equal(t[i].want_nid, 0);
	assert_int_equal(t[0].want_nid, 0);
	assert_int_equal(t[1].want_nid, 1);
	assert_int_equal(t[2].want_nid, 1);
}

/* Each node takes its share, rounded up. */
CASE(more_threads_than_cpus)
{
	add(0, 0, 6);
	add(-1, 1, 15);
	mem(0, 0, 1000);
	place(); /* 21 on 16: 5.25 each */
	assert_all_at(0, 0);
	add(0, 0, 1);
	t[20].running = false;
	place(); /* 7 of 21 */
	assert_int_equal(wants(0, 0), 6);
	assert_int_equal(wants(0, 1), 1);
	tp.load[2].nr_cpus = 0;
	place(); /* 21 on 12 */
	assert_all_at(0, 0);
	tp.load[2].nr_cpus = 4;
	tp.nodes.bits = 11;
	place();
	assert_all_at(0, 0);
	t[19].running = t[18].running = t[17].running = t[16].running = false;
	t[15].running = t[14].running = t[13].running = t[12].running = false;
	t[11].running = false;
	place(); /* 12 on 12 */
	assert_int_equal(wants(0, 0), 4);
	t[11].running = true;
	place(); /* 13 on 12 */
	assert_int_equal(wants(0, 0), 5);
}

/* Groups and loads by chance: all find a node, and none is too full. */
CASE(property_everybody_finds_room)
{
	uint64_t seed = 12;

	for (int round = 0; round < 2000; round++) {
		uint32_t cpus = 0, running = 0;
		int n;

		setup(NULL);
		tp.nodes.bits = prng_below(&seed, 16);
		nb_for_each_nid (n, &tp.nodes) {
			tp.load[n].nr_cpus = (uint32_t)prng_below(&seed, 7);
			cpus += tp.load[n].nr_cpus;
		}
		while (nr < MOST - 8) {
			size_t from = nr;

			add(set.nr - (int)prng_below(&seed, 2),
			    (int)prng_below(&seed, 5) - 1,
			    (int)prng_below(&seed, 8));
			for (; from < nr; from++) {
				mem(from, (int)prng_below(&seed, NR_NODES),
				    prng_below(&seed, 1000));
				t[from].running = prng_below(&seed, 4);
			}
		}
		for (int i = 0; i < set.nr; i++)
			g[i].nid = (int)prng_below(&seed, 5) - 1;
		place();
		for (size_t i = 0; i < nr; i++) {
			running += t[i].running;
			if (t[i].index < 0 || g[t[i].index].nr_running < 2) {
				assert_int_equal(t[i].want_nid, NONE);
				continue;
			}
			assert_int_equal(t[i].want_nid == NONE, !cpus);
			if (cpus) {
				assert_true(nb_node_isset(&tp.nodes,
							  t[i].want_nid));
				assert_true(tp.load[t[i].want_nid].nr_cpus);
			}
		}
		for (n = 0; cpus && n < NR_NODES; n++) {
			uint64_t own = tp.load[n].nr_cpus, most = own,
				 count = 0;

			if (running > cpus)
				most = nb_div_round_up(own * running, cpus);
			for (size_t i = 0; i < nr; i++)
				count += t[i].running && t[i].want_nid == n;
			assert_true(count <= most);
		}
		teardown(NULL);
	}
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(goes_to_its_memory),
		TEST(where_it_runs_counts_for_half),
		TEST(only_who_runs_counts_where_it_is),
		TEST(between_its_memory),
		TEST(stays_until_another_is_an_eighth_better),
		TEST(memory_where_it_cannot_run),
		TEST(nowhere_to_run),
		TEST(the_largest_first),
		TEST(of_equal_ones_first_who_has_a_node),
		TEST(groups_change_places_in_one_round),
		TEST(who_is_alone_is_no_group),
		TEST(who_sleeps_takes_no_room),
		TEST(the_rest_goes_to_the_nearest),
		TEST(all_the_rest_goes_near_the_first),
		TEST(a_large_one_stays_as_well),
		TEST(who_runs_there_stays_there),
		TEST(more_threads_than_cpus),
		TEST(property_everybody_finds_room),
	};

	return cmocka_run_group_tests_name("group_place", tests, NULL, NULL);
}
