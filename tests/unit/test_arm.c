/* SPDX-License-Identifier: MIT */
/*
 * mech/arm.c on a fake address space: every system call failing in turn, and
 * random sequences; after each step the books and the protections agree.
 */
#include "../../lib/mech/arm.h"

#include "fake_sys.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#define RW (PROT_READ | PROT_WRITE)
#define SHIFT 16
#define CHUNK (1ULL << SHIFT)
#define NR_BLOCKS 4
#define LEN (NR_BLOCKS * NB_BLOCK_BYTES)

static const struct nb_sys *sys = &fake_sys;
static const uint64_t all_bits[8] = {~0ULL, ~0ULL, ~0ULL, ~0ULL,
				     ~0ULL, ~0ULL, ~0ULL, ~0ULL};

static int setup(void **state)
{
	(void)state;
	fake_reset();
	nb_chunk_table_init();
	fake_map(FAKE_BASE, LEN, 0);
	nb_forget_range(FAKE_BASE, FAKE_END, true);
	for (uint64_t a = FAKE_BASE; a < FAKE_BASE + LEN; a += NB_BLOCK_BYTES)
		nb_block_get(a, SHIFT);
	return 0;
}

static struct nb_block *block(unsigned int i)
{
	return nb_block_find(FAKE_BASE + i * NB_BLOCK_BYTES);
}

static enum nb_chunk_state state_of(uint64_t addr)
{
	struct nb_block *b = nb_block_find(addr);

	return atomic_load(&b->state[nb_chunk_index(b, addr)]);
}

/*
 * What is not accessible is in the books; with @exact the books are right the
 * other way round too (after an error a chunk may be called armed and is not).
 */
static void check_books(bool exact)
{
	struct nb_block *b;

	for (uint64_t a = FAKE_BASE; a < FAKE_BASE + LEN; a += FAKE_PAGE) {
		int prot = fake_page(a)->prot;
		enum nb_chunk_state st = state_of(a);

		assert_true(st != NB_CHUNK_BUSY && st != NB_CHUNK_ARMING);
		if (st != NB_CHUNK_ARMED)
			assert_int_equal(prot, RW);
		else if (exact)
			assert_int_equal(prot, PROT_NONE);
	}
	for (b = nb_block_next(FAKE_BASE, FAKE_END); b;
	     b = nb_block_next(b->start + NB_BLOCK_BYTES, FAKE_END)) {
		unsigned int nr = 0;

		for (unsigned int i = 0; i < b->nr_chunks; i++)
			nr += atomic_load(&b->state[i]) == NB_CHUNK_ARMED;
		assert_int_equal(atomic_load(&b->nr_armed), nr);
	}
}

static void arm(unsigned int i, const uint64_t *bits, unsigned int expect)
{
	unsigned int nr;

	assert_int_equal(nb_arm_block(sys, block(i), bits, &nr), 0);
	assert_int_equal(nr, expect);
}

static void arm_all(void)
{
	for (unsigned int i = 0; i < NR_BLOCKS; i++)
		arm(i, all_bits, 32);
}

static void test_arm_runs(void **state)
{
	uint64_t bits[8] = {0x00f0000f};
	struct nb_block *b = block(1);

	(void)state;
	fake_log_clear();
	arm(1, bits, 8);
	check_books(true);
	assert_int_equal(fake.calls[FAKE_MPROTECT], 2); /* one for each run */
	assert_int_equal(fake_logged(FAKE_MPROTECT, 1)->addr,
			 b->start + 20 * CHUNK);
	assert_int_equal(fake_logged(FAKE_MPROTECT, 1)->len, 4 * CHUNK);
	assert_int_equal(nb_exclude_range(sys, b->start + 8 * CHUNK,
					  b->start + 10 * CHUNK, SHIFT),
			 0);
	/* what is armed or excluded stays so and is not counted again */
	arm(1, all_bits, 32 - 8 - 2);
	check_books(true);
	assert_int_equal(state_of(b->start + 9 * CHUNK), NB_CHUNK_EXCLUDED);
	assert_true(nb_range_armed(FAKE_BASE, FAKE_END));
}

