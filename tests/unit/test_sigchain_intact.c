/* SPDX-License-Identifier: MIT */
/*
 * mech/sigchain.c: a handler put before ours past every interposer is noticed.
 */
#include "../../lib/mech/sigchain.h"
#include "../../lib/plat/sys.h"

#include "policy_test.h"

#include <sys/syscall.h>

static void test_intact(void **state)
{
	struct nb_ksigaction ours, theirs = {.handler = 0};

	(void)state;
	assert_false(nb_sigchain_intact()); /* not installed */
	assert_int_equal(nb_sigchain_install(), 0);
	assert_true(nb_sigchain_intact());
	assert_int_equal(nb_syscall6(SYS_rt_sigaction, SIGSEGV, (long)&theirs,
				     (long)&ours, sizeof(ours.mask), 0, 0),
			 0);
	assert_true(nb_sigchain_installed());
	assert_false(nb_sigchain_intact());
	assert_int_equal(nb_syscall6(SYS_rt_sigaction, SIGSEGV, (long)&ours, 0,
				     sizeof(ours.mask), 0, 0),
			 0);
	assert_true(nb_sigchain_intact());
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_intact)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
