/* SPDX-License-Identifier: MIT */
/*
 * lib/arming.c on a fake address space: what a scan arms and what it leaves.
 */
#include "../../lib/mech/arm.h"
#include "../../lib/nb.h"
#include "../../lib/regions.h"
#include "fake_sys.h"

#include <errno.h>
#include <linux/mempolicy.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#define CHUNK 65536ULL
#define NOW (100 * NB_NSEC_PER_SEC)
#define BLOCK(n) (FAKE_BASE + (n)*NB_BLOCK_BYTES)

static int setup(void **state)
{
	(void)state;
	fake_reset();
	fake_map(FAKE_BASE, FAKE_END - FAKE_BASE, 0);
	nb.sys = &fake_sys;
	nb.page_bytes = FAKE_PAGE;
	nb.thp = NB_THP_NEVER;
	nb_config_defaults(&nb.cfg);
	nb.cfg.scan_delay_ms = 1000;
	memset(&nb.scan, 0, sizeof(nb.scan));
	nb.scan_opts =
		(struct nb_scan_opts){256, FAKE_PAGE, 8 * NB_BLOCK_BYTES};
	memset(&nb.count, 0, sizeof(nb.count));
	atomic_store(&nb.inhibit, 0);
	atomic_store(&nb.inhibit_until_ns, 0);
	atomic_store(&nb.paused, 0);
	atomic_store(&nb.crashed, false);
	atomic_store(&nb.stop, false);
	atomic_store(&nb.state, NB_RUNNING);
	if (nb_chunk_table_init() || nb_regions_init() || nb_arming_init())
		return -1;
	nb_regions_clear();
	nb_forget_range(FAKE_BASE, FAKE_END, true);
	return 0;
}

static void add(uint64_t start, uint64_t end)
{
	assert_int_equal(nb_regions_add(start, end, 0, 0), 0);
}

static bool armed(uint64_t addr)
{
	struct nb_block *b = nb_block_find(addr);
	bool by_books = b && atomic_load(&b->state[nb_chunk_index(b, addr)]) ==
				     NB_CHUNK_ARMED;
	bool by_kernel = fake_page(addr)->prot == PROT_NONE;

	assert_int_equal(by_books, by_kernel);
	return by_kernel;
}

static unsigned int armed_pages(void)
{
	unsigned int nr = 0;

	for (uint64_t a = FAKE_BASE; a < FAKE_END; a += FAKE_PAGE)
		nr += armed(a);
	return nr;
}

#define counted(name) ((unsigned int)atomic_load(&nb.count.name))

static void test_all_of_it(void **state)
{
	(void)state;
	add(BLOCK(2), BLOCK(6));
	nb_scan_run(NOW);
	assert_int_equal(armed_pages(), 4 * 512);
	assert_true(armed(BLOCK(2)));
	assert_true(armed(BLOCK(6) - 1));
	assert_int_equal(counted(numa_pte_updates), 4 * 512);
	assert_int_equal(counted(numa_huge_pte_updates), 0);
	assert_int_equal(counted(numa_scan_seq), 1);
	assert_true(atomic_load(&nb.scan_ns) > 0);
	/* what is armed is not counted again */
	nb_scan_run(NOW);
	assert_int_equal(counted(numa_pte_updates), 4 * 512);
	assert_int_equal(counted(numa_scan_seq), 2);
	/* nothing of ours at all */
	nb_disarm_all();
	nb_regions_clear();
	nb_scan_run(NOW);
	assert_int_equal(armed_pages(), 0);
}

