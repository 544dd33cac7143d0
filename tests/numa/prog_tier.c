/* SPDX-License-Identifier: MIT */
/*
 * prog_tier FAST SLOW FREE_MB HOT_MB SECONDS: a program whose cold memory
 * fills node FAST but for FREE_MB, and whose hot memory is on node SLOW.
 *
 * It runs on node FAST, uses the hot memory all the time and the cold never
 * again, and ends when the hot memory has come to it in three looks in a row,
 * or after SECONDS.  Then it checks all that it ever wrote.
 *
 * Where memory is first used is the kernel's doing: a policy of the thread,
 * which is taken back; no memory keeps one.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/mempolicy.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define MB (1UL << 20)
#define PAGE 4096UL
#define LINE 64UL
#define BATCH 512UL

static void die(const char *what)
{
	fprintf(stderr, "prog_tier: %s: %s\n", what, strerror(errno));
	exit(2);
}

static void set_policy(int mode, int nid)
{
	unsigned long mask = 1UL << (nid < 0 ? 0 : nid);

	if (syscall(SYS_set_mempolicy, mode, nid < 0 ? NULL : &mask,
		    nid < 0 ? 0UL : 64UL))
		die("set_mempolicy");
}

static long read_number(const char *path, const char *key)
{
	char line[256];
	FILE *f = fopen(path, "re");
	long value = -1;

	while (f && fgets(line, sizeof(line), f)) {
		char *at = strstr(line, key);

		if (at)
			value = atol(at + strlen(key));
	}
	if (f)
		fclose(f);
	return value;
}

static long free_mb(int nid)
{
	char path[128];

	snprintf(path, sizeof(path), "/sys/devices/system/node/node%d/meminfo",
		 nid);
	return read_number(path, "MemFree:") / 1024;
}

/* The node's first CPU will do. */
static void run_on(int nid)
{
	char path[128];
	cpu_set_t set;
	FILE *f;
	int cpu;

	snprintf(path, sizeof(path), "/sys/devices/system/node/node%d/cpulist",
		 nid);
	f = fopen(path, "re");
	if (!f || fscanf(f, "%d", &cpu) != 1)
		die(path);
	fclose(f);
	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		die("sched_setaffinity");
}

static char *reserve(unsigned long bytes)
{
	char *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED)
		die("mmap");
	return p;
}

static uint64_t mark(unsigned long at)
{
	return at * 0x9e3779b97f4a7c15ULL;
}

static void fill(char *p, unsigned long from, unsigned long to)
{
	for (; from < to; from += PAGE)
		*(uint64_t *)(p + from + 8) = mark(from);
}

static int corrupt(const char *p, unsigned long bytes)
{
	int bad = 0;

	for (unsigned long at = 0; at < bytes; at += PAGE)
		bad += *(const uint64_t *)(p + at + 8) != mark(at);
	return bad;
}

/* Percent of the pages that are on a node. */
static double share_on(char *p, unsigned long bytes, int nid)
{
	unsigned long on = 0, all = 0;

	for (unsigned long at = 0; at < bytes; at += BATCH * PAGE) {
		void *pages[BATCH];
		int status[BATCH];
		unsigned long n = 0;

		for (; n < BATCH && at + n * PAGE < bytes; n++)
			pages[n] = p + at + n * PAGE;
		if (syscall(SYS_move_pages, 0, n, pages, NULL, status, 0))
			die("move_pages");
		for (unsigned long i = 0; i < n; i++)
			on += status[i] == nid;
		all += n;
	}
	return 100.0 * (double)on / (double)all;
}

static double seconds(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void use(char *p, unsigned long bytes)
{
	for (unsigned long at = 0; at < bytes; at += LINE)
		++*(volatile uint32_t *)(p + at);
}

int main(int argc, char **argv)
{
	unsigned long cold_bytes = 0, hot_bytes;
	int fast, slow, looks = 0;
	double start, share = 0;
	char *cold, *hot;
	long keep;

	if (argc != 6)
		return 2;
	fast = atoi(argv[1]);
	slow = atoi(argv[2]);
	keep = atol(argv[3]);
	hot_bytes = strtoul(argv[4], NULL, 10) * MB;
	run_on(fast);
	hot = reserve(hot_bytes);
	set_policy(MPOL_BIND, slow);
	fill(hot, 0, hot_bytes);
	cold = reserve((unsigned long)free_mb(fast) * MB);
	set_policy(MPOL_BIND, fast);
	for (; free_mb(fast) > keep + 2; cold_bytes += 2 * MB)
		fill(cold, cold_bytes, cold_bytes + 2 * MB);
	set_policy(MPOL_DEFAULT, -1);
	printf("cold: %lu MB; hot: %.0f %% on node %d; free there: %ld MB\n",
	       cold_bytes / MB, share_on(hot, hot_bytes, fast), fast,
	       free_mb(fast));
	start = seconds();
	for (double next = start + 1; seconds() < start + atoi(argv[5]);) {
		use(hot, hot_bytes);
		if (seconds() < next)
			continue;
		next = seconds() + 1;
		share = share_on(hot, hot_bytes, fast);
		looks = share >= 95 ? looks + 1 : 0;
		printf("time=%.1f hot_pct=%.1f free_mb=%ld\n",
		       seconds() - start, share, free_mb(fast));
		fflush(stdout);
		if (looks == 3)
			break;
	}
	printf("RESULT hot_pct=%.1f cold_pct=%.1f corrupt=%d seconds=%.1f\n",
	       share, share_on(cold, cold_bytes, fast),
	       corrupt(cold, cold_bytes) + corrupt(hot, hot_bytes),
	       seconds() - start);
	return 0;
}
