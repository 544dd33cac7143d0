/* SPDX-License-Identifier: MIT */
/*
 * mech/keep.c and lib/latency.c: what is not armed for the sake of a thread,
 * and that it is again when the thread is gone.
 */
#include "../../lib/latency.h"
#include "../../lib/mech/affinity.h"
#include "../../lib/mech/arm.h"
#include "../../lib/mech/hint_fault.h"
#include "../../lib/mech/keep.h"
#include "../../lib/nb.h"
#include "../../lib/regions.h"
#include "../../lib/tasks.h"
#include "fake_process.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <ucontext.h>

#include <cmocka.h>

static uint32_t wake;

static int setup(void **state)
{
	(void)state;
	fake_process(2, 2);
	if (fake_process_tables() || nb_arming_init())
		return -1;
	nb_hint_fault_init(&fake_sys, &wake);
	memset(&nb_fault_totals, 0, sizeof(nb_fault_totals));
	memset(&nb.scan, 0, sizeof(nb.scan));
	nb.scan_opts =
		(struct nb_scan_opts){256, FAKE_PAGE, 8 * NB_BLOCK_BYTES};
	for (int i = 0; i < 3; i++) /* what a test before has left */
		nb_latency_walk();
	nb_regions_add(BLOCK(2), BLOCK(6), 0, 0);
	return 0;
}

static struct nb_slot *slot_of(int who)
{
	return nb_slot_at(nb_slot_note_found(NOBODY + who));
}

static uint8_t state_of(uint64_t addr)
{
	struct nb_block *b = nb_block_find(addr);

	return atomic_load(&b->state[nb_chunk_index(b, addr)]);
}

static void scan(void)
{
	memset(&nb.scan, 0, sizeof(nb.scan));
	nb_scan_run(100 * NB_NSEC_PER_SEC);
}

/* By the calling thread, as the signal handler gets it. */
static bool fault(uint64_t addr)
{
	static ucontext_t uc;
	siginfo_t info;

	memset(&info, 0, sizeof(info));
	info.si_signo = SIGSEGV;
	info.si_code = SEGV_ACCERR;
	info.si_addr = (void *)addr;
	return nb_hint_fault(&info, &uc);
}

#define kept() atomic_load(&nb_fault_totals.kept)

static void test_one_fault_in_a_block(void **state)
{
	struct nb_slot *self = nb_slot_self();
	uint8_t keeper;

	(void)state;
	nb_latency_mark(self, NB_LATENCY_BY_PROGRAM, true);
	keeper = atomic_load(&self->keeper);
	assert_true(keeper);
	scan();
	assert_int_equal(state_of(BLOCK(3)), NB_CHUNK_ARMED);
	assert_true(fault(BLOCK(3) + 5 * CHUNK));
	assert_int_equal(kept(), 1);
	for (uint64_t a = BLOCK(2); a < BLOCK(6); a += CHUNK)
		assert_int_equal(state_of(a), a - BLOCK(3) < NB_BLOCK_BYTES
						      ? NB_CHUNK_KEPT + keeper
						      : NB_CHUNK_ARMED);
	/* The record tells. */
	assert_int_equal(self->ring.rec[0].flags & NB_HF_KEEP, NB_HF_KEEP);
	/* Not again, however often it is scanned. */
	for (int i = 0; i < 3; i++) {
		scan();
		for (uint64_t a = BLOCK(3); a < BLOCK(4); a += FAKE_PAGE)
			assert_int_equal(fake_page(a)->prot,
					 PROT_READ | PROT_WRITE);
	}
	/* Another's fault is one as ever. */
	nb_latency_mark(self, NB_LATENCY_BY_PROGRAM, false);
	assert_true(fault(BLOCK(4)));
	assert_int_equal(state_of(BLOCK(4)), NB_CHUNK_NONE);
	assert_int_equal(kept(), 1);
	assert_int_equal(self->ring.rec[1].flags & NB_HF_KEEP, 0);
}

