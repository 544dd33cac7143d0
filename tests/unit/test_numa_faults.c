/* SPDX-License-Identifier: MIT */
/*
 * policy/numa_faults.c: accounting and decay.
 */
#include "../../lib/policy/numa_faults.h"

#include "policy_test.h"

#define MSEC NB_NSEC_PER_MSEC

static struct nb_numa_faults *make(int nr_nids)
{
	struct nb_numa_faults *f = malloc(nb_numa_faults_size(nr_nids));

	assert_non_null(f);
	memset(f, 0xa5, nb_numa_faults_size(nr_nids));
	nb_numa_faults_init(f, nr_nids);
	return f;
}

static uint64_t cell(const struct nb_numa_faults *f,
		     enum nb_numa_faults_stats s, int nid, bool priv)
{
	return f->faults[nb_numa_faults_idx(f, s, nid, priv)];
}

static uint64_t sum_all(const struct nb_numa_faults *f)
{
	uint64_t sum = 0;

	for (int i = 0; i < NB_NR_NUMA_STATS * f->nr_nids * 2; i++)
		sum += f->faults[i];
	return sum;
}

static void account(struct nb_numa_faults *f, int mem_nid, int cpu_nid,
		    uint64_t nr, bool priv)
{
	struct nb_fault_sample s = {
		.mem_nid = mem_nid,
		.cpu_nid = cpu_nid,
		.nr_pages = nr,
		.priv = priv,
		.local = mem_nid == cpu_nid && mem_nid != NB_NO_NODE,
	};

	nb_numa_faults_account(f, &s);
}

static void init_forgets_everything(void **state)
{
	struct nb_numa_faults *f = make(3);

	(void)state;
	assert_int_equal(nb_numa_faults_size(3),
			 sizeof(*f) + 4 * 3 * 2 * sizeof(uint64_t));
	assert_int_equal(f->nr_nids, 3);
	assert_int_equal(f->numa_preferred_nid, NB_NO_NODE);
	assert_int_equal(f->numa_scan_seq, 0);
	assert_int_equal(f->total, 0);
	assert_int_equal(f->pass_private + f->pass_shared, 0);
	assert_int_equal(sum_all(f), 0);
	for (int i = 0; i < NB_NR_LOCALITY; i++)
		assert_int_equal(f->locality[i], 0);
	free(f);
}

static void account_fills_buffers_only(void **state)
{
	struct nb_numa_faults *f = make(2);

	(void)state;
	account(f, 0, 1, 512, true);
	account(f, 1, 1, 3, false);
	assert_int_equal(cell(f, NB_NUMA_MEMBUF, 0, true), 512);
	assert_int_equal(cell(f, NB_NUMA_CPUBUF, 1, true), 512);
	assert_int_equal(cell(f, NB_NUMA_MEMBUF, 1, false), 3);
	assert_int_equal(cell(f, NB_NUMA_CPUBUF, 1, false), 3);
	assert_int_equal(sum_all(f), 2 * 515);
	assert_int_equal(f->locality[NB_LOCALITY_REMOTE], 512);
	assert_int_equal(f->locality[NB_LOCALITY_LOCAL], 3);
	assert_int_equal(f->locality[NB_LOCALITY_FAILED], 0);
	assert_int_equal(f->pass_private, 512);
	assert_int_equal(f->pass_shared, 3);
	assert_int_equal(nb_numa_faults_mem(f, 0), 0);
	assert_int_equal(nb_numa_faults_cpu(f, 1), 0);
	assert_int_equal(f->total, 0);
	free(f);
}

static void account_leaves_out_what_is_unknown(void **state)
{
	struct nb_numa_faults *f = make(2);

	(void)state;
	account(f, NB_NO_NODE, 1, 1, true);
	account(f, 2, 1, 10, true); /* a node beyond the highest */
	account(f, 0, NB_NO_NODE, 100, false);
	account(f, 0, NB_MAX_NODES, 1000, false);
	account(f, NB_NO_NODE, NB_NO_NODE, 10000, false);
	assert_int_equal(cell(f, NB_NUMA_CPUBUF, 1, true), 11);
	assert_int_equal(cell(f, NB_NUMA_MEMBUF, 0, false), 1100);
	assert_int_equal(sum_all(f), 1111);
	assert_int_equal(f->locality[NB_LOCALITY_REMOTE], 0);
	assert_int_equal(f->locality[NB_LOCALITY_LOCAL], 0);
	assert_int_equal(f->pass_private, 11);
	assert_int_equal(f->pass_shared, 11100);
	free(f);
}

