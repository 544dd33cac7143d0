/* SPDX-License-Identifier: MIT */
/*
 * mech/arm.c and calls in flight: what is published is not armed, whenever it
 * is published; what is armed is given back to a call; never excluded again.
 */
#include "../../lib/mech/arm.h"
#include "../../lib/mech/slot.h"
#include "../../lib/plat/arena.h"

#include "fake_sys.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#define RW (PROT_READ | PROT_WRITE)
#define SHIFT 16
#define CHUNK (1ULL << SHIFT)
#define PER_BLOCK 32
#define NR_CHUNKS (2 * PER_BLOCK)
#define LEN (2 * NB_BLOCK_BYTES)

static const struct nb_sys *sys = &fake_sys;
static struct nb_slot *slots;

static int setup(void **state)
{
	(void)state;
	fake_reset();
	nb_chunk_table_init();
	fake_map(FAKE_BASE, LEN, 0);
	nb_forget_range(FAKE_BASE, FAKE_END, true);
	for (uint64_t a = FAKE_BASE; a < FAKE_BASE + LEN; a += NB_BLOCK_BYTES)
		nb_block_get(a, SHIFT);
	nb_slots_after_fork();
	if (!slots)
		slots = nb_arena_map(NB_MAX_SLOTS * sizeof(*slots));
	nb_slots_init(slots);
	assert_int_equal(nb_nr_armed, 0);
	return slots ? 0 : -1;
}

static _Atomic uint8_t *state_of(unsigned int chunk)
{
	struct nb_block *b = nb_block_find(FAKE_BASE + chunk * CHUNK);

	return &b->state[chunk % PER_BLOCK];
}

/* Armed are exactly the chunks [from, to); says so everywhere. */
static void check_armed(unsigned int from, unsigned int to)
{
	unsigned int nr = 0;

	for (unsigned int i = 0; i < NR_CHUNKS; i++) {
		bool armed = i >= from && i < to;

		assert_int_equal(atomic_load(state_of(i)) == NB_CHUNK_ARMED,
				 armed);
		assert_int_equal(fake_page(FAKE_BASE + i * CHUNK)->prot,
				 armed ? PROT_NONE : RW);
		assert_int_equal(
			fake_page(FAKE_BASE + (i + 1) * CHUNK - 1)->prot,
			armed ? PROT_NONE : RW);
		nr += armed;
	}
	assert_int_equal(nb_nr_armed, nr);
	nr = 0;
	for (uint64_t a = 0; a < LEN; a += NB_BLOCK_BYTES)
		nr += atomic_load(&nb_block_find(FAKE_BASE + a)->nr_armed);
	assert_int_equal(nb_nr_armed, nr);
}

/* Arm chunks [from, to) as one batch. */
static int arm(unsigned int from, unsigned int to)
{
	struct nb_arm_batch batch = {.sys = sys, .max_bytes = LEN};
	unsigned int nr;

	for (unsigned int n = 0; n < 2; n++) {
		uint64_t bits[8] = {0};
		struct nb_block *b =
			nb_block_find(FAKE_BASE + n * NB_BLOCK_BYTES);
		int err;

		for (unsigned int i = 0; i < PER_BLOCK; i++)
			if (n * PER_BLOCK + i >= from && n * PER_BLOCK + i < to)
				bits[0] |= 1ULL << i;
		err = nb_arm_add(&batch, b, bits, &nr);
		if (err)
			return err;
	}
	return nb_arm_flush(&batch);
}

/* A call of thread @n in flight. */
static struct nb_call *call_of(int n, uint64_t start, uint64_t len)
{
	struct nb_call_stack *s =
		&nb_slot_at(nb_slot_note_found(10000000 + n))->calls;
	struct nb_call *c = &s->call[s->depth];

	atomic_store(&c->flags, 0);
	atomic_store(&c->range[0].start, start);
	atomic_store(&c->range[0].end, start + len);
	atomic_store(&c->nr_ranges, 1);
	atomic_fetch_add(&s->depth, 1);
	return c;
}

