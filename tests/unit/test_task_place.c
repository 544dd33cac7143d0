/* SPDX-License-Identifier: MIT */
/*
 * policy/task_place.c: pin, hold, release.
 */
#include "../../lib/policy/task_place.h"

#include "policy_test.h"

#define NONE NB_NO_NODE
#define CASE(name) static void name(void **state __attribute__((unused)))

static struct nb_topology topo;
static struct nb_task_place tp;

/* Three nodes of four CPUs, all idle. */
static int setup(void **state)
{
	(void)state;
	memset(&topo, 0, sizeof(topo));
	memset(&tp, 0, sizeof(tp));
	topo.nr_nids = 3;
	topo.online.bits = 7;
	topo.has_cpu.bits = 7;
	tp.topo = &topo;
	tp.nodes.bits = 7;
	for (int n = 0; n < 3; n++)
		tp.load[n] = (struct nb_node_load){.nr_cpus = 4, .nr_idle = 4};
	return 0;
}

/* @running own threads on a node, @idle CPUs; they do not wait. */
static void load(int nid, uint32_t running, uint32_t idle)
{
	tp.load[nid].nr_running = running;
	tp.load[nid].nr_idle = idle;
	tp.load[nid].run_ns = 300;
}

static struct nb_task_view view(int preferred, int pinned, int current)
{
	return (struct nb_task_view){preferred, pinned, current,
				     false,	true,	0};
}

static void assert_place(const struct nb_task_view *v, enum nb_why why,
			 int want)
{
	int nid = -99;

	assert_int_equal(nb_task_place(&tp, v, &nid), why);
	assert_int_equal(nid, want);
}

CASE(goes_to_its_preferred_node)
{
	struct nb_task_view v = view(1, NONE, 0);

	load(0, 1, 3);
	assert_place(&v, NB_WHY_TASK_PREFERRED, 1);
	assert_int_equal(tp.planned[1], 1);
	v.pinned_nid = 0; /* though nobody has counted it */
	assert_place(&v, NB_WHY_TASK_PREFERRED, 1);
	assert_int_equal(tp.nr_pinned[0] + tp.nr_pinned[1], 0);
	assert_int_equal(tp.nr_leaving[0], 0);
}

CASE(who_runs_there_is_pinned_without_a_move)
{
	struct nb_task_view v = view(1, NONE, 1);

	load(1, 1, 3);
	assert_place(&v, NB_WHY_TASK_PREFERRED, 1);
	assert_int_equal(tp.planned[1], 0);
	assert_int_equal(tp.nr_pinned[1], 1);
}

CASE(left_alone)
{
	struct nb_task_view v = view(1, 0, 0);

	v.bound = true;
	assert_place(&v, NB_WHY_TASK_BOUND, 0);
	v.running = false;
	assert_place(&v, NB_WHY_TASK_BOUND, 0);
	v.bound = false;
	assert_place(&v, NB_WHY_TASK_STAY, 0);
	v = view(NONE, NONE, 0);
	assert_place(&v, NB_WHY_TASK_NO_PREFERENCE, NONE);
	v = view(1, 1, 1);
	assert_place(&v, NB_WHY_TASK_STAY, 1);
}

CASE(preferred_node_must_have_allowed_cpus)
{
	struct nb_task_view v = view(1, NONE, 0);

	tp.load[1].nr_cpus = 0;
	assert_place(&v, NB_WHY_TASK_NO_CPU, NONE);
	tp.load[1].nr_cpus = 4;
	tp.nodes.bits = 5;
	assert_place(&v, NB_WHY_TASK_NO_CPU, NONE);
	tp.nodes.bits = 7;
	topo.has_cpu.bits = 5;
	assert_place(&v, NB_WHY_TASK_NO_CPU, NONE);
	topo.has_cpu.bits = 7;
	v.numa_preferred_nid = NB_MAX_NODES;
	assert_place(&v, NB_WHY_TASK_NO_CPU, NONE);
}

CASE(hold_needs_an_idle_cpu)
{
	struct nb_task_view v = view(1, NONE, 0);

	v.hold = 1;
	load(1, 4, 0);
	assert_place(&v, NB_WHY_TASK_HOLD, NONE);
	load(1, 3, 1);
	tp.planned[1] = 1;
	assert_place(&v, NB_WHY_TASK_HOLD, NONE);
	tp.planned[1] = 0;
	assert_place(&v, NB_WHY_TASK_PREFERRED, 1);
	load(1, 4, 0);
	tp.planned[1] = 0;
	v.hold = 0;
	assert_place(&v, NB_WHY_TASK_PREFERRED, 1);
}

/* Nothing idle anywhere: each node takes one thread per CPU. */
static void full_machine(void)
{
	for (int n = 0; n < 3; n++)
		load(n, 4, 0);
}