/* Neighbours share one call, over block ends too, up to max_bytes. */
static void test_arm_batch(void **state)
{
	struct nb_arm_batch batch = {.sys = sys, .max_bytes = 3 * CHUNK};
	uint64_t bits[2][8] = {{0xe0000001}, {0x00000003}};
	unsigned int nr;

	(void)state;
	fake_log_clear();
	for (unsigned int i = 0; i < 2; i++) {
		assert_int_equal(nb_arm_add(&batch, block(i), bits[i], &nr), 0);
		assert_int_equal(nr, i ? 2 : 4);
	}
	/* 0; 29, 30, 31, which is as long as may be; 32, 33 are waiting */
	assert_int_equal(fake.calls[FAKE_MPROTECT], 2);
	assert_int_equal(state_of(block(1)->start), NB_CHUNK_ARMING);
	assert_int_equal(nb_arm_flush(&batch), 0);
	assert_int_equal(nb_arm_flush(&batch), 0);
	assert_int_equal(fake.calls[FAKE_MPROTECT], 3);
	assert_int_equal(fake_logged(FAKE_MPROTECT, 1)->len, 3 * CHUNK);
	check_books(true);
	nb_disarm_range(sys, FAKE_BASE, FAKE_BASE + LEN);
	/* refused, the run over both blocks is given back in both */
	batch.max_bytes = LEN;
	fake.fault = (struct fake_fault){
		.kind = FAKE_MPROTECT, .nth = 2, .count = 1, .err = ENOMEM};
	fake.fault.partial = true;
	nb_arm_add(&batch, block(0), bits[0], &nr);
	nb_arm_add(&batch, block(1), bits[1], &nr);
	assert_int_equal(nb_arm_flush(&batch), -ENOMEM);
	assert_int_equal(atomic_load(&block(0)->nr_armed), 1);
	assert_int_equal(atomic_load(&block(1)->nr_armed), 0);
	check_books(true);
}

static void test_disarm_chunk(void **state)
{
	struct nb_block *b = block(0);

	(void)state;
	assert_int_equal(nb_disarm_chunk(sys, b, 3), NB_DISARM_NOT);
	arm(0, all_bits, 32);
	assert_int_equal(nb_disarm_chunk(sys, b, 3), NB_DISARM_DONE);
	assert_int_equal(nb_disarm_chunk(sys, b, 3), NB_DISARM_NOT);
	assert_int_equal(atomic_load(&b->nr_armed), 31);
	check_books(true);
	nb_exclude_range(sys, b->start, b->start + 1, SHIFT);
	assert_int_equal(nb_disarm_chunk(sys, b, 0), NB_DISARM_NOT);
	atomic_store(&b->state[7], NB_CHUNK_BUSY);
	assert_int_equal(nb_disarm_chunk(sys, b, 7), NB_DISARM_RACE);
	atomic_store(&b->state[7], NB_CHUNK_ARMING);
	assert_int_equal(nb_disarm_chunk(sys, b, 7), NB_DISARM_RACE);
	atomic_store(&b->state[7], NB_CHUNK_ARMED);
	check_books(true);
}

