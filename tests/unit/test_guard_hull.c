/* SPDX-License-Identifier: MIT */
/*
 * guard/guard.c: a call with more ranges than its entry holds gets exactly its
 * ranges back, not what lies between; nothing is armed there while it is under
 * way.  Numbers with rubbish in their upper half are the numbers.  A call that
 * finds no room, and that a hook had to see, is told of; so is one that owes
 * something and is over.
 */
#include "../../lib/mech/arm.h"
#include "../../lib/mech/slot.h"
#include "../../lib/plat/arena.h"
#include "guard_test.h"

#include "fake_sys.h"

#include <sys/syscall.h>

long nb_guard_copy(void *to, const void *from, uint64_t bytes)
{
	return copy_by_kernel(to, from, bytes);
}

#if defined(__x86_64__)

#define SHIFT 16
#define CHUNK (1ULL << SHIFT)
#define NR_CHUNKS 32 /* of a block */
#define NR_IOV 15

static const struct nb_sys *sys = &fake_sys;
static struct nb_slot *slots;
static struct nb_guard_ops ops;
static int nr_mm;

static void mm_enter(struct nb_call *call, struct nb_regs *r)
{
	assert_int_equal(r->rax, SYS_munmap);
	assert_int_equal(call->nr, SYS_munmap);
	nr_mm++;
}

static int nr_opaque, nr_no_room;

static void on_opaque(void)
{
	nr_opaque++;
}

static void on_no_room(void)
{
	nr_no_room++;
}

static struct nb_call *gone;

static void on_abandoned(struct nb_slot *slot, struct nb_call *call)
{
	gone = call;
	nb_call_owe(&slot->calls, call, false);
}

static int setup(void **state)
{
	(void)state;
	fake_reset();
	nb_chunk_table_init();
	fake_map(FAKE_BASE, NB_BLOCK_BYTES, 0);
	nb_forget_range(FAKE_BASE, FAKE_END, true);
	nb_block_get(FAKE_BASE, SHIFT);
	nb_slots_after_fork();
	if (!slots)
		slots = nb_arena_map(NB_MAX_SLOTS * sizeof(*slots));
	nb_slots_init(slots);
	ops.hook[NB_HOOK_MM].enter = mm_enter;
	ops.opaque = on_opaque;
	ops.no_room = on_no_room;
	ops.abandoned = on_abandoned;
	nb_guard_init(sys, &ops);
	nb_guard_on(true);
	return 0;
}

static void arm_all(void)
{
	uint64_t bits = UINT32_MAX;
	unsigned int nr;

	assert_int_equal(
		nb_arm_block(sys, nb_block_find(FAKE_BASE), &bits, &nr), 0);
}

static uint32_t armed(void)
{
	struct nb_block *b = nb_block_find(FAKE_BASE);
	uint32_t bits = 0;

	for (unsigned int i = 0; i < NR_CHUNKS; i++)
		if (atomic_load(&b->state[i]) == NB_CHUNK_ARMED)
			bits |= 1U << i;
	return bits;
}

/* A buffer in every other chunk, in no order; the last two chunks have none. */
static uint32_t fill(struct iovec *iov, int nr)
{
	uint32_t bits = 0;

	for (int i = 0; i < nr; i++) {
		unsigned int chunk = (unsigned int)(i * 7 % NR_IOV * 2);

		iov[i].iov_base = (void *)(FAKE_BASE + chunk * CHUNK + 100);
		iov[i].iov_len = 16;
		bits |= 1U << chunk;
	}
	return bits;
}

static bool enter(struct nb_regs *r, uint64_t nr, const struct iovec *iov,
		  int count)
{
	memset(r, 0, sizeof(*r));
	r->rax = nr;
	r->arg[1] = ARG(iov);
	r->arg[2] = (uint64_t)count;
	r->sp = (uint64_t)__builtin_frame_address(0);
	return nb_guard_enter(r);
}

static void leave(struct nb_regs *r)
{
	r->rax = 0;
	if (nb_guard_leave(r))
		nb_guard_leave_slow(r);
}

/* Of a new thread the slow part sees to the stack. */
static void first_call(void)
{
	struct nb_regs r;

	if (enter(&r, SYS_readv, NULL, 0))
		nb_guard_enter_slow(&r);
	leave(&r);
}

