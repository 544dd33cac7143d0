/* SPDX-License-Identifier: MIT */
/*
 * policy/numa_group.c: the set of groups, and where each has its memory.
 */
#include "../../lib/policy/numa_group.h"

#include "policy_test.h"

#define NONE NB_NO_NODE
#define CASE(name) static void name(void **state __attribute__((unused)))
#define MOST 12
#define NR_NODES 4

static struct nb_topology topo;
static struct nb_nodemask nodes;
static struct nb_group_task t[MOST];
static struct nb_numa_faults *nf[MOST];
static struct nb_numa_group g[MOST];
static struct nb_group_set set;

static int setup(void **state)
{
	(void)state;
	memset(&topo, 0, sizeof(topo));
	memset(&set, 0, sizeof(set));
	memset(g, 0, sizeof(g));
	topo.nr_nids = NR_NODES;
	topo.online.bits = topo.has_memory.bits = nodes.bits = 15;
	set.g = g;
	set.max = MOST;
	for (size_t i = 0; i < MOST; i++) {
		nf[i] = malloc(nb_numa_faults_size(NR_NODES));
		assert_non_null(nf[i]);
		nb_numa_faults_init(nf[i], NR_NODES);
		t[i] = (struct nb_group_task){.id = (uint32_t)i + 1,
					      .group = (uint32_t)i + 1,
					      .index = 99,
					      .running = true,
					      .nf = nf[i]};
	}
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	for (size_t i = 0; i < MOST; i++)
		free(nf[i]);
	return 0;
}

/* Threads [from, to) are a group with the name of thread @founder. */
static void group(size_t from, size_t to, size_t founder)
{
	for (size_t i = from; i < to; i++)
		t[i].group = t[founder].id;
}

static void update(void)
{
	nb_group_set_update(&set, t, MOST, &topo, &nodes);
}

/* Shared pages on a node that a thread used. */
static void mem(size_t i, int nid, uint64_t pages)
{
	nf[i]->faults[nb_numa_faults_idx(nf[i], NB_NUMA_MEM, nid, false)] =
		pages;
}

/* Shared pages that a thread used while it ran on a node. */
static void cpu(size_t i, int nid, uint64_t pages)
{
	nf[i]->faults[nb_numa_faults_idx(nf[i], NB_NUMA_CPU, nid, false)] =
		pages;
}

CASE(nobody_is_in_a_group)
{
	update();
	assert_int_equal(set.nr, 0);
	assert_int_equal(set.all.nr_tasks, MOST);
	assert_int_equal(t[0].index, -1);
	assert_ptr_equal(nb_group_at(&set, t[0].index), &set.all);
	assert_ptr_equal(nb_group_at(&set, 0), &set.all);
}

CASE(members_are_counted)
{
	group(2, 5, 3);
	t[4].running = false;
	t[11].running = false;
	update();
	assert_int_equal(set.nr, 1);
	assert_int_equal(g[0].id, t[3].id);
	assert_int_equal(g[0].nid, NONE);
	assert_int_equal(g[0].nr_tasks, 3);
	assert_int_equal(g[0].nr_running, 2);
	assert_int_equal(set.all.nr_tasks, MOST);
	assert_int_equal(set.all.nr_running, MOST - 2);
	for (size_t i = 0; i < MOST; i++)
		assert_int_equal(t[i].index, i >= 2 && i < 5 ? 0 : -1);
	assert_ptr_equal(nb_group_at(&set, 0), &g[0]);
	assert_ptr_equal(nb_group_at(&set, 1), &set.all);
	/* Nothing is counted twice. */
	update();
	assert_int_equal(g[0].nr_tasks, 3);
	assert_int_equal(g[0].nr_running, 2);
	assert_int_equal(set.all.nr_running, MOST - 2);
}

