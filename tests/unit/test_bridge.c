/* SPDX-License-Identifier: MIT */
/*
 * guard/bridge.c, and what becomes of the calls of a bridge: it stays as it
 * is, its call goes by the guard with all arguments, which may change them,
 * and nothing else may lead to it.
 */
#include "patch_test.h"

#include <stdio.h>
#include <unwind.h>

#if defined(__x86_64__) && !defined(NB_SANITIZED)

#define CANCELLED (-4711)
#define CALL_LEN 5
#define ENTER_LEN 32 /* of the pre stub, before it jumps */

/* As the assembly below has it. */
struct ask {
	volatile int *flag;
	long nr, arg[6], ret;
};

void ask_bridge(struct ask *a);
extern const uint8_t bridge[], bridge_syscall[], bridge_end[];
extern const uint8_t ask_call[], ask_behind[], other[];

/* As __syscall_cancel_arch of glibc 2.41, and somebody who calls it. */
__asm__(".pushsection guarded, \"ax\", @progbits\n"
	"ask_bridge:\n"
	".cfi_startproc\n"
	"	push %rbx\n"
	"	.cfi_adjust_cfa_offset 8\n"
	"	.cfi_rel_offset %rbx, 0\n"
	"	mov %rdi, %rbx\n"
	"	pushq 56(%rbx)\n"
	"	.cfi_adjust_cfa_offset 8\n"
	"	pushq 48(%rbx)\n"
	"	.cfi_adjust_cfa_offset 8\n"
	"	mov 0(%rbx), %rdi\n"
	"	mov 8(%rbx), %rsi\n"
	"	mov 16(%rbx), %rdx\n"
	"	mov 24(%rbx), %rcx\n"
	"	mov 32(%rbx), %r8\n"
	"	mov 40(%rbx), %r9\n"
	"ask_call:\n"
	"	call bridge\n"
	"ask_behind:\n"
	"	mov %rax, 64(%rbx)\n"
	"	add $16, %rsp\n"
	"	.cfi_adjust_cfa_offset -16\n"
	"	pop %rbx\n"
	"	.cfi_adjust_cfa_offset -8\n"
	"	ret\n"
	".cfi_endproc\n"
	"other:\n"
	".cfi_startproc\n"
	"	.byte 0x0f, 0x1f, 0x44, 0, 0\n"
	"	ret\n"
	".cfi_endproc\n"
	"	.balign 16\n"
	"bridge:\n"
	".cfi_startproc\n"
	"	endbr64\n"
	"	mov (%rdi), %eax\n"
	"	testb $8, (%rdi)\n"
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
	"bridge_syscall:\n"
	"	syscall\n"
	"	ret\n"
	"1:	mov $-4711, %rax\n"
	"	ret\n"
	"bridge_end:\n"
	".cfi_endproc\n"
	".popsection\n");

static struct {
	struct nb_regs regs; /* what enter was given */
	struct nb_regs want; /* rax not 0: what it gives to the kernel */
	bool slow;
	int nr_enter, nr_leave, nr_slow;
	uint64_t leave_sp;
	int64_t result;
	uint64_t site, caller; /* as an unwinder sees them */
} seen;

static void change(struct nb_regs *r)
{
	if (!seen.want.rax)
		return;
	r->rax = seen.want.rax;
	for (int i = 0; i < 6; i++)
		r->arg[i] = seen.want.arg[i];
}

FAST bool nb_guard_enter(struct nb_regs *r)
{
	seen.nr_enter++;
	seen.regs = *r;
	if (!seen.slow)
		change(r);
	return seen.slow;
}

FAST bool nb_guard_leave(struct nb_regs *r)
{
	seen.nr_leave++;
	seen.leave_sp = r->sp;
	seen.result = (int64_t)r->rax;
	return seen.slow;
}

static _Unwind_Reason_Code step(struct _Unwind_Context *ctx, void *arg)
{
	uint64_t ip = (uint64_t)_Unwind_GetIP(ctx);

	(void)arg;
	if (ip >= addr_of(__start_guarded) && ip < addr_of(__stop_guarded))
		seen.site = ip;
	else if (seen.site && !seen.caller)
		seen.caller = ip;
	return _URC_NO_REASON;
}