CASE(unpinned_threads_make_room)
{
	struct nb_task_view v = view(1, NONE, 0);

	full_machine();
	for (int i = 0; i < 4; i++)
		assert_place(&v, NB_WHY_TASK_PREFERRED, 1);
	assert_place(&v, NB_WHY_TASK_NODE_BUSY, NONE);
	/* ... also for those who run there already. */
	v.current_nid = 1;
	assert_place(&v, NB_WHY_TASK_NODE_BUSY, NONE);
	assert_int_equal(tp.planned[1], 4);
}

CASE(pinned_threads_do_not)
{
	struct nb_task_view there = view(1, 1, 1);
	struct nb_task_view v = view(1, NONE, 0);

	full_machine();
	for (int i = 0; i < 3; i++)
		nb_task_place_count(&tp, &there);
	assert_int_equal(tp.nr_pinned[1], 3);
	assert_int_equal(tp.nr_leaving[1], 0);
	assert_place(&v, NB_WHY_TASK_PREFERRED, 1);
	assert_place(&v, NB_WHY_TASK_NODE_BUSY, NONE);
}

CASE(idle_cpus_are_always_room)
{
	struct nb_task_view v = view(1, NONE, 0);

	full_machine();
	tp.nr_pinned[1] = 20; /* that mostly sleep */
	load(1, 20, 2);
	assert_place(&v, NB_WHY_TASK_PREFERRED, 1);
	assert_place(&v, NB_WHY_TASK_PREFERRED, 1);
	assert_place(&v, NB_WHY_TASK_NODE_BUSY, NONE);
}

CASE(too_many_threads_get_an_equal_share)
{
	struct nb_task_view v = view(1, NONE, 0);

	for (int n = 0; n < 3; n++)
		load(n, 5, 0);
	load(2, 6, 0); /* 16 threads on 12 CPUs: 5.3 on each node */
	for (int i = 0; i < 6; i++)
		assert_place(&v, NB_WHY_TASK_PREFERRED, 1);
	assert_place(&v, NB_WHY_TASK_NODE_BUSY, NONE);
}

CASE(share_counts_usable_nodes_only)
{
	struct nb_task_view v = view(1, NONE, 0);

	for (int n = 0; n < 3; n++)
		load(n, 4, 0);
	load(0, 5, 0);
	load(2, 100, 0);
	tp.load[2].nr_cpus = 0; /* 9 threads on 8 CPUs */
	tp.nr_pinned[1] = 4;
	assert_place(&v, NB_WHY_TASK_PREFERRED, 1);
	assert_place(&v, NB_WHY_TASK_NODE_BUSY, NONE);
}

/* Relief would take back what was pinned beyond the CPUs. */
CASE(no_more_than_cpus_while_others_idle)
{
	struct nb_task_view v = view(1, NONE, 0);

	load(0, 40, 0);
	load(1, 40, 0);
	load(2, 3, 1);
	tp.nr_pinned[1] = 4;
	assert_place(&v, NB_WHY_TASK_NODE_BUSY, NONE);
	load(2, 4, 0);
	assert_place(&v, NB_WHY_TASK_PREFERRED, 1);
}

CASE(other_programs_count)
{
	struct nb_task_view v = view(1, NONE, 0);

	/* All four CPUs busy, none of it ours: three for sure. */
	load(1, 0, 0);
	assert_place(&v, NB_WHY_TASK_PREFERRED, 1);
	assert_place(&v, NB_WHY_TASK_NODE_BUSY, NONE);
	tp.planned[1] = 0;
	load(1, 2, 0);
	for (int i = 0; i < 3; i++)
		assert_place(&v, NB_WHY_TASK_PREFERRED, 1);
	assert_place(&v, NB_WHY_TASK_NODE_BUSY, NONE);
}

CASE(pinned_threads_change_places)
{
	struct nb_task_view a = view(1, 0, 0);
	struct nb_task_view b = view(0, 1, 1);

	full_machine();
	for (int i = 0; i < 4; i++) {
		nb_task_place_count(&tp, &a);
		nb_task_place_count(&tp, &b);
	}
	assert_int_equal(tp.nr_leaving[0], 4);
	assert_int_equal(tp.nr_leaving[1], 4);
	for (int i = 0; i < 4; i++) {
		assert_place(&a, NB_WHY_TASK_PREFERRED, 1);
		assert_place(&b, NB_WHY_TASK_PREFERRED, 0);
	}
	assert_int_equal(tp.nr_pinned[0] + tp.nr_pinned[1], 0);
	assert_int_equal(tp.nr_leaving[0] + tp.nr_leaving[1], 0);
}

