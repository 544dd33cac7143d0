/* SPDX-License-Identifier: MIT */
/*
 * lib/sample.c: from records in rings to statistics and moved pages.
 */
#include "../../lib/mech/affinity.h"
#include "../../lib/mech/arm.h"
#include "../../lib/mech/fault_ring.h"
#include "../../lib/nb.h"
#include "../../lib/regions.h"
#include "../../lib/tasks.h"
#include "fake_process.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static int setup(void **state)
{
	(void)state;
	fake_process(4, 4);
	if (fake_process_tables())
		return -1;
	for (unsigned int i = 0; i < 32; i++)
		nb_block_get(BLOCK(i), 16);
	nb_regions_add(BLOCK(2), BLOCK(6), 0, 0);
	return 0;
}

static int slot(int who)
{
	return nb_slot_note_found(NOBODY + who);
}

/* Thread @who used @addr on node @nid. */
static void used(int who, uint64_t addr, int nid)
{
	struct nb_hint_fault f = {
		.addr = addr, .cpu = nid * 4, .nid = (int16_t)nid};

	assert_true(nb_fault_ring_push(&nb_slot_at(slot(who))->ring, &f));
}

#define counted(name) ((unsigned int)atomic_load(&nb.count.name))

static unsigned int decided(enum nb_why why)
{
	return (unsigned int)atomic_load(&nb.why_count[why]);
}

static uint64_t faults_mem(int who, int nid)
{
	struct nb_task *t = nb_task_at(slot(who));
	uint64_t n = 0;

	for (int priv = 0; priv < 2; priv++)
		n += t->nf->faults[nb_numa_faults_idx(t->nf, NB_NUMA_MEMBUF,
						      nid, priv)];
	return n;
}

static void check_on(uint64_t start, uint64_t end, int nid)
{
	for (uint64_t a = start; a < end; a += FAKE_PAGE)
		assert_int_equal(fake_page(a)->nid, nid);
}

static void test_nothing(void **state)
{
	(void)state;
	assert_int_equal(nb_fault_drain(), 0);
	assert_int_equal(fake.nr_log, 0);
}

static void test_used_twice(void **state)
{
	uint64_t addr = BLOCK(3) + 5 * CHUNK + 77;

	(void)state;
	used(0, addr, 1);
	assert_int_equal(nb_fault_drain(), 1);
	assert_int_equal(decided(NB_WHY_PAGE_TWO_STAGE), 1);
	assert_int_equal(counted(numa_pages_migrated), 0);
	assert_int_equal(faults_mem(0, 0), 16);
	used(0, addr, 1);
	assert_int_equal(nb_fault_drain(), 1);
	assert_int_equal(decided(NB_WHY_PAGE_EARLY), 1);
	check_on(BLOCK(3) + 5 * CHUNK, BLOCK(3) + 6 * CHUNK, 1);
	check_on(BLOCK(3), BLOCK(3) + 5 * CHUNK, 0);
	check_on(BLOCK(3) + 6 * CHUNK, BLOCK(4), 0);
	assert_int_equal(counted(numa_pages_migrated), 16);
	assert_int_equal(counted(numa_hint_faults), 2);
	assert_int_equal(counted(numa_hint_faults_local), 0);
	/* where the page is now, as Linux counts it */
	assert_int_equal(faults_mem(0, 1), 16);
	assert_int_equal(nb.pass.remote, 32);
	assert_int_equal(nb.pass.moved, 16);
	/* at home now */
	used(0, addr, 1);
	nb_fault_drain();
	assert_int_equal(decided(NB_WHY_PAGE_LOCAL), 1);
	assert_int_equal(counted(numa_hint_faults_local), 1);
	assert_int_equal(nb.pass.local, 16);
}

static void test_shared(void **state)
{
	uint64_t addr = BLOCK(3);

	(void)state;
	used(0, addr, 1);
	nb_fault_drain();
	used(1, addr, 2); /* another thread on another node */
	nb_fault_drain();
	assert_int_equal(decided(NB_WHY_PAGE_TWO_STAGE), 2);
	for (int i = 2; i < 6; i++) {
		used(i & 1, addr, 2); /* in turn, from that node */
		nb_fault_drain();
		check_on(addr, addr + CHUNK, 0);
	}
	assert_int_equal(decided(NB_WHY_PAGE_USED_BY_ALL), 4);
	used(0, addr, 2); /* the sixth */
	nb_fault_drain();
	assert_int_equal(decided(NB_WHY_PAGE_SHARED), 1);
	check_on(addr, addr + CHUNK, 2);
	assert_true(nb.pass.shared > 0);
}

/* What is left over at the ends of a region goes with its neighbour. */
static void test_region_ends(void **state)
{
	uint64_t start = BLOCK(8) + CHUNK - 3 * FAKE_PAGE;
	uint64_t end = BLOCK(8) + 4 * CHUNK + 5 * FAKE_PAGE;

	(void)state;
	nb_regions_add(start, end, 0, 0);
	for (int i = 0; i < 2; i++) {
		used(0, BLOCK(8) + CHUNK, 1);
		used(0, BLOCK(8) + 3 * CHUNK, 2);
		nb_fault_drain();
	}
	check_on(BLOCK(8), start, 0);
	check_on(start, BLOCK(8) + 2 * CHUNK, 1);
	check_on(BLOCK(8) + 2 * CHUNK, BLOCK(8) + 3 * CHUNK, 0);
	check_on(BLOCK(8) + 3 * CHUNK, end, 2);
	check_on(end, BLOCK(9), 0);
}

/* Each reason not to move, though the statistics say yes. */
static void expect_no(enum nb_why why)
{
	for (int i = 0; i < 2; i++) {
		used(0, BLOCK(3), 1);
		assert_int_equal(nb_fault_drain(), 1);
	}
	assert_true(decided(why) > 0);
	assert_int_equal(counted(numa_pages_migrated), 0);
	check_on(BLOCK(3), BLOCK(3) + CHUNK, 0);
}

