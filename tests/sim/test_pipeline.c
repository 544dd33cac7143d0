/* SPDX-License-Identifier: MIT */
/*
 * The whole policy on a simulated machine: threads and memory get together
 * within a few passes, and then nothing moves any more.
 */
#include "pipeline.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static struct pipe sim;

static int teardown(void **state)
{
	(void)state;
	pipe_destroy(&sim);
	return 0;
}

/* Reach this locality in @passes, then hold it for 50 without any move. */
static void assert_converges(int permille, int passes)
{
	uint64_t pages, tasks;

	for (int i = 0; i < passes; i++)
		pipe_pass(&sim);
	assert_in_range(pipe_local_permille(&sim), permille, 1000);
	pages = sim.nr_page_moves;
	tasks = sim.nr_task_moves;
	for (int i = 0; i < 50; i++) {
		pipe_pass(&sim);
		assert_in_range(pipe_local_permille(&sim), permille, 1000);
	}
	assert_int_equal(sim.nr_page_moves, pages);
	assert_int_equal(sim.nr_task_moves, tasks);
}

/* @nodes * 2 threads, each with a buffer on the next node. */
static void private_misplaced(int nodes, bool locked, bool bound)
{
	pipe_init(&sim, nodes, 2);
	for (int i = 0; i < nodes * 2; i++) {
		int task = pipe_add_task(&sim, i / 2, bound);

		pipe_add_buf(&sim, (i / 2 + 1) % nodes, 1U << task, locked);
	}
	assert_int_equal(pipe_local_permille(&sim), 0);
}

static void threads_go_to_private_memory(void **state)
{
	(void)state;
	private_misplaced(2, false, false);
	assert_converges(1000, 2);
	assert_int_equal(sim.nr_page_moves, 0);
	pipe_destroy(&sim);
	private_misplaced(4, false, false);
	assert_converges(1000, 2);
	assert_int_equal(sim.nr_page_moves, 0);
}

/* All memory where the main thread put it, which is too much for one node. */
static void private_memory_is_spread(void **state)
{
	(void)state;
	pipe_init(&sim, 2, 2);
	for (int i = 0; i < 4; i++)
		pipe_add_buf(&sim, 0, 1U << pipe_add_task(&sim, i / 2, false),
			     false);
	assert_converges(1000, 3);
	assert_int_equal(sim.nr_page_moves, 2 * PIPE_BUF_PAGES);
}

static void threads_follow_locked_memory(void **state)
{
	(void)state;
	private_misplaced(2, true, false);
	assert_converges(1000, 3);
	assert_int_equal(sim.nr_page_moves, 0);
	assert_int_equal(sim.nr_task_moves, 4);
	pipe_destroy(&sim);
	private_misplaced(4, true, false);
	assert_converges(1000, 3);
}

static void memory_follows_bound_threads(void **state)
{
	(void)state;
	private_misplaced(2, false, true);
	assert_converges(1000, 2);
	assert_int_equal(sim.nr_task_moves, 0);
}

static void nothing_to_do_if_neither_can_move(void **state)
{
	(void)state;
	private_misplaced(2, true, true);
	assert_converges(0, 1);
	assert_int_equal(pipe_local_permille(&sim), 0);
	/* Failing for ever is not a reason to look often. */
	assert_int_equal(sim.period.scan_period_ms, 10000);
}

/* Two teams of two threads, mixed over the nodes, and a buffer for each. */
static void teams(int nid_a, int nid_b)
{
	pipe_init(&sim, 2, 2);
	for (int i = 0; i < 4; i++)
		pipe_add_task(&sim, i % 2, false);
	pipe_add_buf(&sim, nid_a, 1U << 0 | 1U << 1, false);
	pipe_add_buf(&sim, nid_b, 1U << 2 | 1U << 3, false);
	assert_converges(1000, 6);
	assert_int_equal(sim.tasks[0].nid, sim.tasks[1].nid);
	assert_int_equal(sim.tasks[2].nid, sim.tasks[3].nid);
	assert_int_not_equal(sim.tasks[0].nid, sim.tasks[2].nid);
}

static void teams_gather_at_their_buffers(void **state)
{
	(void)state;
	teams(0, 1);
	assert_int_equal(sim.nr_page_moves, 0);
	pipe_destroy(&sim);
	teams(0, 0);
	pipe_destroy(&sim);
	teams(1, 1);
}

/* Two threads use memory on both nodes alike: nobody may run to and fro. */
static void evenly_shared_memory_does_not_flip_preferences(void **state)
{
	int preferred[2] = {0};
	int flips = 0;

	(void)state;
	pipe_init(&sim, 2, 2);
	for (int i = 0; i < 2; i++)
		pipe_add_task(&sim, i, true);
	for (int i = 0; i < 12; i++)
		pipe_add_buf(&sim, i % 2, 3, true);
	for (int pass = 0; pass < 200; pass++) {
		pipe_pass(&sim);
		for (int i = 0; i < 2; i++) {
			int nid = sim.tasks[i].f->numa_preferred_nid;

			flips += pass > 0 && nid != preferred[i];
			preferred[i] = nid;
		}
	}
	/* Out of 400; without the hysteresis it is more than 100. */
	assert_in_range(flips, 0, 4);
}

