/* SPDX-License-Identifier: MIT */
/*
 * guard/site.c: the one place where newer glibcs make all calls that can be
 * cancelled is not guarded, and is said not to be.
 */
#include "patch_test.h"

#include <stdio.h>

#if defined(__x86_64__) && !defined(NB_SANITIZED)

/* As __syscall_cancel_arch of glibc 2.41. */
__asm__(".pushsection guarded, \"ax\", @progbits\n"
	"cancel_arch:\n"
	".cfi_startproc\n"
	"	mov (%rdi), %eax\n"
	"	test $0x39, %al\n"
	"	jne 1f\n"
	"	mov %rdi, %r11\n"
	"	mov %rsi, %rax\n"
	"	mov %rdx, %rdi\n"
	"	mov %rcx, %rsi\n"
	"	mov %r8, %rdx\n"
	"	mov %r9, %r10\n"
	"	mov 8(%rsp), %r8\n"
	"	mov 16(%rsp), %r9\n"
	"	mov %r11, 8(%rsp)\n"
	"	syscall\n"
	"	ret\n"
	"1:	ud2\n"
	".cfi_endproc\n"
	".popsection\n");

FAST bool nb_guard_enter(struct nb_regs *r)
{
	(void)r;
	return false;
}

FAST bool nb_guard_leave(struct nb_regs *r)
{
	(void)r;
	return false;
}

void nb_guard_enter_slow(struct nb_regs *r)
{
	(void)r;
}

void nb_guard_leave_slow(struct nb_regs *r)
{
	(void)r;
}

static void test_bridge(void **state)
{
	struct nb_image im = own_image(__start_guarded);
	struct nb_site_counts counts;
	struct nb_site sites[4];

	(void)state;
	assert_int_equal(nb_sites_find(&im, sites, 4, &counts), 1);
	assert_int_equal(sites[0].kind, NB_SITE_UNGUARDED);
	assert_int_equal(sites[0].why, NB_SITE_CANCEL);
	assert_int_equal(counts.why[NB_SITE_CANCEL], 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bridge),
	};

	if (nb_decoder_open()) {
		puts("no libZydis");
		return 77;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}

#else

int main(void)
{
	puts("not under sanitizers, nor on other machines than x86-64");
	return 77;
}

#endif
