/* SPDX-License-Identifier: MIT */
/*
 * guard/entry.S: what the program has in registers and in its red zone is
 * there after a guarded call, whatever the hooks do; unwinding from a hook
 * gets to the program; the copy survives memory that is not there.
 */
#include "patch_test.h"

#include "../../lib/guard/xsave.h"

#include <signal.h>
#include <stdio.h>
#include <ucontext.h>
#include <unwind.h>

#if defined(__x86_64__) && !defined(NB_SANITIZED)

#include <cpuid.h>

#define AREA 8192 /* for all parts of the state but the tiles of AMX */
#define NR_GPR 13
#define RED 16

/* As the assembly below has it. */
struct probe {
	/* rax rdi rsi rdx r10 r8 r9 rbx rbp r12 r13 r14 r15 */
	uint64_t in[NR_GPR], out[NR_GPR];
	uint64_t mask;
	void *area_in, *area_out;
	uint64_t red[RED]; /* below rsp, before and after */
};

/* A guarded call with all registers set from @p before, and kept after. */
void probe(struct probe *p);

__asm__(".pushsection guarded, \"ax\", @progbits\n"
	"probe:\n"
	".cfi_startproc\n"
	"	push %rbx\n"
	"	.cfi_adjust_cfa_offset 8\n"
	"	.cfi_rel_offset %rbx, 0\n"
	"	push %rbp\n"
	"	.cfi_adjust_cfa_offset 8\n"
	"	.cfi_rel_offset %rbp, 0\n"
	"	push %r12\n"
	"	.cfi_adjust_cfa_offset 8\n"
	"	.cfi_rel_offset %r12, 0\n"
	"	push %r13\n"
	"	.cfi_adjust_cfa_offset 8\n"
	"	.cfi_rel_offset %r13, 0\n"
	"	push %r14\n"
	"	.cfi_adjust_cfa_offset 8\n"
	"	.cfi_rel_offset %r14, 0\n"
	"	push %r15\n"
	"	.cfi_adjust_cfa_offset 8\n"
	"	.cfi_rel_offset %r15, 0\n"
	"	push %rdi\n"
	"	.cfi_adjust_cfa_offset 8\n"
	/* The red zone, then vectors, then the others. */
	"	mov $16, %ecx\n"
	"1:	mov 224(%rdi,%rcx,8), %rax\n"
	"	mov %rax, -136(%rsp,%rcx,8)\n"
	"	loop 1b\n"
	"	mov 208(%rdi), %eax\n"
	"	mov 212(%rdi), %edx\n"
	"	mov 216(%rdi), %rcx\n"
	"	xrstor64 (%rcx)\n"
	"	mov 16(%rdi), %rsi\n"
	"	mov 24(%rdi), %rdx\n"
	"	mov 32(%rdi), %r10\n"
	"	mov 40(%rdi), %r8\n"
	"	mov 48(%rdi), %r9\n"
	"	mov 56(%rdi), %rbx\n"
	"	mov 64(%rdi), %rbp\n"
	"	mov 72(%rdi), %r12\n"
	"	mov 80(%rdi), %r13\n"
	"	mov 88(%rdi), %r14\n"
	"	mov 96(%rdi), %r15\n"
	"	mov 0(%rdi), %rax\n"
	"	mov 8(%rdi), %rdi\n"
	"	syscall\n"
	"	mov (%rsp), %rcx\n"
	"	mov %rax, 104(%rcx)\n"
	"	mov %rdi, 112(%rcx)\n"
	"	mov %rsi, 120(%rcx)\n"
	"	mov %rdx, 128(%rcx)\n"
	"	mov %r10, 136(%rcx)\n"
	"	mov %r8, 144(%rcx)\n"
	"	mov %r9, 152(%rcx)\n"
	"	mov %rbx, 160(%rcx)\n"
	"	mov %rbp, 168(%rcx)\n"
	"	mov %r12, 176(%rcx)\n"
	"	mov %r13, 184(%rcx)\n"
	"	mov %r14, 192(%rcx)\n"
	"	mov %r15, 200(%rcx)\n"
	"	mov %rcx, %rdi\n"
	"	mov 208(%rdi), %eax\n"
	"	mov 212(%rdi), %edx\n"
	"	mov 224(%rdi), %rcx\n"
	"	xsave64 (%rcx)\n"
	"	mov $16, %ecx\n"
	"2:	mov -136(%rsp,%rcx,8), %rax\n"
	"	mov %rax, 224(%rdi,%rcx,8)\n"
	"	loop 2b\n"
	"	pop %rdi\n"
	"	.cfi_adjust_cfa_offset -8\n"
	"	pop %r15\n"
	"	.cfi_adjust_cfa_offset -8\n"
	"	pop %r14\n"
	"	.cfi_adjust_cfa_offset -8\n"
	"	pop %r13\n"
	"	.cfi_adjust_cfa_offset -8\n"
	"	pop %r12\n"
	"	.cfi_adjust_cfa_offset -8\n"
	"	pop %rbp\n"
	"	.cfi_adjust_cfa_offset -8\n"
	"	pop %rbx\n"
	"	.cfi_adjust_cfa_offset -8\n"
	"	cld\n"
	"	ret\n"
	".cfi_endproc\n"
	".popsection\n");

