/* SPDX-License-Identifier: MIT */
/*
 * The rivals are fair: the oracle is never worse than anybody, and the
 * kernel's rules do on the classic cases what Linux is known to do.
 */
#include "brains.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define SHARED_MOVES 2
#define SHARED_AT_REST 0.5 /* a minute */

static struct sim_machine machine;
static uint64_t nr_pages_4k;

static struct sim_result run(const char *scenario, const char *name,
			     const struct sim_brain *b, uint32_t secs)
{
	struct sim_result r;
	struct sim *s;

	sim_machine_make(&machine, sim_machine_find(name));
	s = sim_new(&machine, b, 1, 16);
	r = sim_run(s, sim_scenario_find(scenario), secs, NULL);
	nr_pages_4k = r.nr_pages_4k;
	sim_free(s);
	return r;
}

/* All scenarios, each on one machine; 1 % is what a plan may be off by. */
static void nobody_beats_the_oracle(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < sim_nr_scenarios; i++) {
		const char *sc = sim_scenarios[i].name;
		/* All but the big ones. */
		const char *m = sim_machines[i % (sim_nr_machines - 2)].name;
		struct sim_result best = run(sc, m, &sim_brain_perfect, 10);

		for (unsigned int k = 0; k < sim_nr_brains; k++) {
			struct sim_result r = run(sc, m, sim_brains[k], 10);

			if (r.cost * 1.01 >= best.cost)
				continue;
			fprintf(stderr, "%s on %s: %s %.3f, perfect %.3f\n", sc,
				m, sim_brains[k]->name, r.cost, best.cost);
			fail();
		}
	}
}

static void who_never_moves_moves_nothing(void **state)
{
	struct sim_result r = run("numa01", "4node", &sim_brain_never, 10);

	(void)state;
	assert_int_equal(r.moved_mb + r.moves + r.faults, 0);
	/* A quarter of the threads are where all memory is. */
	assert_in_range((int)(r.local * 1000), 250, 999);
	r = run("numa02", "4node", &sim_brain_interleave, 10);
	assert_int_equal(r.moved_mb + r.moves + r.faults, 0);
	assert_in_range((int)(r.local * 1000), 240, 260);
}

/* Own slices of a common buffer: the kernel's best case. */
static void the_kernel_moves_slices_to_their_users(void **state)
{
	struct sim_result r = run("numa02", "4node", &sim_brain_kernel, 30);

	(void)state;
	assert_in_range((int)(r.end_local * 1000), 990, 1000);
	assert_in_range((int)r.converged_s, 1, 10);
	/* Each page that is not there yet moves once. */
	assert_in_range(r.moved_mb, nr_pages_4k / 256 * 3 / 4,
			nr_pages_4k / 256);
}

/* Two processes on two nodes part; on four nodes their memory finds no home */
static void the_kernel_parts_two_processes(void **state)
{
	struct sim_result r = run("numa01", "2node", &sim_brain_kernel, 60);

	(void)state;
	assert_in_range((int)(r.end_local * 1000), 950, 1000);
	assert_true(r.moves > 0);
	r = run("numa01", "4node", &sim_brain_kernel, 60);
	assert_in_range((int)(r.end_local * 1000), 250, 600);
	assert_true(r.moved_mb > nr_pages_4k / 256);
}

/* Threads go to memory that cannot come to them. */
static void the_kernel_swaps_threads(void **state)
{
	struct sim_result r = run("locked", "4node", &sim_brain_kernel, 30);

	(void)state;
	assert_int_equal(r.moved_mb, 0);
	assert_in_range((int)(r.end_local * 1000), 990, 1000);
	/* ... and memory to threads that cannot. */
	r = run("bound", "4node", &sim_brain_kernel, 30);
	assert_int_equal(r.moves, 0);
	assert_in_range((int)(r.end_local * 1000), 990, 1000);
}

/* Hot memory is promoted, and room is made for it. */
static void the_kernel_promotes_what_is_hot(void **state)
{
	struct sim_result never =
		run("hotcold", "cpuless", &sim_brain_never, 40);
	struct sim_result r = run("hotcold", "cpuless", &sim_brain_kernel, 40);

	(void)state;
	assert_true(r.end_cost < never.end_cost * 0.75);
	assert_true(r.end_local > never.end_local + 0.2);
}