CASE(only_one_too_many_on_credit)
{
	struct nb_task_view a = view(1, 0, 0);
	struct nb_task_view b = view(0, 1, 1);

	full_machine();
	for (int i = 0; i < 4; i++) {
		nb_task_place_count(&tp, &a);
		nb_task_place_count(&tp, &b);
	}
	assert_place(&a, NB_WHY_TASK_PREFERRED, 1);
	assert_place(&a, NB_WHY_TASK_NODE_BUSY, 0);
}

CASE(counts_who_cannot_be_taken_away)
{
	struct nb_task_view v = view(1, 0, 2);

	v.bound = true;
	nb_task_place_count(&tp, &v);
	assert_int_equal(tp.nr_pinned[2], 1);
	assert_int_equal(tp.nr_leaving[2], 0);
	v.current_nid = NONE;
	nb_task_place_count(&tp, &v);
	v = view(1, 0, 0);
	v.running = false;
	nb_task_place_count(&tp, &v);
	v = view(1, NONE, 0);
	nb_task_place_count(&tp, &v);
	assert_int_equal(tp.nr_pinned[0], 0);
	/* Who cannot go where it wants is not leaving. */
	v = view(NONE, 0, 0);
	nb_task_place_count(&tp, &v);
	v = view(63, 0, 0);
	nb_task_place_count(&tp, &v);
	assert_int_equal(tp.nr_pinned[0], 2);
	assert_int_equal(tp.nr_leaving[0], 0);
}

/* Node 0 with @running threads that wait @wait of 300 ns run. */
static void crowd(uint32_t running, uint64_t wait)
{
	load(0, running, 0);
	tp.load[0].wait_ns = wait;
}

CASE(overload_needs_all_conditions)
{
	crowd(5, 101);
	assert_true(nb_node_overloaded(&tp, 0));
	crowd(5, 100); /* exactly a quarter */
	assert_false(nb_node_overloaded(&tp, 0));
	crowd(4, 101); /* others take the CPUs */
	assert_true(nb_node_overloaded(&tp, 0));
	tp.load[0].nr_idle = 1;
	assert_false(nb_node_overloaded(&tp, 0));
	tp.planned[0] = 1;
	assert_true(nb_node_overloaded(&tp, 0));
	load(1, 4, 0);
	load(2, 3, 1);
	assert_true(nb_node_overloaded(&tp, 0));
	tp.planned[2] = 1;
	assert_false(nb_node_overloaded(&tp, 0));
	tp.planned[2] = 0;
	tp.relieved[0] = 1;
	assert_false(nb_node_overloaded(&tp, 0));
	tp.relieved[0] = 0;
	tp.nodes.bits = 3;
	assert_false(nb_node_overloaded(&tp, 0));
	tp.nodes.bits = 6;
	assert_false(nb_node_overloaded(&tp, 0));
	assert_false(nb_node_overloaded(&tp, NONE));
	assert_false(nb_node_overloaded(&tp, NB_MAX_NODES));
}

CASE(idle_cpus_of_unusable_nodes_do_not_count)
{
	crowd(8, 300);
	topo.has_cpu.bits = 1;
	assert_false(nb_node_overloaded(&tp, 0));
	topo.has_cpu.bits = 3;
	assert_true(nb_node_overloaded(&tp, 0));
}

/* How many of @running threads pinned to node 0 are released in a round. */
static uint32_t released(uint32_t running)
{
	struct nb_task_view v = view(0, 0, 0);
	uint32_t nr = 0;
	int nid;

	for (uint32_t i = 0; i < running; i++)
		nb_task_place_count(&tp, &v);
	for (uint32_t i = 0; i < running; i++) {
		if (nb_task_place(&tp, &v, &nid) == NB_WHY_TASK_RELIEF) {
			assert_int_equal(nid, NONE);
			nr++;
		} else {
			assert_int_equal(nid, 0);
		}
	}
	assert_int_equal(tp.relieved[0], nr);
	assert_int_equal(tp.nr_pinned[0], running - nr);
	return nr;
}

CASE(relief_is_limited)
{
	static const struct {
		uint32_t running, idle1, idle2, want;
	} c[] = {
		{5, 4, 4, 1},  /* one too many */
		{7, 4, 4, 3},  /* three too many */
		{20, 4, 4, 8}, /* as many as there are idle CPUs */
		{20, 1, 0, 1}, {20, 0, 0, 0},
		{4, 4, 4, 2}, /* others use the CPUs: half */
		{3, 4, 4, 2}, /* half, rounded up */
		{1, 4, 4, 1},
	};

	for (size_t i = 0; i < nb_array_size(c); i++) {
		setup(state);
		crowd(c[i].running, 300);
		load(1, 4 - c[i].idle1, c[i].idle1);
		load(2, 4 - c[i].idle2, c[i].idle2);
		assert_int_equal(released(c[i].running), c[i].want);
	}
	/* On a node of one CPU, half is less than what is too many. */
	setup(state);
	tp.load[0].nr_cpus = 1;
	crowd(5, 300);
	assert_int_equal(released(5), 3);
	/* Who is about to arrive counts as well. */
	setup(state);
	crowd(5, 300);
	tp.planned[0] = 1;
	assert_int_equal(released(5), 2);
}