_Static_assert(offsetof(struct probe, out) == 104, "as in probe()");
_Static_assert(offsetof(struct probe, mask) == 208, "as in probe()");
_Static_assert(offsetof(struct probe, area_out) == 224, "as in probe()");
_Static_assert(offsetof(struct probe, red) == 232, "as in probe()");

static struct {
	bool slow, unwind;
	int nr_enter, nr_leave, nr_slow;
	uint64_t enter_sp, leave_sp;
	/* Of the unwinding: was the site seen, and who had called probe()? */
	uint64_t site, caller;
} seen;

static uint8_t initial[AREA] __attribute__((aligned(64)));
static uint64_t full_mask;

/* All vector and x87 state gone, and a stack that is used. */
static void destroy(void)
{
	volatile char stack[1024];

	for (size_t i = 0; i < sizeof(stack); i++)
		stack[i] = (char)i;
	__asm__ volatile("xrstor64 %0"
			 :
			 : "m"(initial), "a"((uint32_t)full_mask),
			   "d"((uint32_t)(full_mask >> 32))
			 : "memory");
}

static _Unwind_Reason_Code step(struct _Unwind_Context *ctx, void *arg)
{
	int before = 0;
	uint64_t ip = (uint64_t)_Unwind_GetIPInfo(ctx, &before);
	bool in_probe =
		ip >= addr_of(__start_guarded) && ip < addr_of(__stop_guarded);

	(void)arg;
	if (in_probe)
		seen.site = ip;
	else if (seen.site && !seen.caller)
		seen.caller = ip;
	return _URC_NO_REASON;
}

FAST bool nb_guard_enter(struct nb_regs *r)
{
	seen.nr_enter++;
	seen.enter_sp = r->sp;
	return seen.slow;
}

FAST bool nb_guard_leave(struct nb_regs *r)
{
	seen.nr_leave++;
	seen.leave_sp = r->sp;
	return seen.slow;
}

void nb_guard_enter_slow(struct nb_regs *r)
{
	(void)r;
	seen.nr_slow++;
	if (seen.unwind)
		_Unwind_Backtrace(step, NULL);
	destroy();
}

void nb_guard_leave_slow(struct nb_regs *r)
{
	(void)r;
	seen.nr_slow++;
	destroy();
}

/* State with a random value in each register. */
static void fill(uint8_t *area, uint64_t mask, uint64_t *rnd)
{
	static const uint8_t fcw[] = {0x7f, 0x0b}; /* rounds upwards */
	uint32_t mxcsr = 0x1f80 | 0x4000;

	memset(area, 0, AREA);
	memcpy(area, fcw, sizeof(fcw));
	area[3] = 3 << 3; /* the top of the stack */
	area[4] = 0xff;	  /* all registers of it in use */
	memcpy(area + 24, &mxcsr, sizeof(mxcsr));
	for (int i = 0; i < 8; i++)
		for (int k = 0; k < 10; k++)
			area[32 + 16 * i + k] = (uint8_t)prng(rnd);
	for (int i = 160; i < 160 + 256; i++)
		area[i] = (uint8_t)prng(rnd);
	memcpy(area + 512, &mask, sizeof(mask));
	for (unsigned int i = 2; i < 63; i++) {
		uint32_t size, offset, c, d;

		if (!(mask >> i & 1))
			continue;
		__cpuid_count(0xd, i, size, offset, c, d);
		assert_true(offset + size <= AREA);
		for (uint32_t k = 0; k < size; k++)
			area[offset + k] = (uint8_t)prng(rnd);
	}
}

static void run_probe(struct probe *p, uint64_t mask, uint64_t *rnd)
{
	static uint8_t in[AREA] __attribute__((aligned(64)));
	static uint8_t out[AREA] __attribute__((aligned(64)));

	for (int i = 0; i < NR_GPR; i++)
		p->in[i] = prng(rnd);
	for (int i = 0; i < RED; i++)
		p->red[i] = prng(rnd);
	p->in[0] = SYS_getppid;
	p->mask = mask;
	p->area_in = in;
	p->area_out = out;
	fill(in, mask, rnd);
	memset(out, 0, sizeof(out));
	probe(p);
	destroy();
}

static void check_probe(uint64_t mask)
{
	static uint64_t rnd = 4711;
	struct probe p, want;

	run_probe(&p, mask, &rnd);
	want = p;
	assert_int_equal(p.out[0], getppid());
	assert_memory_equal(p.out + 1, p.in + 1, (NR_GPR - 1) * 8);
	assert_memory_equal(p.red, want.red, sizeof(p.red));
	/* FCW, FSW, FTW; MXCSR; the registers; not: opcode and pointers. */
	assert_memory_equal(p.area_out, p.area_in, 5);
	assert_memory_equal((uint8_t *)p.area_out + 24,
			    (uint8_t *)p.area_in + 24, 4);
	assert_memory_equal((uint8_t *)p.area_out + 32,
			    (uint8_t *)p.area_in + 32, AREA - 32);
}