CASE(shared_faults_are_summed)
{
	group(0, 3, 0);
	for (size_t i = 0; i < MOST; i++) {
		mem(i, 1, 10);
		cpu(i, 2, 3);
		/* What is its own, or not decayed yet, is not. */
		nf[i]->faults[nb_numa_faults_idx(nf[i], NB_NUMA_MEM, 1, true)] =
			1000;
		nf[i]->faults[nb_numa_faults_idx(nf[i], NB_NUMA_CPUBUF, 2,
						 false)] = 1000;
	}
	t[2].nf = NULL;
	update();
	update();
	assert_int_equal(g[0].mem[1], 20);
	assert_int_equal(g[0].cpu[2], 6);
	assert_int_equal(g[0].mem[0] + g[0].mem[2] + g[0].mem[3], 0);
	assert_int_equal(g[0].cpu[0] + g[0].cpu[1] + g[0].cpu[3], 0);
	assert_int_equal(set.all.mem[1], 10 * (MOST - 1));
	assert_int_equal(set.all.cpu[2], 3 * (MOST - 1));
	assert_int_equal(g[0].active_nodes.bits, 4);
}

CASE(groups_come_and_go)
{
	group(0, 2, 0);
	group(2, 4, 2);
	group(4, 6, 4);
	update();
	assert_int_equal(set.nr, 3);
	for (int i = 0; i < 3; i++)
		g[i].nid = i;
	/* The second ends, a new one comes; the third loses its founder. */
	t[3].group = t[3].id;
	t[4].id = t[4].group = 100;
	group(8, 10, 9);
	update();
	assert_int_equal(set.nr, 3);
	assert_int_equal(g[0].id, 1);
	assert_int_equal(g[0].nid, 0);
	assert_int_equal(g[1].id, 5);
	assert_int_equal(g[1].nid, 2);
	assert_int_equal(g[1].nr_tasks, 1);
	assert_int_equal(g[2].id, 10);
	assert_int_equal(g[2].nid, NONE);
	assert_int_equal(t[2].index, -1);
	assert_int_equal(t[4].index, -1);
	assert_int_equal(t[5].index, 1);
	assert_int_equal(t[8].index, 2);
}

CASE(more_groups_than_room)
{
	set.max = 2;
	for (size_t i = 0; i < MOST; i += 2)
		group(i, i + 2, i);
	update();
	assert_int_equal(set.nr, 2);
	for (size_t i = 0; i < MOST; i++)
		assert_int_equal(t[i].index, i < 4 ? (int)i / 2 : -1);
	assert_int_equal(set.all.nr_tasks, MOST);
	/* Where one ends there is room for another. */
	t[1].group = t[1].id;
	update();
	assert_int_equal(t[0].index, -1);
	assert_int_equal(t[2].index, 0);
	assert_int_equal(t[4].index, 1);
	assert_int_equal(t[6].index, -1);
}

/* Active from a third of the most on, until a sixth. */
CASE(active_nodes)
{
	update();
	assert_int_equal(set.all.active_nodes.bits, 0);
	cpu(0, 0, 300);
	cpu(0, 1, 100);
	update();
	assert_int_equal(set.all.active_nodes.bits, 1);
	cpu(0, 1, 101);
	update();
	assert_int_equal(set.all.active_nodes.bits, 3);
	cpu(0, 1, 51);
	update();
	assert_int_equal(set.all.active_nodes.bits, 3);
	cpu(0, 1, 50);
	update();
	assert_int_equal(set.all.active_nodes.bits, 1);
	cpu(0, 1, 51);
	update();
	assert_int_equal(set.all.active_nodes.bits, 1);
	cpu(0, 0, 0);
	cpu(0, 1, 0);
	update();
	assert_int_equal(set.all.active_nodes.bits, 0);
}

