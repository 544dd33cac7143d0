/* SPDX-License-Identifier: MIT */
/*
 * lib/tiering.c with sample.c and arming.c: hot memory comes from the slow
 * node, and cold memory of the full one makes room.
 */
#include "../../lib/mech/affinity.h"
#include "../../lib/mech/arm.h"
#include "../../lib/mech/fault_ring.h"
#include "../../lib/nb.h"
#include "../../lib/policy/tier.h"
#include "../../lib/regions.h"
#include "../../lib/tasks.h"
#include "../../lib/tiering.h"
#include "fake_process.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define PAGES (CHUNK / FAKE_PAGE)
#define SLOW BLOCK(2) /* 2 MiB each: on node 1, which has no CPU */
#define FAST BLOCK(3) /* ... and on node 0 */
#define HOT 0	      /* levels, times 4 */
#define COLD 200
#define RESERVE (1024 * NB_MIB / 100 * 3)

static uint64_t now;

static struct nb_tier_chunk *chunk(uint64_t addr)
{
	struct nb_block *b = nb_block_find(addr);

	assert_non_null(b);
	assert_non_null(b->tier);
	return (struct nb_tier_chunk *)&b->tier[nb_chunk_index(b, addr)];
}

static void know(uint64_t addr, uint8_t level4)
{
	memset(chunk(addr), 0, sizeof(*chunk(addr)));
	chunk(addr)->level4 = level4;
	chunk(addr)->nr_seen = 4;
}

static int setup(void **state)
{
	(void)state;
	fake_process(2, 4);
	fake_map(SLOW, NB_BLOCK_BYTES, 1);
	nb.topo.has_cpu.bits = 1;
	if (nb_tiering_init() || fake_process_tables())
		return -1;
	nb_regions_add(SLOW, SLOW + NB_BLOCK_BYTES, 0, 0);
	nb_regions_add(FAST, FAST + NB_BLOCK_BYTES, 0, 0);
	for (uint64_t a = SLOW; a < FAST + NB_BLOCK_BYTES; a += CHUNK) {
		nb_block_get(a, 16);
		know(a, a < FAST ? COLD : HOT);
	}
	now += nb_clock_ns();
	nb_tiering_begin(now);
	return 0;
}

/* A pass of numabald in which a thread on node 0 uses memory. */
static void used(uint64_t addr)
{
	int slot = nb_slot_note_found(NOBODY);
	struct nb_hint_fault f = {.addr = addr};

	assert_true(nb_fault_ring_push(&nb_slot_at(slot)->ring, &f));
	now += NB_NSEC_PER_SEC;
	nb_tiering_begin(now);
	assert_int_equal(nb_fault_drain(), 1);
}

static unsigned int decided(enum nb_why why)
{
	return (unsigned int)atomic_load(&nb.why_count[why]);
}

static unsigned int nr_on(uint64_t start, int nid)
{
	unsigned int nr = 0;

	for (uint64_t a = start; a < start + NB_BLOCK_BYTES; a += FAKE_PAGE)
		nr += fake_page(a)->nid == nid;
	return nr;
}

static void test_room(void **state)
{
	(void)state;
	/* With plenty of it, what is used comes. */
	used(SLOW);
	assert_int_equal(decided(NB_WHY_PAGE_USED), 1);
	assert_int_equal(nr_on(SLOW, 0), PAGES);
	assert_int_equal(chunk(SLOW)->nid1, 1);
	/* With little, what is used often. */
	fake.free_bytes[0] = RESERVE + 2 * CHUNK;
	used(SLOW + CHUNK);
	assert_int_equal(decided(NB_WHY_PAGE_COLD), 1);
	assert_int_equal(nb.pass.local, PAGES);
	assert_int_equal(nb.pass.failed, 0);
	know(SLOW + CHUNK, HOT);
	used(SLOW + CHUNK);
	assert_int_equal(decided(NB_WHY_PAGE_HOT), 1);
	assert_int_equal(nr_on(SLOW, 0), 2 * PAGES);
	assert_int_equal(
		(unsigned int)atomic_load(&nb.count.numa_pages_migrated),
		2 * PAGES);
}

