/* SPDX-License-Identifier: MIT */
/*
 * Traps of tests/traps.tsv that no other program sets: memory that is mapped
 * more than once, and a working set that is hot.  Knows nothing of numabal;
 * run by test_traps.sh.
 */
#define _GNU_SOURCE
#include "armed.h"

#include <sys/shm.h>

#define SHARED_MS 300
#define HOT_MS 4000 /* what start-up may cost is a small part of it */

static long cpu_ms(void)
{
	return clock() / (CLOCKS_PER_SEC / 1000);
}

/* None of them is armed, while other memory is over and over. */
static bool shared(void)
{
	int fd = memfd_create("traps", MFD_CLOEXEC);
	int id = shmget(IPC_PRIVATE, BUF_BYTES, IPC_CREAT | 0600);
	unsigned char *own = armed_buffer(), *p[5];
	long until;

	CHECK(fd >= 0 && id >= 0 && !ftruncate(fd, BUF_BYTES));
	p[0] = mmap(NULL, BUF_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	p[1] = mmap(NULL, BUF_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	p[2] = mmap(NULL, BUF_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd,
		    0);
	p[3] = mmap(NULL, BUF_BYTES, PROT_READ | PROT_WRITE,
		    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	p[4] = shmat(id, NULL, 0);
	shmctl(id, IPC_RMID, NULL);
	for (int i = 0; i < 5; i++) {
		CHECK(p[i] != MAP_FAILED);
		memset(p[i], i, BUF_BYTES);
	}
	until = cpu_ms() + SHARED_MS;
	while (cpu_ms() < until) {
		CHECK(wait_armed(own) && pattern_ok(own, BUF_BYTES));
		for (int i = 0; i < 5; i++)
			CHECK(!is_armed(p[i] + BUF_BYTES / 2));
	}
	CHECK(p[0][4096] == 1 && p[1][4096] == 1 && p[2][4096] == 2);
	return true;
}

/* The script compares how much of it is armed. */
static bool hot(void)
{
	unsigned char *p = new_buffer(4 * BUF_BYTES);

	for (long until = cpu_ms() + HOT_MS; cpu_ms() < until;)
		CHECK(pattern_ok(p, 4 * BUF_BYTES));
	return true;
}

int main(int argc, char **argv)
{
	static const struct armed_case cases[] = {
		{"shared", shared},
		{"hot", hot},
		{NULL, NULL},
	};

	return run_cases(cases, argc, argv);
}