static void test_what_is_kept_already(void **state)
{
	struct nb_block *b = nb_block_get(BLOCK(3), 16);
	struct nb_keepers gone = {{1U << 3}};

	(void)state;
	assert_int_equal(
		nb_exclude_range(nb.sys, BLOCK(3), BLOCK(3) + CHUNK, 16), 0);
	nb_keep_range(nb.sys, BLOCK(3) + 7, BLOCK(3) + 8, 3);
	nb_keep_block(nb.sys, b, 4); /* comes late */
	assert_int_equal(state_of(BLOCK(3)), NB_CHUNK_EXCLUDED);
	assert_int_equal(state_of(BLOCK(3) + CHUNK), NB_CHUNK_KEPT + 3);
	/* It is accessible, and counts as such. */
	assert_false(nb_range_shut(BLOCK(3) + CHUNK, BLOCK(4)));
	assert_int_equal(nb_disarm_for_call(nb.sys, BLOCK(3), BLOCK(4)), 0);
	assert_int_equal(nb_disarm_chunk(nb.sys, b, 1), NB_DISARM_NOT);
	/* The kernel's memory stays out when the thread has gone. */
	assert_int_equal(nb_exclude_range(nb.sys, BLOCK(3) + CHUNK,
					  BLOCK(3) + 2 * CHUNK, 16),
			 0);
	assert_int_equal(nb_mark_excluded(nb.sys, BLOCK(3) + 2 * CHUNK,
					  BLOCK(3) + 3 * CHUNK),
			 0);
	/* Pieces of another size keep what they had. */
	b = nb_block_get(BLOCK(3), 12);
	assert_int_equal(b->nr_chunks, 512);
	for (uint64_t a = BLOCK(3); a < BLOCK(4); a += FAKE_PAGE)
		assert_int_equal(state_of(a), a < BLOCK(3) + 3 * CHUNK
						      ? NB_CHUNK_EXCLUDED
						      : NB_CHUNK_KEPT + 3);
	nb_keep_release(&gone);
	assert_int_equal(state_of(BLOCK(3)), NB_CHUNK_EXCLUDED);
	assert_int_equal(state_of(BLOCK(3) + 3 * CHUNK), NB_CHUNK_NONE);
	/* New memory is nobody's. */
	nb_keep_block(nb.sys, b, 3);
	nb_forget_range(BLOCK(3), BLOCK(4), true);
	assert_int_equal(state_of(BLOCK(3) + 3 * CHUNK), NB_CHUNK_NONE);
	assert_int_equal(atomic_load(&b->nr_armed), 0);
	assert_int_equal(atomic_load(&nb_nr_armed), 0);
}

static void test_refused(void **state)
{
	struct nb_block *b;

	(void)state;
	scan();
	b = nb_block_find(BLOCK(3));
	fake_fail(FAKE_MPROTECT, 1, ENOMEM);
	fake.fault.count = 1000;
	nb_keep_block(nb.sys, b, 1);
	fake_fail_end();
	/* Armed it is, not lost. */
	assert_int_equal(state_of(BLOCK(3)), NB_CHUNK_ARMED);
	assert_int_equal(nb_disarm_all(), 0);
}

static uint32_t keeper_of_region(uint64_t addr)
{
	return nb_regions_find(addr)->flags >> NB_REGION_KEEPER_SHIFT;
}

static void test_what_it_maps(void **state)
{
	struct nb_slot *s = slot_of(1);
	struct nb_region r = {BLOCK(6), BLOCK(8), 0, PROT_READ | PROT_WRITE, 0};

	(void)state;
	assert_int_equal(nb_latency_region_flags(NULL), 0);
	assert_int_equal(nb_latency_region_flags(s), 0);
	nb_latency_mark(s, NB_LATENCY_BY_PROGRAM, true);
	r.flags = nb_latency_region_flags(s);
	nb_regions_add_prot(&r);
	assert_int_equal(nb_regions_count(), 2);
	assert_int_equal(keeper_of_region(BLOCK(6)), atomic_load(&s->keeper));
	scan();
	assert_int_equal(state_of(BLOCK(5)), NB_CHUNK_ARMED);
	assert_true(!nb_block_find(BLOCK(6)) ||
		    state_of(BLOCK(6)) == NB_CHUNK_NONE);
	/* Twice not found: it and its neighbour are one again. */
	nb_latency_mark(s, NB_LATENCY_BY_PROGRAM, false);
	nb_latency_walk();
	assert_int_equal(nb_regions_count(), 2);
	nb_latency_walk();
	assert_int_equal(nb_regions_count(), 1);
	scan();
	assert_int_equal(state_of(BLOCK(7)), NB_CHUNK_ARMED);
	assert_int_equal(nb_disarm_all(), 0);
}

