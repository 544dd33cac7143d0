/* SPDX-License-Identifier: MIT */
/*
 * mech/hint_fault.c: whose a fault is and what becomes of it; then armer,
 * faulting threads and disarmer at once on real memory, with a checksum.
 */
#include "../../lib/mech/arm.h"
#include "../../lib/mech/fault_ring.h"
#include "../../lib/mech/hint_fault.h"
#include "../../lib/mech/sigchain.h"
#include "../../lib/plat/arena.h"
#include "../../lib/plat/lock.h"

#include "fake_sys.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include <cmocka.h>

#define CHUNK (1ULL << 16)

static uint32_t wake;
static struct nb_slot *slots;
static ucontext_t uc;
static const uint64_t all_bits[8] = {~0ULL, ~0ULL, ~0ULL, ~0ULL,
				     ~0ULL, ~0ULL, ~0ULL, ~0ULL};

static int setup(void **state)
{
	(void)state;
	fake_reset();
	nb_chunk_table_init();
	fake_map(FAKE_BASE, 2 * NB_BLOCK_BYTES, 0);
	nb_forget_range(FAKE_BASE, FAKE_END, true);
	nb_block_get(FAKE_BASE, 16);
	nb_hint_fault_init(&fake_sys, &wake);
	wake = 0;
	memset(&uc, 0, sizeof(uc));
	memset(&nb_fault_totals, 0, sizeof(nb_fault_totals));
	if (!slots)
		return 0;
	nb_slots_after_fork();
	memset(slots, 0, 4 * sizeof(*slots));
	return 0;
}

static bool fault_code(uint64_t addr, int code)
{
	siginfo_t info;

	memset(&info, 0, sizeof(info));
	info.si_signo = SIGSEGV;
	info.si_code = code;
	info.si_addr = (void *)addr;
	return nb_hint_fault(&info, &uc);
}

static bool fault(uint64_t addr)
{
	return fault_code(addr, SEGV_ACCERR);
}

static struct nb_block *block(void)
{
	return nb_block_find(FAKE_BASE);
}

static void arm(void)
{
	unsigned int nr;

	assert_int_equal(nb_arm_block(&fake_sys, block(), all_bits, &nr), 0);
}

/* Before start: resolved all the same, and counted. */
static void test_no_slot(void **state)
{
	(void)state;
	arm();
	assert_true(fault(FAKE_BASE));
	assert_int_equal(atomic_load(&nb_fault_totals.unknown), 1);
	assert_int_equal(fake_page(FAKE_BASE)->prot, PROT_READ | PROT_WRITE);
	/* without a thread's memory the kernel is asked at once */
	assert_false(fault(FAKE_BASE));
	slots = nb_arena_map(NB_MAX_SLOTS * sizeof(*slots));
	nb_slots_init(slots);
}

static void test_not_ours(void **state)
{
	(void)state;
	arm();
	assert_false(fault_code(FAKE_BASE, SEGV_MAPERR));
	assert_false(fault_code(FAKE_BASE, SI_USER));
	assert_false(fault_code(FAKE_BASE, SI_KERNEL));
	assert_false(fault(FAKE_BASE + NB_BLOCK_BYTES));
	assert_false(fault(0));
	assert_false(fault(UINT64_MAX));
	assert_int_equal(atomic_load(&block()->nr_armed), 32);
	assert_int_equal(fake_page(FAKE_BASE)->prot, PROT_NONE);
	assert_null(nb_slot_self_existing());
}

/* Of what the guard's copy is interrupted by, only a fault is its failure. */
static void test_copy(void **state)
{
	static const char code[3];

	(void)state;
	nb_hint_fault_set_copy(&code[0], &code[1], &code[2]);
	uc.uc_mcontext.gregs[REG_RIP] = (greg_t)&code[0];
	assert_false(fault_code(FAKE_BASE, SI_USER));
	assert_false(fault_code(FAKE_BASE, SI_TKILL));
	assert_true(uc.uc_mcontext.gregs[REG_RIP] == (greg_t)&code[0]);
	assert_true(fault_code(0x1230, SEGV_MAPERR));
	assert_true(uc.uc_mcontext.gregs[REG_RIP] == (greg_t)&code[2]);
	assert_false(fault_code(0x1230, SEGV_MAPERR));
	nb_hint_fault_set_copy(NULL, NULL, NULL);
}

