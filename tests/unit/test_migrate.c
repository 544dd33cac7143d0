/* SPDX-License-Identifier: MIT */
/*
 * mech/migrate.c on a fake machine: what is moved, in which calls, and what is
 * told of what was not.
 */
#include "../../lib/mech/migrate.h"

#include "fake_sys.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static struct nb_topology topo;
static struct nb_migrate m;

static int setup(void **state)
{
	(void)state;
	fake_reset();
	fake_topology(&topo, 4, 4);
	if (!m.pages && nb_migrate_init(&m, &fake_sys, &topo, FAKE_PAGE))
		return -1;
	m.batch_pages = 512;
	m.huge = false;
	m.nr_moved = m.nr_failed = m.nr_full = m.nr_calls = 0;
	fake_map(FAKE_BASE, FAKE_END - FAKE_BASE, 0);
	fake_log_clear();
	return 0;
}

static uint64_t at(unsigned int page)
{
	return FAKE_BASE + page * FAKE_PAGE;
}

static struct nb_page_move mv(unsigned int first, unsigned int nr, int nid)
{
	return (struct nb_page_move){.start = at(first),
				     .end = at(first + nr),
				     .dst_nid = (int16_t)nid,
				     .why = NB_WHY_PAGE_SHARED,
				     .tag = first};
}

static int nid_of(unsigned int page)
{
	return fake.page[page].nid;
}

static void check_range(unsigned int first, unsigned int nr, int nid)
{
	for (unsigned int i = first; i < first + nr; i++)
		assert_int_equal(nid_of(i), nid);
}

static void test_nothing(void **state)
{
	struct nb_page_move none = mv(5, 0, 1);

	(void)state;
	assert_int_equal(nb_migrate_run(&m, NULL, 0), 0);
	assert_int_equal(nb_migrate_run(&m, &none, 1), 0);
	assert_int_equal(fake.nr_log, 0);
}

static void test_sorted_by_target(void **state)
{
	struct nb_page_move moves[] = {mv(40, 4, 2), mv(30, 4, 1), mv(20, 4, 3),
				       mv(10, 4, 1), mv(0, 4, 2)};
	static const unsigned int order[] = {10, 30, 0, 40, 20};
	unsigned int nr_moving = 0;
	int last = -1;

	(void)state;
	assert_int_equal(nb_migrate_run(&m, moves, 5), 0);
	for (unsigned int i = 0; i < 5; i++) {
		assert_int_equal(moves[i].tag, order[i]);
		assert_int_equal(moves[i].nr_moved, 4);
		assert_int_equal(moves[i].nr_failed, 0);
		assert_int_equal(moves[i].why, NB_WHY_PAGE_SHARED);
		check_range(order[i], 4, moves[i].dst_nid);
	}
	check_range(4, 6, 0);
	for (unsigned int i = 0; i < fake.nr_log; i++) {
		const struct fake_call *c = &fake.log[i];

		if (c->kind != FAKE_MOVE_PAGES || c->arg < 0)
			continue;
		assert_true(c->arg > last); /* each target once, ascending */
		last = c->arg;
		nr_moving++;
	}
	assert_int_equal(nr_moving, 3);
	assert_int_equal(m.nr_calls, 3);
	assert_int_equal(m.nr_moved, 20);
}

/* What is there already, and what is not there at all, is left out. */
static void test_left_out(void **state)
{
	struct nb_page_move moves[] = {mv(0, 10, 1)};

	(void)state;
	fake.page[2].nid = 1;
	fake.page[3].resident = false;
	fake_unmap(at(4), FAKE_PAGE);
	assert_int_equal(nb_migrate_run(&m, moves, 1), 0);
	assert_int_equal(moves[0].nr_moved, 7);
	assert_int_equal(moves[0].nr_failed, 0);
	assert_int_equal(fake_logged(FAKE_MOVE_PAGES, 0)->arg, -1);
	assert_int_equal(fake_logged(FAKE_MOVE_PAGES, 0)->len, 10);
	assert_int_equal(fake_logged(FAKE_MOVE_PAGES, 1)->arg, 1);
	assert_int_equal(fake_logged(FAKE_MOVE_PAGES, 1)->len, 7);
	/* and then there is nothing to do: one question, no call that moves */
	fake_log_clear();
	assert_int_equal(nb_migrate_run(&m, moves, 1), 0);
	assert_int_equal(fake.nr_log, 1);
	assert_int_equal(moves[0].nr_moved, 0);
	assert_int_equal(m.nr_calls, 1);
}