/* Chunks that the region has a part of only are left alone. */
static void test_ends(void **state)
{
	uint64_t start = BLOCK(2) + CHUNK + FAKE_PAGE;
	uint64_t end = BLOCK(4) + 3 * CHUNK - FAKE_PAGE;

	(void)state;
	add(start, end);
	nb_scan_run(NOW);
	for (uint64_t a = FAKE_BASE; a < FAKE_END; a += FAKE_PAGE)
		assert_int_equal(armed(a), a >= BLOCK(2) + 2 * CHUNK &&
						   a < BLOCK(4) + 2 * CHUNK);
	/* a region without a whole chunk */
	add(BLOCK(10) + FAKE_PAGE, BLOCK(10) + 20 * FAKE_PAGE);
	nb_scan_run(NOW);
	assert_int_equal(counted(numa_pte_updates), (2 * 32) * 16);
}

static void test_huge(void **state)
{
	(void)state;
	nb.thp = NB_THP_ALWAYS;
	add(BLOCK(12) + CHUNK, BLOCK(15));
	nb_scan_run(NOW);
	assert_int_equal(counted(numa_huge_pte_updates), 2);
	assert_int_equal(nb_block_find(BLOCK(13))->nr_chunks, 1);
	assert_int_equal(nb_block_find(BLOCK(12))->nr_chunks, 32);
	assert_int_equal(armed_pages(), 512 * 3 - 16);
}

static void test_not_resident(void **state)
{
	(void)state;
	add(BLOCK(2), BLOCK(3));
	for (uint64_t a = BLOCK(2); a < BLOCK(3); a += FAKE_PAGE)
		fake_page(a)->resident = false;
	nb_scan_run(NOW);
	assert_int_equal(armed_pages(), 0);
	assert_int_equal(fake.calls[FAKE_MPROTECT], 0);
	/* one page of a chunk: the chunk is armed, the page is counted */
	fake_page(BLOCK(2) + 5 * CHUNK + 3 * FAKE_PAGE)->resident = true;
	nb_scan_run(NOW);
	assert_int_equal(armed_pages(), 16);
	assert_true(armed(BLOCK(2) + 5 * CHUNK));
	assert_int_equal(counted(numa_pte_updates), 1);
}

/* Of a block without pages nothing is asked, and nothing kept. */
static void test_sparse(void **state)
{
	unsigned int calls;

	(void)state;
	add(BLOCK(2) + CHUNK, BLOCK(16) - CHUNK);
	for (uint64_t a = BLOCK(2); a < BLOCK(16); a += FAKE_PAGE)
		fake_page(a)->resident = false;
	calls = fake.nr_log;
	nb_scan_run(NOW);
	/* One for each step of up to eight blocks. */
	assert_int_equal(fake.nr_log - calls, 2);
	assert_int_equal(fake.calls[FAKE_MINCORE], 2);
	for (int i = 2; i < 16; i++)
		assert_null(nb_block_find(BLOCK(i)));
	/* The first page, and the last. */
	fake_page(BLOCK(2) + CHUNK)->resident = true;
	fake_page(BLOCK(12) - FAKE_PAGE)->resident = true;
	nb_scan_run(NOW);
	assert_int_equal(armed_pages(), 2 * 16);
	assert_true(armed(BLOCK(2) + CHUNK));
	assert_true(armed(BLOCK(12) - CHUNK));
	assert_null(nb_block_find(BLOCK(3)));
	/* If the kernel does not tell, every block is asked for. */
	fake_page(BLOCK(6))->resident = true;
	fake_fail(FAKE_MINCORE, 1, ENOMEM);
	nb_scan_run(NOW);
	assert_int_equal(fake_fail_end(), 1);
	assert_true(armed(BLOCK(6)));
}

static void test_placed_by_program(void **state)
{
	(void)state;
	add(BLOCK(2), BLOCK(3));
	add(BLOCK(4), BLOCK(5));
	for (uint64_t a = BLOCK(2); a < BLOCK(3); a += FAKE_PAGE)
		fake_page(a)->policy = MPOL_BIND;
	nb_scan_run(NOW);
	assert_false(armed(BLOCK(2)));
	assert_true(armed(BLOCK(4)));
	assert_int_equal(armed_pages(), 512);
}