static void test_resolved(void **state)
{
	uint64_t addr = FAKE_BASE + 3 * CHUNK + 4321;
	struct nb_hint_fault f;
	struct nb_slot *s;
	int cpu = -1, nid = -1;

	(void)state;
	arm();
	errno = 4711;
	uc.uc_mcontext.gregs[REG_ERR] = 2; /* a write */
	assert_true(fault(addr));
	uc.uc_mcontext.gregs[REG_ERR] = 0;
	assert_true(fault(addr + CHUNK));
	assert_int_equal(errno, 4711);
	s = nb_slot_self_existing();
	assert_non_null(s);
	assert_true(nb_fault_ring_pop(&s->ring, &f));
	assert_int_equal(f.addr, addr);
	assert_int_equal(f.flags, NB_HF_WRITE);
	assert_true(f.cycles != 0);
	nb_sys_getcpu(&cpu, &nid);
	assert_int_equal(f.nid, nid);
	assert_in_range(f.cpu, 0, NB_MAX_CPUS - 1);
	assert_true(nb_fault_ring_pop(&s->ring, &f));
	assert_int_equal(f.flags, 0);
	assert_int_equal(atomic_load(&s->nr_faults), 2);
	assert_true(atomic_load(&s->fault_cycles) >=
		    atomic_load(&s->max_cycles));
	assert_true(atomic_load(&s->max_cycles) > 0);
	assert_int_equal(atomic_load(&block()->nr_armed), 30);
	assert_int_equal(fake_page(addr)->prot, PROT_READ | PROT_WRITE);
	assert_int_equal(fake_page(FAKE_BASE + 2 * CHUNK)->prot, PROT_NONE);
	assert_int_equal(wake, 0);
}

/* Half a ring of records: numabald is woken, once. */
static void test_wakes(void **state)
{
	(void)state;
	for (int i = 0; i < NB_RING_SIZE / 2; i++) {
		assert_int_equal(wake, 0);
		arm();
		assert_true(fault(FAKE_BASE));
	}
	assert_int_equal(wake, 1);
}

/* Accessible by the books: tried again, then the kernel has the last word. */
static void test_lost_race(void **state)
{
	uint64_t real = (uint64_t)&wake, gone = FAKE_BASE + 5;

	(void)state;
	uc.uc_mcontext.gregs[REG_RIP] = 1000;
	for (int i = 0; i < 3; i++)
		assert_true(fault(gone));
	assert_false(fault(gone));
	/* another place, or another instruction, counts anew */
	for (int i = 0; i < 3; i++) {
		assert_true(fault(gone + 8));
		assert_true(fault(gone));
	}
	for (int i = 0; i < 6; i++) {
		uc.uc_mcontext.gregs[REG_RIP] = 2000 + i;
		assert_true(fault(gone));
	}
	/* the kernel says that it is accessible: for ever */
	nb_block_get(real, 21);
	for (int i = 0; i < 20; i++)
		assert_true(fault(real));
	/* ... for reading only */
	real = (uint64_t)all_bits;
	nb_block_get(real, 21);
	uc.uc_mcontext.gregs[REG_ERR] = 0;
	for (int i = 0; i < 20; i++)
		assert_true(fault(real));
	uc.uc_mcontext.gregs[REG_ERR] = 2;
	for (int i = 0; i < 3; i++)
		fault(real + 8);
	assert_false(fault(real + 8));
	/* ... but there is no code, and no shadow stack */
	real = (uint64_t)&wake;
	for (unsigned int err = 16; err <= 64; err *= 4) {
		uc.uc_mcontext.gregs[REG_ERR] = 5 | err;
		for (int i = 0; i < 3; i++)
			fault(real + err);
		assert_false(fault(real + err));
	}
	/* where there is, it may be run */
	real = (uint64_t)nb_hint_fault;
	nb_block_get(real, 21);
	uc.uc_mcontext.gregs[REG_ERR] = 5 | 16;
	for (int i = 0; i < 20; i++)
		assert_true(fault(real));
	assert_int_equal(atomic_load(&nb_fault_totals.races), 0);
}