static void test_batches(void **state)
{
	struct nb_page_move moves[] = {mv(0, 1000, 1)};

	(void)state;
	m.batch_pages = 300;
	assert_int_equal(nb_migrate_run(&m, moves, 1), 0);
	assert_int_equal(moves[0].nr_moved, 1000);
	assert_int_equal(m.nr_calls, 4);
	for (unsigned int i = 0; i < 4; i++)
		assert_int_equal(fake_logged(FAKE_MOVE_PAGES, 1 + i)->len,
				 i < 3 ? 300 : 100);
}

/* More than a window, borders inside of moves, two targets. */
static void test_windows(void **state)
{
	struct nb_page_move moves[] = {mv(9000, 5000, 2), mv(0, 3000, 1),
				       mv(3000, 6000, 1)};

	(void)state;
	assert_int_equal(nb_migrate_run(&m, moves, 3), 0);
	assert_int_equal(moves[0].nr_moved, 3000);
	assert_int_equal(moves[1].nr_moved, 6000);
	assert_int_equal(moves[2].nr_moved, 5000);
	check_range(0, 9000, 1);
	check_range(9000, 5000, 2);
	check_range(14000, 100, 0);
	for (unsigned int i = 0; i < fake.nr_log; i++)
		if (fake.log[i].kind == FAKE_MOVE_PAGES)
			assert_true(fake.log[i].len <= NB_MIGRATE_WINDOW);
}

/* 3 % of the target stay free; the last pages of the window are refused. */
static void test_target_full(void **state)
{
	struct nb_page_move moves[] = {mv(0, 10, 1), mv(100, 10, 1)};
	uint64_t reserve = topo.mem_total_kb[1] * 1024 / 100 * 3;

	(void)state;
	fake.free_bytes[1] = reserve + 12 * FAKE_PAGE;
	assert_int_equal(nb_migrate_run(&m, moves, 2), 0);
	assert_int_equal(moves[0].nr_moved, 10);
	assert_int_equal(moves[0].why, NB_WHY_PAGE_SHARED);
	assert_int_equal(moves[1].nr_moved, 2);
	assert_int_equal(moves[1].nr_failed, 8);
	assert_int_equal(moves[1].why, NB_WHY_PAGE_TARGET_FULL);
	assert_int_equal(m.nr_full, 8);
	assert_int_equal(m.nr_failed, 0);
	/* nothing left: not even asked */
	fake_log_clear();
	fake.free_bytes[1] = reserve;
	moves[0] = mv(200, 10, 1);
	assert_int_equal(nb_migrate_run(&m, moves, 1), 0);
	assert_int_equal(moves[0].nr_failed, 10);
	assert_int_equal(fake.calls[FAKE_MOVE_PAGES], 1);
	/* not told how much is free: the kernel decides */
	fake_fail(FAKE_NODE_FREE, 1, ENOENT);
	fake.free_bytes[1] = 5 * FAKE_PAGE;
	moves[0] = mv(300, 10, 1);
	assert_int_equal(nb_migrate_run(&m, moves, 1), 0);
	assert_int_equal(moves[0].nr_moved, 5);
	assert_int_equal(moves[0].nr_failed, 5);
	assert_int_equal(moves[0].why, NB_WHY_PAGE_FAILED);
}

static void test_pages_refuse(void **state)
{
	static const int errs[] = {EBUSY, EACCES, EAGAIN};

	(void)state;
	for (unsigned int e = 0; e < nb_array_size(errs); e++) {
		struct nb_page_move moves[] = {mv(0, 10, 1), mv(50, 10, 1)};

		setup(NULL);
		fake.page[3].refuses = fake.page[51].refuses = errs[e];
		fake.page[59].refuses = errs[e];
		assert_int_equal(nb_migrate_run(&m, moves, 2), 0);
		assert_int_equal(moves[0].nr_moved, 9);
		assert_int_equal(moves[0].nr_failed, 1);
		assert_int_equal(moves[0].why, NB_WHY_PAGE_FAILED);
		assert_int_equal(moves[1].nr_moved, 8);
		assert_int_equal(moves[1].nr_failed, 2);
		assert_int_equal(m.nr_moved, 17);
		assert_int_equal(m.nr_failed, 3);
		assert_int_equal(m.nr_calls, 1); /* not tried again */
		assert_int_equal(nid_of(3), 0);
		assert_int_equal(nid_of(2), 1);
	}
}