/* Each node should have as much as it uses, or up to an eighth more. */
CASE(too_much_memory_on_a_node)
{
	group(0, 2, 0);
	cpu(0, 0, 70);
	cpu(1, 1, 70);
	mem(0, 0, 500);
	mem(1, 1, 500);
	update();
	assert_int_equal(g[0].under.bits, 0);
	assert_int_equal(g[0].over_permille[0], 0);
	mem(0, 0, 501);
	mem(1, 1, 499);
	update();
	assert_int_equal(g[0].under.bits, 2);
	mem(0, 0, 562);
	mem(1, 1, 438);
	update();
	assert_int_equal(g[0].under.bits, 2);
	assert_int_equal(g[0].over_permille[0], 0);
	mem(0, 0, 563);
	mem(1, 1, 437);
	update();
	assert_int_equal(g[0].under.bits, 2);
	assert_int_equal(g[0].over_permille[0], 63 * 1000 / 563);
	assert_int_equal(g[0].over_permille[1], 0);
	/* The same is true of the process; a node that does not use it. */
	mem(0, 0, 500);
	mem(1, 1, 500);
	mem(7, 3, 500);
	update();
	assert_int_equal(g[0].under.bits, 0);
	assert_int_equal(set.all.under.bits, 3);
	assert_int_equal(set.all.over_permille[3], 1000);
	assert_int_equal(set.all.over_permille[0], 0);
}

/* A node that uses three times as much should have it. */
CASE(parts_are_as_large_as_use)
{
	cpu(0, 0, 300);
	cpu(0, 1, 104);
	mem(0, 1, 1000);
	update();
	assert_int_equal(set.all.under.bits, 1);
	assert_in_range(set.all.over_permille[1], 742, 744);
	/* Of little use, so not counted: all of it should be on the other. */
	cpu(0, 1, 50);
	update();
	assert_int_equal(set.all.over_permille[1], 1000);
}

CASE(too_few_pages_say_nothing)
{
	cpu(0, 0, 10);
	mem(0, 1, 127);
	update();
	assert_int_equal(set.all.under.bits, 0);
	assert_int_equal(set.all.over_permille[1], 0);
	mem(0, 1, 128);
	update();
	assert_int_equal(set.all.under.bits, 1);
	assert_int_equal(set.all.over_permille[1], 1000);
	/* ... and what was said before is taken back. */
	mem(0, 1, 127);
	update();
	assert_int_equal(set.all.under.bits, 0);
	assert_int_equal(set.all.over_permille[1], 0);
}

CASE(nodes_that_may_not_have_it)
{
	cpu(0, 0, 100);
	cpu(0, 1, 100);
	mem(0, 1, 500);
	mem(0, 0, 500);
	nodes.bits = 14;
	update();
	assert_int_equal(set.all.under.bits, 2);
	assert_int_equal(set.all.over_permille[0], 1000);
	nodes.bits = 15;
	topo.has_memory.bits = 13;
	update();
	assert_int_equal(set.all.under.bits, 1);
	assert_int_equal(set.all.over_permille[1], 1000);
	/* Memory that cannot be anywhere else stays. */
	topo.has_memory.bits = 12;
	update();
	assert_int_equal(set.all.under.bits, 0);
	assert_int_equal(set.all.over_permille[0], 0);
	assert_int_equal(set.all.over_permille[1], 0);
	/* Nobody knows of a node that is not there. */
	topo.has_memory.bits = 15;
	topo.online.bits = 13;
	update();
	assert_int_equal(set.all.over_permille[1], 0);
	assert_int_equal(set.all.under.bits, 0);
}

CASE(pages_of_a_large_machine)
{
	uint64_t many = 1ULL << 42;

	cpu(0, 0, many);
	cpu(0, 1, many);
	mem(0, 0, many * 3);
	mem(0, 1, many);
	update();
	assert_int_equal(set.all.under.bits, 2);
	assert_int_equal(set.all.over_permille[0], 333);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(nobody_is_in_a_group),
		TEST(members_are_counted),
		TEST(shared_faults_are_summed),
		TEST(groups_come_and_go),
		TEST(more_groups_than_room),
		TEST(active_nodes),
		TEST(too_much_memory_on_a_node),
		TEST(parts_are_as_large_as_use),
		TEST(too_few_pages_say_nothing),
		TEST(nodes_that_may_not_have_it),
		TEST(pages_of_a_large_machine),
	};

	return cmocka_run_group_tests_name("group_set", tests, NULL, NULL);
}
