/* SPDX-License-Identifier: MIT */
/*
 * policy/tier.c, tier_heat.c, tier_plan.c: who is hot, who is cold, who goes
 * and who comes.
 */
#include "../../lib/policy/tier.h"

#include "policy_test.h"

#define MS NB_NSEC_PER_MSEC
#define S NB_NSEC_PER_SEC
#define NODE_MIB 1024ULL
#define CHUNK (2 * NB_MIB)
#define HOT 39 /* 1000 ms */
#define MARGIN 8

/* Nodes 0 and 1 have CPUs, 2 is slow memory near 0, 3 near 1. */
static struct nb_topology topo;
static struct nb_tier tier;
static uint64_t now; /* wall time; the process runs all the time */

static void pass(uint64_t ns)
{
	now += ns;
	nb_tier_tick(&tier, now, now);
}

/* Nothing is free on fast nodes, much on slow ones. */
static void all_full(void)
{
	for (int n = 0; n < 4; n++)
		nb_tier_set_free(&tier, n, n < 2 ? 0 : 500 * NB_MIB, 0);
}

static int setup(void **state)
{
	(void)state;
	memset(&topo, 0, sizeof(topo));
	topo.nr_nids = 4;
	topo.online.bits = 0xf;
	topo.has_cpu.bits = 0x3;
	topo.has_memory.bits = 0xf;
	topo.mems_allowed.bits = 0xf;
	for (int a = 0; a < 4; a++) {
		topo.mem_total_kb[a] = NODE_MIB * 1024;
		for (int b = 0; b < 4; b++)
			topo.distance[a][b] = a % 2 == b % 2 ? 20 : 30;
	}
	assert_true(nb_tier_needed(&topo, topo.online));
	nb_tier_init(&tier, &topo, topo.online);
	now = 1000 * S;
	pass(0);
	pass(1 * S);
	all_full();
	return 0;
}

/* A chunk on a node, used @nr times, each time @ms after it was armed. */
static struct nb_tier_chunk chunk(int nid, uint64_t ms, int nr)
{
	struct nb_tier_chunk c = {0};

	while (nr--) {
		nb_tier_armed(&tier, &c);
		pass(ms * MS);
		nb_tier_used(&tier, &c, nid, now, true);
	}
	return c;
}

static void test_tiers(void **state)
{
	struct nb_nodemask nodes = {0xf};

	(void)state;
	assert_int_equal(tier.fast.bits, 0x3);
	assert_int_equal(tier.slow.bits, 0xc);
	/* Only what may be used, and has memory, is a tier. */
	topo.mems_allowed.bits = 0xb;
	assert_true(nb_tier_needed(&topo, nodes));
	nb_tier_init(&tier, &topo, nodes);
	assert_int_equal(tier.slow.bits, 0x8);
	nodes.bits = 0x7;
	assert_false(nb_tier_needed(&topo, nodes));
	topo.mems_allowed.bits = 0xf;
	nodes.bits = 0xc;
	assert_false(nb_tier_needed(&topo, nodes));
	nodes.bits = 0xf;
	topo.has_memory.bits = 0x3;
	assert_false(nb_tier_needed(&topo, nodes));
	topo.has_memory.bits = 0xf;
	topo.has_cpu.bits = 0xf;
	assert_false(nb_tier_needed(&topo, nodes));
}

/* Levels are quarters of an octave, from the time between arming and use. */
static void test_level(void **state)
{
	static const struct {
		uint64_t ms;
		int level;
	} want[] = {{0, 0},	{1, 4},	     {2, 6},	  {3, 8},
		    {7, 12},	{8, 12},     {9, 13},	  {1000, HOT},
		    {1023, 40}, {60000, 63}, {100000, 63}};
	struct nb_tier_chunk c = {0};

	(void)state;
	assert_int_equal(nb_tier_level_hot(&c), -1);
	assert_int_equal(nb_tier_level_cold(&tier, &c, false), -1);
	for (size_t i = 0; i < nb_array_size(want); i++) {
		c = chunk(0, want[i].ms, 1);
		/* One use is an octave off. */
		assert_int_equal(nb_tier_level_hot(&c),
				 nb_min(want[i].level + 4, 63));
		assert_int_equal(nb_tier_level_cold(&tier, &c, false),
				 nb_max(want[i].level - 4, 0));
	}
	/* Four are nearly right, and a fifth counts for a quarter. */
	c = chunk(0, 1000, 4);
	assert_int_equal(nb_tier_level_hot(&c), HOT + 1);
	assert_int_equal(nb_tier_level_cold(&tier, &c, false), HOT - 1);
	nb_tier_armed(&tier, &c);
	nb_tier_used(&tier, &c, 0, now, true);
	assert_int_equal(nb_tier_level_cold(&tier, &c, false), 29 - 1);
}

