/* SPDX-License-Identifier: MIT */
/*
 * policy/migrate_filter.c: every answer, each at its boundary.
 */
#include "../../lib/policy/migrate_filter.h"

#include "policy_test.h"

/* Nodes 0 to 3; node 3 has no memory, node 2 is not in the cpuset. */
static struct nb_topology topo;

static int setup(void **state)
{
	(void)state;
	memset(&topo, 0, sizeof(topo));
	topo.nr_nids = 4;
	topo.online.bits = 0xf;
	topo.has_cpu.bits = 0xf;
	topo.has_memory.bits = 0x7;
	topo.mems_allowed.bits = 0x3;
	return 0;
}

/* A page on node 0, used from node 1 by a settled thread, as it did before. */
static struct nb_migrate_query query(void)
{
	struct nb_migrate_query q = {
		.page_nid = 0,
		.cpu_nid = 1,
		.last = {.same_task = true, .task = 7, .run = 2},
		.numa_preferred_nid = 1,
		.task_scan_seq = 10,
		.nodes = {0xf},
	};

	return q;
}

static void unknown_nodes(void **state)
{
	struct nb_migrate_query q = query();

	(void)state;
	q.page_nid = NB_NO_NODE;
	assert_int_equal(nb_migrate_filter(&q, &topo), NB_WHY_PAGE_NO_NODE);
	q.page_nid = NB_MAX_NODES;
	assert_int_equal(nb_migrate_filter(&q, &topo), NB_WHY_PAGE_NO_NODE);
	q = query();
	q.cpu_nid = NB_NO_NODE;
	assert_int_equal(nb_migrate_filter(&q, &topo), NB_WHY_PAGE_NO_NODE);
	q.page_nid = NB_NO_NODE;
	assert_int_equal(nb_migrate_filter(&q, &topo), NB_WHY_PAGE_NO_NODE);
}

static void local_page(void **state)
{
	struct nb_migrate_query q = query();

	(void)state;
	q.page_nid = 1;
	assert_int_equal(nb_migrate_filter(&q, &topo), NB_WHY_PAGE_LOCAL);
	/* Local comes first, even where nothing may be moved to. */
	q.page_nid = 3;
	q.cpu_nid = 3;
	assert_int_equal(nb_migrate_filter(&q, &topo), NB_WHY_PAGE_LOCAL);
}

static void target_without_memory(void **state)
{
	struct nb_migrate_query q = query();

	(void)state;
	q.cpu_nid = 3;
	assert_int_equal(nb_migrate_filter(&q, &topo),
			 NB_WHY_PAGE_NO_MEMORY_NODE);
}

static void target_not_allowed(void **state)
{
	struct nb_migrate_query q = query();

	(void)state;
	q.cpu_nid = 2; /* not in the cpuset */
	assert_int_equal(nb_migrate_filter(&q, &topo), NB_WHY_PAGE_NOT_ALLOWED);
	q = query();
	q.nodes.bits = 0xd; /* not in the user's set */
	assert_int_equal(nb_migrate_filter(&q, &topo), NB_WHY_PAGE_NOT_ALLOWED);
}

static void early_life(void **state)
{
	struct nb_migrate_query q = query();

	(void)state;
	q.last.run = 1; /* two-stage alone would refuse */
	q.task_scan_seq = 4;
	assert_int_equal(nb_migrate_filter(&q, &topo), NB_WHY_PAGE_EARLY);
	q.task_scan_seq = 5;
	assert_int_equal(nb_migrate_filter(&q, &topo), NB_WHY_PAGE_TWO_STAGE);
	q.numa_preferred_nid = NB_NO_NODE;
	assert_int_equal(nb_migrate_filter(&q, &topo), NB_WHY_PAGE_EARLY);
	q.last.bounces = 1;
	assert_int_equal(nb_migrate_filter(&q, &topo), NB_WHY_PAGE_FROZEN);
	q.last.bounces = 0;
	q.last.shared = true;
	assert_int_equal(nb_migrate_filter(&q, &topo), NB_WHY_PAGE_USED_BY_ALL);
	q.last.shared = false;
	q.last.same_task = false;
	assert_int_equal(nb_migrate_filter(&q, &topo), NB_WHY_PAGE_TWO_STAGE);
}

