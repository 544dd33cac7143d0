/* SPDX-License-Identifier: MIT */
/*
 * The quick ways of guard/entry.S leave a thread's slot as nb_guard_enter()
 * and nb_guard_leave() would, in the cases that they take, and leave all
 * other cases to these.
 */
#include "../../lib/guard/guard.h"
#include "../../lib/mech/slot.h"
#include "../../lib/plat/sys.h"
#include "policy_test.h"

#include <errno.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* Unoptimised, a call is a frame further down in one half than in the other. */
#if defined(__x86_64__) && !defined(NB_SANITIZED) && defined(__OPTIMIZE__)

static struct nb_slot *slot;
static int opaque_calls;

static void on_opaque(void)
{
	opaque_calls++;
}

static const struct nb_guard_ops ops = {.opaque = on_opaque};

/* Registers before and after; the stack pointer of the site. */
struct trip {
	uint64_t rax, rdi, rsi, rdx, r10, r8, r9, rbx;
	uint64_t sp;
};

/* What a stub does, calling @entry. */
void trip(struct trip *t, void (*entry)(void));

__asm__(".text\n"
	"trip:\n"
	".cfi_startproc\n"
	"	push %rbx\n"
	"	.cfi_adjust_cfa_offset 8\n"
	"	.cfi_rel_offset %rbx, 0\n"
	"	push %rbp\n"
	"	.cfi_adjust_cfa_offset 8\n"
	"	.cfi_rel_offset %rbp, 0\n"
	"	push %rdi\n"
	"	.cfi_adjust_cfa_offset 8\n"
	"	mov %rsp, 64(%rdi)\n"
	"	mov %rsi, %rbp\n"
	"	mov 0(%rdi), %rax\n"
	"	mov 16(%rdi), %rsi\n"
	"	mov 24(%rdi), %rdx\n"
	"	mov 32(%rdi), %r10\n"
	"	mov 40(%rdi), %r8\n"
	"	mov 48(%rdi), %r9\n"
	"	mov 56(%rdi), %rbx\n"
	"	mov 8(%rdi), %rdi\n"
	"	lea -128(%rsp), %rsp\n"
	"	mov $7, %r11d\n"
	"	lea 1f(%rip), %rcx\n"
	"	call *%rbp\n"
	"	lea 128(%rsp), %rsp\n"
	"1:	mov (%rsp), %rcx\n"
	"	mov %rax, 0(%rcx)\n"
	"	mov %rdi, 8(%rcx)\n"
	"	mov %rsi, 16(%rcx)\n"
	"	mov %rdx, 24(%rcx)\n"
	"	mov %r10, 32(%rcx)\n"
	"	mov %r8, 40(%rcx)\n"
	"	mov %r9, 48(%rcx)\n"
	"	mov %rbx, 56(%rcx)\n"
	"	pop %rdi\n"
	"	.cfi_adjust_cfa_offset -8\n"
	"	pop %rbp\n"
	"	.cfi_adjust_cfa_offset -8\n"
	"	pop %rbx\n"
	"	.cfi_adjust_cfa_offset -8\n"
	"	ret\n"
	".cfi_endproc\n");

/* A state of the slot and of the guard, and a call. */
struct shape {
	const char *name;
	uint64_t nr, rsi, rdx;
	int64_t result;
	int64_t below;	/* an entry this far above the site's sp; 0: none */
	uint32_t flags; /* of the call's entry, at the end */
	bool overflow;	/* somebody found no room */
	bool no_stack;	/* the usual stack is another one */
	bool end_only;	/* its begin was not seen */
};