/* What is armed and not used gets colder. */
static void test_age(void **state)
{
	struct nb_tier_chunk c = chunk(0, 7, 4), fresh = {0};

	(void)state;
	assert_int_equal(nb_tier_level_cold(&tier, &c, false), 11);
	nb_tier_armed(&tier, &c);
	nb_tier_armed(&tier, &fresh);
	assert_int_equal(nb_tier_level_cold(&tier, &c, true), 11);
	pass(1000 * MS);
	assert_int_equal(nb_tier_level_cold(&tier, &c, true), HOT - 1);
	assert_int_equal(nb_tier_level_cold(&tier, &fresh, true), HOT - 4);
	/* Given back, not by a fault: somebody uses it. */
	assert_int_equal(nb_tier_level_cold(&tier, &c, false), -1);
	/* What is not to be moved never makes room. */
	fresh = chunk(0, 1000, 4);
	nb_tier_used(&tier, &fresh, 0, now, false);
	assert_int_equal(nb_tier_level_cold(&tier, &fresh, false), -1);
	nb_tier_used(&tier, &fresh, 0, now, true);
	assert_int_equal(nb_tier_level_cold(&tier, &fresh, false), HOT - 1);
	/* A fault of which nobody knows when it was armed. */
	memset(&fresh, 0, sizeof(fresh));
	nb_tier_used(&tier, &fresh, 1, now, true);
	assert_int_equal(nb_tier_level_hot(&fresh), -1);
	assert_int_equal(fresh.nid1, 2);
	nb_tier_armed(&tier, &fresh);
	nb_tier_used(&tier, &fresh, NB_NO_NODE, now, true);
	assert_int_equal(fresh.nid1, 0);
}

/* While the process sleeps, nothing gets colder. */
static void test_clock(void **state)
{
	struct nb_tier_chunk c = {0};
	uint64_t cpu = now;

	(void)state;
	/* The first tick begins at 0; it was 1 s until the second. */
	assert_int_equal(tier.clock.ns, S);
	nb_tier_armed(&tier, &c);
	now += 100 * S;
	cpu += 9 * MS;
	nb_tier_tick(&tier, now, cpu);
	assert_int_equal(nb_tier_level_cold(&tier, &c, true), 13 - 4);
	/* A use half-way, and one from before the tick before. */
	nb_tier_used(&tier, &c, 0, now - 50 * S, true);
	assert_in_range(c.level4, 8 * 4, 10 * 4);
	c.nr_seen = 0;
	c.armed_ms = 1;
	nb_tier_used(&tier, &c, 0, 1, true);
	assert_int_equal(c.level4, HOT * 4);
	c.nr_seen = 0;
	/* Many threads: not faster than time. */
	nb_tier_armed(&tier, &c);
	now += 7 * MS;
	nb_tier_tick(&tier, now, cpu + 100 * S);
	nb_tier_used(&tier, &c, 0, now + S, true); /* from after the tick */
	assert_int_equal(c.level4, 12 * 4);
	/* Two ticks at once. */
	nb_tier_tick(&tier, now, cpu);
	nb_tier_armed(&tier, &c);
	nb_tier_used(&tier, &c, 0, now - 1, true);
}

static enum nb_why promote(int from, int to, struct nb_tier_chunk *c)
{
	struct nb_tier_query q = {from, to, CHUNK};

	return nb_tier_promote(&tier, &q, c);
}