static void test_spared(void **state)
{
	const uint64_t at = FAKE_BASE + 10 * CHUNK;

	(void)state;
	/* two bytes over a border; nothing; over the blocks' border; elsewhere
	 */
	call_of(0, at + CHUNK - 1, 2);
	call_of(1, at, 0);
	call_of(1, FAKE_BASE + NB_BLOCK_BYTES - 1, 2);
	call_of(2, 0, 4096);
	fake_log_clear();
	assert_int_equal(arm(0, 10), 0);
	check_armed(0, 10);
	assert_int_equal(nb_disarm_range(sys, FAKE_BASE, FAKE_END), 0);
	assert_int_equal(arm(10, 31), 0);
	check_armed(12, 31);
	assert_int_equal(nb_disarm_range(sys, FAKE_BASE, FAKE_END), 0);
	assert_int_equal(arm(31, 33), 0);
	check_armed(0, 0);
	assert_int_equal(arm(31, 60), 0);
	check_armed(33, 60);
	assert_int_equal(nb_disarm_range(sys, FAKE_BASE, FAKE_END), 0);
	fake_log_clear();
	assert_int_equal(arm(9, 64), 0);
	assert_int_equal(nb_nr_armed, 64 - 9 - 4);
	/* one barrier; 9, 12 to 30, 33 to 63 */
	assert_int_equal(fake.calls[FAKE_MEMBARRIER], 1);
	assert_int_equal(fake.calls[FAKE_MPROTECT], 3);
	assert_ptr_equal(fake_logged(FAKE_MEMBARRIER, 0),
			 &fake.log[0]); /* before them */
	assert_int_equal(fake_logged(FAKE_MPROTECT, 1)->len, 19 * CHUNK);
}

static void publish_late(void)
{
	call_of(0, FAKE_BASE + 5 * CHUNK, 1);
}

static void test_published_meanwhile(void **state)
{
	(void)state;
	fake.at_membarrier = publish_late;
	assert_int_equal(arm(5, 64), 0);
	assert_null(fake.at_membarrier);
	check_armed(6, 64);
}

static void test_opaque(void **state)
{
	struct nb_call *c = call_of(0, 0, 0);

	(void)state;
	atomic_store(&c->flags, NB_CALL_OPAQUE);
	fake_log_clear();
	assert_int_equal(arm(0, 64), 0);
	check_armed(0, 0);
	assert_int_equal(fake.calls[FAKE_MPROTECT], 0);
	atomic_store(&c->flags, 0);
	atomic_store(&nb_slot_at(0)->calls.overflow, 5);
	assert_int_equal(arm(0, 64), 0);
	check_armed(0, 0);
	atomic_store(&nb_slot_at(0)->calls.overflow, 0);
	assert_int_equal(arm(0, 64), 0);
	check_armed(0, 64);
}

static void test_no_barrier(void **state)
{
	static const int errs[] = {ENOSYS, EPERM, EINVAL};

	(void)state;
	for (int i = 0; i < 3; i++) {
		fake_log_clear();
		fake_fail(FAKE_MEMBARRIER, 1, errs[i]);
		assert_int_equal(arm(0, 64), -EPERM);
		assert_int_equal(fake_fail_end(), 1);
		check_armed(0, 0);
		assert_int_equal(fake.calls[FAKE_MPROTECT], 0);
	}
	/* nobody publishes: none is asked for */
	nb_arm_without_barrier(true);
	fake_fail(FAKE_MEMBARRIER, 1, EPERM);
	assert_int_equal(arm(0, 64), 0);
	assert_int_equal(fake_fail_end(), 0);
	check_armed(0, 64);
	nb_arm_without_barrier(false);
}

/* A part is refused: what was done before stays, the rest is not done. */
static void test_part_refused(void **state)
{
	(void)state;
	call_of(0, FAKE_BASE + 10 * CHUNK, 1);
	call_of(1, FAKE_BASE + 20 * CHUNK, 1);
	for (unsigned int nth = 1; nth <= 3; nth++) {
		fake_fail(FAKE_MPROTECT, nth, ENOMEM);
		assert_int_equal(arm(0, 64), -ENOMEM);
		assert_int_equal(fake_fail_end(), 1);
		assert_int_equal(nb_nr_armed, nth == 1	 ? 0
					      : nth == 2 ? 10
							 : 19);
		assert_int_equal(nb_disarm_range(sys, FAKE_BASE, FAKE_END), 0);
		check_armed(0, 0);
	}
	/* the last chunk is spared */
	call_of(2, FAKE_BASE + 63 * CHUNK, 1);
	assert_int_equal(arm(21, 64), 0);
	check_armed(21, 63);
}

static void test_for_call(void **state)
{
	const uint64_t at = FAKE_BASE + 10 * CHUNK;
	sigset_t before, after;

	(void)state;
	/* The kernel writes less than there is. */
	memset(&before, 0, sizeof(before));
	memset(&after, 0, sizeof(after));
	sigprocmask(SIG_SETMASK, NULL, &before);
	assert_int_equal(nb_disarm_for_call(sys, 0, UINT64_MAX), 0);
	assert_int_equal(arm(0, 32), 0);
	fake_log_clear();
	assert_int_equal(nb_disarm_for_call(sys, at, at), 0);
	assert_int_equal(nb_disarm_for_call(sys, at + NB_BLOCK_BYTES, at + LEN),
			 0);
	assert_int_equal(fake.nr_log, 0);
	assert_int_equal(
		nb_disarm_for_call(sys, at + CHUNK - 1, at + CHUNK + 1), 2);
	assert_int_equal(fake.nr_log, 1);
	assert_int_equal(nb_disarm_for_call(sys, at, at + 8 * CHUNK), 6);
	assert_int_equal(nb_nr_armed, 24);
	assert_int_equal(nb_disarm_for_call(sys, at + CHUNK, at + 3 * CHUNK),
			 0);
	assert_int_equal(nb_disarm_for_call(sys, 0, UINT64_MAX), 24);
	check_armed(0, 0);
	sigprocmask(SIG_SETMASK, NULL, &after);
	assert_memory_equal(&before, &after, sizeof(before));
}