static void test_locked(void **state)
{
	nb_regions_flag(BLOCK(2), BLOCK(6), NB_VMA_LOCKED, true);
	expect_no(NB_WHY_PAGE_LOCKED);
	assert_int_equal(nb.pass.failed, 16);
	setup(state);
	atomic_store(&nb.all_locked, true);
	expect_no(NB_WHY_PAGE_LOCKED);
}

static void test_switched_off(void **state)
{
	nb.cfg.move_pages = 0;
	expect_no(NB_WHY_PAGE_OFF);
	setup(state);
	nb.cfg.mode = NB_MODE_OBSERVE;
	expect_no(NB_WHY_PAGE_OFF);
	setup(state);
	nb_task_set_explicit_policy(slot(0), true);
	expect_no(NB_WHY_PAGE_POLICY);
	setup(state);
	nb_node_clear(&nb.cfg.nodes, 1);
	expect_no(NB_WHY_PAGE_NOT_ALLOWED);
	setup(state);
	nb_regions_remove(BLOCK(2), BLOCK(6)); /* unmapped since */
	for (int i = 0; i < 2; i++)
		used(0, BLOCK(3), 1);
	nb_fault_drain();
	assert_int_equal(decided(NB_WHY_PAGE_NO_NODE), 2);
	assert_int_equal(counted(numa_pages_migrated), 0);
}

/* The bucket holds two mebibytes: what does not fit waits for a later use. */
static void test_rate_limit(void **state)
{
	(void)state;
	nb_rate_limit_init(&nb.rate, 1, nb_clock_ns());
	for (int i = 0; i < 2; i++) {
		for (uint64_t a = BLOCK(2); a < BLOCK(4); a += CHUNK)
			used(0, a, 1);
		nb_fault_drain();
	}
	assert_int_equal(counted(numa_pages_migrated), 512);
	assert_int_equal(decided(NB_WHY_PAGE_EARLY), 32);
	assert_int_equal(decided(NB_WHY_PAGE_RATE_LIMIT), 32);
}

static void test_refused(void **state)
{
	static const int errs[] = {EPERM, ENOSYS, EACCES};

	for (unsigned int i = 0; i < nb_array_size(errs); i++) {
		setup(state);
		used(0, BLOCK(3), 1);
		nb_fault_drain();
		used(0, BLOCK(3), 1);
		fake_fail(FAKE_MOVE_PAGES, 3, errs[i]); /* 2 questions */
		nb_fault_drain();
		assert_int_equal(fake_fail_end(), 1);
		assert_true(nb.pages_off);
		used(0, BLOCK(3), 1);
		nb_fault_drain();
		assert_int_equal(decided(NB_WHY_PAGE_OFF), 1);
		assert_int_equal(counted(numa_pages_migrated), 0);
	}
}

/* Every call fails in turn: no fault is lost, none counted twice. */
static void test_each_call_fails(void **state)
{
	unsigned int fired = 1, nth;

	for (nth = 1; fired; nth++) {
		assert_true(nth < 50);
		setup(state);
		fake_fail(FAKE_ANY, nth, nth % 2 ? ENOMEM : EFAULT);
		for (int i = 0; i < 3; i++) {
			used(0, BLOCK(3), 1);
			used(1, BLOCK(4), 2);
			assert_int_equal(nb_fault_drain(), 2);
		}
		fired = fake_fail_end();
		assert_int_equal(counted(numa_hint_faults), 6);
		assert_true(counted(numa_pages_migrated) <= 32);
		if (!fired)
			assert_int_equal(counted(numa_pages_migrated), 32);
		assert_int_equal(nb.pages_off, false);
	}
	assert_true(nth > 8);
}

static void test_page_refuses(void **state)
{
	(void)state;
	fake_page(BLOCK(3) + 2 * FAKE_PAGE)->refuses = EBUSY;
	for (int i = 0; i < 2; i++) {
		used(0, BLOCK(3), 1);
		nb_fault_drain();
	}
	assert_int_equal(counted(numa_pages_migrated), 15);
	assert_int_equal(counted(numa_pages_migrate_fail), 1);
	assert_int_equal(nb.pass.failed, 0); /* most of the chunk did move */
}

/* More than a batch, from many threads; records of nothing are dropped. */
static void test_many(void **state)
{
	unsigned int nr = 0;

	(void)state;
	used(0, BLOCK(40), 1); /* never tracked */
	for (int who = 0; who < 9; who++)
		for (unsigned int i = 0; i < NB_RING_SIZE - 1; i++, nr++)
			used(who, BLOCK(2) + (i % 128) * CHUNK, who % 4);
	assert_int_equal(nb_fault_drain(), nr);
	assert_int_equal(counted(numa_hint_faults), nr);
	for (int who = 0; who < 9; who++)
		assert_int_equal(
			nb_fault_ring_fill(&nb_slot_at(slot(who))->ring), 0);
	assert_int_equal(nb_fault_drain(), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_nothing, setup),
		cmocka_unit_test_setup(test_used_twice, setup),
		cmocka_unit_test_setup(test_shared, setup),
		cmocka_unit_test_setup(test_region_ends, setup),
		cmocka_unit_test_setup(test_locked, setup),
		cmocka_unit_test_setup(test_switched_off, setup),
		cmocka_unit_test_setup(test_rate_limit, setup),
		cmocka_unit_test_setup(test_refused, setup),
		cmocka_unit_test_setup(test_each_call_fails, setup),
		cmocka_unit_test_setup(test_page_refuses, setup),
		cmocka_unit_test_setup(test_many, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