/* No room for another mapping: the neighbours are given back as well. */
static void test_disarm_chunk_no_room(void **state)
{
	uint64_t bits[8] = {0x0003f0ff};
	struct nb_block *b = block(1);

	(void)state;
	arm(1, bits, 14);
	fake.max_vmas = fake.nr_vmas;
	assert_int_equal(nb_disarm_chunk(sys, b, 15), NB_DISARM_DONE);
	check_books(true);
	for (unsigned int i = 0; i < 32; i++)
		assert_int_equal(atomic_load(&b->state[i]),
				 i < 8 ? NB_CHUNK_ARMED : NB_CHUNK_NONE);
	/* neighbours that somebody else has at work are not waited for */
	atomic_store(&b->state[2], NB_CHUNK_BUSY);
	fake.max_vmas = fake.nr_vmas;
	assert_int_equal(nb_disarm_chunk(sys, b, 5), NB_DISARM_DONE);
	assert_int_equal(atomic_load(&b->state[1]), NB_CHUNK_ARMED);
	assert_int_equal(atomic_load(&b->state[2]), NB_CHUNK_BUSY);
	assert_int_equal(atomic_load(&b->state[3]), NB_CHUNK_NONE);
	atomic_store(&b->state[2], NB_CHUNK_ARMED);
	check_books(true);
	/* a mapping that reaches over the block's ends would be split in 3 */
	fake.max_vmas = 0;
	arm(0, all_bits, 32);
	arm(1, all_bits, 29);
	arm(2, all_bits, 32);
	fake.max_vmas = fake.nr_vmas;
	assert_int_equal(nb_disarm_chunk(sys, b, 16), NB_DISARM_FAILED);
	check_books(true);
	/* and so it would be block by block: told, and still in the books */
	assert_int_equal(nb_disarm_range(sys, FAKE_BASE, FAKE_BASE + LEN),
			 -ENOMEM);
	check_books(true);
	/* ... but not all at once, which is what standing down does then */
	assert_int_equal(sys->mprotect(FAKE_BASE, LEN, RW), 0);
	nb_forget_range(FAKE_BASE, FAKE_BASE + LEN, false);
	check_books(true);
	assert_int_equal(fake.nr_vmas, 1);
}

static void test_disarm_range(void **state)
{
	uint64_t start = FAKE_BASE + NB_BLOCK_BYTES - CHUNK - 1;
	uint64_t end = FAKE_BASE + 2 * NB_BLOCK_BYTES + CHUNK + 1;

	(void)state;
	arm_all();
	fake_log_clear();
	assert_int_equal(nb_disarm_range(sys, start, end), 0);
	assert_int_equal(fake.calls[FAKE_MPROTECT], 3); /* one a block */
	check_books(true);
	/* all chunks that the range touches, and no other */
	for (uint64_t a = FAKE_BASE; a < FAKE_BASE + LEN; a += CHUNK)
		assert_int_equal(state_of(a), a + CHUNK > start && a < end
						      ? NB_CHUNK_NONE
						      : NB_CHUNK_ARMED);
	assert_int_equal(nb_disarm_range(sys, start, start), 0);
	/* as long as an address space and longer: ends, and soon */
	assert_int_equal(nb_disarm_range(sys, 0, 1ULL << NB_VA_BITS), 0);
	assert_int_equal(nb_disarm_range(sys, FAKE_BASE, UINT64_MAX), 0);
	nb_forget_range(0, UINT64_MAX, false);
	assert_false(nb_range_armed(0, UINT64_MAX));
	check_books(true);
}

static void test_exclude(void **state)
{
	uint64_t start = FAKE_BASE + 5 * CHUNK + 17;
	uint64_t end = FAKE_BASE + NB_BLOCK_BYTES + 3 * CHUNK;

	(void)state;
	arm_all();
	assert_int_equal(nb_exclude_range(sys, start, end, SHIFT), 0);
	assert_true(nb_range_excluded(start, end));
	assert_false(nb_range_excluded(start, end + 1));
	assert_false(nb_range_excluded(FAKE_BASE + 5 * CHUNK - 1, end));
	check_books(true);
	for (unsigned int i = 0; i < NR_BLOCKS; i++) {
		unsigned int nr;

		nb_arm_block(sys, block(i), all_bits, &nr);
		assert_int_equal(nr, 0);
	}
	nb_disarm_range(sys, FAKE_BASE, FAKE_BASE + LEN);
	assert_true(nb_range_excluded(start, end));
	/* finer chunks later keep it */
	assert_int_equal(nb_block_get(start, 12)->nr_chunks, 512);
	assert_true(nb_range_excluded(start, end));
	assert_false(nb_range_excluded(start, end + 1));
	nb_forget_range(start, end, false);
	assert_true(nb_range_excluded(start, end));
	nb_forget_range(start, end, true);
	assert_false(nb_range_excluded(start, start + 1));
	/* beyond all addresses there is nothing to exclude */
	assert_int_equal(nb_exclude_range(sys, 1ULL << NB_VA_BITS,
					  (1ULL << NB_VA_BITS) + 1, SHIFT),
			 -ENOMEM);
}

