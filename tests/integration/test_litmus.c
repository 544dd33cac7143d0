/* SPDX-License-Identifier: MIT */
/*
 * The protocol of inflight.h with two real threads: one arms a chunk over and
 * over, the other makes calls that use it.  While a call is under way its
 * memory must never be shut.
 *
 * A test that cannot fail proves nothing: without the barrier, and without the
 * publication, it must fail.
 *
 * test_litmus [SECONDS [VARIANT]], where VARIANT is barrier, no-barrier,
 * no-publication or kernel.
 */
#include "../../lib/guard/guard.h"
#include "../../lib/mech/arm.h"
#include "../../lib/mech/slot.h"
#include "../../lib/plat/arena.h"

#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>

#if defined(__x86_64__) && !defined(NB_SANITIZED)

#define ADDR 0x480040000000ULL
#define SHIFT 12
#define LOOKS 64    /* how often a call looks at its memory */
#define PATIENCE 25 /* times as long for a mutant to fail */
#define NR_FAR 48   /* cache lines: about what a store buffer holds */
#define MAX_DELAY 15
/* With a barrier, which takes microseconds: room for it between calls. */
#define ARM_DELAY 2047
#define CALL_DELAY 16383

struct variant {
	const char *name;
	bool barrier, publication, kernel;
};

static const struct variant variants[] = {
	{"barrier", true, true, false},
	{"no-barrier", false, true, false},
	{"no-publication", true, false, false},
	{"kernel", true, true, true},
};

static const struct variant *now;
static struct nb_sys sys;
static struct nb_guard_ops ops;
static struct nb_block *block;
static struct nb_slot *slots;
static _Atomic bool stop;
static _Atomic int shut;
static _Atomic uint64_t nr_armed, nr_calls, nr_wrong;

/*
 * Lines that the arming thread wrote last: what the calling thread stores after
 * a store to these stays in its CPU's store buffer for a while, as it may at
 * any time.
 */
static struct {
	_Atomic uint64_t word;
	char pad[120];
} far_lines[NR_FAR];

static void use_cpu(int nth)
{
	cpu_set_t all, one;

	CPU_ZERO(&one);
	if (sched_getaffinity(0, sizeof(all), &all))
		return;
	for (int i = 0; i < CPU_SETSIZE && nth >= 0; i++)
		if (CPU_ISSET(i, &all) && !nth--)
			CPU_SET(i, &one);
	sched_setaffinity(0, sizeof(one), &one);
}

/*
 * What is looked for happens only while both threads run: on a busy machine
 * they ask for more than their share, if they may.
 */
static bool before_others(int priority)
{
	const struct sched_param p = {priority};

	return !sched_setscheduler(0, SCHED_RR, &p);
}

static void random_delay(unsigned int *x, unsigned int most)
{
	*x = *x * 1103515245 + 12345;
	for (volatile unsigned int i = *x >> 16 & most; i > 0; i--)
		;
}

static long fake_mprotect(uint64_t addr, uint64_t len, int prot)
{
	(void)addr;
	(void)len;
	atomic_store(&shut, prot == PROT_NONE);
	return 0;
}

static long no_barrier(void)
{
	return 0;
}

/*
 * Not at once after it was given back: then it would be armed whenever a call
 * begins, and only what is armed during its first steps can go wrong.
 */
static void *arm_loop(void *arg)
{
	const uint64_t first[NB_BLOCK_BYTES / 4096 / 64] = {1};
	unsigned int nr, x = 1;

	(void)arg;
	use_cpu(0);
	before_others(1);
	while (!atomic_load(&stop)) {
		for (int k = 0; k < NR_FAR; k++)
			atomic_store_explicit(&far_lines[k].word, x,
					      memory_order_relaxed);
		random_delay(&x, now->barrier ? ARM_DELAY : MAX_DELAY);
		nb_arm_block(&sys, block, first, &nr);
		nr_armed += atomic_load(&block->state[0]) == NB_CHUNK_ARMED;
	}
	return NULL;
}

/* The guard's way, but for what a mutant leaves out. */
static void begin(struct nb_regs *r)
{
	if (now->publication) {
		if (nb_guard_enter(r))
			nb_guard_enter_slow(r);
		return;
	}
	nb_disarm_for_call(&sys, ADDR, ADDR + 8);
}

static void end(struct nb_regs *r)
{
	r->rax = 8;
	if (now->publication && nb_guard_leave(r))
		nb_guard_leave_slow(r);
}

static bool wrong(void)
{
	if (now->kernel)
		return nb_syscall6(SYS_rt_sigprocmask, 0, 0, ADDR, 8, 0, 0);
	for (int i = 0; i < LOOKS; i++)
		if (atomic_load_explicit(&shut, memory_order_relaxed))
			return true;
	return false;
}