void nb_guard_enter_slow(struct nb_regs *r)
{
	seen.nr_slow++;
	_Unwind_Backtrace(step, NULL);
	change(r);
}

void nb_guard_leave_slow(struct nb_regs *r)
{
	seen.nr_slow++;
	r->rax = 99;
}

/* A copy of the section, with @byte and a distance to @to at @at. */
static int find_with(const uint8_t *at, uint8_t byte, const uint8_t *to,
		     struct nb_site *sites, struct nb_site_counts *counts)
{
	static uint8_t copy[1024];
	struct nb_image im = own_image(copy);
	int32_t rel = (int32_t)(to - (at + CALL_LEN));

	assert_true(im.len <= sizeof(copy));
	memcpy(copy, __start_guarded, im.len);
	copy[at - __start_guarded] = byte;
	memcpy(copy + (at + 1 - __start_guarded), &rel, sizeof(rel));
	return nb_sites_find(&im, sites, 4, counts);
}

static uint64_t at(const struct nb_site *s, const uint8_t *text)
{
	struct nb_image im = own_image(__start_guarded);

	return s->vaddr - im.vaddr - (uint64_t)(text - __start_guarded);
}

static void test_found(void **state)
{
	struct nb_site_counts counts;
	struct nb_site s[4];

	(void)state;
	assert_int_equal(find_with(ask_call, 0xe8, bridge, s, &counts), 2);
	assert_int_equal(s[0].kind, NB_SITE_BRACKET);
	assert_true(s[0].call && !at(&s[0], ask_behind));
	assert_int_equal(s[0].pre_len, CALL_LEN);
	assert_int_equal(s[0].post_len, 8);
	assert_int_equal(s[1].kind, NB_SITE_BRIDGE);
	assert_true(!s[1].call && !at(&s[1], bridge_syscall));
	assert_int_equal(counts.candidates, 2);
	assert_int_equal(counts.kind[NB_SITE_UNGUARDED], 0);
}

/* Whoever gets there in another way would not be guarded. */
static void test_other_ways(void **state)
{
	static const struct {
		const uint8_t *at;
		uint8_t byte;
		const uint8_t *to;
		int sites;
	} ways[] = {
		{ask_call, 0xe9, bridge, 1},  /* a jump for the call */
		{ask_call, 0xe8, other, 1},   /* nobody */
		{other, 0xe9, bridge, 1},     /* a jump besides */
		{other, 0xe8, bridge + 4, 2}, /* behind its start */
		{other, 0xe9, bridge_syscall, 2},
	};
	struct nb_site_counts counts;
	struct nb_site s[4];

	(void)state;
	for (size_t i = 0; i < nb_array_size(ways); i++) {
		int nr = find_with(ways[i].at, ways[i].byte, ways[i].to, s,
				   &counts);

		assert_int_equal(nr, ways[i].sites);
		assert_int_equal(s[nr - 1].kind, NB_SITE_UNGUARDED);
		assert_int_equal(s[nr - 1].why, NB_SITE_CANCEL);
		assert_int_equal(counts.kind[NB_SITE_UNGUARDED], 1);
	}
	/* Two calls are as good as one. */
	assert_int_equal(find_with(other, 0xe8, bridge, s, &counts), 3);
	assert_int_equal(counts.kind[NB_SITE_BRIDGE], 1);
	assert_int_equal(counts.kind[NB_SITE_UNGUARDED], 0);
	assert_true(s[1].call);
}

static uint8_t bridge_before[128];

static int setup(void **state)
{
	struct nb_image im = own_image(__start_guarded);
	static bool patched;

	(void)state;
	memset(&seen, 0, sizeof(seen));
	if (patched)
		return 0;
	patched = true;
	memcpy(bridge_before, bridge, (size_t)(bridge_end - bridge));
	return nb_patch_init() ||
	       nb_patch_image(&im, addr_of(__start_guarded) - im.vaddr, "test");
}

