/* SPDX-License-Identifier: MIT */
/*
 * mech/fault_ring.c: full, empty, indices that wrap, and two threads.
 */
#include "../../lib/mech/fault_ring.h"

#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static struct nb_fault_ring ring;

static int setup(void **state)
{
	(void)state;
	memset(&ring, 0, sizeof(ring));
	return 0;
}

static bool push(uint64_t addr)
{
	struct nb_hint_fault f = {.addr = addr, .cpu = (int)(addr % 97)};

	return nb_fault_ring_push(&ring, &f);
}

static void expect(uint64_t addr)
{
	struct nb_hint_fault f;

	assert_true(nb_fault_ring_pop(&ring, &f));
	assert_int_equal(f.addr, addr);
	assert_int_equal(f.cpu, addr % 97);
}

static void test_order(void **state)
{
	struct nb_hint_fault f;

	(void)state;
	assert_false(nb_fault_ring_pop(&ring, &f));
	assert_int_equal(nb_fault_ring_fill(&ring), 0);
	for (uint64_t i = 0; i < 10; i++)
		assert_true(push(i));
	assert_int_equal(nb_fault_ring_fill(&ring), 10);
	for (uint64_t i = 0; i < 10; i++)
		expect(i);
	assert_false(nb_fault_ring_pop(&ring, &f));
}

static void test_full(void **state)
{
	(void)state;
	for (uint64_t i = 0; i < NB_RING_SIZE; i++)
		assert_true(push(i));
	for (int i = 0; i < 3; i++)
		assert_false(push(9999));
	assert_int_equal(atomic_load(&ring.dropped), 3);
	assert_int_equal(nb_fault_ring_fill(&ring), NB_RING_SIZE);
	expect(0); /* the old ones are kept, the new ones lost */
	assert_true(push(5000));
	assert_false(push(5001));
	for (uint64_t i = 1; i < NB_RING_SIZE; i++)
		expect(i);
	expect(5000);
	assert_int_equal(atomic_load(&ring.dropped), 4);
}

/* The indices count on for ever and pass 2^32. */
static void test_wrap(void **state)
{
	struct nb_hint_fault f;

	(void)state;
	atomic_store(&ring.head, UINT32_MAX - 100);
	atomic_store(&ring.tail, UINT32_MAX - 100);
	for (uint64_t i = 0; i < NB_RING_SIZE; i++)
		assert_true(push(i));
	assert_true(atomic_load(&ring.head) < atomic_load(&ring.tail));
	assert_int_equal(nb_fault_ring_fill(&ring), NB_RING_SIZE);
	assert_false(push(1));
	for (uint64_t i = 0; i < NB_RING_SIZE; i++)
		expect(i);
	assert_false(nb_fault_ring_pop(&ring, &f));
	assert_int_equal(nb_fault_ring_fill(&ring), 0);
}

#define NR_PUSHES 200000ULL

static _Atomic bool writer_done;

static void *writer(void *arg)
{
	uint64_t lost = 0;

	(void)arg;
	for (uint64_t i = 0; i < NR_PUSHES; i++)
		lost += !push(i);
	atomic_store(&writer_done, true);
	return (void *)lost;
}

/* Every record arrives whole, once and in order, or is counted as dropped. */
static void test_two_threads(void **state)
{
	uint64_t got = 0, next = 0;
	struct nb_hint_fault f;
	pthread_t t;
	void *lost;

	(void)state;
	assert_int_equal(pthread_create(&t, NULL, writer, NULL), 0);
	for (;;) {
		bool done = atomic_load(&writer_done);

		if (!nb_fault_ring_pop(&ring, &f)) {
			if (done)
				break;
			sched_yield();
			continue;
		}
		assert_true(f.addr >= next);
		assert_int_equal(f.cpu, f.addr % 97);
		next = f.addr + 1;
		got++;
	}
	pthread_join(t, &lost);
	assert_int_equal(got + (uint64_t)lost, NR_PUSHES);
	assert_int_equal(atomic_load(&ring.dropped), (uint64_t)lost);
	assert_true(got >= NB_RING_SIZE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_order, setup),
		cmocka_unit_test_setup(test_full, setup),
		cmocka_unit_test_setup(test_wrap, setup),
		cmocka_unit_test_setup(test_two_threads, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