static void test_two_reasons(void **state)
{
	struct nb_slot *s = slot_of(1), *t = slot_of(2);
	uint8_t keeper;

	(void)state;
	nb_latency_mark(s, NB_LATENCY_BY_PROGRAM, true);
	keeper = atomic_load(&s->keeper);
	nb_latency_mark(s, NB_LATENCY_BY_NAME, true);
	nb_latency_mark(s, NB_LATENCY_BY_PROGRAM, false);
	assert_int_equal(atomic_load(&s->keeper), keeper);
	nb_latency_mark(t, NB_LATENCY_BY_NAME, true);
	assert_int_not_equal(atomic_load(&t->keeper), keeper);
	nb_latency_mark(s, NB_LATENCY_BY_NAME, false);
	assert_int_equal(atomic_load(&s->keeper), 0);
	/* The slot of a thread that ended has no mark; nor had it a reason. */
	nb_slot_forget_calls(t);
	assert_int_equal(atomic_load(&t->keeper), 0);
	nb_latency_mark(t, NB_LATENCY_BY_PROGRAM, true);
	nb_latency_mark(t, NB_LATENCY_BY_PROGRAM, false);
	assert_int_equal(atomic_load(&t->keeper), 0);
}

/* More threads than keepers: they share the last, until nobody has it. */
static void test_many(void **state)
{
	const int last = NB_NR_KEEPERS - 1;
	struct nb_block *b = nb_block_get(BLOCK(3), 16);

	(void)state;
	for (int i = 0; i < last + 10; i++) {
		nb_latency_mark(slot_of(i), NB_LATENCY_BY_NAME, true);
		assert_int_equal(atomic_load(&slot_of(i)->keeper),
				 i < last ? i + 1 : last);
	}
	nb_keep_block(nb.sys, b, (uint8_t)last);
	for (int i = 0; i < last + 9; i++)
		nb_latency_mark(slot_of(i), NB_LATENCY_BY_NAME, false);
	for (int i = 0; i < 3; i++)
		nb_latency_walk();
	assert_int_equal(state_of(BLOCK(3)), NB_CHUNK_KEPT + last);
	nb_latency_mark(slot_of(last + 9), NB_LATENCY_BY_NAME, false);
	for (int i = 0; i < 3; i++)
		nb_latency_walk();
	assert_int_equal(state_of(BLOCK(3)), NB_CHUNK_NONE);
}

static void name_and_look(const char *name)
{
	assert_int_equal(prctl(PR_SET_NAME, name), 0);
	nb_latency_walk();
}

static void test_names(void **state)
{
	int i = nb_slot_note_found((pid_t)nb_sys_gettid());
	struct nb_slot *s = nb_slot_at(i);

	(void)state;
	nb_task_sync(i);
	name_and_look("rt-7");
	assert_int_equal(atomic_load(&s->keeper), 0); /* no list */
	strcpy(nb.cfg.latency_threads, "io,rt-*");
	name_and_look("rt-7");
	assert_int_not_equal(atomic_load(&s->keeper), 0);
	name_and_look("io");
	assert_int_not_equal(atomic_load(&s->keeper), 0);
	assert_string_equal(nb_task_at(i)->comm, "io");
	name_and_look("worker");
	assert_int_equal(atomic_load(&s->keeper), 0);
	/* What the program says holds whatever the name. */
	nb_latency_mark(s, NB_LATENCY_BY_PROGRAM, true);
	name_and_look("worker");
	assert_int_not_equal(atomic_load(&s->keeper), 0);
	nb_latency_mark(s, NB_LATENCY_BY_PROGRAM, false);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_one_fault_in_a_block, setup),
		cmocka_unit_test_setup(test_what_is_kept_already, setup),
		cmocka_unit_test_setup(test_refused, setup),
		cmocka_unit_test_setup(test_what_it_maps, setup),
		cmocka_unit_test_setup(test_two_reasons, setup),
		cmocka_unit_test_setup(test_many, setup),
		cmocka_unit_test_setup(test_names, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