static const struct shape shapes[] = {
	{.name = "read", .nr = SYS_read, .rsi = 0x10000, .rdx = 64},
	{.name = "pwrite", .nr = SYS_pwrite64, .rsi = 0x10000, .rdx = 1 << 20},
	{.name = "no bytes", .nr = SYS_write, .rsi = 0x10000},
	{.name = "null", .nr = SYS_read, .rdx = 100},
	{.name = "wraps", .nr = SYS_read, .rsi = -100ULL, .rdx = 200},
	{.name = "all", .nr = SYS_read, .rsi = 1, .rdx = UINT64_MAX},
	{.name = "plain", .nr = SYS_getppid},
	{.name = "two ranges", .nr = SYS_rename, .rsi = 0x1000},
	{.name = "high number", .nr = SYS_statx, .rsi = 0x1000, .rdx = 5},
	{.name = "unknown", .nr = 100000, .rsi = 0x1000, .rdx = 5},
	{.name = "fails", .nr = SYS_read, .rsi = 99, .rdx = 9, .result = -9},
	{.name = "EFAULT", .nr = SYS_read, .rsi = 99, .rdx = 9, .result = -14},
	{.name = "nested", .nr = SYS_read, .rsi = 99, .rdx = 9, .below = 512},
	{.name = "abandoned", .nr = SYS_read, .rsi = 99, .rdx = 9, .below = -8},
	{.name = "again", .nr = SYS_read, .rsi = 99, .rdx = 9, .overflow = 1},
	{.name = "new stack",
	 .nr = SYS_read,
	 .rsi = 9,
	 .rdx = 9,
	 .no_stack = true},
	{.name = "hook",
	 .nr = SYS_read,
	 .rsi = 99,
	 .rdx = 9,
	 .flags = NB_CALL_HOOK},
	{.name = "rewritten",
	 .nr = SYS_read,
	 .rsi = 9,
	 .rdx = 9,
	 .flags = NB_CALL_REWRITTEN},
	{.name = "emulated",
	 .nr = SYS_read,
	 .rsi = 9,
	 .rdx = 9,
	 .flags = NB_CALL_EMULATED},
	{.name = "path", .nr = SYS_open, .rsi = 0x1000, .rdx = 5},
	{.name = "end", .nr = SYS_read, .below = 64, .end_only = true},
};

static uint64_t site_sp(void)
{
	struct trip t = {.rax = SYS_getppid};

	trip(&t, nb_guard_enter_entry);
	return t.sp;
}

static void set_state(const struct shape *s, uint64_t sp)
{
	bool ignored;

	memset(&slot->calls, 0, sizeof(slot->calls));
	/* What an earlier call has left. */
	atomic_store(&slot->calls.call[0].flags, NB_CALL_OPAQUE);
	atomic_store(&slot->calls.call[0].nr_ranges, 3);
	nb_slot_for_sp(sp, &ignored);
	if (s->below) {
		atomic_store(&slot->calls.call[0].sp, sp + (uint64_t)s->below);
		atomic_store(&slot->calls.depth, 1);
	}
	if (s->overflow)
		atomic_store(&slot->calls.overflow, sp + 4096);
	if (s->no_stack)
		slot->stack_hi = slot->stack_lo = 0;
}

static void set_end(const struct shape *s)
{
	uint32_t depth = atomic_load(&slot->calls.depth);

	if (depth)
		atomic_fetch_or(&slot->calls.call[depth - 1].flags, s->flags);
}

/* What the two C functions do, as entry.S calls them. */
static struct nb_regs by_hand(const struct shape *s, uint64_t sp,
			      struct nb_call_stack *in,
			      struct nb_call_stack *out)
{
	struct nb_regs r = {
		.rax = s->nr,
		.arg = {1, s->rsi, s->rdx, 2, 3, 4},
		.sp = sp,
		.site = 7,
	};

	set_state(s, sp);
	if (!s->end_only && nb_guard_enter(&r))
		nb_guard_enter_slow(&r);
	*in = slot->calls;
	set_end(s);
	r.rax = (uint64_t)s->result;
	if (nb_guard_leave(&r))
		nb_guard_leave_slow(&r);
	*out = slot->calls;
	return r;
}