static int patched;

static int setup(void **state)
{
	struct nb_image im = own_image(__start_guarded);

	(void)state;
	memset(&seen, 0, sizeof(seen));
	if (nb_decoder_open() || nb_patch_init())
		return -1;
	full_mask = nb_guard_xsave_mask;
	memcpy(initial, "\x7f\x03", 2);
	memcpy(initial + 24, "\x80\x1f", 2);
	if (!patched++)
		return nb_patch_image(&im, addr_of(__start_guarded) - im.vaddr,
				      "test");
	return 0;
}

static void test_fast(void **state)
{
	(void)state;
	for (int i = 0; i < 100; i++)
		check_probe(full_mask);
	assert_int_equal(seen.nr_enter, 100);
	assert_int_equal(seen.nr_leave, 100);
	assert_int_equal(seen.nr_slow, 0);
	assert_true(seen.enter_sp && seen.enter_sp == seen.leave_sp);
}

static void test_slow(void **state)
{
	(void)state;
	seen.slow = true;
	print_message("state: %#llx, %llu bytes, compact %d\n",
		      (unsigned long long)nb_guard_xsave_mask,
		      (unsigned long long)nb_guard_xsave_bytes,
		      nb_guard_xsave_compact);
	for (int i = 0; i < 100; i++)
		check_probe(full_mask);
	assert_int_equal(seen.nr_slow, 200);
}

/* Machines with less: XSAVE, FXSAVE. */
static void test_slow_plain(void **state)
{
	uint64_t bytes = nb_guard_xsave_bytes;

	(void)state;
	seen.slow = true;
	nb_guard_xsave_compact = 0;
	nb_guard_xsave_bytes = AREA;
	for (int i = 0; i < 100; i++)
		check_probe(full_mask);
	nb_guard_xsave_mask = 0;
	nb_guard_xsave_bytes = 512;
	full_mask &= 3;
	for (int i = 0; i < 100; i++)
		check_probe(full_mask);
	nb_guard_xsave_bytes = bytes;
}

__attribute__((noinline)) static uint64_t here_and_probe(struct probe *p)
{
	static uint64_t rnd = 99;

	run_probe(p, full_mask, &rnd);
	return addr_of(here_and_probe);
}

static void test_unwind(void **state)
{
	struct probe p;

	(void)state;
	seen.slow = seen.unwind = true;
	here_and_probe(&p);
	assert_true(seen.site == nb_patch_site(0)->addr);
	/* Its caller is the static function that gcc made of run_probe(). */
	assert_true(seen.caller);
	assert_true(seen.caller < addr_of(__start_guarded) ||
		    seen.caller > addr_of(__stop_guarded));
	assert_int_equal(nb_patch_site(0)->kind, NB_SITE_BRACKET);
}

static int nr_faults;

static void on_fault(int sig, siginfo_t *si, void *ctx)
{
	greg_t *gregs = ((ucontext_t *)ctx)->uc_mcontext.gregs;
	uint64_t ip = (uint64_t)gregs[REG_RIP];

	(void)sig;
	(void)si;
	if (ip < addr_of(nb_guard_copy_begin) ||
	    ip >= addr_of(nb_guard_copy_end))
		abort();
	nr_faults++;
	gregs[REG_RIP] = (greg_t)addr_of(nb_guard_copy_fault);
}

static void test_copy(void **state)
{
	struct sigaction sa = {.sa_sigaction = on_fault,
			       .sa_flags = SA_SIGINFO};
	char *p = mmap(NULL, 8192, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char to[32] = "";

	(void)state;
	assert_ptr_not_equal(p, MAP_FAILED);
	munmap(p + 4096, 4096);
	memcpy(p + 4090, "abcdef", 6);
	assert_int_equal(nb_guard_copy(to, p + 4090, 6), 0);
	assert_string_equal(to, "abcdef");
	assert_int_equal(nb_guard_copy(to, NULL, 0), 0);
	sigaction(SIGSEGV, &sa, NULL);
	assert_int_equal(nb_guard_copy(to, p + 4090, 7), -EFAULT);
	assert_int_equal(nb_guard_copy(p + 4090, to, 7), -EFAULT);
	assert_int_equal(nb_guard_copy(to, NULL, 1), -EFAULT);
	assert_int_equal(nr_faults, 3);
	signal(SIGSEGV, SIG_DFL);
	munmap(p, 4096);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_fast, setup),
		cmocka_unit_test_setup(test_slow, setup),
		cmocka_unit_test_setup(test_unwind, setup),
		cmocka_unit_test_setup(test_slow_plain, setup),
		cmocka_unit_test_setup(test_copy, setup),
	};
	uint32_t a, b, c, d;

	if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & (1U << 27))) {
		puts("no XSAVE on this machine");
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
