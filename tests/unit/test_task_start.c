/* SPDX-License-Identifier: MIT */
/*
 * policy/task_start.c: where a new thread starts.
 */
#include "../../lib/policy/task_start.h"

#include "policy_test.h"

static struct nb_topology topo;
static struct nb_task_start ts;
static struct nb_task_creator who;

/* Four nodes with CPUs, distances as on a ring: 0-1-2-3-0; 4 has none. */
static int setup(void **state)
{
	(void)state;
	memset(&topo, 0, sizeof(topo));
	memset(&ts, 0, sizeof(ts));
	memset(&who, 0, sizeof(who));
	topo.nr_nids = 5;
	ts.topo = &topo;
	for (int n = 0; n < 5; n++) {
		nb_node_set(&topo.online, n);
		nb_node_set(&ts.nodes, n);
		if (n < 4)
			nb_node_set(&topo.has_cpu, n);
		ts.room[n] = 4;
		for (int m = 0; m < 5; m++)
			topo.distance[n][m] = n == m	     ? 10
					      : (n ^ m) == 2 ? 30
							     : 20;
	}
	return 0;
}

static int start(enum nb_why want)
{
	int nid = 77;

	assert_int_equal(nb_task_start(&ts, &who, &nid), want);
	assert_int_equal(nb_why_is_yes(want), nid != NB_NO_NODE);
	if (nid != NB_NO_NODE)
		ts.started[nid]++;
	return nid;
}

static void beside_its_creator(void **state)
{
	(void)state;
	for (int n = 0; n < 4; n++) {
		who.nid = n;
		assert_int_equal(start(NB_WHY_TASK_START), n);
	}
}

static void nobody_knows(void **state)
{
	(void)state;
	who.nid = NB_NO_NODE;
	start(NB_WHY_TASK_NO_PREFERENCE);
	who.nid = 17; /* no such node */
	start(NB_WHY_TASK_NO_PREFERENCE);
	who.nid = 1;
	who.bound = true;
	start(NB_WHY_TASK_BOUND);
}

/* Every idle CPU once, the nearest nodes first; then the kernel decides. */
static void a_pool_is_not_crowded(void **state)
{
	int nr[5] = {0};

	(void)state;
	who.nid = 1;
	for (int i = 0; i < 16; i++) {
		int nid = start(NB_WHY_TASK_START);

		nr[nid]++;
		if (i < 4)
			assert_int_equal(nid, 1);
		else if (i < 12)
			assert_true(nid == 0 || nid == 2);
		else
			assert_int_equal(nid, 3);
	}
	/* Of equals, the one with more room. */
	assert_int_equal(nr[0], 4);
	assert_int_equal(nr[2], 4);
	assert_int_equal(nr[4], 0);
	start(NB_WHY_TASK_NODE_BUSY);
	/* More were started than there was room: none is left, not many. */
	ts.started[1] = 9;
	start(NB_WHY_TASK_NODE_BUSY);
}

static void of_equals_the_emptier(void **state)
{
	(void)state;
	who.nid = 1;
	ts.room[1] = 0;
	ts.started[0] = 1;
	assert_int_equal(start(NB_WHY_TASK_START), 2);
	assert_int_equal(start(NB_WHY_TASK_START), 0);
}

/* Where its group is, though that is further away. */
static void group_before_neighbours(void **state)
{
	(void)state;
	who.nid = 1;
	nb_node_set(&who.group, 3);
	assert_int_equal(start(NB_WHY_TASK_START), 1);
	ts.room[1] = 0;
	assert_int_equal(start(NB_WHY_TASK_START), 3);
	/* ... also when that is found first. */
	who.nid = 2;
	ts.room[2] = 0;
	who.group.bits = 1;
	assert_int_equal(start(NB_WHY_TASK_START), 0);
}

static void only_nodes_to_be_used(void **state)
{
	(void)state;
	who.nid = 2;
	ts.nodes.bits = 1 << 0 | 1 << 4;
	assert_int_equal(start(NB_WHY_TASK_START), 0);
	ts.nodes.bits = 1 << 4;
	start(NB_WHY_TASK_NODE_BUSY);
	/* Its creator's memory is on a node without CPUs. */
	ts.nodes.bits = 1 << 3 | 1 << 4;
	who.nid = 4;
	assert_int_equal(start(NB_WHY_TASK_START), 3);
}

/* Whatever is asked: an idle CPU of a usable node, or none. */
static void never_where_there_is_no_room(void **state)
{
	uint64_t rng = 3;

	for (int i = 0; i < 20000; i++) {
		uint32_t all = 0;
		int nid;

		setup(state);
		ts.nodes.bits = prng_below(&rng, 32);
		topo.has_cpu.bits = prng_below(&rng, 32);
		who.nid = (int)prng_below(&rng, 7) - 1;
		who.group.bits = prng_below(&rng, 32);
		for (int n = 0; n < 5; n++) {
			ts.room[n] = (uint32_t)prng_below(&rng, 3);
			ts.started[n] = (uint32_t)prng_below(&rng, 3);
			if (nb_node_isset(&ts.nodes, n) &&
			    nb_node_isset(&topo.has_cpu, n) &&
			    ts.room[n] > ts.started[n])
				all++;
		}
		if (!nb_why_is_yes(nb_task_start(&ts, &who, &nid))) {
			assert_int_equal(nid, NB_NO_NODE);
			assert_true(!all || who.nid < 0 || who.nid > 4);
			continue;
		}
		assert_true(nb_node_isset(&ts.nodes, nid));
		assert_true(nb_node_isset(&topo.has_cpu, nid));
		assert_true(ts.room[nid] > ts.started[nid]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(beside_its_creator, setup),
		cmocka_unit_test_setup(nobody_knows, setup),
		cmocka_unit_test_setup(a_pool_is_not_crowded, setup),
		cmocka_unit_test_setup(of_equals_the_emptier, setup),
		cmocka_unit_test_setup(group_before_neighbours, setup),
		cmocka_unit_test_setup(only_nodes_to_be_used, setup),
		cmocka_unit_test_setup(never_where_there_is_no_room, setup),
	};

	return cmocka_run_group_tests_name("task_start", tests, NULL, NULL);
}