static void test_full(void **state)
{
	(void)state;
	fake.free_bytes[0] = RESERVE;
	know(SLOW, HOT);
	used(SLOW);
	assert_int_equal(decided(NB_WHY_PAGE_WAITS), 1);
	assert_int_equal(nb.pass.failed, 0);
	/* All that is there is as hot. */
	nb_tiering_run(now);
	assert_int_equal(nr_on(SLOW, 0), 0);
	assert_int_equal(nr_on(FAST, 1), 0);
	/* One chunk is not; where it is, has to be asked. */
	know(FAST + 3 * CHUNK, COLD);
	used(SLOW);
	nb_tiering_run(now);
	assert_int_equal(nr_on(SLOW, 0), PAGES);
	assert_int_equal(nr_on(FAST, 1), PAGES);
	assert_int_equal(fake_page(FAST + 3 * CHUNK)->nid, 1);
	assert_int_equal(decided(NB_WHY_PAGE_DEMOTED), 1);
	assert_int_equal(decided(NB_WHY_PAGE_HOT), 1);
	assert_int_equal(
		(unsigned int)atomic_load(&nb.count.numa_pages_migrated),
		2 * PAGES);
	/* It has to show itself hot before it comes back. */
	know(SLOW, COLD);
	chunk(FAST + 3 * CHUNK)->level4 = HOT;
	used(FAST + 3 * CHUNK);
	assert_int_equal(decided(NB_WHY_PAGE_PROVE), 1);
	used(FAST + 3 * CHUNK);
	assert_int_equal(decided(NB_WHY_PAGE_WAITS), 3);
	nb_tiering_run(now);
	assert_int_equal(nr_on(FAST, 1), 0);
	assert_int_equal(nr_on(SLOW, 0), 0);
}

/* Trying is dear: the kernel is not asked again at the next use. */
static void test_refused(void **state)
{
	(void)state;
	for (uint64_t a = SLOW; a < SLOW + CHUNK; a += FAKE_PAGE)
		fake_page(a)->refuses = EBUSY;
	know(SLOW, HOT);
	used(SLOW);
	assert_int_equal(decided(NB_WHY_PAGE_HOT), 1);
	assert_int_equal(nr_on(SLOW, 0), 0);
	used(SLOW);
	assert_int_equal(decided(NB_WHY_PAGE_PROVE), 1);
	for (uint64_t a = SLOW; a < SLOW + CHUNK; a += FAKE_PAGE)
		fake_page(a)->refuses = 0;
	used(SLOW);
	assert_int_equal(decided(NB_WHY_PAGE_HOT), 2);
	assert_int_equal(nr_on(SLOW, 0), PAGES);
}

/* Some pages came, and these are used first: the others follow. */
static void test_torn(void **state)
{
	uint64_t last = SLOW + CHUNK - FAKE_PAGE;

	(void)state;
	fake_page(last)->refuses = EBUSY;
	know(SLOW, HOT);
	used(SLOW);
	assert_int_equal(nr_on(SLOW, 0), PAGES - 1);
	used(SLOW);
	assert_int_equal(nr_on(SLOW, 0), PAGES - 1);
	fake_page(last)->refuses = 0;
	/* It was held back: twice. */
	used(SLOW);
	assert_int_equal(nr_on(SLOW, 0), PAGES - 1);
	used(SLOW);
	assert_int_equal(nr_on(SLOW, 0), PAGES);
	assert_int_equal(decided(NB_WHY_PAGE_HOT), 3);
	used(SLOW);
	assert_int_equal(decided(NB_WHY_PAGE_HOT), 3);
}

/* Rounds are a tenth of a second apart, and only if there is a reason. */
static void test_rounds(void **state)
{
	unsigned int before;

	(void)state;
	fake.free_bytes[0] = RESERVE;
	nb.scan.scan_seq++;
	nb_tiering_run(now);
	before = fake.nr_log;
	now += NB_NSEC_PER_SEC;
	nb_tiering_run(now);
	assert_int_equal(fake.nr_log, before);
	know(FAST, COLD);
	know(SLOW, HOT);
	used(SLOW);
	nb_tiering_run(now);
	know(FAST + CHUNK, COLD);
	know(SLOW + CHUNK, HOT);
	used(SLOW + CHUNK);
	nb_tiering_run(now - NB_NSEC_PER_SEC + 50 * NB_NSEC_PER_MSEC);
	assert_int_equal(nr_on(SLOW, 0), PAGES);
	nb_tiering_run(now);
	assert_int_equal(nr_on(SLOW, 0), 2 * PAGES);
}