/* lib/policy in the simulator does what it does in small in test_pipeline. */
static void numabal_places_what_it_can(void **state)
{
	static const char *const easy[] = {"private", "next",	"bound",
					   "locked",  "numa02", "numa01-local"};

	(void)state;
	for (size_t i = 0; i < nb_array_size(easy); i++) {
		struct sim_result r =
			run(easy[i], "4node", &sim_brain_numabal, 30);

		assert_in_range((int)(r.end_local * 1000), 990, 1000);
		if (!strcmp(easy[i], "bound"))
			assert_int_equal(r.moves, 0);
		if (!strcmp(easy[i], "locked"))
			assert_int_equal(r.moved_mb, 0);
	}
}

static void numabal_brings_teams_together(void **state)
{
	static const char *const teams[] = {"teams", "small-teams", "prodcons"};
	static const char *const on[] = {"2node", "4node", "backplane"};
	struct sim_result r;

	(void)state;
	for (size_t i = 0; i < nb_array_size(teams); i++) {
		for (size_t k = 0; k < nb_array_size(on); k++) {
			r = run(teams[i], on[k], &sim_brain_numabal, 20);
			assert_in_range((int)(r.end_local * 1000), 970, 1000);
		}
	}
	/* Two programs, each as large as a node. */
	r = run("numa01", "2node", &sim_brain_numabal, 30);
	assert_in_range((int)(r.end_local * 1000), 970, 1000);
}

/* What all use moves to and fro no more than SHARED_MOVES times a page. */
static void numabal_leaves_in_peace_what_all_use(void **state)
{
	static const char *const shared[] = {"read-all", "write-all",
					     "database"};
	static const char *const on[] = {"2node", "4node", "mesh", "backplane"};

	(void)state;
	for (size_t i = 0; i < nb_array_size(shared); i++) {
		for (size_t k = 0; k < nb_array_size(on); k++) {
			struct sim_result r =
				run(shared[i], on[k], &sim_brain_numabal, 60);

			assert_in_range(r.moved_mb * 256, 1,
					SHARED_MOVES * r.nr_pages_4k);
			assert_true(r.moves_per_page < SHARED_AT_REST);
			assert_true(r.moves_per_thread < SHARED_AT_REST);
		}
	}
}

static void the_same_comes_out_each_time(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < sim_nr_brains; i++) {
		struct sim_result a = run("churn", "mesh", sim_brains[i], 10);
		struct sim_result b = run("churn", "mesh", sim_brains[i], 10);

		assert_memory_equal(&a, &b, sizeof(a));
	}
}

/* 1024 threads, 64 GiB in small pages. */
static void large_machines_are_no_matter(void **state)
{
	struct sim_result r;

	(void)state;
	sim_slice_mb = 64;
	r = run("private", "big", &sim_brain_numabal, 3);
	assert_int_equal(r.nr_pages_4k, 16 << 20);
	assert_true(r.faults > 0);
	/* 64 nodes, 4096 threads, 64 GiB. */
	sim_slice_mb = 16;
	r = run("private", "64node", &sim_brain_numabal, 3);
	sim_slice_mb = 32;
	assert_int_equal(r.nr_pages_4k, 16 << 20);
	assert_true(r.faults > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nobody_beats_the_oracle),
		cmocka_unit_test(who_never_moves_moves_nothing),
		cmocka_unit_test(the_kernel_moves_slices_to_their_users),
		cmocka_unit_test(the_kernel_parts_two_processes),
		cmocka_unit_test(the_kernel_swaps_threads),
		cmocka_unit_test(the_kernel_promotes_what_is_hot),
		cmocka_unit_test(numabal_places_what_it_can),
		cmocka_unit_test(numabal_brings_teams_together),
		cmocka_unit_test(numabal_leaves_in_peace_what_all_use),
		cmocka_unit_test(the_same_comes_out_each_time),
		cmocka_unit_test(large_machines_are_no_matter),
	};

	return cmocka_run_group_tests_name("rivals", tests, NULL, NULL);
}