static void test_forget(void **state)
{
	struct nb_block *b = block(0);

	(void)state;
	arm(0, all_bits, 32);
	b->data[3] = b->data[4] = 77;
	fake_map(FAKE_BASE, LEN, 0); /* mapped anew over it */
	nb_forget_range(FAKE_BASE, FAKE_BASE + 4 * CHUNK, true);
	assert_int_equal(atomic_load(&b->nr_armed), 28);
	assert_int_equal(b->data[3], 0);
	assert_int_equal(b->data[4], 77);
	nb_forget_range(FAKE_BASE, FAKE_BASE + LEN, true);
	check_books(true);
}

static void forget_all(void)
{
	nb_forget_range(FAKE_BASE, FAKE_BASE + LEN, false);
}

/* Forgotten while a thread gives it back: counted off once, not twice. */
static void test_forget_while_disarming(void **state)
{
	struct nb_block *b = block(0);

	(void)state;
	arm(0, all_bits, 32);
	fake.meanwhile = forget_all;
	fake_map(FAKE_BASE, LEN, 0);
	assert_int_equal(nb_disarm_chunk(sys, b, 5), NB_DISARM_DONE);
	assert_int_equal(atomic_load(&b->nr_armed), 0);
	check_books(true);
}

/* ---- every call failing in turn ------------------------------------------ */

static void do_arm(void)
{
	struct nb_arm_batch batch = {.sys = sys, .max_bytes = 8 * CHUNK};
	uint64_t bits[8] = {0xcff00f3f};
	unsigned int nr;

	for (unsigned int i = 0; i < NR_BLOCKS; i++)
		if (nb_arm_add(&batch, block(i), bits, &nr))
			break;
	nb_arm_flush(&batch);
}

static void do_disarm_chunks(void)
{
	do_arm();
	for (unsigned int i = 0; i < 32; i += 3)
		nb_disarm_chunk(sys, block(1), i);
}

static void do_disarm_range(void)
{
	do_arm();
	nb_disarm_range(sys, FAKE_BASE + CHUNK + 1, FAKE_BASE + LEN - 1);
}

static void do_exclude(void)
{
	do_arm();
	nb_exclude_range(sys, FAKE_BASE + 3 * CHUNK,
			 FAKE_BASE + NB_BLOCK_BYTES + 5, SHIFT);
	do_arm();
}

static void fail_one(void (*op)(void), const struct fake_fault *f)
{
	setup(NULL);
	fake.fault = *f;
	op();
	check_books(false);
	/* what had failed before works now, and everything can be had back */
	fake_fail_end();
	assert_int_equal(nb_disarm_range(sys, FAKE_BASE, FAKE_BASE + LEN), 0);
	check_books(true);
	assert_false(nb_range_armed(FAKE_BASE, FAKE_BASE + LEN));
	assert_int_equal(fake.nr_vmas, 1);
}

static void test_each_call_fails(void **state)
{
	static void (*const ops[])(void) = {do_arm, do_disarm_chunks,
					    do_disarm_range, do_exclude};
	static const int errs[] = {ENOMEM, EINVAL, EACCES};

	(void)state;
	for (unsigned int o = 0; o < nb_array_size(ops) * 12; o++) {
		struct fake_fault f = {.kind = FAKE_MPROTECT};
		unsigned int op = o / 12, fired = 1;

		f.err = errs[o % 3];
		f.partial = o / 3 % 2;
		f.count = o / 6 % 2 ? ~0U : 1;
		for (f.nth = 1; fired; f.nth++) {
			assert_true(f.nth < 200);
			setup(NULL);
			fake.fault = f;
			ops[op]();
			fired = fake_fail_end();
			fail_one(ops[op], &f);
		}
		assert_true(f.nth > 10);
	}
}