/* What others see, and what the hooks get. */
static void same_calls(const struct nb_call_stack *a,
		       const struct nb_call_stack *b, const char *name)
{
	uint32_t depth = atomic_load(&a->depth);

	if (depth != atomic_load(&b->depth) ||
	    atomic_load(&a->overflow) != atomic_load(&b->overflow))
		fail_msg("%s: depth %u, not %u", name, depth, b->depth);
	for (uint32_t i = 0; i < depth; i++) {
		const struct nb_call *x = &a->call[i], *y = &b->call[i];

		assert_int_equal(atomic_load(&x->sp), atomic_load(&y->sp));
		assert_int_equal(x->nr, y->nr);
		assert_int_equal(x->hook, y->hook);
		if (atomic_load(&x->flags) != atomic_load(&y->flags))
			fail_msg("%s: flags", name);
		for (uint64_t at = 1; at; at <<= 1)
			if (nb_call_overlaps(x, at, at + 1) !=
			    nb_call_overlaps(y, at, at + 1))
				fail_msg("%s: range at %lx", name, at);
	}
}

static void same_regs(const struct trip *t, const struct nb_regs *r,
		      const char *name)
{
	if (t->rax != r->rax || t->rdi != r->arg[0] || t->rsi != r->arg[1] ||
	    t->rdx != r->arg[2] || t->r10 != r->arg[3] || t->r8 != r->arg[4] ||
	    t->r9 != r->arg[5] || t->rbx != 5 || t->sp != r->sp)
		fail_msg("%s: registers", name);
}

static void compare(const struct shape *s)
{
	struct trip t = {s->nr, 1, s->rsi, s->rdx, 2, 3, 4, 5, 0};
	struct nb_call_stack in, out;
	struct nb_regs r, was;
	uint64_t sp = site_sp();

	was = by_hand(s, sp, &in, &out);
	was.sp = sp;
	set_state(s, sp);
	if (!s->end_only) {
		r = (struct nb_regs){
			s->nr, {1, s->rsi, s->rdx, 2, 3, 4}, sp, 7};
		trip(&t, nb_guard_enter_entry);
		same_regs(&t, &r, s->name);
	}
	same_calls(&slot->calls, &in, s->name);
	set_end(s);
	t.rax = (uint64_t)s->result;
	trip(&t, nb_guard_leave_entry);
	same_regs(&t, &was, s->name);
	same_calls(&slot->calls, &out, s->name);
	/* The C functions find that out. */
	assert_true(slot->stack_hi > slot->stack_lo);
}

static void test_as_the_c_functions(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++)
		compare(&shapes[i]);
}

/* Its parent's slot is nothing to it. */
static void test_child_that_shares_memory(void **state)
{
	static struct trip t = {SYS_read, 1, 0x10000, 64, 2, 3, 4, 5, 0};
	int status;
	pid_t pid;

	(void)state;
	memset(&slot->calls, 0, sizeof(slot->calls));
	atomic_store(&nb_guard_shared_children, 1);
	pid = vfork();
	if (!pid) {
		trip(&t, nb_guard_enter_entry);
		if (atomic_load(&slot->calls.depth))
			_exit(1);
		atomic_store(&slot->calls.call[0].sp, t.sp);
		atomic_store(&slot->calls.depth, 1);
		trip(&t, nb_guard_leave_entry);
		_exit(atomic_load(&slot->calls.depth) == 1 ? 0 : 2);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	atomic_store(&nb_guard_shared_children, 0);
}

static int start(void **state)
{
	struct nb_slot *table = mmap(
		NULL, NB_MAX_SLOTS * sizeof(*table), PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	(void)state;
	if (table == MAP_FAILED)
		return 1;
	nb_slots_init(table);
	nb_slots_set_owner(getpid());
	nb_guard_init(NULL, &ops);
	nb_guard_on(true);
	slot = nb_slot_self();
	return !slot || !atomic_load(&nb_guard_quick);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_as_the_c_functions),
		cmocka_unit_test(test_child_that_shares_memory),
	};

	return cmocka_run_group_tests(tests, start, NULL);
}

#else

int main(void)
{
	puts("not unoptimised, under sanitizers, or on other machines");
	return 77;
}

#endif
