/* SPDX-License-Identifier: MIT */
/*
 * mech/inflight.c: which entries live, and a signal handler that makes calls
 * of its own after every single instruction of push, publish and pop.
 */
#include "../../lib/mech/inflight.c"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <ucontext.h>

#include <cmocka.h>

/* A thread's stack, and its alternate one above or below it. */
#define MAIN_SP 0x700000ULL
#define ALT_LOW 0x100000ULL
#define ALT_HIGH 0x900000ULL
#define ALT_BYTES 0x10000ULL

static struct nb_call_stack st;
static uint64_t alt;

static int setup(void **state)
{
	(void)state;
	memset(&st, 0, sizeof(st));
	/* what is not cleared must not be believed */
	for (int i = 0; i < NB_CALL_DEPTH; i++) {
		st.call[i].sp = MAIN_SP - 0x5000;
		st.call[i].nr_ranges = 3;
	}
	alt = ALT_HIGH;
	return 0;
}

static struct nb_call *push(uint64_t sp)
{
	return nb_call_push(&st, sp, alt, alt + ALT_BYTES);
}

static bool touches(uint64_t start, uint64_t len)
{
	return nb_call_stack_overlaps(&st, start, start + len);
}

static void test_push_pop(void **state)
{
	struct nb_call *a, *b;

	(void)state;
	assert_false(touches(0, UINT64_MAX));
	a = push(MAIN_SP);
	assert_non_null(a);
	assert_int_equal(a->nr_ranges, 0);
	assert_int_equal(a->flags, 0);
	assert_ptr_equal(nb_call_find(&st, MAIN_SP), a);
	assert_null(nb_call_find(&st, MAIN_SP - 8));
	b = push(MAIN_SP - 0x100);
	assert_ptr_not_equal(a, b);
	nb_call_publish(a, 100, 50);
	nb_call_publish(b, 200, 50);
	assert_true(touches(149, 1) && touches(90, 11) && touches(240, 1));
	assert_false(touches(150, 50) || touches(0, 100) || touches(250, 9));
	/* one that has no entry */
	nb_call_pop(&st, MAIN_SP - 0x200);
	assert_int_equal(st.depth, 2);
	nb_call_pop(&st, MAIN_SP - 0x100);
	assert_true(touches(100, 1));
	assert_false(touches(200, 50));
	nb_call_pop(&st, MAIN_SP);
	assert_int_equal(st.depth, 0);
	nb_call_pop(&st, MAIN_SP);
	assert_false(touches(0, UINT64_MAX));
}

/* What never came back: the next call that proves it drops it. */
static void test_abandoned(void **state)
{
	(void)state;
	push(MAIN_SP - 0x100);
	push(MAIN_SP - 0x200);
	push(MAIN_SP - 0x300);
	push(MAIN_SP - 0x200); /* the same place again */
	assert_int_equal(st.depth, 2);
	push(MAIN_SP - 0x150); /* shallower */
	assert_int_equal(st.depth, 2);
	push(MAIN_SP);
	assert_int_equal(st.depth, 1);
	/* the call that comes back, with others above: they are over */
	push(MAIN_SP - 0x100);
	push(MAIN_SP - 0x200);
	nb_call_pop(&st, MAIN_SP);
	assert_int_equal(st.depth, 0);
}

/* Wherever it is, and at whatever is called or returns. */
static void test_owing(void **state)
{
	struct nb_call *a = push(MAIN_SP), *b = push(MAIN_SP - 0x100), *c;

	(void)state;
	assert_null(nb_call_owing(&st, NULL));
	nb_call_owe(&st, a, true);
	nb_call_owe(&st, a, true);
	assert_ptr_equal(nb_call_owing(&st, NULL), a);
	assert_ptr_equal(nb_call_owing(&st, b), a);
	assert_null(nb_call_owing(&st, a));
	c = push(MAIN_SP - 0x200);
	nb_call_owe(&st, c, true);
	assert_ptr_equal(nb_call_owing(&st, NULL), c);
	assert_ptr_equal(nb_call_owing(&st, a), c);
	nb_call_owe(&st, c, false);
	nb_call_owe(&st, a, false);
	nb_call_owe(&st, a, false);
	assert_null(nb_call_owing(&st, NULL));
	assert_int_equal(st.owing, 0);
}

