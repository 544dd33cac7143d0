/* SPDX-License-Identifier: MIT */
/*
 * base/nodemask.h and the arithmetic of base/util.h.
 */
#include "../../lib/base/nodemask.h"

#include "policy_test.h"

static void node_bits(void **state)
{
	struct nb_nodemask m = {0};

	(void)state;
	nb_node_set(&m, 0);
	nb_node_set(&m, 63);
	assert_true(m.bits == (1ULL | 1ULL << 63));
	assert_true(nb_node_isset(&m, 0));
	assert_false(nb_node_isset(&m, 1));
	assert_true(nb_node_isset(&m, 63));
	assert_int_equal(nb_nodes_weight(&m), 2);
	nb_node_clear(&m, 0);
	assert_false(nb_node_isset(&m, 0));
	assert_int_equal(nb_nodes_weight(&m), 1);
}

static void nodes_out_of_range_are_ignored(void **state)
{
	struct nb_nodemask m = {5};

	(void)state;
	nb_node_set(&m, NB_NO_NODE);
	nb_node_set(&m, NB_MAX_NODES);
	nb_node_clear(&m, NB_NO_NODE);
	nb_node_clear(&m, NB_MAX_NODES);
	assert_int_equal(m.bits, 5);
	assert_false(nb_node_isset(&m, NB_NO_NODE));
	assert_false(nb_node_isset(&m, NB_MAX_NODES));
	assert_false(nb_node_valid(NB_NO_NODE));
	assert_true(nb_node_valid(0));
	assert_true(nb_node_valid(63));
	assert_false(nb_node_valid(64));
}

static void node_iteration(void **state)
{
	struct nb_nodemask m = {0};
	static const int want[] = {0, 7, 62, 63};
	size_t nr = 0;
	int nid;

	(void)state;
	nb_for_each_nid (nid, &m)
		fail();
	for (size_t i = 0; i < nb_array_size(want); i++)
		nb_node_set(&m, want[i]);
	nb_for_each_nid (nid, &m)
		assert_int_equal(nid, want[nr++]);
	assert_int_equal(nr, nb_array_size(want));
	assert_int_equal(nb_node_next(&m, 8), 62);
	assert_int_equal(nb_node_next(&m, 64), NB_MAX_NODES);
	nb_node_clear(&m, 63);
	assert_int_equal(nb_node_next(&m, 63), NB_MAX_NODES);
}

static void cpu_bits(void **state)
{
	static struct nb_cpumask m;

	(void)state;
	memset(&m, 0, sizeof(m));
	assert_true(nb_cpus_empty(&m));
	nb_cpu_set(&m, -1);
	nb_cpu_set(&m, NB_MAX_CPUS);
	assert_true(nb_cpus_empty(&m));
	nb_cpu_set(&m, 0);
	nb_cpu_set(&m, 64);
	nb_cpu_set(&m, NB_MAX_CPUS - 1);
	assert_int_equal(nb_cpus_weight(&m), 3);
	assert_true(nb_cpu_isset(&m, 64));
	assert_false(nb_cpu_isset(&m, 63));
	assert_false(nb_cpu_isset(&m, -1));
	assert_false(nb_cpu_isset(&m, NB_MAX_CPUS));
	assert_true(nb_cpu_isset(&m, NB_MAX_CPUS - 1));
	assert_false(nb_cpus_empty(&m));
}

static void cpu_iteration(void **state)
{
	static struct nb_cpumask m;
	static const int want[] = {3, 63, 64, 200, NB_MAX_CPUS - 1};
	size_t nr = 0;
	int cpu;

	(void)state;
	memset(&m, 0, sizeof(m));
	nb_for_each_cpu (cpu, &m)
		fail();
	for (size_t i = 0; i < nb_array_size(want); i++)
		nb_cpu_set(&m, want[i]);
	nb_for_each_cpu (cpu, &m)
		assert_int_equal(cpu, want[nr++]);
	assert_int_equal(nr, nb_array_size(want));
	assert_int_equal(nb_cpu_next(&m, 4), 63);
	assert_int_equal(nb_cpu_next(&m, NB_MAX_CPUS), NB_MAX_CPUS);
}

static void cpu_set_operations(void **state)
{
	static struct nb_cpumask a, b, c;

	(void)state;
	memset(&a, 0, sizeof(a));
	b = a;
	assert_true(nb_cpus_equal(&a, &b));
	assert_true(nb_cpus_subset(&a, &b));
	nb_cpu_set(&a, 5);
	nb_cpu_set(&b, 5);
	nb_cpu_set(&b, 5000);
	assert_false(nb_cpus_equal(&a, &b));
	assert_true(nb_cpus_subset(&a, &b));
	assert_false(nb_cpus_subset(&b, &a));
	nb_cpus_and(&c, &a, &b);
	assert_true(nb_cpus_equal(&c, &a));
	assert_int_equal(nb_cpus_weight(&c), 1);
}

static void arithmetic(void **state)
{
	(void)state;
	assert_int_equal(nb_min(3, 2), 2);
	assert_int_equal(nb_min(2, 3), 2);
	assert_int_equal(nb_max(3, 2), 3);
	assert_int_equal(nb_max(2, 3), 3);
	assert_int_equal(nb_clamp(5, 1, 4), 4);
	assert_int_equal(nb_clamp(0, 1, 4), 1);
	assert_int_equal(nb_clamp(2, 1, 4), 2);
	assert_int_equal(nb_div_round_up(0, 3), 0);
	assert_int_equal(nb_div_round_up(3, 3), 1);
	assert_int_equal(nb_div_round_up(4, 3), 2);
	assert_int_equal(nb_div_round_up(UINT64_MAX, 2), 1ULL << 63);
	assert_int_equal(nb_align_down(4097, 4096), 4096);
	assert_int_equal(nb_align_up(4097, 4096), 8192);
	assert_int_equal(nb_align_up(4096, 4096), 4096);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(node_bits),
		cmocka_unit_test(nodes_out_of_range_are_ignored),
		cmocka_unit_test(node_iteration),
		cmocka_unit_test(cpu_bits),
		cmocka_unit_test(cpu_iteration),
		cmocka_unit_test(cpu_set_operations),
		cmocka_unit_test(arithmetic),
	};

	return cmocka_run_group_tests_name("nodemask", tests, NULL, NULL);
}