static void test_young(void **state)
{
	(void)state;
	assert_int_equal(nb_regions_add(BLOCK(2), BLOCK(3), 0, NOW), 0);
	nb_scan_run(NOW);
	nb_scan_run(NOW + NB_NSEC_PER_SEC - 1);
	assert_int_equal(armed_pages(), 0);
	nb_scan_run(NOW + NB_NSEC_PER_SEC);
	assert_int_equal(armed_pages(), 512);
	/* a shorter delay is the user's wish, a longer one is for the start */
	nb_regions_add(BLOCK(4), BLOCK(5), 0, NOW);
	nb.cfg.scan_delay_ms = 60000;
	nb_scan_run(NOW + NB_NSEC_PER_SEC);
	assert_true(armed(BLOCK(4)));
	nb_regions_add(BLOCK(6), BLOCK(7), 0, NOW);
	nb.cfg.scan_delay_ms = 0;
	nb_scan_run(NOW);
	assert_true(armed(BLOCK(6)));
	/* just after boot */
	nb.cfg.scan_delay_ms = 1000;
	nb_regions_add(BLOCK(8), BLOCK(9), 0, 5);
	nb_scan_run(6);
	assert_false(armed(BLOCK(8)));
}

static void test_held_off(void **state)
{
	(void)state;
	add(BLOCK(2), BLOCK(3));
	for (int i = 0; i < 4; i++) {
		atomic_store(&nb.inhibit, i == 0);
		atomic_store(&nb.paused, i == 1);
		atomic_store(&nb.crashed, i == 2);
		atomic_store(&nb.inhibit_until_ns, i == 3 ? UINT64_MAX : 0);
		nb_scan_run(NOW);
		assert_int_equal(armed_pages(), 0);
		assert_int_equal(atomic_load(&nb.state), NB_RUNNING);
	}
	atomic_store(&nb.inhibit_until_ns, nb_clock_ns());
	nb_scan_run(NOW); /* perhaps the end of a pass */
	nb_scan_run(NOW);
	assert_int_equal(armed_pages(), 512);
}

static void test_budget(void **state)
{
	(void)state;
	nb.scan_opts.scan_size_mb = 2;
	add(BLOCK(2), BLOCK(5));
	for (unsigned int i = 1; i <= 3; i++) {
		assert_int_equal(counted(numa_scan_seq), 0);
		nb_scan_run(NOW);
		assert_int_equal(armed_pages(), i * 512);
	}
	assert_int_equal(counted(numa_scan_seq), 1);
}

static void test_stops(void **state)
{
	(void)state;
	add(BLOCK(2), BLOCK(4));
	add(BLOCK(6), BLOCK(8));
	atomic_store(&nb.stop, true);
	nb_scan_run(NOW);
	assert_int_equal(armed_pages(), 2 * 512); /* the step under way */
}

static void test_excluded(void **state)
{
	(void)state;
	add(BLOCK(2), BLOCK(4));
	nb_exclude_range(&fake_sys, BLOCK(2) + CHUNK, BLOCK(2) + 2 * CHUNK, 16);
	nb_scan_run(NOW);
	assert_false(armed(BLOCK(2) + CHUNK));
	assert_int_equal(armed_pages(), 2 * 512 - 16);
}

/* The region table changes between two steps of a scan. */
static void unmap_others(void)
{
	nb_regions_remove(BLOCK(6), BLOCK(8));
	nb_regions_remove(BLOCK(11), BLOCK(12));
}

static void test_gone_meanwhile(void **state)
{
	(void)state;
	add(BLOCK(2), BLOCK(4));
	add(BLOCK(6), BLOCK(8));
	add(BLOCK(10), BLOCK(12));
	fake.meanwhile = unmap_others;
	nb_scan_run(NOW);
	assert_true(armed(BLOCK(2)));
	assert_false(armed(BLOCK(6)));
	assert_true(armed(BLOCK(10)));
	assert_false(armed(BLOCK(11)));
}