static void test_promote(void **state)
{
	struct nb_tier_chunk hot = chunk(2, 7, 1), cold = chunk(2, 4000, 1);
	struct nb_tier_chunk none = {0};

	(void)state;
	/* Not a question of tiers. */
	assert_int_equal(promote(0, 1, &hot), NB_WHY_NONE);
	assert_int_equal(promote(2, 3, &hot), NB_WHY_NONE);
	assert_int_equal(promote(NB_NO_NODE, 0, &hot), NB_WHY_NONE);
	assert_int_equal(promote(2, NB_NO_NODE, &hot), NB_WHY_NONE);
	assert_int_equal(promote(2, 0, &hot), NB_WHY_PAGE_HOT);
	assert_int_equal(promote(2, 0, &cold), NB_WHY_PAGE_COLD);
	assert_int_equal(promote(2, 0, &none), NB_WHY_PAGE_COLD);
	/* At the threshold, of four uses. */
	hot = chunk(2, 800, 4);
	assert_int_equal(nb_tier_level_hot(&hot), HOT);
	assert_int_equal(promote(2, 0, &hot), NB_WHY_PAGE_HOT);
	hot = chunk(2, 1000, 4);
	assert_int_equal(promote(2, 0, &hot), NB_WHY_PAGE_COLD);
	/* With plenty of room all may come. */
	nb_tier_set_free(&tier, 0, NODE_MIB / 16 * NB_MIB + CHUNK - 1, 0);
	assert_int_equal(promote(2, 0, &cold), NB_WHY_PAGE_COLD);
	nb_tier_set_free(&tier, 0, NODE_MIB / 16 * NB_MIB + CHUNK, 0);
	assert_int_equal(promote(2, 0, &cold), NB_WHY_PAGE_USED);
	assert_int_equal(promote(2, 0, &none), NB_WHY_PAGE_USED);
	/* The threshold is not lower then. */
	tier.node[0].hot_level = 0;
	hot = chunk(2, 7, 4);
	assert_int_equal(promote(2, 0, &hot), NB_WHY_PAGE_HOT);
	assert_true(nb_tier_in_place(NB_WHY_PAGE_COLD));
	assert_true(nb_tier_in_place(NB_WHY_PAGE_PROVE));
	assert_false(nb_tier_in_place(NB_WHY_PAGE_HOT));
}

/* The reserve is not room. */
static void test_room(void **state)
{
	(void)state;
	nb_tier_set_free(&tier, 0, 100 * NB_MIB, 3);
	assert_in_range(tier.node[0].free_bytes, 69 * NB_MIB, 70 * NB_MIB);
	assert_true(nb_tier_take_room(&tier, 0, 60 * NB_MIB));
	assert_false(nb_tier_take_room(&tier, 0, 60 * NB_MIB));
	assert_true(nb_tier_take_room(&tier, 0, tier.node[0].free_bytes));
	nb_tier_set_free(&tier, 0, 10 * NB_MIB, 3);
	assert_int_equal(tier.node[0].free_bytes, 0);
}

/* Each time that it is demoted, a chunk has to be used twice as often. */
static void test_bounces(void **state)
{
	struct nb_tier_chunk c = chunk(0, 0, 4);

	(void)state;
	for (int bounce = 1; bounce <= 8; bounce++) {
		int nr = 0;

		nb_tier_moved(&tier, &c, 2);
		while (promote(2, 0, &c) == NB_WHY_PAGE_PROVE)
			nr++;
		assert_int_equal(nr + 1, 1 << nb_min(bounce, 6));
		nb_tier_moved(&tier, &c, 0);
	}
	/* From where, is not known: from fast memory. */
	c = chunk(0, 0, 4);
	c.nid1 = 0;
	nb_tier_moved(&tier, &c, 2);
	assert_int_equal(c.bounces, 1);
	/* From one slow node to another changes nothing. */
	nb_tier_moved(&tier, &c, 3);
	assert_int_equal(c.bounces, 1);
	/* One use that is not hot, and all begins again. */
	assert_int_equal(promote(2, 0, &c), NB_WHY_PAGE_PROVE);
	tier.node[0].hot_level = 0;
	c = (struct nb_tier_chunk){.bounces = 6, .count = 5, .nr_seen = 1};
	assert_int_equal(promote(2, 0, &c), NB_WHY_PAGE_COLD);
	assert_int_equal(c.count, 64);
	/* ... also where there is plenty of room. */
	nb_tier_set_free(&tier, 0, NODE_MIB / 2 * NB_MIB, 0);
	c.nr_seen = 0;
	assert_int_equal(promote(2, 0, &c), NB_WHY_PAGE_COLD);
}

