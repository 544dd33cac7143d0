/* SPDX-License-Identifier: MIT */
/*
 * The simulator's engine: a machine small enough to be worked out by hand, and
 * what must hold whatever a brain does.
 */
#include "brains.h"
#include "rand.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static int twice(int a, int b)
{
	return a == b ? 10 : 20;
}

static int ring(int a, int b)
{
	static const int d[] = {10, 20, 30, 20};

	return d[(a - b) & 3];
}

/* Two nodes of one CPU and 16 MiB; bandwidth is no matter. */
static const struct sim_machine_spec tiny = {
	"tiny", "", 2, 1, {1}, {1}, {1000000}, 1000000, twice, false,
};

static struct sim_machine machine;
static const struct sim_fault no_fault;
static struct sim_fault last_fault;
static uint64_t nr_faults;

static void note_fault(void *ctx, const struct sim_fault *f)
{
	(void)ctx;
	last_fault = *f;
	nr_faults++;
}

static const struct sim_brain noting = {
	.name = "noting",
	.hint_fault = note_fault,
};

/* A thread on node 0 and a buffer of @pages of 4 KiB on @nid. */
static struct sim *one_thread(int nid, uint32_t pages, bool sweep)
{
	struct sim_use use = {0, 1, 0, sweep};
	struct sim *s;

	nr_faults = 0;
	last_fault = no_fault;
	sim_machine_make(&machine, &tiny);
	s = sim_new(&machine, &noting, 1, 1);
	assert_int_equal(
		sim_add_seg(s, sim_add_region(s, 0, false), pages * 4096ULL),
		0);
	sim_touch(s, 0, nid);
	assert_int_equal(sim_add_thread(s, 0, 0), 0);
	sim_use(s, 0, &use);
	return s;
}

/* 10 ms are 625000 local accesses of 16 ns, or half as many remote ones. */
static void accesses_take_their_distance(void **state)
{
	struct sim *s = one_thread(0, 10, true);

	(void)state;
	sim_tick(s);
	assert_int_equal((int)s->window[0].acc, 625000);
	assert_int_equal((int)s->window[0].local, 625000);
	sim_free(s);
	s = one_thread(1, 10, true);
	sim_tick(s);
	assert_int_equal((int)s->window[0].acc, 312500);
	assert_int_equal((int)s->window[0].local, 0);
	sim_free(s);
}

/* Two nodes' threads ask 8 GB/s of 2 GB/s: each access takes 4 times as long */
static void crowded_memory_is_slow(void **state)
{
	struct sim_machine_spec spec = tiny;
	struct sim_use use = {0, 1, 0, true};
	struct sim_window *w;
	struct sim *s;

	(void)state;
	spec.mbps[0] = 1000;
	sim_machine_make(&machine, &spec);
	s = sim_new(&machine, &sim_brain_never, 1, 1);
	sim_add_seg(s, sim_add_region(s, 0, false), 4096);
	sim_touch(s, 0, 0);
	sim_use(s, sim_add_thread(s, 0, 0), &use);
	for (int i = 0; i < 100; i++)
		sim_tick(s);
	w = &s->window[1];
	/* 95 % of 1 GB/s for half a second, in lines of 64 bytes. */
	assert_in_range((uint64_t)w->acc, 7300000, 7500000);
	sim_free(s);
}

/* A sweep of 1000 pages at 4 GB/s takes 1.024 ms: all are hit in a tick. */
static void armed_pages_fault_when_touched(void **state)
{
	struct sim *s = one_thread(0, 1000, true);

	(void)state;
	assert_int_equal(sim_arm(s, 0, 1), 1);
	assert_int_equal(sim_arm(s, 0, 1), 0); /* is armed */
	assert_int_equal(sim_arm(s, 8, 4), 4);
	assert_int_equal(sim_arm(s, 11, 4), 0); /* overlaps */
	sim_tick(s);
	assert_int_equal(nr_faults, 2);
	sim_tick(s);
	assert_int_equal(nr_faults, 2);
	assert_int_equal(sim_arm(s, 11, 4), 4);
	sim_disarm(s, 11, 4);
	sim_tick(s);
	assert_int_equal(nr_faults, 2);
	sim_free(s);
}

/* 64 MiB at 40 MB a tick: 60 % of the pages are touched in a tick, about. */
static void some_of_much_memory_is_touched(void **state)
{
	struct sim *s = one_thread(0, 16384, true);

	(void)state;
	for (uint32_t p = 0; p < 16384; p++)
		sim_arm(s, p, 1);
	sim_tick(s);
	assert_in_range(nr_faults, 16384 * 40 / 100, 16384 * 50 / 100);
	sim_free(s);
}

