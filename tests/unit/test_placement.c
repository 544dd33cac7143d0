/* SPDX-License-Identifier: MIT */
/*
 * policy/placement.c: the preferred node.
 */
#include "../../lib/policy/placement.h"

#include "policy_test.h"

/* Four nodes, two CPUs each, distances as on a ring: 0-1-2-3-0. */
static struct nb_topology ring;

static int setup(void **state)
{
	(void)state;
	memset(&ring, 0, sizeof(ring));
	ring.nr_nids = 4;
	ring.nr_cpus = 8;
	for (int n = 0; n < 4; n++) {
		nb_node_set(&ring.online, n);
		nb_node_set(&ring.has_cpu, n);
		nb_node_set(&ring.has_memory, n);
		nb_node_set(&ring.mems_allowed, n);
		for (int cpu = 2 * n; cpu < 2 * n + 2; cpu++) {
			ring.cpu_to_nid[cpu] = (int16_t)n;
			nb_cpu_set(&ring.node_cpus[n], cpu);
			nb_cpu_set(&ring.cpus_allowed, cpu);
		}
		for (int m = 0; m < 4; m++)
			ring.distance[n][m] = n == m	     ? 10
					      : (n ^ m) == 2 ? 30
							     : 20;
	}
	return 0;
}

static void forbid_cpus(int nid)
{
	for (size_t i = 0; i < NB_CPUMASK_WORDS; i++)
		ring.cpus_allowed.bits[i] &= ~ring.node_cpus[nid].bits[i];
}

/* Statistics with these faults on nodes 0 to 3. */
static int place(int cur, uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
	const uint64_t faults[] = {a, b, c, d};
	struct nb_numa_faults *f = malloc(nb_numa_faults_size(4));
	int nid;

	assert_non_null(f);
	nb_numa_faults_init(f, 4);
	f->numa_preferred_nid = cur;
	for (int n = 0; n < 4; n++) {
		/* Private and shared count alike. */
		f->faults[nb_numa_faults_idx(f, NB_NUMA_MEM, n, true)] =
			faults[n] / 2;
		f->faults[nb_numa_faults_idx(f, NB_NUMA_MEM, n, false)] =
			faults[n] - faults[n] / 2;
		/* What is still in the buffer does not. */
		f->faults[nb_numa_faults_idx(f, NB_NUMA_MEMBUF, n, true)] =
			1000 * n;
	}
	nid = nb_placement(f, &ring, false);
	assert_int_equal(f->numa_preferred_nid, cur);
	free(f);
	return nid;
}

static void most_faults_win(void **state)
{
	(void)state;
	assert_int_equal(place(NB_NO_NODE, 1, 2, 4, 3), 2);
	assert_int_equal(place(NB_NO_NODE, 0, 0, 0, 1), 3);
}

static void ties_go_to_the_lowest(void **state)
{
	(void)state;
	assert_int_equal(place(NB_NO_NODE, 0, 5, 5, 5), 1);
}

static void no_faults_keep_the_preference(void **state)
{
	(void)state;
	assert_int_equal(place(NB_NO_NODE, 0, 0, 0, 0), NB_NO_NODE);
	assert_int_equal(place(2, 0, 0, 0, 0), 2);
}

static void hysteresis_is_nine_eighths(void **state)
{
	(void)state;
	assert_int_equal(place(1, 9, 8, 0, 0), 1);
	assert_int_equal(place(1, 10, 8, 0, 0), 0);
	assert_int_equal(place(1, 900, 800, 0, 0), 1);
	assert_int_equal(place(1, 901, 800, 0, 0), 0);
	/* A preferred node without any faults does not resist. */
	assert_int_equal(place(1, 1, 0, 0, 0), 0);
}

static void even_sharing_does_not_flip(void **state)
{
	uint64_t seed = 3;
	int cur = place(NB_NO_NODE, 500, 501, 0, 0);

	(void)state;
	assert_int_equal(cur, 1);
	for (int i = 0; i < 1000; i++)
		assert_int_equal(place(cur, 480 + prng_below(&seed, 41),
				       480 + prng_below(&seed, 41), 0, 0),
				 cur);
}

static void large_counts_do_not_overflow(void **state)
{
	uint64_t big = 1ULL << 40;

	(void)state;
	assert_int_equal(place(1, big + big / 8, big, 0, 0), 1);
	assert_int_equal(place(1, big + big / 8 + 1, big, 0, 0), 0);
}

static void offline_nodes_are_left_out(void **state)
{
	(void)state;
	nb_node_clear(&ring.online, 2);
	assert_int_equal(place(NB_NO_NODE, 0, 1, 9, 0), 1);
	assert_int_equal(nb_nearest_cpu_node(&ring, 2), NB_NO_NODE);
}