/* What the kernel does not move has to show itself, too. */
static void test_stayed(void **state)
{
	struct nb_tier_chunk c = chunk(2, 0, 4);

	(void)state;
	nb_tier_stayed(&tier, &c);
	assert_int_equal(c.nid1, 3);
	assert_int_equal(promote(2, 0, &c), NB_WHY_PAGE_PROVE);
	assert_int_equal(promote(2, 0, &c), NB_WHY_PAGE_HOT);
	nb_tier_stayed(&tier, &c);
	assert_int_equal(c.count, 4);
	/* In fast memory nobody has to be held back. */
	c = chunk(0, 0, 4);
	nb_tier_stayed(&tier, &c);
	assert_int_equal(c.count, 0);
}

/* Some pages came, and the program uses these first. */
static void test_torn(void **state)
{
	struct nb_tier_chunk c = chunk(2, 0, 4);

	(void)state;
	nb_tier_moved(&tier, &c, 0);
	nb_tier_torn(&tier, &c, 0);
	assert_int_equal(promote(0, 1, &c), NB_WHY_NONE);
	assert_int_equal(promote(0, 0, &c), NB_WHY_PAGE_HOT);
	/* The others do not come: they are held back as if all of it did not.
	 */
	nb_tier_stayed(&tier, &c);
	assert_int_equal(promote(0, 0, &c), NB_WHY_NONE);
	nb_tier_armed(&tier, &c);
	nb_tier_used(&tier, &c, 0, now, true);
	assert_int_equal(promote(0, 0, &c), NB_WHY_PAGE_HOT);
	/* One that is not hot is as good as at home. */
	tier.node[0].hot_level = 0;
	c.level4 = 200;
	assert_int_equal(promote(0, 0, &c), NB_WHY_NONE);
	c.level4 = 0;
	nb_tier_moved(&tier, &c, 0);
	assert_int_equal(promote(0, 0, &c), NB_WHY_NONE);
	/* In slow memory, what is left behind is not missed. */
	nb_tier_moved(&tier, &c, 2);
	nb_tier_torn(&tier, &c, 2);
	assert_false(c.torn);
}

/* What the kernel refuses is not free, up to a sixteenth of the node. */
static void test_learn(void **state)
{
	(void)state;
	nb_tier_learn(&tier, 0, 16 * NB_MIB, false);
	nb_tier_set_free(&tier, 0, 100 * NB_MIB, 0);
	assert_int_equal(tier.node[0].free_bytes, 84 * NB_MIB);
	nb_tier_set_free(&tier, 1, 100 * NB_MIB, 0);
	assert_int_equal(tier.node[1].free_bytes, 100 * NB_MIB);
	for (int i = 0; i < 10; i++)
		nb_tier_learn(&tier, 0, 16 * NB_MIB, false);
	nb_tier_set_free(&tier, 0, 100 * NB_MIB, 0);
	assert_int_equal(tier.node[0].free_bytes, 36 * NB_MIB);
	/* What it moves makes us forget. */
	nb_tier_learn(&tier, 0, 64 * NB_MIB, true);
	nb_tier_set_free(&tier, 0, 100 * NB_MIB, 0);
	assert_int_equal(tier.node[0].free_bytes, 40 * NB_MIB);
	nb_tier_learn(&tier, 0, 16 * 1024 * NB_MIB, true);
	nb_tier_set_free(&tier, 0, 100 * NB_MIB, 0);
	assert_int_equal(tier.node[0].free_bytes, 100 * NB_MIB);
}