static void a_new_phase_is_followed(void **state)
{
	uint32_t users;

	(void)state;
	private_misplaced(2, false, false);
	assert_converges(1000, 2);
	for (int i = 0; i < 2; i++) {
		users = sim.bufs[i].users;
		sim.bufs[i].users = sim.bufs[i + 2].users;
		sim.bufs[i + 2].users = users;
	}
	assert_in_range(pipe_local_permille(&sim), 0, 100);
	assert_converges(1000, 8);
}

/* All pinned, all full, and everybody wants to be where somebody else is. */
static void pinned_threads_change_places(void **state)
{
	uint32_t users;

	(void)state;
	private_misplaced(4, true, false);
	assert_converges(1000, 3);
	users = sim.bufs[0].users;
	for (int i = 0; i + 1 < sim.nr_bufs; i++)
		sim.bufs[i].users = sim.bufs[i + 1].users;
	sim.bufs[sim.nr_bufs - 1].users = users;
	assert_in_range(pipe_local_permille(&sim), 0, 500);
	assert_converges(1000, 12);
}

/* Four threads, all their memory locked on a node of two CPUs. */
static void a_node_is_not_filled_beyond_its_cpus(void **state)
{
	(void)state;
	pipe_init(&sim, 2, 2);
	for (int i = 0; i < 4; i++)
		pipe_add_buf(&sim, 0,
			     1U << pipe_add_task(&sim, 1 - i / 2, false), true);
	assert_converges(500, 4);
	assert_int_equal(pipe_nr_on(&sim, 0), 2);
}

/* Threads arrive on a node whose own are pinned: some must go. */
static void an_overloaded_node_is_relieved(void **state)
{
	(void)state;
	pipe_init(&sim, 2, 4);
	for (int i = 0; i < 4; i++)
		pipe_add_buf(&sim, 0, 1U << pipe_add_task(&sim, 0, false),
			     true);
	assert_converges(1000, 3);
	/* The program binds three more to that node. */
	for (int i = 0; i < 3; i++)
		pipe_add_buf(&sim, 0, 1U << pipe_add_task(&sim, 0, true), true);
	for (int i = 0; i < 10; i++)
		pipe_pass(&sim);
	assert_in_range(pipe_nr_on(&sim, 0), 4, 5);
	for (int i = 0; i < 100; i++) {
		pipe_pass(&sim);
		assert_in_range(pipe_nr_on(&sim, 0), 4, 5);
	}
}

static void threads_settle_beside_memory_without_cpus(void **state)
{
	(void)state;
	pipe_init(&sim, 3, 2);
	nb_node_clear(&sim.topo.has_cpu, 2);
	sim.topo.distance[2][0] = 40;
	pipe_add_buf(&sim, 2, 1U << pipe_add_task(&sim, 0, false), true);
	for (int i = 0; i < 10; i++)
		pipe_pass(&sim);
	assert_int_equal(sim.tasks[0].pinned_nid, 1);
	assert_int_equal(sim.nr_task_moves, 1);
}

static void scanning_slows_down_when_all_is_local(void **state)
{
	(void)state;
	private_misplaced(2, false, false);
	pipe_pass(&sim);
	assert_int_equal(sim.period.scan_period_ms, 100);
	for (int i = 0; i < 40; i++)
		pipe_pass(&sim);
	assert_int_equal(sim.period.scan_period_ms, 10000);
	/* ... and picks up again when it no longer is. */
	for (int i = 0; i < 4; i++)
		for (int page = 0; page < PIPE_BUF_PAGES; page++)
			sim.bufs[i].nid[page] ^= 1;
	pipe_pass(&sim);
	assert_int_equal(sim.period.scan_period_ms, 3000);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_teardown(f, teardown)
	const struct CMUnitTest tests[] = {
		TEST(threads_go_to_private_memory),
		TEST(private_memory_is_spread),
		TEST(threads_follow_locked_memory),
		TEST(memory_follows_bound_threads),
		TEST(nothing_to_do_if_neither_can_move),
		TEST(teams_gather_at_their_buffers),
		TEST(evenly_shared_memory_does_not_flip_preferences),
		TEST(a_new_phase_is_followed),
		TEST(pinned_threads_change_places),
		TEST(a_node_is_not_filled_beyond_its_cpus),
		TEST(an_overloaded_node_is_relieved),
		TEST(threads_settle_beside_memory_without_cpus),
		TEST(scanning_slows_down_when_all_is_local),
	};

	return cmocka_run_group_tests_name("pipeline", tests, NULL, NULL);
}