static void a_unit_of_two_segments_faults_once(void **state)
{
	struct sim_use use = {1, 1, 100, true};
	struct sim *s = one_thread(0, 10, true);

	(void)state;
	sim_add_seg(s, 0, 10 * 4096);
	sim_touch(s, 1, 0);
	sim_use(s, sim_add_thread(s, 0, 1), &use);
	for (int i = 0; i < 1000; i++) {
		assert_int_equal(sim_arm(s, 8, 4), 4);
		sim_tick(s);
		assert_int_equal(nr_faults, i + 1);
		/* Whose part it was is told by the page. */
		assert_int_equal(last_fault.thread, last_fault.page / 10);
		assert_int_equal(last_fault.write, last_fault.thread);
	}
	sim_free(s);
}

static void full_nodes_take_nothing(void **state)
{
	/* Node 1 has 65536 pages. */
	struct sim *s = one_thread(1, 65000, true);

	(void)state;
	sim_add_seg(s, sim_add_region(s, 0, false), 1000 * 4096);
	sim_touch(s, 1, 1);
	assert_int_equal(s->seg[1].nr_on[1], 536);
	assert_int_equal(s->seg[1].nr_on[0], 464);
	assert_int_equal(sim_migrate(s, 0, 65000, 1000, 1), 0);
	assert_int_equal(s->total.failed, 464);
	assert_int_equal(sim_migrate(s, 0, 65000, 1000, 0), 536);
	assert_int_equal(sim_free_4k(s, 1), 536);
	assert_int_equal(s->seg[1].one_nid, 0);
	s->region[0].locked = true;
	assert_int_equal(sim_migrate(s, 0, 0, 10, 0), 0);
	sim_free(s);
}

/* What a fault costs is taken from the thread's time. */
static void costs_are_paid(void **state)
{
	struct sim *s = one_thread(0, 10, true);

	(void)state;
	sim_charge(s, 0, 25e6, SIM_FAULT);
	for (int i = 0; i < 3; i++)
		sim_tick(s);
	assert_int_equal((int)s->window[0].acc, 312500);
	/* A helper costs nothing while a CPU is idle. */
	sim_charge(s, SIM_PROC(0), 25e6, SIM_SCAN);
	assert_int_equal((int)s->thread[0].debt_ns, 0);
	assert_int_equal((int)s->total.background_ns, 25000000);
	sim_free(s);
}

static void threads_share_a_cpu(void **state)
{
	struct sim_use use = {0, 1, 0, true};
	struct sim *s = one_thread(0, 10, true);

	(void)state;
	for (int i = 1; i < 4; i++)
		sim_use(s, sim_add_thread(s, 0, NB_NO_NODE), &use);
	s->thread[3].duty_pct = 20;
	for (int i = 0; i < 20; i++)
		sim_tick(s);
	/* Two CPUs: 3.2 wanted. */
	assert_in_range((int)(s->thread[0].share * 100), 33, 81);
	assert_in_range((int)(s->thread[3].share * 100), 20, 20);
	assert_int_equal((int)(s->window[0].wanted_ns / 1e7), 64);
	sim_free(s);
}

static void affinity_is_kept(void **state)
{
	struct nb_nodemask one = {2}, none = {4};
	struct sim *s = one_thread(0, 10, true);

	(void)state;
	assert_false(sim_set_affinity(s, 0, none));
	assert_true(sim_set_affinity(s, 0, one));
	assert_int_equal(sim_nid(s, 0), 1);
	assert_false(sim_move(s, 0, 0));
	for (int i = 0; i < 10000; i++) {
		sim_tick(s);
		assert_int_equal(sim_nid(s, 0), 1);
	}
	sim_free(s);
}

static void ways_lead_over_neighbours(void **state)
{
	struct sim_machine_spec spec = tiny;
	struct nb_topology *t = malloc(sizeof(*t));

	(void)state;
	assert_non_null(t);
	spec.nr_nodes = 4;
	spec.distance = ring;
	sim_machine_make(&machine, &spec);
	assert_int_equal(machine.link_mbps[0][2], 0);
	assert_int_not_equal(machine.link_mbps[0][1], 0);
	assert_int_equal(machine.hop[0][2], 1);
	assert_int_equal(machine.hop[0][3], 3);
	sim_machine_topology(&machine, t);
	assert_int_equal(t->type, NB_TOPOLOGY_GLUELESS_MESH);
	sim_machine_make(&machine, sim_machine_find("backplane"));
	sim_machine_topology(&machine, t);
	assert_int_equal(t->type, NB_TOPOLOGY_BACKPLANE);
	sim_machine_make(&machine, sim_machine_find("cpuless"));
	sim_machine_topology(&machine, t);
	assert_int_equal(t->type, NB_TOPOLOGY_DIRECT);
	assert_false(nb_node_isset(&t->has_cpu, 2));
	free(t);
}