/* In fast memory, bounces are forgotten. */
static void test_forget(void **state)
{
	struct nb_tier_chunk c = chunk(0, 0, 4);

	(void)state;
	nb_tier_moved(&tier, &c, 2);
	nb_tier_moved(&tier, &c, 0);
	nb_tier_moved(&tier, &c, 2);
	nb_tier_moved(&tier, &c, 0);
	assert_int_equal(c.bounces, 2);
	for (int i = 1; i <= 40; i++) {
		nb_tier_armed(&tier, &c);
		nb_tier_used(&tier, &c, 0, now, true);
		assert_int_equal(c.bounces, i < 16 ? 2 : i < 32 ? 1 : 0);
	}
}

static void test_plan_pairs(void **state)
{
	(void)state;
	nb_tier_plan_begin(&tier);
	/* Of what waits, 10 MiB are hot, 30 warm and 40 cold. */
	nb_tier_want(&tier, 0, 2, 10 * NB_MIB);
	nb_tier_want(&tier, 0, 20, 30 * NB_MIB);
	nb_tier_want(&tier, 0, 45, 40 * NB_MIB);
	nb_tier_have(&tier, 0, 50, 20 * NB_MIB);
	nb_tier_have(&tier, 0, 30, 15 * NB_MIB);
	nb_tier_have(&tier, 0, 10, 500 * NB_MIB);
	/* Not here, and not known. */
	nb_tier_have(&tier, 2, 60, 500 * NB_MIB);
	nb_tier_have(&tier, NB_NO_NODE, 60, 500 * NB_MIB);
	nb_tier_have(&tier, 0, -1, 500 * NB_MIB);
	assert_true(nb_tier_plan(&tier, UINT64_MAX));
	assert_int_equal(tier.node[0].demote_bytes, 35 * NB_MIB);
	assert_int_equal(tier.node[0].demote_level, 30);
	assert_int_equal(tier.node[0].promote_level, 20);
	assert_int_equal(tier.node[1].demote_bytes, 0);
	/* 64 MiB and the next coldest are what is cold. */
	assert_int_equal(tier.node[0].hot_level, 10 - MARGIN);
	/* Nothing is known of the other one. */
	assert_int_equal(tier.node[1].hot_level, HOT);

	assert_int_equal(nb_tier_demote(&tier, 0, 29, CHUNK), NB_NO_NODE);
	assert_int_equal(nb_tier_demote(&tier, 0, -1, CHUNK), NB_NO_NODE);
	assert_int_equal(nb_tier_demote(&tier, 1, 60, CHUNK), NB_NO_NODE);
	assert_int_equal(nb_tier_demote(&tier, 2, 60, CHUNK), NB_NO_NODE);
	for (int i = 0; i < 18; i++)
		assert_int_equal(nb_tier_demote(&tier, 0, 30, CHUNK), 2);
	/* It was enough. */
	assert_int_equal(nb_tier_demote(&tier, 0, 60, CHUNK), NB_NO_NODE);

	assert_false(nb_tier_admit(&tier, 0, 2, CHUNK));
	nb_tier_set_free(&tier, 0, 30 * NB_MIB, 0);
	assert_false(nb_tier_admit(&tier, 0, 21, CHUNK));
	assert_true(nb_tier_admit(&tier, 0, 20, 30 * NB_MIB));
	assert_false(nb_tier_admit(&tier, 0, 2, CHUNK));
	nb_tier_set_free(&tier, 0, 300 * NB_MIB, 0);
	assert_true(nb_tier_admit(&tier, 0, 2, 10 * NB_MIB));
	/* More than was planned. */
	assert_false(nb_tier_admit(&tier, 0, 2, CHUNK));
}

/* A factor of 4 apart, or they stay where they are. */
static void test_plan_margin(void **state)
{
	(void)state;
	for (int level = 20; level <= 28; level++) {
		nb_tier_plan_begin(&tier);
		nb_tier_want(&tier, 1, 20, CHUNK);
		nb_tier_have(&tier, 1, level, 100 * NB_MIB);
		assert_int_equal(nb_tier_plan(&tier, UINT64_MAX), level == 28);
	}
}