/* The program does what numabal steps back from: nb_standdown(). */
static void step_back(void)
{
	atomic_store(&nb.state, NB_STOOD_DOWN);
}

static void test_stood_down_meanwhile(void **state)
{
	(void)state;
	add(BLOCK(2), BLOCK(4));
	add(BLOCK(6), BLOCK(8));
	fake.meanwhile = step_back;
	nb_scan_run(NOW);
	/* What was armed before it gives back itself. */
	assert_true(armed(BLOCK(2)));
	assert_false(armed(BLOCK(6)));
	assert_int_equal(armed_pages(), 2 * 512);
}

/* Every call fails in turn: nothing is lost, or all is given up in order. */
static void test_each_call_fails(void **state)
{
	static const int errs[] = {ENOMEM, EINVAL, EFAULT};
	unsigned int fired = 1, nth;

	(void)state;
	for (nth = 1; fired; nth++) {
		bool refused;

		assert_true(nth < 100);
		setup(NULL);
		add(BLOCK(2), BLOCK(4));
		add(BLOCK(20) + CHUNK, BLOCK(22) + CHUNK);
		fake_fail(FAKE_ANY, nth, errs[nth % 3]);
		nb_scan_run(NOW);
		fired = fake_fail_end();
		refused = atomic_load(&nb.state) == NB_STOOD_DOWN;
		/* checks each page's books, too */
		assert_int_equal(armed_pages() == 0, refused);
		if (refused)
			assert_non_null(atomic_load(&nb.why));
		else
			assert_true(armed_pages() >= 1024 + 32);
		nb_disarm_all();
		assert_int_equal(armed_pages(), 0);
	}
	assert_true(nth > 8);
}

/* No room for mappings: stands down with everything accessible. */
static void test_no_room(void **state)
{
	(void)state;
	add(BLOCK(2), BLOCK(4));
	for (unsigned int i = 1; i < 64; i += 2)
		nb_exclude_range(&fake_sys, BLOCK(2) + i * CHUNK,
				 BLOCK(2) + i * CHUNK + 1, 16);
	for (unsigned int max = 1; max < 70; max++) {
		fake.max_vmas = max;
		atomic_store(&nb.state, NB_RUNNING);
		memset(&nb.scan, 0, sizeof(nb.scan));
		nb_scan_run(NOW);
		if (atomic_load(&nb.state) != NB_STOOD_DOWN)
			break;
		assert_int_equal(armed_pages(), 0);
		assert_int_equal(fake.nr_vmas, 1);
	}
	assert_true(fake.max_vmas > 60);
	assert_int_equal(armed_pages(), 512);
	/* and back again at the limit */
	fake.max_vmas = fake.nr_vmas;
	assert_int_equal(nb_disarm_all(), 0);
	assert_int_equal(armed_pages(), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		/* first: blocks are never forgotten */
		cmocka_unit_test_setup(test_sparse, setup),
		cmocka_unit_test_setup(test_all_of_it, setup),
		cmocka_unit_test_setup(test_ends, setup),
		cmocka_unit_test_setup(test_huge, setup),
		cmocka_unit_test_setup(test_not_resident, setup),
		cmocka_unit_test_setup(test_placed_by_program, setup),
		cmocka_unit_test_setup(test_young, setup),
		cmocka_unit_test_setup(test_held_off, setup),
		cmocka_unit_test_setup(test_budget, setup),
		cmocka_unit_test_setup(test_stops, setup),
		cmocka_unit_test_setup(test_excluded, setup),
		cmocka_unit_test_setup(test_gone_meanwhile, setup),
		cmocka_unit_test_setup(test_stood_down_meanwhile, setup),
		cmocka_unit_test_setup(test_each_call_fails, setup),
		cmocka_unit_test_setup(test_no_room, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