static void test_ranges(void **state)
{
	struct iovec iov[NR_IOV];
	uint32_t own = fill(iov, 3);
	struct nb_regs r;

	(void)state;
	first_call();
	arm_all();
	assert_int_equal(armed(), UINT32_MAX);
	assert_false(enter(&r, SYS_readv, iov, 3));
	assert_int_equal(armed(), ~own);
	arm_all();
	assert_int_equal(armed(), ~own);
	leave(&r);
	arm_all();
	assert_int_equal(armed(), UINT32_MAX);
}

static void test_hull(void **state)
{
	struct iovec iov[NR_IOV];
	uint32_t own = fill(iov, NR_IOV);
	struct nb_regs r;

	(void)state;
	assert_int_equal(own, 0x15555555);
	first_call();
	arm_all();
	assert_false(enter(&r, SYS_writev, iov, NR_IOV));
	/* Not what lies between: it was not asked for. */
	assert_int_equal(armed(), ~own);
	assert_int_equal(nb_disarm_range(sys, FAKE_BASE, FAKE_END), 0);
	/* All that the last range spans stays open while the call runs. */
	arm_all();
	assert_int_equal(armed() & own, 0);
	leave(&r);
	arm_all();
	assert_int_equal(armed(), UINT32_MAX);
}

static void test_upper_half(void **state)
{
	struct nb_regs r;

	(void)state;
	first_call();
	assert_true(enter(&r, 0xdeadULL << 32 | SYS_munmap, NULL, 0));
	nb_guard_enter_slow(&r);
	assert_int_equal(nr_mm, 1);
	leave(&r);
}

/* Handlers that interrupt each other: what is not seen is told. */
static void test_too_deep(void **state)
{
	struct nb_regs r[NB_CALL_DEPTH + 1];
	int i = 0;

	(void)state;
	first_call();
	nr_mm = 0;
	for (; i < NB_CALL_DEPTH; i++) {
		r[i] = (struct nb_regs){
			.rax = SYS_munmap,
			.sp = (uint64_t)__builtin_frame_address(0) -
			      (uint64_t)i * 64,
		};
		assert_true(nb_guard_enter(&r[i]));
		nb_guard_enter_slow(&r[i]);
	}
	assert_int_equal(nr_mm, NB_CALL_DEPTH);
	assert_int_equal(nr_opaque + nr_no_room, 0);
	r[i] = r[i - 1];
	r[i].sp -= 64;
	r[i].rax = SYS_read;
	assert_true(nb_guard_enter(&r[i]));
	nb_guard_enter_slow(&r[i]);
	assert_int_equal(nr_opaque, 1);
	assert_int_equal(nr_no_room, 0);
	leave(&r[i]);
	r[i].rax = SYS_munmap;
	assert_true(nb_guard_enter(&r[i]));
	nb_guard_enter_slow(&r[i]);
	assert_int_equal(nr_mm, NB_CALL_DEPTH);
	assert_int_equal(nr_no_room, 1);
	leave(&r[i]);
	while (i--)
		leave(&r[i]);
}

/* It is found by a call that begins, and by one that ends, wherever it was. */
static void test_abandoned(void **state)
{
	uint64_t sp = (uint64_t)__builtin_frame_address(0);
	struct nb_regs outer = {.rax = SYS_munmap, .sp = sp};
	struct nb_regs r = {.rax = SYS_munmap, .sp = sp - 64}, next = r;
	struct nb_call_stack *s;

	(void)state;
	first_call();
	s = &nb_slot_self()->calls;
	for (int i = 0; i < 2; i++) {
		assert_true(nb_guard_enter(&outer));
		nb_guard_enter_slow(&outer);
		r.rax = SYS_munmap;
		assert_true(nb_guard_enter(&r));
		nb_guard_enter_slow(&r);
		gone = NULL;
		nb_call_owe(s, &s->call[1], true);
		if (i) { /* deeper than that */
			next.sp = sp - 128;
			next.rax = SYS_read;
			assert_true(nb_guard_enter(&next));
			nb_guard_enter_slow(&next);
			assert_ptr_equal(gone, &s->call[1]);
			leave(&next);
		}
		leave(&outer);
		assert_ptr_equal(gone, &s->call[1]);
		assert_int_equal(s->depth, 0);
		assert_int_equal(s->owing, 0);
		outer.rax = SYS_munmap;
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_ranges, setup),
		cmocka_unit_test_setup(test_hull, setup),
		cmocka_unit_test_setup(test_upper_half, setup),
		cmocka_unit_test_setup(test_too_deep, setup),
		cmocka_unit_test_setup(test_abandoned, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

#else

int main(void)
{
	return 77;
}

#endif