/* All pages are somewhere, and the books say so. */
static void check_books(const struct sim *s)
{
	uint64_t used[NB_MAX_NODES] = {0};

	for (int i = 0; i < s->nr_segs; i++) {
		const struct sim_seg *g = &s->seg[i];
		uint32_t on[NB_MAX_NODES] = {0};

		for (uint32_t p = g->first; p < g->first + g->nr; p++) {
			if (s->page_nid[p] == SIM_NOWHERE)
				continue;
			on[s->page_nid[p]]++;
			used[s->page_nid[p]] += s->region[g->region].page_4k;
		}
		assert_memory_equal(on, g->nr_on, sizeof(on));
		if (g->one_nid != NB_NO_NODE)
			assert_int_equal(on[g->one_nid], g->nr);
	}
	for (int n = 0; n < s->m.nr_nodes; n++) {
		assert_int_equal(used[n], s->used_4k[n]);
		assert_true(used[n] <= s->m.mem_4k[n]);
	}
}

/* Does all that it can, at random. */
static void wild_tick(void *ctx)
{
	struct sim *s = *(struct sim **)ctx;
	uint64_t *rng = &s->rng_sched;

	for (int i = 0; i < 50 && s->nr_pages > 64; i++) {
		uint32_t p = sim_rand_below(rng, s->nr_pages - 16);
		uint32_t nr = 1 + sim_rand_below(rng, 16);
		int t = (int)sim_rand_below(rng, (uint32_t)s->nr_threads);
		int nid = (int)sim_rand_below(rng, (uint32_t)s->m.nr_nodes);
		struct nb_nodemask nodes = {sim_rand(rng)};

		if (s->seg[s->page_seg[p]].region !=
		    s->seg[s->page_seg[p + nr - 1]].region)
			continue;
		sim_arm(s, p, nr);
		sim_migrate(s, i % 2 ? t : SIM_PROC(0), p, nr, nid);
		if (s->thread[t].alive)
			sim_set_affinity(s, t, nodes);
	}
}

static void *wild_init(struct sim *s)
{
	struct sim **ctx = malloc(sizeof(*ctx));

	assert_non_null(ctx);
	*ctx = s;
	return ctx;
}

static const struct sim_brain wild = {
	.name = "wild",
	.init = wild_init,
	.fini = free,
	.hint_fault = note_fault,
	.tick = wild_tick,
};

static void no_page_is_lost(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < sim_nr_scenarios; i++) {
		const struct sim_scenario *sc = &sim_scenarios[i];
		struct sim *s;

		sim_machine_make(&machine,
				 &sim_machines[i % (sim_nr_machines - 1)]);
		s = sim_new(&machine, &wild, i, 64);
		sim_run(s, sc, 3, NULL);
		check_books(s);
		for (int t = 0; t < s->nr_threads; t++)
			assert_true(nb_node_isset(&s->thread[t].own,
						  sim_nid(s, t)));
		sim_free(s);
	}
}

static struct sim_result run(const char *scenario, const struct sim_brain *b,
			     uint64_t seed)
{
	struct sim *s = sim_new(&machine, b, seed, 16);
	struct sim_result r = sim_run(s, sim_scenario_find(scenario), 5, NULL);

	sim_free(s);
	return r;
}

static void the_same_comes_out_each_time(void **state)
{
	struct sim_result a, b;

	(void)state;
	sim_machine_make(&machine, sim_machine_find("4node"));
	a = run("churn", &wild, 7);
	b = run("churn", &wild, 7);
	assert_memory_equal(&a, &b, sizeof(a));
	b = run("churn", &wild, 8);
	assert_memory_not_equal(&a, &b, sizeof(a));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(accesses_take_their_distance),
		cmocka_unit_test(crowded_memory_is_slow),
		cmocka_unit_test(armed_pages_fault_when_touched),
		cmocka_unit_test(some_of_much_memory_is_touched),
		cmocka_unit_test(a_unit_of_two_segments_faults_once),
		cmocka_unit_test(full_nodes_take_nothing),
		cmocka_unit_test(costs_are_paid),
		cmocka_unit_test(threads_share_a_cpu),
		cmocka_unit_test(affinity_is_kept),
		cmocka_unit_test(ways_lead_over_neighbours),
		cmocka_unit_test(no_page_is_lost),
		cmocka_unit_test(the_same_comes_out_each_time),
	};

	return cmocka_run_group_tests_name("engine", tests, NULL, NULL);
}