/*
 * Every call refused in turn: the error is told, and what did move is in the
 * results all the same.
 */
static void test_each_call_fails(void **state)
{
	static const int errs[] = {EPERM, ENOSYS, EACCES, EINVAL};
	unsigned int fired = 1, nth;

	(void)state;
	for (nth = 1; fired; nth++) {
		struct nb_page_move moves[] = {mv(0, 600, 1), mv(800, 5, 2)};
		int err, want = -errs[nth % 4];

		setup(NULL);
		m.batch_pages = 200;
		m.huge = nth % 2;
		fake_fail(FAKE_MOVE_PAGES, nth, -want);
		err = nb_migrate_run(&m, moves, 2);
		fired = fake_fail_end();
		assert_int_equal(err, fired ? want : 0);
		for (unsigned int i = 0; i < 2; i++) {
			unsigned int moved = 0, nr;

			nr = (unsigned int)((moves[i].end - moves[i].start) /
					    FAKE_PAGE);
			for (unsigned int p = 0; p < nr; p++)
				moved += nid_of(moves[i].tag + p) ==
					 moves[i].dst_nid;
			/* the last question may be what failed */
			assert_true(moves[i].nr_moved <= moved);
			assert_true(moves[i].nr_moved + moves[i].nr_failed <=
				    nr);
			if (!fired)
				assert_int_equal(moves[i].nr_moved, nr);
		}
		assert_true(nth < 50);
	}
	assert_true(nth > 8);
}

static void test_refused_half_way(void **state)
{
	struct nb_page_move moves[] = {mv(0, 600, 1), mv(700, 1, 1)};

	(void)state;
	m.batch_pages = 200;
	moves[1].dst_nid = 2;
	moves[1].nr_moved = moves[1].nr_failed = 99; /* of another time */
	fake_fail(FAKE_MOVE_PAGES, 3, EPERM);	     /* query, batch, here */
	assert_int_equal(nb_migrate_run(&m, moves, 2), -EPERM);
	check_range(0, 200, 1);
	check_range(200, 400, 0);
	assert_int_equal(moves[0].nr_moved, 200);
	assert_int_equal(m.nr_moved, 200);
	assert_int_equal(moves[1].nr_moved, 0);
	assert_int_equal(moves[1].nr_failed, 0);
}

/* Whole-call errors that are about pages do not end anything. */
static void test_soft_errors(void **state)
{
	struct nb_page_move moves[] = {mv(0, 400, 1)};

	(void)state;
	m.batch_pages = 200;
	fake_fail(FAKE_MOVE_PAGES, 2, ENOMEM);
	assert_int_equal(nb_migrate_run(&m, moves, 1), 0);
	assert_int_equal(moves[0].nr_moved, 200);
	assert_int_equal(moves[0].nr_failed, 200);
	moves[0] = mv(1000, 400, 1);
	fake_fail(FAKE_MOVE_PAGES, 3, ENOENT);
	assert_int_equal(nb_migrate_run(&m, moves, 1), 0);
	assert_int_equal(moves[0].nr_moved, 200);
}

/* One address moves all 512 pages: first one of each, then the rest. */
static void test_huge(void **state)
{
	struct nb_page_move moves[] = {mv(512, 3 * 512, 3)};

	(void)state;
	m.huge = true;
	for (unsigned int i = 512; i < 3 * 512; i++)
		fake.page[i].huge = true; /* the last 512 are small */
	assert_int_equal(nb_migrate_run(&m, moves, 1), 0);
	check_range(512, 3 * 512, 3);
	check_range(0, 512, 0);
	assert_int_equal(moves[0].nr_moved, 3 * 512);
	assert_int_equal(moves[0].nr_failed, 0);
	assert_int_equal(fake_logged(FAKE_MOVE_PAGES, 1)->len, 3);
	assert_int_equal(fake_logged(FAKE_MOVE_PAGES, 3)->len, 511);
	assert_int_equal(m.nr_calls, 2);
}