static void test_alternate(void **state)
{
	(void)state;
	for (int high = 0; high < 2; high++) {
		setup(NULL);
		alt = high ? ALT_HIGH : ALT_LOW;
		push(MAIN_SP);
		push(alt + 0x800); /* a handler while it blocks */
		assert_int_equal(st.depth, 2);
		push(alt + 0x700);
		assert_int_equal(st.depth, 3);
		push(alt + 0xfff8); /* another signal later: a new frame */
		assert_int_equal(st.depth, 2);
		nb_call_pop(&st, MAIN_SP); /* who abandoned that one */
		assert_int_equal(st.depth, 0);
		/* longjmp from a handler back to the stack */
		push(MAIN_SP);
		push(alt + 0x800);
		push(MAIN_SP - 0x100);
		assert_int_equal(st.depth, 2);
		assert_non_null(nb_call_find(&st, MAIN_SP));
		assert_null(nb_call_find(&st, alt + 0x800));
		/* its ends */
		push(alt + ALT_BYTES);
		assert_int_equal(st.depth, high ? 1 : 3);
	}
	/* none */
	setup(NULL);
	nb_call_push(&st, MAIN_SP, 0, 0);
	nb_call_push(&st, MAIN_SP - 8, 0, 0);
	assert_int_equal(st.depth, 2);
}

static void test_ranges(void **state)
{
	struct nb_call *c = push(MAIN_SP);

	(void)state;
	nb_call_publish(c, 5, 0);
	assert_int_equal(c->nr_ranges, 0);
	for (uint64_t i = 0; i < NB_CALL_RANGES; i++)
		nb_call_publish(c, 1000 + i * 100, 10);
	assert_false(touches(1710, 1000));
	assert_int_equal(c->flags, 0);
	nb_call_publish(c, 1900, 10);
	nb_call_publish(c, 1550, 10);
	nb_call_publish(c, 1800, 10);
	assert_int_equal(c->flags, NB_CALL_HULL);
	assert_int_equal(c->nr_ranges, NB_CALL_RANGES);
	assert_true(touches(1550, 1) && touches(1909, 1) && touches(1750, 1));
	assert_true(touches(1000, 1));
	assert_false(touches(1910, 99) || touches(1510, 40));
	/* more than there is */
	nb_call_push(&st, MAIN_SP, 0, 0);
	nb_call_publish(c, UINT64_MAX - 5, 100);
	assert_true(touches(UINT64_MAX - 1, 1));
	assert_false(nb_call_stack_opaque(&st));
	atomic_fetch_or(&c->flags, NB_CALL_OPAQUE);
	assert_true(nb_call_stack_opaque(&st) && touches(7, 1));
	push(MAIN_SP);
	assert_false(nb_call_stack_opaque(&st));
}

static void fill(void)
{
	for (uint64_t i = 0; i < NB_CALL_DEPTH; i++)
		assert_non_null(push(MAIN_SP - i * 0x100));
}