static void nearest_of_a_node_with_cpus_is_itself(void **state)
{
	(void)state;
	for (int n = 0; n < 4; n++)
		assert_int_equal(nb_nearest_cpu_node(&ring, n), n);
	assert_int_equal(nb_nearest_cpu_node(&ring, NB_NO_NODE), NB_NO_NODE);
	assert_int_equal(nb_nearest_cpu_node(&ring, 4), NB_NO_NODE);
	assert_int_equal(nb_nearest_cpu_node(&ring, 64), NB_NO_NODE);
}

static void memory_without_cpus_maps_to_the_nearest(void **state)
{
	(void)state;
	nb_node_clear(&ring.has_cpu, 2);
	assert_int_equal(nb_nearest_cpu_node(&ring, 2), 1); /* 1 and 3 tie */
	assert_int_equal(place(NB_NO_NODE, 3, 0, 9, 0), 1);
	ring.distance[2][3] = 15;
	assert_int_equal(nb_nearest_cpu_node(&ring, 2), 3);
	nb_node_clear(&ring.has_cpu, 1);
	nb_node_clear(&ring.has_cpu, 3);
	assert_int_equal(nb_nearest_cpu_node(&ring, 2), 0);
}

static void forbidden_cpus_are_no_cpus(void **state)
{
	(void)state;
	forbid_cpus(0);
	assert_int_equal(nb_nearest_cpu_node(&ring, 0), 1);
	assert_int_equal(place(0, 9, 0, 0, 1), 1);
	forbid_cpus(1);
	assert_int_equal(nb_nearest_cpu_node(&ring, 0), 3);
}

static void no_cpu_at_all_keeps_the_preference(void **state)
{
	(void)state;
	for (int n = 0; n < 4; n++)
		forbid_cpus(n);
	assert_int_equal(nb_nearest_cpu_node(&ring, 0), NB_NO_NODE);
	assert_int_equal(place(3, 9, 1, 1, 1), 3);
	assert_int_equal(place(NB_NO_NODE, 9, 1, 1, 1), NB_NO_NODE);
}

/* What a preferred node stands for includes the CPU-less node beside it. */
static void cpuless_memory_counts_for_hysteresis(void **state)
{
	(void)state;
	nb_node_clear(&ring.has_cpu, 2);
	assert_int_equal(place(1, 90, 10, 80, 0), 1);
	assert_int_equal(place(1, 91, 10, 80, 0), 0);
	assert_int_equal(place(1, 91, 81, 80, 0), 1);
}

/* Statistics with private faults a and b on nodes 0 and 1, shared on 2. */
static int place_alone(int cur, uint64_t a, uint64_t b, uint64_t shared)
{
	struct nb_numa_faults *f = malloc(nb_numa_faults_size(3));
	int nid;

	assert_non_null(f);
	nb_numa_faults_init(f, 3);
	f->numa_preferred_nid = cur;
	f->faults[nb_numa_faults_idx(f, NB_NUMA_MEM, 0, true)] = a;
	f->faults[nb_numa_faults_idx(f, NB_NUMA_MEM, 1, true)] = b;
	f->faults[nb_numa_faults_idx(f, NB_NUMA_MEM, 2, false)] = shared;
	nid = nb_placement(f, &ring, true);
	free(f);
	return nid;
}

/* Where several nodes use the rest, only what nobody else uses counts. */
static void shared_memory_does_not_attract(void **state)
{
	(void)state;
	assert_int_equal(place_alone(NB_NO_NODE, 10, 20, 90), 1);
	assert_int_equal(place_alone(0, 20, 10, 90), 0);
	/* With less than a quarter of its own a thread stays where it is. */
	assert_int_equal(place_alone(NB_NO_NODE, 10, 19, 90), NB_NO_NODE);
	assert_int_equal(place_alone(2, 10, 19, 90), 2);
	assert_int_equal(place_alone(0, 0, 0, 0), 0);
	/* It has seen fewer nodes than there are. */
	assert_int_equal(place_alone(3, 0, 9, 0), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(most_faults_win, setup),
		cmocka_unit_test_setup(ties_go_to_the_lowest, setup),
		cmocka_unit_test_setup(no_faults_keep_the_preference, setup),
		cmocka_unit_test_setup(hysteresis_is_nine_eighths, setup),
		cmocka_unit_test_setup(even_sharing_does_not_flip, setup),
		cmocka_unit_test_setup(large_counts_do_not_overflow, setup),
		cmocka_unit_test_setup(offline_nodes_are_left_out, setup),
		cmocka_unit_test_setup(nearest_of_a_node_with_cpus_is_itself,
				       setup),
		cmocka_unit_test_setup(memory_without_cpus_maps_to_the_nearest,
				       setup),
		cmocka_unit_test_setup(forbidden_cpus_are_no_cpus, setup),
		cmocka_unit_test_setup(no_cpu_at_all_keeps_the_preference,
				       setup),
		cmocka_unit_test_setup(cpuless_memory_counts_for_hysteresis,
				       setup),
		cmocka_unit_test_setup(shared_memory_does_not_attract, setup),
	};

	return cmocka_run_group_tests_name("placement", tests, NULL, NULL);
}
