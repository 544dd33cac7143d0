/* SPDX-License-Identifier: MIT */
/*
 * policy/task_claim.c: two processes that want the same node.
 */
#include "../../lib/policy/task_place.h"

#include "policy_test.h"

#define NONE NB_NO_NODE
#define CASE(name) static void name(void **state __attribute__((unused)))

static struct nb_topology topo;
static struct nb_task_place tp;

/* Two nodes of two CPUs. Node 0 is full, of whom the test says. */
static int setup(void **state)
{
	(void)state;
	memset(&topo, 0, sizeof(topo));
	memset(&tp, 0, sizeof(tp));
	topo.nr_nids = 2;
	topo.online.bits = 3;
	topo.has_cpu.bits = 3;
	tp.topo = &topo;
	tp.nodes.bits = 3;
	tp.load[0] = (struct nb_node_load){.nr_cpus = 2, .busy_milli = 2000};
	tp.load[1] = (struct nb_node_load){.nr_cpus = 2, .nr_idle = 1};
	return 0;
}

/* A thread on node 1 that wants to join another of ours on node 0. */
static enum nb_why join(uint32_t own_milli, bool turn)
{
	const struct nb_task_view v = {.numa_preferred_nid = 0,
				       .pinned_nid = NONE,
				       .current_nid = 1,
				       .running = true};
	int nid;

	setup(NULL);
	tp.turn = turn;
	tp.load[0].nr_running = 1;
	tp.load[0].run_ns = 1000;
	tp.load[0].own_milli = own_milli;
	return nb_task_place(&tp, &v, &nid);
}

/* A thread of ours in a queue on node 0. */
static enum nb_why queue(uint32_t own_milli, bool turn)
{
	const struct nb_task_view v = {.numa_preferred_nid = 0,
				       .pinned_nid = 0,
				       .current_nid = 0,
				       .running = true};
	int nid;

	setup(NULL);
	tp.turn = turn;
	tp.load[0].nr_running = 1;
	tp.load[0].run_ns = 1000;
	tp.load[0].wait_ns = 1000;
	tp.load[0].own_milli = own_milli;
	nb_task_place_count(&tp, &v);
	return nb_task_place(&tp, &v, &nid);
}

CASE(more_than_the_others_may_fetch)
{
	assert_int_equal(join(1201, false), NB_WHY_TASK_PREFERRED);
	assert_int_equal(join(1750, false), NB_WHY_TASK_PREFERRED);
	assert_int_equal(join(2500, false), NB_WHY_TASK_PREFERRED);
}

CASE(less_than_the_others_may_not)
{
	assert_int_equal(join(799, true), NB_WHY_TASK_NODE_BUSY);
	assert_int_equal(join(0, true), NB_WHY_TASK_NODE_BUSY);
}

CASE(equals_may_in_their_turn)
{
	assert_int_equal(join(1000, true), NB_WHY_TASK_PREFERRED);
	assert_int_equal(join(1000, false), NB_WHY_TASK_NODE_BUSY);
	assert_int_equal(join(800, true), NB_WHY_TASK_PREFERRED);
	assert_int_equal(join(1200, false), NB_WHY_TASK_NODE_BUSY);
}

CASE(less_than_the_others_gives_way)
{
	assert_int_equal(queue(660, false), NB_WHY_TASK_RELIEF);
	assert_int_equal(queue(799, false), NB_WHY_TASK_RELIEF);
}

CASE(more_than_the_others_stays)
{
	assert_int_equal(queue(1201, true), NB_WHY_TASK_STAY);
	assert_int_equal(queue(1340, true), NB_WHY_TASK_STAY);
}

CASE(equals_give_way_in_their_turn)
{
	assert_int_equal(queue(1000, true), NB_WHY_TASK_RELIEF);
	assert_int_equal(queue(1000, false), NB_WHY_TASK_STAY);
	assert_int_equal(queue(800, false), NB_WHY_TASK_STAY);
	assert_int_equal(queue(1200, true), NB_WHY_TASK_RELIEF);
}

/* A queue of one process alone: nobody else will leave. */
CASE(alone_in_its_queue_gives_way)
{
	assert_int_equal(queue(2000, false), NB_WHY_TASK_RELIEF);
	assert_int_equal(queue(1750, false), NB_WHY_TASK_RELIEF);
}

/* Busy where our threads were, less than busy where they are booked. */
CASE(wandering_threads_are_not_others)
{
	setup(NULL);
	tp.load[0].nr_running = 1;
	tp.load[0].run_ns = 1000;
	tp.load[1].own_milli = 2000;
	tp.load[1].busy_milli = 1000;
	const struct nb_task_view v = {.numa_preferred_nid = 0,
				       .pinned_nid = NONE,
				       .current_nid = 1,
				       .running = true};
	int nid;

	/* 1,000 of others are left of 3,000: less than ours on node 0 */
	tp.load[0].own_milli = 0;
	assert_int_equal(nb_task_place(&tp, &v, &nid), NB_WHY_TASK_NODE_BUSY);
	tp.load[1].own_milli = 2800;
	assert_int_equal(nb_task_place(&tp, &v, &nid), NB_WHY_TASK_PREFERRED);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup(f, setup)
	const struct CMUnitTest tests[] = {
		TEST(more_than_the_others_may_fetch),
		TEST(less_than_the_others_may_not),
		TEST(equals_may_in_their_turn),
		TEST(less_than_the_others_gives_way),
		TEST(more_than_the_others_stays),
		TEST(equals_give_way_in_their_turn),
		TEST(alone_in_its_queue_gives_way),
		TEST(wandering_threads_are_not_others),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
