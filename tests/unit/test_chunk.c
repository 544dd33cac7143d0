/* SPDX-License-Identifier: MIT */
/*
 * mech/chunk.c: the table of blocks.
 */
#include "../../lib/mech/chunk.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

/* Each test has its own gibibyte: blocks are never taken out again. */
#define GIB (1ULL << 30)

static void test_before_init(void **state)
{
	(void)state;
	assert_null(nb_block_find(GIB));
	assert_null(nb_block_get(GIB, 12));
	assert_null(nb_block_next(0, UINT64_MAX));
	assert_int_equal(nb_chunk_table_bytes(), 0);
	assert_int_equal(nb_chunk_table_init(), 0);
	assert_int_equal(nb_chunk_table_init(), 0);
}

static void test_find_and_get(void **state)
{
	uint64_t addr = 5 * GIB + 3 * NB_BLOCK_BYTES + 12345, bytes;
	struct nb_block *b;

	(void)state;
	assert_null(nb_block_find(addr));
	b = nb_block_get(addr, 16);
	assert_non_null(b);
	assert_int_equal(b->start, 5 * GIB + 3 * NB_BLOCK_BYTES);
	assert_int_equal(b->chunk_shift, 16);
	assert_int_equal(b->nr_chunks, 32);
	assert_int_equal(atomic_load(&b->nr_armed), 0);
	for (unsigned int i = 0; i < 32; i++) {
		assert_int_equal(atomic_load(&b->state[i]), NB_CHUNK_NONE);
		assert_int_equal(b->data[i], 0);
	}
	bytes = nb_chunk_table_bytes();
	assert_true(bytes > 0);
	assert_ptr_equal(nb_block_find(b->start), b);
	assert_ptr_equal(nb_block_find(b->start + NB_BLOCK_BYTES - 1), b);
	assert_null(nb_block_find(b->start - 1));
	assert_null(nb_block_find(b->start + NB_BLOCK_BYTES));
	assert_ptr_equal(nb_block_get(addr, 16), b);
	assert_ptr_equal(nb_block_get(addr, 18), b); /* it has smaller ones */
	assert_int_equal(nb_chunk_table_bytes(), bytes);
	assert_int_equal(nb_chunk_index(b, b->start), 0);
	assert_int_equal(nb_chunk_index(b, b->start + 65535), 0);
	assert_int_equal(nb_chunk_index(b, b->start + 65536), 1);
	assert_int_equal(nb_chunk_start(b, 31),
			 b->start + NB_BLOCK_BYTES - 65536);
	assert_int_equal(nb_chunk_bytes(b), 65536);
	/* A huge page is one chunk, unless something is excluded in it. */
	atomic_store(&b->state[3], NB_CHUNK_EXCLUDED);
	assert_ptr_equal(nb_block_get(addr, 21), b);
	atomic_store(&b->state[3], NB_CHUNK_NONE);
	atomic_store(&b->nr_armed, 1);
	assert_ptr_equal(nb_block_get(addr, 21), b);
	atomic_store(&b->nr_armed, 0);
	assert_int_equal(nb_block_get(addr, 21)->nr_chunks, 1);
}

static void test_sizes(void **state)
{
	(void)state;
	for (unsigned int shift = 12; shift <= NB_BLOCK_SHIFT; shift++) {
		uint64_t addr = 7 * GIB + shift * NB_BLOCK_BYTES;
		struct nb_block *b = nb_block_get(addr, shift);
		unsigned int nr = 1U << (NB_BLOCK_SHIFT - shift);

		assert_non_null(b);
		assert_int_equal(b->nr_chunks, nr);
		/* 8-aligned, behind the states, and all ours to write */
		assert_int_equal((uint64_t)b->data % 8, 0);
		assert_true((char *)b->data >= (char *)&b->state[nr]);
		for (unsigned int i = 0; i < nr; i++)
			b->data[i] = ~0ULL;
		assert_int_equal(atomic_load(&b->state[nr - 1]), 0);
		assert_int_equal(b->start, addr);
	}
}

static void test_replaced_by_smaller(void **state)
{
	uint64_t addr = 9 * GIB;
	struct nb_block *b = nb_block_get(addr, 20), *fine;

	(void)state;
	atomic_store(&b->state[1], NB_CHUNK_EXCLUDED);
	/* not while a chunk is armed */
	atomic_store(&b->state[0], NB_CHUNK_ARMED);
	atomic_store(&b->nr_armed, 1);
	assert_ptr_equal(nb_block_get(addr, 12), b);
	atomic_store(&b->state[0], NB_CHUNK_NONE);
	atomic_store(&b->nr_armed, 0);
	fine = nb_block_get(addr, 12);
	assert_ptr_not_equal(fine, b);
	assert_ptr_equal(nb_block_find(addr), fine);
	assert_int_equal(fine->nr_chunks, 512);
	for (unsigned int i = 0; i < 512; i++)
		assert_int_equal(atomic_load(&fine->state[i]),
				 i < 256 ? NB_CHUNK_NONE : NB_CHUNK_EXCLUDED);
	/* the old one is still there for who found it a moment ago */
	assert_int_equal(atomic_load(&b->state[1]), NB_CHUNK_EXCLUDED);
	assert_int_equal(b->nr_chunks, 2);
}