static void two_stage(void **state)
{
	struct nb_migrate_query q = query();

	(void)state;
	q.last.run = 1;
	assert_int_equal(nb_migrate_filter(&q, &topo), NB_WHY_PAGE_TWO_STAGE);
	q.last.same_task = false;
	assert_int_equal(nb_migrate_filter(&q, &topo), NB_WHY_PAGE_TWO_STAGE);
	q.last.run = 2;
	assert_int_equal(nb_migrate_filter(&q, &topo), NB_WHY_PAGE_SHARED);
}

/* The run that is wanted doubles with each move for nothing. */
static void a_page_that_bounced_is_frozen(void **state)
{
	const uint8_t wanted[] = {2, 4, 8, 16, 31, 31, 31, 31};
	const uint8_t of_shared[] = {6, 12, 24, 31, 31, 31, 31, 31};
	struct nb_migrate_query q = query();

	(void)state;
	for (uint8_t i = 0; i <= NB_BOUNCES_MAX; i++) {
		q.last.bounces = i;
		q.last.shared = false;
		q.last.run = wanted[i] - 1;
		assert_int_equal(nb_migrate_filter(&q, &topo),
				 i ? NB_WHY_PAGE_FROZEN
				   : NB_WHY_PAGE_TWO_STAGE);
		q.last.run = wanted[i];
		assert_int_equal(nb_migrate_filter(&q, &topo),
				 NB_WHY_PAGE_PRIVATE);
		q.last.shared = true;
		q.last.run = of_shared[i] - 1;
		assert_int_equal(nb_migrate_filter(&q, &topo),
				 NB_WHY_PAGE_USED_BY_ALL);
		q.last.run = of_shared[i];
		assert_int_equal(nb_migrate_filter(&q, &topo),
				 NB_WHY_PAGE_PRIVATE);
	}
}

/* Whose users are all on one node waits no longer than what is private. */
static void a_team_on_one_node_has_its_memory(void **state)
{
	struct nb_numa_group g = {.active_nodes = {0x2}};
	struct nb_migrate_query q = query();

	(void)state;
	q.last.shared = true;
	q.last.same_task = false;
	q.group = &g;
	assert_int_equal(nb_migrate_filter(&q, &topo), NB_WHY_PAGE_SHARED);
	g.active_nodes.bits = 0x3;
	assert_int_equal(nb_migrate_filter(&q, &topo), NB_WHY_PAGE_USED_BY_ALL);
}

static void what_all_use_is_spread(void **state)
{
	struct nb_numa_group g = {
		.active_nodes = {0x3},
		.under = {0x2},
		.over_permille = {500},
	};
	struct nb_migrate_query q = query();

	(void)state;
	q.last.shared = true;
	q.last.run = 1;
	q.group = &g;
	q.dice = 7499;
	assert_int_equal(nb_migrate_filter(&q, &topo), NB_WHY_PAGE_SPREAD);
	q.dice = 7500;
	assert_int_equal(nb_migrate_filter(&q, &topo), NB_WHY_PAGE_USED_BY_ALL);
	q.dice = 0;
	g.under.bits = 0x1;
	assert_int_equal(nb_migrate_filter(&q, &topo), NB_WHY_PAGE_USED_BY_ALL);
	g.under.bits = 0x2;
	q.last.ended = 5;
	assert_int_equal(nb_migrate_filter(&q, &topo), NB_WHY_PAGE_SPREAD);
	q.last.ended = 6; /* somebody's own, and a visitor */
	assert_int_equal(nb_migrate_filter(&q, &topo), NB_WHY_PAGE_USED_BY_ALL);
	q.last.ended = 0;
	q.last.bounces = 1;
	assert_int_equal(nb_migrate_filter(&q, &topo), NB_WHY_PAGE_USED_BY_ALL);
}

/* Of chunks side by side about as many go as should, wherever they begin. */
static void dice_are_even(void **state)
{
	(void)state;
	for (unsigned int shift = 12; shift <= 21; shift++) {
		int nr = 0;

		for (uint64_t i = 0; i < 10000; i++)
			nr += nb_chunk_dice((0x7f00000ULL << 20) +
					    (i << shift)) %
				      1000 <
			      300;
		assert_in_range(nr, 2700, 3300);
	}
}