static void test_overflow(void **state)
{
	const uint64_t deep = MAIN_SP - 0x2000;

	(void)state;
	fill();
	assert_false(nb_call_stack_opaque(&st));
	assert_null(push(deep));
	assert_true(nb_call_stack_opaque(&st));
	assert_null(push(deep - 0x100)); /* in a handler of that */
	nb_call_pop(&st, deep - 0x100);
	assert_true(nb_call_stack_opaque(&st));
	nb_call_pop(&st, deep - 0x200); /* nobody's */
	assert_true(nb_call_stack_opaque(&st));
	nb_call_pop(&st, deep);
	assert_false(nb_call_stack_opaque(&st));
	/* abandoned, then found dead by one that has no room either */
	assert_null(push(deep));
	assert_null(push(deep + 0x100));
	nb_call_pop(&st, deep + 0x100);
	assert_false(nb_call_stack_opaque(&st));
	assert_null(push(alt + 8));
	assert_null(push(deep));
	nb_call_pop(&st, deep);
	assert_false(nb_call_stack_opaque(&st));
	/* abandoned, then there is room: by a return, by a new call */
	assert_null(push(deep));
	nb_call_pop(&st, MAIN_SP - 15 * 0x100);
	assert_false(nb_call_stack_opaque(&st));
	fill();
	assert_null(push(deep));
	assert_non_null(push(MAIN_SP - 14 * 0x100));
	assert_false(nb_call_stack_opaque(&st));
	/* on a stack of its own, of which nothing is known */
	assert_int_equal(st.depth, 15);
}

/* ---- interrupted after every instruction --------------------------------- */

#if defined(__x86_64__) && !defined(NB_SANITIZED)

#define TRAP_FLAG 0x100
/* Each trap is dear in a virtual machine: a run tries one of so many places. */
#ifdef __OPTIMIZE__
#define STRIDE 3U
#else
#define STRIDE 41U
#endif
/* A call that blocks below, and what it has published. */
#define BASE_SP (MAIN_SP + 0x1000)
#define BASE_MEM 0xaaaa0000ULL
#define OWN_MEM 0xbbbb0000ULL

static volatile unsigned int steps, handler_at;
static volatile bool lost;
static bool on_alt; /* what is interrupted */
static int flavour; /* what the handler does */

static void make_call(uint64_t sp, bool comes_back)
{
	struct nb_call *c = push(sp);

	if (c)
		nb_call_publish(c, 0xcccc0000, 100);
	lost |= !touches(0xcccc0000, 1);
	if (comes_back)
		nb_call_pop(&st, sp);
}

enum { ABANDONS = 5, NR_FLAVOURS = 7 };

static void handler_work(void)
{
	/* below what it interrupts, on the same stack */
	uint64_t sp = on_alt ? alt + 0x9000 : MAIN_SP - 0x3000;

	switch (flavour) {
	case 1:
		make_call(alt + 0x9000, true);
		break;
	case 2: /* calls that do not come back */
		make_call(sp, false);
		break;
	case 3:
		make_call(alt + 0x9000, false);
		break;
	case 4: /* handlers in handlers; the outermost comes back */
		for (uint64_t i = 0; i < 3; i++)
			make_call(sp - i * 0x100, false);
		nb_call_pop(&st, sp);
		break;
	case ABANDONS: /* more than there is room for, none comes back */
		for (uint64_t i = 0; i < 20; i++)
			make_call(alt + 0x9000 - i * 0x100, false);
		break;
	case 6: /* as many, in order */
		for (uint64_t i = 0; i < 20; i++)
			make_call(sp - i * 0x100, false);
		for (uint64_t i = 20; i > 0; i--)
			nb_call_pop(&st, sp - (i - 1) * 0x100);
		break;
	default:
		make_call(sp, true);
	}
}

static void on_trap(int sig, siginfo_t *info, void *uc)
{
	ucontext_t *at = uc;

	(void)sig;
	(void)info;
	if (steps++ == handler_at) {
		handler_work();
		at->uc_mcontext.gregs[REG_EFL] &= ~TRAP_FLAG; /* slow */
	}
	/* numabald may look at any time */
	lost |= !touches(BASE_MEM, 1);
}

static void trap_flag(bool on)
{
	/* below the red zone */
	if (on)
		__asm__ volatile(
			"lea -128(%%rsp), %%rsp; pushfq;"
			"orq %0, (%%rsp); popfq; lea 128(%%rsp), %%rsp" ::"i"(
				TRAP_FLAG)
			: "memory", "cc");
	else
		__asm__ volatile(
			"lea -128(%%rsp), %%rsp; pushfq;"
			"andq %0, (%%rsp); popfq; lea 128(%%rsp), %%rsp" ::"i"(
				~TRAP_FLAG)
			: "memory", "cc");
}