static void ask(struct ask *a, volatile int *flag)
{
	*a = (struct ask){flag, 9999, {1, 22, 333, 4444, 55555, 666666}, 0};
	ask_bridge(a);
}

static void test_arguments(void **state)
{
	int flag = 0;
	struct ask a;

	(void)state;
	ask(&a, &flag);
	assert_int_equal(a.ret, -ENOSYS);
	assert_int_equal(seen.regs.rax, 9999);
	assert_memory_equal(seen.regs.arg, a.arg, sizeof(a.arg));
	assert_int_equal(seen.nr_enter, 1);
	assert_int_equal(seen.nr_leave, 1);
	assert_int_equal(seen.result, -ENOSYS);
	assert_true(seen.regs.sp == seen.leave_sp);
	assert_memory_equal(bridge, bridge_before,
			    (size_t)(bridge_end - bridge));
}

/* Cancelled: behind the guard, no call is made. */
static void test_flag(void **state)
{
	int flag = 8;
	struct ask a;

	(void)state;
	ask(&a, &flag);
	assert_int_equal(a.ret, CANCELLED);
	assert_int_equal(seen.nr_enter, 1);
}

/* All six of them, by a call that has six: those on the stack are the file. */
static void change_all(bool slow)
{
	long fd = syscall(SYS_memfd_create, "numabal", 0L);
	int flag = 0;
	char *page;
	struct ask a;

	assert_int_equal(pwrite((int)fd, "second", 7, 4096), 7);
	page = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	seen.want = (struct nb_regs){
		.rax = SYS_mmap,
		.arg = {addr_of(page), 4096, PROT_READ, MAP_PRIVATE | MAP_FIXED,
			(uint64_t)fd, 4096},
	};
	seen.slow = slow;
	ask(&a, &flag);
	assert_true(seen.result == (int64_t)addr_of(page));
	assert_true(a.ret == (slow ? 99 : seen.result));
	assert_string_equal(page, "second");
	munmap(page, 4096);
	close((int)fd);
}

static void test_change(void **state)
{
	(void)state;
	change_all(false);
	assert_int_equal(seen.nr_slow, 0);
}

static void test_slow(void **state)
{
	(void)state;
	change_all(true);
	assert_int_equal(seen.nr_slow, 2);
	assert_true(seen.site == addr_of(ask_call));
	assert_true(seen.caller);
}

static void stands_for(uint64_t addr, const uint8_t *original,
		       unsigned int skew)
{
	const struct nb_patched *site;
	uint64_t got;

	assert_true(nb_patch_original(addr, &got, &site));
	assert_true(got == addr_of(original));
	assert_int_equal(nb_patch_skew(addr), skew);
}

/* In its stubs: as at the call, or as behind it. */
static void test_stubs(void **state)
{
	const struct nb_patched *p = nb_patch_site(0);

	(void)state;
	assert_true(p->call && p->addr == addr_of(ask_behind));
	assert_true(p->syscall_addr == addr_of(bridge));
	assert_int_equal(p->pre_stub_len, ENTER_LEN + 5);
	stands_for(p->pre_stub, ask_call, 8);
	stands_for(p->pre_stub + 5, ask_call, 128);
	stands_for(p->pre_stub + 24, ask_call, 128);
	stands_for(p->pre_stub + ENTER_LEN, ask_call, 8);
	stands_for(p->post_stub, ask_behind, 0);
	stands_for(p->post_stub + 5, ask_behind, 128);
	assert_true(nb_patch_intact());
	assert_int_equal(nb_patch_nr_sites(), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_found),
		cmocka_unit_test(test_other_ways),
		cmocka_unit_test_setup(test_arguments, setup),
		cmocka_unit_test_setup(test_flag, setup),
		cmocka_unit_test_setup(test_change, setup),
		cmocka_unit_test_setup(test_slow, setup),
		cmocka_unit_test_setup(test_stubs, setup),
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
