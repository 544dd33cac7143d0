/* SPDX-License-Identifier: MIT */
/*
 * The smallest useful program: start, name the memory, work, print the
 * counters, stop.
 *
 * A program that is linked with the library, and not preloaded, tells it which
 * memory is to be balanced: numabal sees nothing of its mmap calls. Memory
 * that is handed to system calls does not belong in there, and memory is
 * taken out with numabal_exclude() before it is unmapped, if not by stopping.
 *
 * With two nodes or more the balancer looks at the memory within seconds and
 * this program fails unless it did. NUMABAL_F_FORCE makes that true of a
 * machine with one node as well; leave it out of your own programs, and
 * numabal costs nothing where there is nothing to balance.
 *
 * Build: cc minimal.c $(pkg-config --cflags --libs numabal)
 */
#include <numabal.h>

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#define SIZE ((size_t)32 << 20)
#define PATIENCE_S 30

static int fail(const char *what, int err)
{
	fprintf(stderr, "minimal: %s: %s\n", what, strerror(-err));
	return 1;
}

/* The program's own job: adds one to every word, and looks at what was. */
static uint64_t work(uint64_t *mem)
{
	static uint64_t rounds;
	uint64_t wrong = 0;

	for (size_t i = 0; i < SIZE / sizeof(*mem); i++)
		wrong += mem[i]++ != rounds;
	rounds++;
	return wrong;
}

int main(void)
{
	/* Shorter than the defaults, so that a short program sees something. */
	struct numabal_opts opts = {
		.sz = sizeof(opts),
		.flags = NUMABAL_F_FORCE,
		.scan_delay_ms = 10,
		.scan_period_min_ms = 10,
		.min_rss_mb = 1,
	};
	struct numabal_stats st = {.sz = sizeof(st)};
	time_t end = time(NULL) + PATIENCE_S;
	uint64_t wrong = 0;
	uint64_t *mem;
	int err;

	mem = mmap(NULL, SIZE, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (mem == MAP_FAILED)
		return 1;
	err = numabal_start(&opts);
	if (err)
		return fail("numabal_start", err);
	err = numabal_include(mem, SIZE);
	if (err)
		return fail("numabal_include", err);
	do {
		wrong += work(mem);
		err = numabal_get_stats(&st);
	} while (!err && !st.numa_hint_faults && time(NULL) < end);
	if (err)
		return fail("numabal_get_stats", err);

#define PRINT(name, doc)                                                       \
	printf("%-26s %10" PRIu64 "  %s\n", #name, st.name, doc);
	NUMABAL_STATS(PRINT)
#undef PRINT
	err = numabal_stop();
	if (err)
		return fail("numabal_stop", err);
	munmap(mem, SIZE);
	return wrong || !st.numa_pte_updates || !st.numa_hint_faults;
}
