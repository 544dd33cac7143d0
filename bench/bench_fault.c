/* SPDX-License-Identifier: MIT */
/*
 * What a hint fault costs, against the least that it could cost: a bare loop
 * of mprotect(2) and SIGSEGV that gives the same memory back and does nothing
 * else.  Both run in turn in this process, round by round, and each round
 * gives one ratio; medians are printed.
 *
 * Also what arming costs per page, against one bare mprotect(2) of the range.
 *
 *	bench_fault [ROUNDS [MAX_RATIO_4K MAX_RATIO_2M]]
 *
 * Exit status 1 if a limit is given and the median ratio is above it.
 *
 * Uses the library's own parts (mech/), as numabald does; needs no NUMA.
 */
#include "../lib/mech/arm.h"
#include "../lib/mech/fault_ring.h"
#include "../lib/mech/hint_fault.h"
#include "../lib/mech/sigchain.h"
#include "../lib/plat/arena.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define MAX_ROUNDS 1001
#define FAULTS 256 /* per timed stretch: what a ring holds */

struct side {
	double fault_ns[MAX_ROUNDS];
	double arm_ns[MAX_ROUNDS]; /* per page */
};

static struct side ours, bare;
static uint32_t wake_word;
static uint64_t bare_chunk; /* bytes that the bare handler gives back */
static struct sigaction ours_action, bare_action;

static void bare_handler(int sig, siginfo_t *info, void *uc)
{
	uint64_t addr = (uint64_t)info->si_addr & ~(bare_chunk - 1);

	(void)sig;
	(void)uc;
	mprotect((void *)addr, bare_chunk, PROT_READ | PROT_WRITE);
}