static void account_counts_failures(void **state)
{
	struct nb_numa_faults *f = make(2);
	struct nb_fault_sample s = {0, 1, 5, true, false, true};

	(void)state;
	nb_numa_faults_account(f, &s);
	assert_int_equal(f->locality[NB_LOCALITY_FAILED], 5);
	assert_int_equal(f->locality[NB_LOCALITY_REMOTE], 5);
	free(f);
}

static void decay_halves_memory_faults(void **state)
{
	static const uint64_t want[] = {100, 50, 25, 13, 7, 4, 2, 1, 1};
	struct nb_numa_faults *f = make(2);

	(void)state;
	account(f, 1, 0, 100, true);
	for (size_t i = 0; i < nb_array_size(want); i++) {
		nb_numa_faults_decay(f, 0, 0);
		assert_int_equal(nb_numa_faults_mem(f, 1), want[i]);
		assert_int_equal(f->total, want[i]);
		assert_int_equal(f->numa_scan_seq, i + 1);
		assert_int_equal(cell(f, NB_NUMA_MEMBUF, 1, true), 0);
		assert_int_equal(cell(f, NB_NUMA_CPUBUF, 0, true), 0);
		assert_int_equal(f->locality[NB_LOCALITY_REMOTE], 0);
		assert_int_equal(f->pass_private, 0);
	}
	free(f);
}

static void decay_adds_to_the_old(void **state)
{
	struct nb_numa_faults *f = make(2);

	(void)state;
	account(f, 0, 0, 7, true);
	account(f, 0, 0, 20, false);
	nb_numa_faults_decay(f, 0, 0);
	account(f, 0, 0, 5, true);
	account(f, 1, 0, 9, false);
	nb_numa_faults_decay(f, 0, 0);
	assert_int_equal(cell(f, NB_NUMA_MEM, 0, true), 7 - 3 + 5);
	assert_int_equal(cell(f, NB_NUMA_MEM, 0, false), 10);
	assert_int_equal(cell(f, NB_NUMA_MEM, 1, false), 9);
	assert_int_equal(nb_numa_faults_mem(f, 0), 19);
	assert_int_equal(f->total, 28);
	assert_int_equal(f->locality[NB_LOCALITY_LOCAL], 0);
	free(f);
}

/* Kernel mistake O2: there, locality[FAILED] is never cleared. */
static void failures_decay(void **state)
{
	struct nb_numa_faults *f = make(1);
	struct nb_fault_sample s = {0, 0, 5, true, true, true};

	(void)state;
	nb_numa_faults_account(f, &s);
	nb_numa_faults_decay(f, 0, 0);
	assert_int_equal(f->locality[NB_LOCALITY_FAILED], 2);
	nb_numa_faults_decay(f, 0, 0);
	assert_int_equal(f->locality[NB_LOCALITY_FAILED], 1);
	nb_numa_faults_decay(f, 0, 0);
	assert_int_equal(f->locality[NB_LOCALITY_FAILED], 0);
	free(f);
}

static void cpu_faults_are_a_share_of_run_time(void **state)
{
	struct nb_numa_faults *f = make(2);
	uint64_t half = (50 * MSEC << 16) / (100 * MSEC + 1);

	(void)state;
	assert_int_equal(half, 32767);
	account(f, 0, 0, 30, true);
	account(f, 0, 1, 69, false);
	nb_numa_faults_decay(f, 50 * MSEC, 100 * MSEC);
	assert_int_equal(nb_numa_faults_cpu(f, 0), half * 30 / 100);
	assert_int_equal(nb_numa_faults_cpu(f, 1), half * 69 / 100);
	assert_int_equal(cell(f, NB_NUMA_CPU, 1, false), half * 69 / 100);
	nb_numa_faults_decay(f, 50 * MSEC, 100 * MSEC);
	assert_int_equal(nb_numa_faults_cpu(f, 0),
			 half * 30 / 100 - half * 30 / 100 / 2);
	free(f);
}