/* What is free is used first; so much of it is left to the program. */
static void test_plan_free(void **state)
{
	(void)state;
	nb_tier_set_free(&tier, 0, 20 * NB_MIB, 0);
	nb_tier_plan_begin(&tier);
	nb_tier_want(&tier, 0, 60, 20 * NB_MIB);
	nb_tier_have(&tier, 0, 51, 100 * NB_MIB);
	assert_false(nb_tier_plan(&tier, UINT64_MAX));
	assert_true(nb_tier_admit(&tier, 0, 60, 20 * NB_MIB));
	/* 16 MiB of a GiB, if there is something that nobody uses. */
	nb_tier_set_free(&tier, 0, 10 * NB_MIB, 0);
	nb_tier_plan_begin(&tier);
	nb_tier_have(&tier, 0, 52, 100 * NB_MIB);
	assert_true(nb_tier_plan(&tier, UINT64_MAX));
	assert_int_equal(tier.node[0].demote_bytes, 6 * NB_MIB);
	nb_tier_set_free(&tier, 0, 16 * NB_MIB, 0);
	assert_false(nb_tier_plan(&tier, UINT64_MAX));
}

static void test_plan_limits(void **state)
{
	(void)state;
	nb_tier_plan_begin(&tier);
	nb_tier_want(&tier, 0, 1, 50 * NB_MIB);
	nb_tier_want(&tier, 1, 1, 50 * NB_MIB);
	nb_tier_have(&tier, 0, 60, 100 * NB_MIB);
	nb_tier_have(&tier, 1, 60, 100 * NB_MIB);
	/* By the caller, for all nodes together. */
	assert_true(nb_tier_plan(&tier, 60 * NB_MIB));
	assert_int_equal(tier.node[0].demote_bytes, 50 * NB_MIB);
	assert_int_equal(tier.node[1].demote_bytes, 10 * NB_MIB);
	assert_int_equal(tier.node[1].promote_bytes, 10 * NB_MIB);
	/* By the room there is in slow memory: the nearest that has some. */
	nb_tier_set_free(&tier, 2, 3 * CHUNK, 0);
	nb_tier_set_free(&tier, 3, 2 * CHUNK, 0);
	nb_tier_plan_begin(&tier);
	nb_tier_want(&tier, 1, 1, 50 * NB_MIB);
	nb_tier_have(&tier, 1, 60, 100 * NB_MIB);
	assert_true(nb_tier_plan(&tier, UINT64_MAX));
	assert_int_equal(tier.node[1].demote_bytes, 5 * CHUNK);
	assert_int_equal(nb_tier_demote(&tier, 1, 60, CHUNK), 3);
	assert_int_equal(nb_tier_demote(&tier, 1, 60, CHUNK), 3);
	assert_int_equal(nb_tier_demote(&tier, 1, 60, CHUNK), 2);
	assert_int_equal(nb_tier_demote(&tier, 1, 60, 3 * CHUNK), NB_NO_NODE);
	nb_tier_set_free(&tier, 2, 0, 0);
	nb_tier_plan_begin(&tier);
	nb_tier_want(&tier, 1, 1, 50 * NB_MIB);
	nb_tier_have(&tier, 1, 60, 100 * NB_MIB);
	assert_false(nb_tier_plan(&tier, UINT64_MAX));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_tiers, setup),
		cmocka_unit_test_setup(test_level, setup),
		cmocka_unit_test_setup(test_age, setup),
		cmocka_unit_test_setup(test_clock, setup),
		cmocka_unit_test_setup(test_promote, setup),
		cmocka_unit_test_setup(test_room, setup),
		cmocka_unit_test_setup(test_bounces, setup),
		cmocka_unit_test_setup(test_stayed, setup),
		cmocka_unit_test_setup(test_torn, setup),
		cmocka_unit_test_setup(test_learn, setup),
		cmocka_unit_test_setup(test_forget, setup),
		cmocka_unit_test_setup(test_plan_pairs, setup),
		cmocka_unit_test_setup(test_plan_margin, setup),
		cmocka_unit_test_setup(test_plan_free, setup),
		cmocka_unit_test_setup(test_plan_limits, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