static int cmp(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median(const double *v, int n)
{
	double *copy = malloc((size_t)n * sizeof(*copy)), m;

	if (!copy)
		exit(2);
	memcpy(copy, v, (size_t)n * sizeof(*copy));
	qsort(copy, (size_t)n, sizeof(*copy), cmp);
	m = n % 2 ? copy[n / 2] : (copy[n / 2 - 1] + copy[n / 2]) / 2;
	free(copy);
	return m;
}

static void die(const char *what)
{
	perror(what);
	exit(2);
}

static double touch(volatile char *mem, uint64_t chunk, int nr)
{
	uint64_t start = nb_clock_ns();

	for (int i = 0; i < nr; i++)
		mem[(uint64_t)i * chunk]++;
	return (double)(nb_clock_ns() - start) / nr;
}

static double arm_ours(char *mem, uint64_t chunk, int nr)
{
	uint64_t len = chunk * (uint64_t)nr, pages = len / 4096;
	unsigned int shift = (unsigned int)__builtin_ctzll(chunk);
	uint64_t start = nb_clock_ns(), bits[8];

	memset(bits, 0xff, sizeof(bits));
	for (uint64_t off = 0; off < len; off += NB_BLOCK_BYTES) {
		uint64_t addr = (uint64_t)mem + off;
		struct nb_block *b = nb_block_get(addr, shift);
		unsigned int armed, want = b ? b->nr_chunks : 0;

		if (!b || b->chunk_shift != shift)
			die("chunk table");
		if (off + NB_BLOCK_BYTES > len) {
			want = (unsigned int)((len - off) / chunk);
			memset(bits, 0, sizeof(bits));
			for (unsigned int i = 0; i < want; i++)
				bits[i / 64] |= 1ULL << i % 64;
		}
		if (nb_arm_block(&nb_sys_linux, b, bits, &armed) ||
		    armed != want)
			die("arming");
	}
	return (double)(nb_clock_ns() - start) / (double)pages;
}

static double arm_bare(char *mem, uint64_t chunk, int nr)
{
	uint64_t len = chunk * (uint64_t)nr, start = nb_clock_ns();

	if (mprotect(mem, len, PROT_NONE))
		die("mprotect");
	return (double)(nb_clock_ns() - start) / (double)(len / 4096);
}

static void drain(int expected)
{
	struct nb_hint_fault f;
	int nr = 0;

	while (nb_fault_ring_pop(&nb_slot_self()->ring, &f))
		nr++;
	if (nr != expected) {
		fprintf(stderr, "bench_fault: %d of %d faults recorded\n", nr,
			expected);
		exit(2);
	}
}

static char *map(uint64_t len, int huge)
{
	char *p = mmap(NULL, len + NB_BLOCK_BYTES, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		die("mmap");
	p = (char *)nb_align_up((uint64_t)p, NB_BLOCK_BYTES);
	madvise(p, len, huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
	memset(p, 1, len);
	return p;
}

struct row {
	const char *name;
	uint64_t chunk;
	int nr; /* chunks */
	int huge;
};

/* Sides take turns to be first, and to have the first of the two buffers. */
static void one_round(char *a, char *b, const struct row *row, int round)
{
	uint64_t chunk = row->chunk;
	int nr = row->nr;

	if (round & 2) {
		char *tmp = a;

		a = b;
		b = tmp;
	}
	for (int half = 0; half < 2; half++) {
		if ((half ^ round) & 1) {
			sigaction(SIGSEGV, &ours_action, NULL);
			ours.arm_ns[round] = arm_ours(a, chunk, nr);
			ours.fault_ns[round] = touch(a, chunk, nr);
			drain(nr);
		} else {
			sigaction(SIGSEGV, &bare_action, NULL);
			bare.arm_ns[round] = arm_bare(b, chunk, nr);
			bare.fault_ns[round] = touch(b, chunk, nr);
		}
	}
}

static double run(const struct row *row, int rounds)
{
	static double ratio[MAX_ROUNDS], arm_ratio[MAX_ROUNDS];
	uint64_t len = row->chunk * (uint64_t)row->nr;
	char *a = map(len, row->huge), *b = map(len, row->huge);

	bare_chunk = row->chunk;
	one_round(a, b, row, 0); /* warm up */
	for (int i = 0; i < rounds; i++) {
		one_round(a, b, row, i);
		ratio[i] = ours.fault_ns[i] / bare.fault_ns[i];
		arm_ratio[i] = ours.arm_ns[i] / bare.arm_ns[i];
	}
	printf("%-22s hint fault %9.0f ns   bare %9.0f ns   ratio %.3f   "
	       "arming %6.1f ns/page   bare %6.1f   ratio %.2f\n",
	       row->name, median(ours.fault_ns, rounds),
	       median(bare.fault_ns, rounds), median(ratio, rounds),
	       median(ours.arm_ns, rounds), median(bare.arm_ns, rounds),
	       median(arm_ratio, rounds));
	/* Not unmapped: the next row's chunks have another size. */
	return median(ratio, rounds);
}

static void set_up(void)
{
	struct nb_slot *slots = nb_arena_map(NB_MAX_SLOTS * sizeof(*slots));

	if (!slots || nb_chunk_table_init())
		die("set-up");
	nb_slots_init(slots);
	nb_hint_fault_init(&nb_sys_linux, &wake_word);
	if (nb_sigchain_install() || sigaction(SIGSEGV, NULL, &ours_action))
		die("sigaction");
	bare_action.sa_sigaction = bare_handler;
	bare_action.sa_flags = SA_SIGINFO;
}

int main(int argc, char **argv)
{
	static const struct row rows[] = {
		{"chunk 4 KiB", 4096, FAULTS, 0},
		{"chunk 64 KiB", 65536, FAULTS, 0},
		{"chunk 2 MiB, 4K pages", NB_BLOCK_BYTES, 32, 0},
		{"chunk 2 MiB, huge page", NB_BLOCK_BYTES, 32, 1},
	};
	int rounds = argc > 1 ? atoi(argv[1]) : 101, failed = 0;

	if (rounds < 1 || rounds > MAX_ROUNDS || argc > 4) {
		fprintf(stderr,
			"usage: bench_fault [ROUNDS 1..%d [MAX_4K MAX_2M]]\n",
			MAX_ROUNDS);
		return 2;
	}
	set_up();
	for (size_t i = 0; i < nb_array_size(rows); i++) {
		double r = run(&rows[i], rounds);

		failed |= i == 0 && argc > 2 && r > atof(argv[2]);
		failed |= i == 2 && argc > 3 && r > atof(argv[3]);
	}
	return failed;
}
