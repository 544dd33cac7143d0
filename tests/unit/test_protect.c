/* SPDX-License-Identifier: MIT */
/*
 * lib/mech/protect.c: the back end, and that arming goes through the table
 * alone.
 */
#include "../../lib/mech/arm.h"
#include "../../lib/mech/protect.h"
#include "fake_sys.h"

#include <setjmp.h>
#include <stdarg.h>
#include <sys/mman.h>

#include <cmocka.h>

#define RW (PROT_READ | PROT_WRITE)
#define SHIFT 16

static const struct nb_sys *sys = &fake_sys;
static int nr_shut, nr_open;
static uint64_t last_start, last_len;

static long count_shut(const struct nb_sys *s, uint64_t start, uint64_t len)
{
	assert_ptr_equal(s, sys);
	nr_shut++;
	last_start = start;
	last_len = len;
	return 0;
}

static long count_open(const struct nb_sys *s, uint64_t start, uint64_t len)
{
	assert_ptr_equal(s, sys);
	nr_open++;
	last_start = start;
	last_len = len;
	return 0;
}

static const struct nb_protection counting = {
	"counting",
	count_shut,
	count_open,
};

static int setup(void **state)
{
	(void)state;
	fake_reset();
	nb_chunk_table_init();
	fake_map(FAKE_BASE, NB_BLOCK_BYTES, 0);
	nb_forget_range(FAKE_BASE, FAKE_END, true);
	nr_shut = 0;
	nr_open = 0;
	nb_protection_choose();
	return 0;
}

static void test_mprotect(void **state)
{
	(void)state;
	assert_string_equal(nb_protection->name, "mprotect");
	assert_int_equal(nb_protect_shut(sys, FAKE_BASE, 8192), 0);
	assert_int_equal(fake_page(FAKE_BASE)->prot, PROT_NONE);
	assert_int_equal(fake_page(FAKE_BASE + 8192)->prot, RW);
	assert_int_equal(nb_protect_open(sys, FAKE_BASE, 4096), 0);
	assert_int_equal(fake_page(FAKE_BASE)->prot, RW);
	assert_int_equal(fake_page(FAKE_BASE + 4096)->prot, PROT_NONE);
}

static void test_another(void **state)
{
	struct nb_block *b = nb_block_get(FAKE_BASE, SHIFT);
	const uint64_t first[8] = {1};
	unsigned int armed = 0;

	(void)state;
	nb_protection = &counting;
	assert_int_equal(nb_arm_block(sys, b, first, &armed), 0);
	assert_int_equal(armed, 1);
	assert_int_equal(nr_shut, 1);
	assert_true(last_start == FAKE_BASE && last_len == 1ULL << SHIFT);
	assert_int_equal(nb_disarm_range(sys, FAKE_BASE, FAKE_BASE + 1), 0);
	assert_int_equal(nr_open, 1);
	assert_true(last_start == FAKE_BASE && last_len == 1ULL << SHIFT);
	/* The memory itself was never touched. */
	assert_int_equal(fake_page(FAKE_BASE)->prot, RW);
	nb_protection_choose();
	assert_string_equal(nb_protection->name, "mprotect");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_mprotect, setup),
		cmocka_unit_test_setup(test_another, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