static void give_back(void)
{
	nb_disarm_range(&sys, ADDR, ADDR + 4096);
	atomic_store(&shut, 0);
}

static void one_call(void)
{
	struct nb_regs r = {.rax = SYS_read,
			    .arg = {0, ADDR, 8},
			    .sp = (uint64_t)__builtin_frame_address(0)};

	for (int i = 0; i < NR_FAR; i++)
		atomic_store_explicit(&far_lines[i].word, 0,
				      memory_order_relaxed);
	begin(&r);
	if (wrong())
		nr_wrong++;
	end(&r);
}

static void *call_loop(void *arg)
{
	unsigned int x = 2;

	(void)arg;
	use_cpu(1);
	before_others(1);
	while (!atomic_load(&stop)) {
		if (now->barrier && now->publication)
			random_delay(&x, CALL_DELAY);
		one_call();
		nr_calls++;
	}
	return NULL;
}

static bool enough(void)
{
	return nr_armed >= 300 && nr_calls >= 1000;
}

/*
 * For @seconds, or until something is wrong; longer while next to nothing was
 * tried, as on a machine where others run.
 */
static bool run(const struct variant *v, int seconds, bool until_wrong)
{
	const struct timespec tick = {0, 10000000};
	time_t until = time(NULL) + seconds;
	time_t last = until + (until_wrong ? 0 : PATIENCE * seconds);
	pthread_t a, b;

	now = v;
	sys = nb_sys_linux;
	if (!v->barrier)
		sys.membarrier = no_barrier;
	if (!v->kernel)
		sys.mprotect = fake_mprotect;
	nr_armed = nr_calls = nr_wrong = 0;
	stop = false;
	if (pthread_create(&a, NULL, arm_loop, NULL) ||
	    pthread_create(&b, NULL, call_loop, NULL))
		exit(99);
	while ((time(NULL) < until || (time(NULL) < last && !enough())) &&
	       !nr_wrong)
		nanosleep(&tick, NULL);
	stop = true;
	pthread_join(a, NULL);
	pthread_join(b, NULL);
	give_back();
	printf("%s: armed %llu times, %llu calls, %llu wrong\n", v->name,
	       (unsigned long long)nr_armed, (unsigned long long)nr_calls,
	       (unsigned long long)nr_wrong);
	fflush(stdout);
	return nr_wrong;
}

static bool set_up(void)
{
	if (nb_chunk_table_init() || nb_sys_membarrier_register() ||
	    mmap((void *)ADDR, 4096, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1,
		 0) != (void *)ADDR)
		return false;
	memset((void *)ADDR, 1, 4096);
	slots = nb_arena_map(NB_MAX_SLOTS * sizeof(*slots));
	block = nb_block_get(ADDR, SHIFT);
	if (!slots || !block)
		return false;
	nb_slots_init(slots);
	nb_guard_init(&sys, &ops);
	nb_guard_on(true);
	return true;
}

static bool unseen; /* a mutant that is not sure to show */
static bool alone;  /* nobody else's work is in the way */

static int check(const struct variant *v, int seconds)
{
	bool mutant = !v->barrier || !v->publication;
	bool bad = run(v, mutant ? PATIENCE * seconds : seconds, mutant);

	if (mutant && !bad) {
		printf("%s: must go wrong, and did not\n", v->name);
		/* The store buffers of two CPUs must meet. */
		unseen |= !v->barrier && !alone;
		return v->barrier || alone;
	}
	if (!mutant && bad) {
		printf("%s: memory of a call was shut\n", v->name);
		return 1;
	}
	if (!mutant && !enough()) {
		printf("%s: next to nothing was tried\n", v->name);
		unseen = !alone;
		return alone;
	}
	return 0;
}

int main(int argc, char **argv)
{
	int seconds = argc > 1 ? atoi(argv[1]) : 3, bad = 0;
	cpu_set_t cpus;

	if (sched_getaffinity(0, sizeof(cpus), &cpus) || CPU_COUNT(&cpus) < 2) {
		puts("two CPUs are needed");
		return 77;
	}
	if (!set_up()) {
		puts("no membarrier(2)");
		return 77;
	}
	alone = before_others(2);
	for (size_t i = 0; i < nb_array_size(variants); i++)
		if (argc < 3 || !strcmp(argv[2], variants[i].name))
			bad |= check(&variants[i], seconds);
	if (!bad && unseen) {
		puts("too busy, and others cannot be made to wait");
		return 77;
	}
	return bad;
}

#else

#include <stdio.h>

int main(void)
{
	puts("not on this machine, or not with sanitizers");
	return 77;
}

#endif