static void used_twice_by_one_thread(void **state)
{
	struct nb_migrate_query q = query();

	(void)state;
	assert_int_equal(nb_migrate_filter(&q, &topo), NB_WHY_PAGE_PRIVATE);
}

static void the_thread_moves_first(void **state)
{
	struct nb_migrate_query q = query();

	(void)state;
	q.task_free = true; /* but it is on its preferred node */
	assert_int_equal(nb_migrate_filter(&q, &topo), NB_WHY_PAGE_PRIVATE);
	q.numa_preferred_nid = 0;
	assert_int_equal(nb_migrate_filter(&q, &topo),
			 NB_WHY_PAGE_TASK_FOLLOWS);
	q.task_free = false;
	assert_int_equal(nb_migrate_filter(&q, &topo), NB_WHY_PAGE_PRIVATE);
	q.task_free = true;
	q.numa_preferred_nid = NB_NO_NODE;
	assert_int_equal(nb_migrate_filter(&q, &topo), NB_WHY_PAGE_EARLY);
}

static void first_use_moves_nothing(void **state)
{
	struct nb_migrate_query q = query();

	(void)state;
	q.last = (struct nb_last_user){
		.first = true, .same_task = true, .run = 1};
	assert_int_equal(nb_migrate_filter(&q, &topo), NB_WHY_PAGE_TWO_STAGE);
	q.task_scan_seq = 0;
	assert_int_equal(nb_migrate_filter(&q, &topo), NB_WHY_PAGE_TWO_STAGE);
}

/* A yes never means a forbidden target, a local page, or a lone visitor. */
static void property_yes_is_safe(void **state)
{
	uint64_t seed = 4;
	int nr_yes = 0;

	(void)state;
	for (int i = 0; i < 200000; i++) {
		struct nb_migrate_query q = {
			.page_nid = (int)prng_below(&seed, 6) - 1,
			.cpu_nid = (int)prng_below(&seed, 6) - 1,
			.numa_preferred_nid = (int)prng_below(&seed, 5) - 1,
			.task_scan_seq = prng_below(&seed, 8),
			.nodes = {prng_below(&seed, 16)},
		};
		enum nb_why why;

		topo.has_memory.bits = prng_below(&seed, 16);
		topo.mems_allowed.bits =
			topo.has_memory.bits & prng_below(&seed, 16);
		q.last.first = prng_below(&seed, 2);
		q.last.same_task = q.last.first || prng_below(&seed, 2);
		q.last.shared = !q.last.first && prng_below(&seed, 2);
		q.last.run = q.last.first ? 1 : (uint8_t)prng_below(&seed, 32);
		q.last.bounces = (uint8_t)prng_below(&seed, 8);
		why = nb_migrate_filter(&q, &topo);
		assert_int_not_equal(why, NB_WHY_NONE);
		if (!nb_why_is_yes(why))
			continue;
		nr_yes++;
		assert_false(q.last.first);
		assert_int_not_equal(q.page_nid, q.cpu_nid);
		assert_true(nb_node_valid(q.page_nid));
		assert_true(nb_node_isset(&q.nodes, q.cpu_nid));
		assert_true(nb_node_isset(&topo.mems_allowed, q.cpu_nid));
		assert_true(q.last.same_task || q.last.run > 1);
	}
	assert_true(nr_yes > 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(unknown_nodes, setup),
		cmocka_unit_test_setup(local_page, setup),
		cmocka_unit_test_setup(target_without_memory, setup),
		cmocka_unit_test_setup(target_not_allowed, setup),
		cmocka_unit_test_setup(early_life, setup),
		cmocka_unit_test_setup(two_stage, setup),
		cmocka_unit_test_setup(a_page_that_bounced_is_frozen, setup),
		cmocka_unit_test_setup(a_team_on_one_node_has_its_memory,
				       setup),
		cmocka_unit_test_setup(what_all_use_is_spread, setup),
		cmocka_unit_test(dice_are_even),
		cmocka_unit_test_setup(used_twice_by_one_thread, setup),
		cmocka_unit_test_setup(the_thread_moves_first, setup),
		cmocka_unit_test_setup(first_use_moves_nothing, setup),
		cmocka_unit_test_setup(property_yes_is_safe, setup),
	};

	return cmocka_run_group_tests_name("migrate_filter", tests, NULL, NULL);
}