/* An error is told, and the chunks that it is about are still in the books. */
static void test_errors_told(void **state)
{
	unsigned int nr;

	(void)state;
	fake_fail(FAKE_MPROTECT, 1, EACCES);
	assert_int_equal(nb_arm_block(sys, block(0), all_bits, &nr), -EACCES);
	assert_int_equal(atomic_load(&block(0)->nr_armed), 0);
	check_books(true);
	arm_all();
	fake_fail(FAKE_MPROTECT, 2, EINVAL);
	assert_int_equal(nb_disarm_range(sys, FAKE_BASE, FAKE_BASE + LEN),
			 -EINVAL);
	assert_int_equal(atomic_load(&block(0)->nr_armed), 0);
	assert_int_equal(atomic_load(&block(1)->nr_armed), 32);
	assert_int_equal(atomic_load(&block(2)->nr_armed), 0);
	fake_fail(FAKE_MPROTECT, 1, EINVAL);
	assert_int_equal(
		nb_exclude_range(sys, FAKE_BASE, FAKE_BASE + LEN, SHIFT),
		-EINVAL);
	assert_int_equal(atomic_load(&block(1)->nr_armed), 32);
	assert_false(nb_range_excluded(FAKE_BASE, FAKE_BASE + 1));
	check_books(true);
}

/* ---- random sequences ---------------------------------------------------- */

static uint64_t seed;

static uint64_t rnd(uint64_t n)
{
	seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
	return (seed >> 33) % n;
}

static void random_step(void)
{
	uint64_t bits[8], start = FAKE_BASE + rnd(LEN - 1);
	uint64_t end = start + 1 + rnd(FAKE_BASE + LEN - start);
	struct nb_block *b = block((unsigned int)rnd(NR_BLOCKS));
	unsigned int nr;

	for (int i = 0; i < 8; i++)
		bits[i] = rnd(UINT32_MAX) << 32 | rnd(UINT32_MAX);
	switch (rnd(10)) {
	case 0:
		if (!nb_disarm_range(sys, start, end))
			assert_false(state_of(start) == NB_CHUNK_ARMED ||
				     state_of(end - 1) == NB_CHUNK_ARMED);
		break;
	case 1:
		end = start + 1 + rnd(4 * CHUNK);
		if (end > FAKE_BASE + LEN)
			break;
		if (!nb_exclude_range(sys, start, end, SHIFT))
			assert_true(nb_range_excluded(start, end));
		break;
	case 2:
		if (!nb_disarm_range(sys, start, end))
			nb_forget_range(start, end, rnd(2));
		break;
	case 3:
		nb_block_get(start, (unsigned int)(13 + rnd(6)));
		break;
	case 4:
	case 5:
		nb_arm_block(sys, b, bits, &nr);
		break;
	default:
		nb_disarm_chunk(sys, b, (unsigned int)rnd(b->nr_chunks));
	}
}

static void test_random(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < 6000; i++) {
		if (i % 500 == 0) {
			setup(NULL);
			seed = i;
			fake.max_vmas = i % 1000 ? 0 : 20;
		}
		if (i % 7 == 0)
			fake_fail(FAKE_MPROTECT, 1 + i % 3, ENOMEM);
		random_step();
		check_books(false);
		if (i % 500 != 499)
			continue;
		fake_fail_end();
		fake.max_vmas = 0;
		assert_int_equal(
			nb_disarm_range(sys, FAKE_BASE, FAKE_BASE + LEN), 0);
		check_books(true);
		assert_int_equal(fake.nr_vmas, 1);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_arm_runs, setup),
		cmocka_unit_test_setup(test_arm_batch, setup),
		cmocka_unit_test_setup(test_disarm_chunk, setup),
		cmocka_unit_test_setup(test_disarm_chunk_no_room, setup),
		cmocka_unit_test_setup(test_disarm_range, setup),
		cmocka_unit_test_setup(test_errors_told, setup),
		cmocka_unit_test_setup(test_forget, setup),
		cmocka_unit_test_setup(test_forget_while_disarming, setup),
		cmocka_unit_test_setup(test_each_call_fails, setup),
		/* blocks have smaller chunks after these */
		cmocka_unit_test_setup(test_exclude, setup),
		cmocka_unit_test_setup(test_random, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