CASE(relief_is_for_running_pinned_threads)
{
	struct nb_task_view v = view(0, 0, 0);

	crowd(8, 300);
	v.running = false;
	assert_place(&v, NB_WHY_TASK_STAY, 0);
	v = view(0, 0, 0);
	v.bound = true;
	assert_place(&v, NB_WHY_TASK_BOUND, 0);
	v = view(0, 1, 1);
	assert_place(&v, NB_WHY_TASK_PREFERRED, 0);
	/* Whatever it prefers, a pinned thread in a queue is released. */
	v = view(NONE, 0, 0);
	assert_place(&v, NB_WHY_TASK_RELIEF, NONE);
	v = view(2, 0, 0);
	assert_place(&v, NB_WHY_TASK_RELIEF, NONE);
}

/* Random loads, and threads of which each may be anything. */
static void random_round(uint64_t *seed, struct nb_task_view *v, size_t nr)
{
	tp.nodes.bits = 1 + prng_below(seed, 7);
	for (int n = 0; n < 3; n++) {
		uint32_t cpus = (uint32_t)prng_below(seed, 5);

		tp.load[n] = (struct nb_node_load){
			.nr_cpus = cpus,
			.nr_idle = (uint32_t)prng_below(seed, cpus + 1),
			.run_ns = prng_below(seed, 1000),
			.wait_ns = prng_below(seed, 1000),
			.own_milli = (uint32_t)prng_below(seed, 4000),
			.busy_milli = (uint32_t)prng_below(seed, 4000)};
	}
	for (size_t i = 0; i < nr; i++) {
		v[i] = view((int)prng_below(seed, 4) - 1,
			    (int)prng_below(seed, 4) - 1,
			    (int)prng_below(seed, 3));
		v[i].bound = !prng_below(seed, 8);
		v[i].running = prng_below(seed, 8);
		v[i].hold = (uint32_t)prng_below(seed, 2);
		tp.load[v[i].current_nid].nr_running += v[i].running;
		nb_task_place_count(&tp, &v[i]);
	}
}

/* A yes is for a thread that may be moved, to a usable node with room. */
CASE(property_yes_is_safe)
{
	uint64_t seed = 8;

	for (int round = 0; round < 3000; round++) {
		struct nb_task_view v[24];
		uint32_t nr = (uint32_t)prng_below(&seed, 24);
		int nid;

		setup(NULL);
		random_round(&seed, v, nr);
		for (size_t i = 0; i < nr; i++) {
			enum nb_why why = nb_task_place(&tp, &v[i], &nid);
			uint32_t most;

			if (!nb_why_is_yes(why) || why == NB_WHY_TASK_RELIEF) {
				assert_int_equal(nid,
						 nb_why_is_yes(why)
							 ? NONE
							 : v[i].pinned_nid);
				continue;
			}
			assert_true(!v[i].bound && v[i].running);
			assert_int_equal(nid, v[i].numa_preferred_nid);
			assert_true(nb_node_isset(&tp.nodes, nid));
			most = nb_max(nr, tp.load[nid].nr_cpus) + 1;
			assert_true(tp.load[nid].nr_cpus > 0);
			assert_true(tp.planned[nid] + tp.nr_pinned[nid] <=
				    most);
		}
		for (int n = 0; n < 3; n++)
			assert_true(tp.nr_leaving[n] <= tp.nr_pinned[n]);
	}
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup(f, setup)
	const struct CMUnitTest tests[] = {
		TEST(goes_to_its_preferred_node),
		TEST(who_runs_there_is_pinned_without_a_move),
		TEST(left_alone),
		TEST(preferred_node_must_have_allowed_cpus),
		TEST(hold_needs_an_idle_cpu),
		TEST(unpinned_threads_make_room),
		TEST(pinned_threads_do_not),
		TEST(idle_cpus_are_always_room),
		TEST(too_many_threads_get_an_equal_share),
		TEST(share_counts_usable_nodes_only),
		TEST(no_more_than_cpus_while_others_idle),
		TEST(other_programs_count),
		TEST(pinned_threads_change_places),
		TEST(only_one_too_many_on_credit),
		TEST(counts_who_cannot_be_taken_away),
		TEST(overload_needs_all_conditions),
		TEST(idle_cpus_of_unusable_nodes_do_not_count),
		TEST(relief_is_limited),
		TEST(relief_is_for_running_pinned_threads),
		TEST(property_yes_is_safe),
	};

	return cmocka_run_group_tests_name("task_place", tests, NULL, NULL);
}