/* What a handler and its like may have left before, at the bottom. */
static void leave_dead(int before)
{
	push(BASE_SP);
	nb_call_publish(nb_call_find(&st, BASE_SP), BASE_MEM, 16);
	if (before & 2)
		for (uint64_t i = 0; i < 3; i++)
			nb_call_publish(push(MAIN_SP - 0x100 - i * 8), 1, 1);
	if (before & 1)
		push(alt + 0x5000);
	if (before & 4)
		for (uint64_t i = 0; i < 20; i++)
			push(MAIN_SP - 0x200 - i * 8);
}

/* Without @c there was no room: that counts as everything. */
static void check_call(const struct nb_call *c, uint64_t sp)
{
	assert_false(lost);
	assert_true(touches(OWN_MEM, 16) && touches(BASE_MEM, 16));
	assert_ptr_equal(nb_call_find(&st, sp), c);
	if (!c)
		return;
	assert_int_equal(c->nr_ranges, 1);
	assert_int_equal(c->flags, 0);
	/* what a handler of ours abandoned may be above us */
	if (flavour != ABANDONS)
		assert_false(nb_call_stack_opaque(&st));
}

/* A call with a handler at one instruction of it; false: past the end. */
static bool interrupted_at(unsigned int n, int before)
{
	const uint64_t sp = on_alt ? alt + 0x9800 : MAIN_SP;
	unsigned int begun;
	struct nb_call *c;

	setup(NULL);
	leave_dead(before);
	steps = 0;
	handler_at = n;
	lost = false;
	trap_flag(true);
	c = push(sp);
	if (c)
		nb_call_publish(c, OWN_MEM, 16);
	trap_flag(false);
	begun = steps;
	check_call(c, sp);
	/* it was not during push: then during pop */
	handler_at = n < begun ? UINT32_MAX : n - begun;
	steps = 0;
	trap_flag(n >= begun);
	nb_call_pop(&st, sp);
	trap_flag(false);
	assert_false(lost);
	assert_null(nb_call_find(&st, sp));
	assert_true(touches(BASE_MEM, 16));
	nb_call_pop(&st, BASE_SP);
	assert_int_equal(st.depth, 0);
	assert_false(touches(0, UINT64_MAX));
	return n < begun || handler_at < steps;
}

static void test_every_instruction(void **state)
{
	/* nothing; dead ones; no room; on the alternate stack, with dead ones
	 */
	static const int befores[] = {0, 3, 7, 9, 12};
	struct sigaction sa = {.sa_sigaction = on_trap}, old;
	unsigned int most = 0;

	(void)state;
	sa.sa_flags = SA_SIGINFO;
	sigfillset(&sa.sa_mask);
	sigaction(SIGTRAP, &sa, &old);
	for (unsigned int i = 0; i < nb_array_size(befores) * NR_FLAVOURS;
	     i++) {
		int before = befores[i / NR_FLAVOURS];
		unsigned int n = i % STRIDE;

		flavour = i % NR_FLAVOURS;
		on_alt = before & 8;
		while (interrupted_at(n, before))
			n += STRIDE;
		most = n > most ? n : most;
	}
	sigaction(SIGTRAP, &old, NULL);
	assert_true(most > 50);
	print_message("%u instructions at most\n", most);
}

#else

static void test_every_instruction(void **state)
{
	(void)state;
	skip();
}

#endif

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_push_pop, setup),
		cmocka_unit_test_setup(test_abandoned, setup),
		cmocka_unit_test_setup(test_owing, setup),
		cmocka_unit_test_setup(test_alternate, setup),
		cmocka_unit_test_setup(test_ranges, setup),
		cmocka_unit_test_setup(test_overflow, setup),
		cmocka_unit_test_setup(test_every_instruction, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