/* Fast memory is cold, and node 0 full: what keeps it there? */
static void cold_and_full(void)
{
	fake.free_bytes[0] = RESERVE;
	know(SLOW, HOT);
	for (uint64_t a = FAST; a < FAST + NB_BLOCK_BYTES; a += CHUNK)
		know(a, COLD);
}

static void test_stays(void **state)
{
	(void)state;
	cold_and_full();
	nb_regions_flag(FAST, FAST + NB_BLOCK_BYTES, NB_VMA_LOCKED, true);
	used(SLOW);
	nb_tiering_run(now);
	assert_int_equal(nr_on(FAST, 1), 0);
	nb_regions_flag(FAST, FAST + NB_BLOCK_BYTES, NB_VMA_LOCKED, false);

	atomic_store(&nb.all_locked, true);
	used(SLOW);
	now += NB_NSEC_PER_SEC;
	nb_tiering_run(now);
	assert_int_equal(nr_on(FAST, 1), 0);
	atomic_store(&nb.all_locked, false);

	nb.cfg.mode = NB_MODE_OBSERVE;
	used(SLOW);
	nb_tiering_run(now);
	assert_int_equal(nr_on(FAST, 1), 0);
	nb.cfg.mode = NB_MODE_ON;

	/* Its user has a policy of its own. */
	atomic_store(&nb_task_sync(nb_slot_note_found(NOBODY))->explicit_policy,
		     true);
	for (uint64_t a = FAST; a < FAST + NB_BLOCK_BYTES; a += CHUNK)
		used(a);
	atomic_store(&nb_task_sync(nb_slot_note_found(NOBODY))->explicit_policy,
		     false);
	used(SLOW);
	nb_tiering_run(now);
	assert_int_equal(nr_on(FAST, 1), 0);
	assert_int_equal(decided(NB_WHY_PAGE_DEMOTED), 0);
	/* Nothing does. */
	cold_and_full();
	used(SLOW);
	nb_tiering_run(now);
	assert_int_equal(nr_on(SLOW, 0), PAGES);
}

/* Who moved it meanwhile knows why. */
static void test_moved_meanwhile(void **state)
{
	(void)state;
	cold_and_full();
	for (uint64_t a = FAST; a < FAST + NB_BLOCK_BYTES; a += CHUNK)
		chunk(a)->nid1 = 1;
	for (uint64_t a = FAST; a < FAST + NB_BLOCK_BYTES; a += FAKE_PAGE)
		fake_page(a)->nid = 1;
	nb_regions_remove(SLOW, SLOW + NB_BLOCK_BYTES);
	nb_regions_add(SLOW, SLOW + NB_BLOCK_BYTES, 0, 0);
	used(SLOW);
	nb_tiering_run(now);
	assert_int_equal(decided(NB_WHY_PAGE_DEMOTED), 0);
	assert_int_equal(chunk(FAST)->nid1, 2);
	/* And what is nowhere is asked for once. */
	know(FAST + CHUNK, COLD);
	for (uint64_t a = FAST + CHUNK; a < FAST + 2 * CHUNK; a += FAKE_PAGE)
		fake_page(a)->resident = false;
	used(SLOW);
	nb_tiering_run(now);
	assert_int_equal(chunk(FAST + CHUNK)->nid1, NB_MAX_NODES + 1);
}

/* Arming notes the time, and what nobody uses gets cold. */
static void test_armed(void **state)
{
	struct nb_block *b = nb_block_find(FAST);
	uint64_t bits[8] = {1 << 5};

	(void)state;
	nb_tiering_armed(b, bits);
	assert_int_equal(chunk(FAST + 4 * CHUNK)->armed_ms, 0);
	assert_true(chunk(FAST + 5 * CHUNK)->armed_ms > 0);
	/* A block that is replaced knows nothing. */
	b = nb_block_get(FAST, 12);
	assert_non_null(b->tier);
	for (unsigned int i = 0; i < b->nr_chunks; i++)
		assert_int_equal(b->tier[i], 0);
	assert_true(b->data != b->tier);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_room, setup),
		cmocka_unit_test_setup(test_full, setup),
		cmocka_unit_test_setup(test_rounds, setup),
		cmocka_unit_test_setup(test_stays, setup),
		cmocka_unit_test_setup(test_moved_meanwhile, setup),
		cmocka_unit_test_setup(test_armed, setup),
		cmocka_unit_test_setup(test_torn, setup),
		/* last: what was refused is remembered */
		cmocka_unit_test_setup(test_refused, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