static void test_somebody_else(void **state)
{
	(void)state;
	arm();
	atomic_store(&block()->state[2], NB_CHUNK_BUSY);
	atomic_store(&block()->state[3], NB_CHUNK_ARMING);
	for (int i = 0; i < 40; i++)
		assert_true(fault(FAKE_BASE + (2 + i % 2) * CHUNK));
	assert_int_equal(atomic_load(&nb_fault_totals.races), 40);
	assert_int_equal(nb_fault_ring_fill(&nb_slot_self()->ring), 0);
	assert_int_equal(atomic_load(&block()->state[2]), NB_CHUNK_BUSY);
	assert_int_equal(atomic_load(&block()->state[3]), NB_CHUNK_ARMING);
	/* forgotten properly: who waits comes through */
	atomic_store(&block()->state[2], NB_CHUNK_ARMED);
	assert_true(fault(FAKE_BASE + 2 * CHUNK));
	assert_int_equal(nb_fault_ring_fill(&nb_slot_self()->ring), 1);
}

static void test_refused(void **state)
{
	(void)state;
	arm();
	fake_fail_from(FAKE_MPROTECT, 1, ENOMEM);
	for (int i = 1; i <= 3; i++) {
		assert_true(fault(FAKE_BASE));
		assert_int_equal(atomic_load(&nb_fault_totals.not_restored), i);
	}
	assert_int_equal(wake, 1);
	assert_int_equal(fake_page(FAKE_BASE)->prot, PROT_NONE);
	fake_fail_end();
	assert_true(fault(FAKE_BASE));
	assert_int_equal(atomic_load(&nb_fault_totals.not_restored), 3);
	assert_int_equal(fake_page(FAKE_BASE)->prot, PROT_READ | PROT_WRITE);
}

/* ---- the real thing ------------------------------------------------------ */

#define RACE_BLOCKS 2
#define RACE_LEN (RACE_BLOCKS * NB_BLOCK_BYTES)
#define NR_WRITERS 2
#define RACE_NS (2 * NB_NSEC_PER_SEC)

static char *mem;
static struct nb_lock as_lock = NB_LOCK_INIT(NB_LOCK_AS);
static _Atomic bool over;
static _Atomic uint64_t nr_armed_ever, nr_ranges;

/* Adds to its own word of each page, and remembers the sum. */
static void *writer(void *arg)
{
	uint64_t lane = (uint64_t)arg, sum = 0, x = lane + 1;

	while (!atomic_load(&over)) {
		uint64_t page;

		x = x * 6364136223846793005ULL + 1442695040888963407ULL;
		page = (x >> 33) % (RACE_LEN / 4096);
		((uint64_t *)(mem + page * 4096))[lane] += x >> 40;
		sum += x >> 40;
	}
	return (void *)sum;
}

static void *armer(void *arg)
{
	(void)arg;
	while (!atomic_load(&over)) {
		for (uint64_t i = 0; i < RACE_BLOCKS; i++) {
			struct nb_sigstate ss;
			unsigned int nr;
			int err;

			nb_lock(&as_lock, &ss);
			err = nb_arm_block(&nb_sys_linux,
					   nb_block_find((uint64_t)mem +
							 i * NB_BLOCK_BYTES),
					   all_bits, &nr);
			nb_unlock(&as_lock, &ss);
			if (err)
				return (void *)1;
			atomic_fetch_add(&nr_armed_ever, nr);
		}
		sched_yield();
	}
	return NULL;
}

/* While the lock is held, the kernel can read what was given back. */
static bool kernel_reads(const int *fds, uint64_t start, uint64_t end)
{
	char byte;

	for (uint64_t a = start; a < end; a += 4096) {
		/* the last byte of a page is nobody's; TSan sees no read */
		if (nb_syscall6(SYS_write, fds[1], (long)(a | 4095), 1, 0, 0,
				0) != 1 ||
		    read(fds[0], &byte, 1) != 1)
			return false;
	}
	return true;
}