/* Without that, the pages of a huge page would refuse one another. */
static void test_huge_unknown(void **state)
{
	struct nb_page_move moves[] = {mv(512, 512, 3)};

	(void)state;
	for (unsigned int i = 512; i < 1024; i++)
		fake.page[i].huge = true;
	assert_int_equal(nb_migrate_run(&m, moves, 1), 0);
	assert_int_equal(moves[0].nr_moved, 512);
}

static void test_huge_refuses(void **state)
{
	struct nb_page_move moves[] = {mv(0, 1024, 1)};

	(void)state;
	m.huge = true;
	for (unsigned int i = 0; i < 512; i++) {
		fake.page[i].huge = true;
		fake.page[i].refuses = EBUSY;
	}
	assert_int_equal(nb_migrate_run(&m, moves, 1), 0);
	check_range(0, 512, 0);
	check_range(512, 512, 1);
	assert_int_equal(moves[0].nr_moved, 512);
	assert_int_equal(moves[0].nr_failed, 512);
}

static void test_page_nids(void **state)
{
	static uint64_t addrs[9000];
	static int nids[9000];

	(void)state;
	for (unsigned int i = 0; i < 9000; i++) {
		addrs[i] = at(i) + i % FAKE_PAGE;
		fake.page[i].nid = (int)(i % 4);
	}
	fake.page[7].resident = false;
	fake_unmap(at(8), FAKE_PAGE);
	assert_int_equal(nb_page_nids(&m, addrs, nids, 9000), 0);
	for (unsigned int i = 0; i < 9000; i++) {
		int want = (int)(i % 4);

		if (i == 7 || i == 8)
			want = i == 7 ? -ENOENT : -EFAULT;
		assert_int_equal(nids[i], want);
	}
	assert_int_equal(fake.calls[FAKE_MOVE_PAGES], 3);
	fake_fail(FAKE_MOVE_PAGES, 2, EPERM);
	assert_int_equal(nb_page_nids(&m, addrs, nids, 9000), -EPERM);
	assert_int_equal(nb_page_nids(&m, addrs, nids, 0), 0);
}

/* Thousands of moves in any order come out sorted, each with its own result. */
static void test_many(void **state)
{
	static struct nb_page_move moves[4000];
	uint64_t seed = 1;

	(void)state;
	for (unsigned int i = 0; i < 4000; i++) {
		unsigned int j = i;

		seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
		moves[i] = mv(i * 4, 1 + i % 3, 1 + (int)(i % 3));
		j = (unsigned int)(seed >> 33) % (i + 1);
		seed ^= j;
		if (j != i) {
			struct nb_page_move tmp = moves[j];

			moves[j] = moves[i];
			moves[i] = tmp;
		}
	}
	assert_int_equal(nb_migrate_run(&m, moves, 4000), 0);
	for (unsigned int i = 0; i < 4000; i++) {
		unsigned int nr = 1 + moves[i].tag / 4 % 3;

		assert_int_equal(moves[i].nr_moved, nr);
		check_range(moves[i].tag, nr, moves[i].dst_nid);
		check_range(moves[i].tag + nr, 4 - nr, 0);
		if (i && moves[i - 1].dst_nid == moves[i].dst_nid)
			assert_true(moves[i - 1].start < moves[i].start);
		else if (i)
			assert_true(moves[i - 1].dst_nid < moves[i].dst_nid);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_nothing, setup),
		cmocka_unit_test_setup(test_sorted_by_target, setup),
		cmocka_unit_test_setup(test_left_out, setup),
		cmocka_unit_test_setup(test_batches, setup),
		cmocka_unit_test_setup(test_windows, setup),
		cmocka_unit_test_setup(test_target_full, setup),
		cmocka_unit_test_setup(test_pages_refuse, setup),
		cmocka_unit_test_setup(test_each_call_fails, setup),
		cmocka_unit_test_setup(test_refused_half_way, setup),
		cmocka_unit_test_setup(test_soft_errors, setup),
		cmocka_unit_test_setup(test_huge, setup),
		cmocka_unit_test_setup(test_huge_unknown, setup),
		cmocka_unit_test_setup(test_huge_refuses, setup),
		cmocka_unit_test_setup(test_page_nids, setup),
		cmocka_unit_test_setup(test_many, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