/* Mappings of other sizes come and go at one address, for months. */
static void test_replaced_for_ever(void **state)
{
	uint64_t addr = 13 * GIB, bytes = 0;
	struct nb_block *b;

	(void)state;
	for (int i = 0; i < 1000; i++) {
		b = nb_block_get(addr, i % 3 ? 12 : 16);
		b->data[i % b->nr_chunks] = 1;
		b = nb_block_get(addr, 21);
		assert_int_equal(b->nr_chunks, 1);
		assert_int_equal(b->data[0], 0);
		b->data[0] = 1;
		if (i == 2)
			bytes = nb_chunk_table_bytes();
	}
	assert_int_equal(nb_chunk_table_bytes(), bytes);
	/* what was known of it before is not true any more */
	b = nb_block_get(addr, 12);
	for (unsigned int i = 0; i < b->nr_chunks; i++)
		assert_int_equal(b->data[i], 0);
	atomic_store(&b->state[7], NB_CHUNK_EXCLUDED);
	assert_ptr_equal(nb_block_get(addr, 21), b);
	atomic_store(&b->state[7], NB_CHUNK_NONE);
	b = nb_block_get(addr, 21);
	atomic_store(&b->state[0], NB_CHUNK_EXCLUDED);
	b = nb_block_get(addr, 12);
	assert_int_equal(atomic_load(&b->state[511]), NB_CHUNK_EXCLUDED);
	assert_ptr_equal(nb_block_find(addr), b);
}

static void test_out_of_range(void **state)
{
	(void)state;
	assert_null(nb_block_find(1ULL << NB_VA_BITS));
	assert_null(nb_block_find(UINT64_MAX));
	assert_null(nb_block_get(1ULL << NB_VA_BITS, 12));
	assert_null(nb_block_get(UINT64_MAX, 12));
	assert_non_null(nb_block_get((1ULL << NB_VA_BITS) - 1, 21));
	assert_non_null(nb_block_get(0, 21));
}

/* A walk over everything is short, however large the range. */
static void test_next(void **state)
{
	struct nb_block *a = nb_block_get(20 * GIB + 2 * NB_BLOCK_BYTES, 21);
	struct nb_block *b = nb_block_get(21 * GIB - NB_BLOCK_BYTES, 21);
	struct nb_block *c = nb_block_get(30 * GIB, 21);
	uint64_t top = (1ULL << NB_VA_BITS) - NB_BLOCK_BYTES;

	(void)state;
	assert_ptr_equal(nb_block_next(20 * GIB, 31 * GIB), a);
	assert_ptr_equal(nb_block_next(a->start + 1, 31 * GIB), a);
	assert_null(nb_block_next(20 * GIB, a->start));
	assert_ptr_equal(nb_block_next(20 * GIB, a->start + 1), a);
	assert_ptr_equal(nb_block_next(a->start + NB_BLOCK_BYTES, 31 * GIB), b);
	assert_ptr_equal(nb_block_next(21 * GIB, 31 * GIB), c);
	assert_null(nb_block_next(31 * GIB, 32 * GIB));
	assert_null(nb_block_next(32 * GIB, 31 * GIB));
	assert_non_null(nb_block_get(top, 21));
	assert_int_equal(nb_block_next(31 * GIB, UINT64_MAX)->start, top);
	assert_null(nb_block_next(top + NB_BLOCK_BYTES, UINT64_MAX));
	assert_null(nb_block_next(UINT64_MAX - 1, UINT64_MAX));
}

/* ---- readers without a lock ---------------------------------------------- */

#define RACE_BLOCKS 512

static _Atomic int race_over;

static void *reader(void *arg)
{
	uint64_t found = 0;

	(void)arg;
	while (!atomic_load(&race_over))
		for (uint64_t i = 0; i < RACE_BLOCKS; i++) {
			uint64_t addr = 40 * GIB + i * NB_BLOCK_BYTES;
			struct nb_block *b = nb_block_find(addr);

			if (!b)
				continue;
			found++;
			/* a block is complete when it can be found */
			if (b->start != addr ||
			    b->nr_chunks !=
				    1U << (NB_BLOCK_SHIFT - b->chunk_shift) ||
			    atomic_load(&b->state[b->nr_chunks - 1]))
				return (void *)1;
		}
	return found ? NULL : (void *)2;
}

static void test_find_while_made(void **state)
{
	pthread_t t[2];
	void *ret;

	(void)state;
	for (int i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&t[i], NULL, reader, NULL), 0);
	for (unsigned int shift = 21; shift >= 14; shift--)
		for (uint64_t i = 0; i < RACE_BLOCKS; i++)
			assert_non_null(nb_block_get(
				40 * GIB + i * NB_BLOCK_BYTES, shift));
	sched_yield();
	/* the readers see at least the last ones before they are told */
	atomic_store(&race_over, 1);
	for (int i = 0; i < 2; i++) {
		pthread_join(t[i], &ret);
		assert_ptr_not_equal(ret, (void *)1);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_before_init),
		cmocka_unit_test(test_find_and_get),
		cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_replaced_by_smaller),
		cmocka_unit_test(test_replaced_for_ever),
		cmocka_unit_test(test_out_of_range),
		cmocka_unit_test(test_next),
		cmocka_unit_test(test_find_while_made),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