static void *disarmer(void *arg)
{
	uint64_t x = 99;
	void *ret = NULL;
	int fds[2];

	(void)arg;
	if (pipe(fds))
		return (void *)3;
	while (!ret && !atomic_load(&over)) {
		uint64_t start, end;
		struct nb_sigstate ss;

		x = x * 6364136223846793005ULL + 1442695040888963407ULL;
		start = (uint64_t)mem + (x >> 33) % (RACE_LEN - 64 * 4096);
		end = start + 1 + (x >> 20) % (64 * 4096 - 1);
		nb_lock(&as_lock, &ss);
		if (nb_disarm_range(&nb_sys_linux, start, end))
			ret = (void *)1;
		else if (!kernel_reads(fds, start, end))
			ret = (void *)2;
		nb_unlock(&as_lock, &ss);
		atomic_fetch_add(&nr_ranges, 1);
		sched_yield();
	}
	close(fds[0]);
	close(fds[1]);
	return ret;
}

static uint64_t sum_of(uint64_t lane)
{
	uint64_t sum = 0;

	for (uint64_t page = 0; page < RACE_LEN / 4096; page++)
		sum += ((uint64_t *)(mem + page * 4096))[lane];
	return sum;
}

static void run_race(void)
{
	pthread_t w[NR_WRITERS], a, d;
	uint64_t end = nb_clock_ns() + RACE_NS;
	void *ret;

	pthread_create(&a, NULL, armer, NULL);
	pthread_create(&d, NULL, disarmer, NULL);
	for (uint64_t i = 0; i < NR_WRITERS; i++)
		pthread_create(&w[i], NULL, writer, (void *)i);
	/* the time is the test's length, nothing waits for it */
	while (nb_clock_ns() < end)
		usleep(10000);
	atomic_store(&over, true);
	pthread_join(a, &ret);
	assert_null(ret);
	pthread_join(d, &ret);
	assert_null(ret);
	assert_int_equal(nb_disarm_range(&nb_sys_linux, (uint64_t)mem,
					 (uint64_t)mem + RACE_LEN),
			 0);
	for (uint64_t i = 0; i < NR_WRITERS; i++) {
		pthread_join(w[i], &ret);
		assert_int_equal(sum_of(i), (uint64_t)ret);
	}
}

static void test_race(void **state)
{
	char *raw =
		mmap(NULL, RACE_LEN + NB_BLOCK_BYTES, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint64_t faults = 0;

	(void)state;
	assert_true(raw != MAP_FAILED);
	mem = (char *)nb_align_up((uint64_t)raw, NB_BLOCK_BYTES);
	memset(mem, 0, RACE_LEN);
	nb_hint_fault_init(&nb_sys_linux, &wake);
	assert_int_equal(nb_sigchain_install(), 0);
	for (uint64_t i = 0; i < RACE_BLOCKS; i++)
		assert_non_null(
			nb_block_get((uint64_t)mem + i * NB_BLOCK_BYTES, 16));
	run_race();
	assert_int_equal(nb_sigchain_remove(), 0);
	for (int i = 0; i < nb_slots_used(); i++)
		faults += atomic_load(&nb_slot_at(i)->nr_faults);
	for (uint64_t i = 0; i < RACE_BLOCKS; i++)
		assert_int_equal(atomic_load(&nb_block_find((uint64_t)mem +
							    i * NB_BLOCK_BYTES)
						      ->nr_armed),
				 0);
	assert_int_equal(atomic_load(&nb_fault_totals.not_restored), 0);
	assert_int_equal(atomic_load(&nb_fault_totals.unknown), 0);
	assert_true(faults > 100 && faults <= atomic_load(&nr_armed_ever));
	assert_true(atomic_load(&nr_ranges) > 10);
	print_message("%lu armed, %lu hint faults, %lu ranges, %lu races\n",
		      atomic_load(&nr_armed_ever), faults,
		      atomic_load(&nr_ranges),
		      atomic_load(&nb_fault_totals.races));
	munmap(raw, RACE_LEN + NB_BLOCK_BYTES);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_no_slot, setup),
		cmocka_unit_test_setup(test_not_ours, setup),
		cmocka_unit_test_setup(test_copy, setup),
		cmocka_unit_test_setup(test_resolved, setup),
		cmocka_unit_test_setup(test_wakes, setup),
		cmocka_unit_test_setup(test_lost_race, setup),
		cmocka_unit_test_setup(test_somebody_else, setup),
		cmocka_unit_test_setup(test_refused, setup),
		cmocka_unit_test_setup(test_race, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