static void test_for_call_refused(void **state)
{
	(void)state;
	assert_int_equal(arm(0, 32), 0);
	/* as one, no; one by one, yes */
	fake_fail(FAKE_MPROTECT, 1, ENOMEM);
	assert_int_equal(nb_disarm_for_call(sys, FAKE_BASE, FAKE_BASE + CHUNK),
			 1);
	assert_int_equal(fake_fail_end(), 1);
	fake.max_vmas = fake.nr_vmas;
	assert_int_equal(nb_disarm_for_call(sys, FAKE_BASE + 9 * CHUNK,
					    FAKE_BASE + 9 * CHUNK + 1),
			 1);
	assert_int_equal(nb_nr_armed, 0); /* with all around it */
	fake.max_vmas = 0;
	assert_int_equal(arm(0, 32), 0);
	fake_fail_from(FAKE_MPROTECT, 1, EACCES);
	assert_int_equal(nb_disarm_for_call(sys, FAKE_BASE, FAKE_END), -ENOMEM);
	assert_true(fake_fail_end() > 1);
	check_armed(0, 32);
}

static void test_excluded(void **state)
{
	const uint64_t at = FAKE_BASE + 10 * CHUNK;

	(void)state;
	assert_int_equal(nb_mark_excluded(sys, 0, FAKE_BASE), 0);
	assert_int_equal(arm(0, 12), 0);
	assert_int_equal(nb_mark_excluded(sys, at - 1, at + 3 * CHUNK + 1), 0);
	assert_true(nb_range_excluded(at - CHUNK, at + 4 * CHUNK));
	assert_false(nb_range_excluded(at - 2 * CHUNK, at));
	check_armed(0, 9);
	assert_int_equal(nb_mark_excluded(sys, at, at + 1), 0);
	assert_int_equal(arm(9, 64), 0);
	assert_int_equal(nb_nr_armed, 64 - 5);
	fake_fail_from(FAKE_MPROTECT, 1, EACCES);
	assert_int_equal(nb_mark_excluded(sys, FAKE_BASE, FAKE_BASE + 1),
			 -ENOMEM);
	fake_fail_end();
	assert_false(nb_range_excluded(FAKE_BASE, FAKE_BASE + 1));
}

/* ---- somebody else is at it ---------------------------------------------- */

static _Atomic int waited;

static void *call_waits(void *arg)
{
	int n = arg ? nb_mark_excluded(sys, FAKE_BASE, FAKE_BASE + 1)
		    : nb_disarm_for_call(sys, FAKE_BASE, FAKE_BASE + 1);

	atomic_store(&waited, 1);
	return (void *)(long)n;
}

static void test_waits(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < 12; i++) {
		uint8_t meanwhile = i & 1 ? NB_CHUNK_BUSY : NB_CHUNK_ARMING;
		uint8_t then = i & 2 ? NB_CHUNK_NONE : NB_CHUNK_ARMED;
		bool exclude = i >= 8;
		pthread_t t;
		void *ret;

		setup(NULL);
		assert_int_equal(arm(0, 1), 0);
		atomic_store(state_of(0), meanwhile);
		atomic_store(&waited, 0);
		pthread_create(&t, NULL, call_waits, (void *)(long)exclude);
		/* long enough for it to sleep, too */
		usleep(i & 4 ? 20000 : 1000);
		assert_int_equal(waited, 0);
		if (then == NB_CHUNK_NONE) {
			nb_forget_range(FAKE_BASE, FAKE_BASE + 1, false);
			fake_map(FAKE_BASE, CHUNK, 0);
		} else {
			atomic_store(state_of(0), then);
		}
		pthread_join(t, &ret);
		assert_int_equal((long)ret, then == NB_CHUNK_ARMED && !exclude);
		check_armed(0, 0);
		assert_int_equal(nb_range_excluded(FAKE_BASE, FAKE_BASE + 1),
				 exclude);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_spared, setup),
		cmocka_unit_test_setup(test_published_meanwhile, setup),
		cmocka_unit_test_setup(test_opaque, setup),
		cmocka_unit_test_setup(test_no_barrier, setup),
		cmocka_unit_test_setup(test_part_refused, setup),
		cmocka_unit_test_setup(test_for_call, setup),
		cmocka_unit_test_setup(test_for_call_refused, setup),
		cmocka_unit_test_setup(test_excluded, setup),
		cmocka_unit_test_setup(test_waits, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