static void run_time_is_capped_to_the_period(void **state)
{
	struct nb_numa_faults *f = make(1);

	(void)state;
	account(f, 0, 0, 9, true);
	nb_numa_faults_decay(f, 500 * MSEC, 100 * MSEC);
	assert_int_equal(nb_numa_faults_cpu(f, 0), 65535 * 9 / 10);
	nb_numa_faults_init(f, 1);
	account(f, 0, 0, 1, true);
	nb_numa_faults_decay(f, 1, 1);
	assert_int_equal(nb_numa_faults_cpu(f, 0), 65536 / 2 / 2);
	free(f);
}

static void long_passes_do_not_overflow(void **state)
{
	static const uint64_t periods[] = {(1ULL << 47) - 1, 1ULL << 47,
					   1ULL << 48, UINT64_MAX};

	(void)state;
	for (size_t i = 0; i < nb_array_size(periods); i++) {
		struct nb_numa_faults *f = make(1);

		account(f, 0, 0, 1ULL << 40, true);
		nb_numa_faults_decay(f, periods[i], periods[i]);
		assert_in_range(nb_numa_faults_cpu(f, 0), 65400, 65535);
		account(f, 0, 0, 1ULL << 40, true);
		nb_numa_faults_decay(f, periods[i] / 2, periods[i]);
		assert_in_range(nb_numa_faults_cpu(f, 0), 65300, 65536);
		assert_int_equal(nb_numa_faults_mem(f, 0), 3ULL << 39);
		free(f);
	}
}

static void sums_are_zero_out_of_range(void **state)
{
	struct nb_numa_faults *f = make(2);

	(void)state;
	account(f, 1, 1, 8, true);
	nb_numa_faults_decay(f, MSEC, MSEC);
	assert_int_equal(nb_numa_faults_mem(f, 1), 8);
	assert_int_equal(nb_numa_faults_mem(f, NB_NO_NODE), 0);
	assert_int_equal(nb_numa_faults_mem(f, 2), 0);
	assert_int_equal(nb_numa_faults_cpu(f, NB_NO_NODE), 0);
	assert_int_equal(nb_numa_faults_cpu(f, 2), 0);
	free(f);
}

/*
 * After each pass: total is the sum of MEM, no cell is more than twice the
 * most that a pass brought, and CPU shares of a pass add up to one at most.
 */
static void property_decay_is_bounded(void **state)
{
	uint64_t seed = 2;

	(void)state;
	for (int round = 0; round < 50; round++) {
		int nr = 1 + (int)prng_below(&seed, 8);
		struct nb_numa_faults *f = make(nr);

		for (int pass = 0; pass < 50; pass++) {
			uint64_t mem = 0;
			uint64_t cpu = 0;

			for (int i = 0; i < 30; i++)
				account(f, (int)prng_below(&seed, nr + 2) - 1,
					(int)prng_below(&seed, nr + 2) - 1,
					prng_below(&seed, 1ULL << 35),
					prng_below(&seed, 2));
			nb_numa_faults_decay(f, prng(&seed) >> 20,
					     prng(&seed) >> 20);
			for (int n = 0; n < nr; n++) {
				mem += nb_numa_faults_mem(f, n);
				cpu += nb_numa_faults_cpu(f, n);
			}
			assert_int_equal(mem, f->total);
			assert_true(mem <= 2 * (30ULL << 35) + 2 * nr);
			assert_true(cpu <= 2 * 65536 + 2 * (uint64_t)nr);
		}
		free(f);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(init_forgets_everything),
		cmocka_unit_test(account_fills_buffers_only),
		cmocka_unit_test(account_leaves_out_what_is_unknown),
		cmocka_unit_test(account_counts_failures),
		cmocka_unit_test(decay_halves_memory_faults),
		cmocka_unit_test(decay_adds_to_the_old),
		cmocka_unit_test(failures_decay),
		cmocka_unit_test(cpu_faults_are_a_share_of_run_time),
		cmocka_unit_test(run_time_is_capped_to_the_period),
		cmocka_unit_test(long_passes_do_not_overflow),
		cmocka_unit_test(sums_are_zero_out_of_range),
		cmocka_unit_test(property_decay_is_bounded),
	};

	return cmocka_run_group_tests_name("numa_faults", tests, NULL, NULL);
}
