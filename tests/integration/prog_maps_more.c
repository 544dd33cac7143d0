/* SPDX-License-Identifier: MIT */
/*
 * Other kinds of memory put where memory is armed: segments of System V, huge
 * pages, files and devices; and a call that rearranges pages.  What was not
 * replaced goes on being armed, and stays as it was.  Knows nothing of numabal;
 * run by test_aspace_maps.sh.
 */
#define _GNU_SOURCE
#include "armed.h"

#include <errno.h>
#include <sys/shm.h>

#define PAGE 4096UL
#define HUGE (2UL << 20)
#define RW (PROT_READ | PROT_WRITE)
#define AT (BUF_BYTES / 2)
#define PIECE (16 * PAGE)

/* The kernel writes to it and reads it, page by page; nothing is armed. */
static bool usable(unsigned char *p, size_t bytes, int byte)
{
	unsigned char page[PAGE];
	int pipes[2];

	CHECK(!pipe(pipes));
	memset(page, byte, PAGE);
	for (int round = 0; round < 20; round++)
		for (size_t i = 0; i < bytes; i += PAGE) {
			CHECK(write(pipes[1], page, PAGE) == PAGE);
			CHECK(read(pipes[0], p + i, PAGE) == PAGE);
			CHECK(p[i] == byte && p[i + PAGE - 1] == byte);
			CHECK(write(pipes[1], p + i, PAGE) == PAGE);
			CHECK(read(pipes[0], page, PAGE) == PAGE);
			CHECK(page[0] == byte && !is_armed(p + i));
		}
	close(pipes[0]);
	close(pipes[1]);
	return true;
}

/* A part of a buffer, as it was filled. */
static bool part_ok(const unsigned char *p, size_t from, size_t to)
{
	for (size_t i = from; i < to; i += 512)
		if (p[i] != (unsigned char)(i / 512 * 7))
			return false;
	return true;
}

/* What is left of the buffer is armed and right. */
static bool rest_ok(const unsigned char *p, size_t hole)
{
	CHECK(wait_armed(p) && wait_armed(p + BUF_BYTES - PAGE));
	return part_ok(p, 0, AT) && part_ok(p, AT + hole, BUF_BYTES);
}

static bool segment(void)
{
	unsigned char *p = armed_buffer(), *q;
	int id = shmget(IPC_PRIVATE, PIECE, IPC_CREAT | 0600);

	CHECK(id >= 0);
	/* Not a place for one: nothing changes. */
	CHECK(shmat(id, p + AT, 0) == (void *)-1 && errno == EINVAL);
	CHECK(pattern_ok(p, BUF_BYTES) && wait_armed(p + AT));
	q = shmat(id, p + AT + 100, SHM_REMAP | SHM_RND);
	CHECK(q == p + AT);
	CHECK(!shmctl(id, IPC_RMID, NULL));
	for (size_t i = 0; i < PIECE; i++)
		CHECK(!q[i]);
	CHECK(usable(q, PIECE, 7) && rest_ok(p, PIECE));
	CHECK(!shmdt(q));
	/* Memory as before comes into the gap, and is armed in time. */
	q = mmap(p + AT, PIECE, RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1,
		 0);
	CHECK(q == p + AT && !q[5]);
	memset(q, 9, PIECE);
	CHECK(wait_armed(q + PAGE) && q[PAGE] == 9);
	CHECK(rest_ok(p, PIECE));
	return !munmap(p, BUF_BYTES);
}

/* Read only: what was armed there must not come back writable. */
static bool segment_read_only(void)
{
	unsigned char *p = armed_buffer(), *q;
	int id = shmget(IPC_PRIVATE, PIECE, IPC_CREAT | 0600), pipes[2];

	CHECK(id >= 0 && !pipe(pipes));
	q = shmat(id, p + AT, SHM_REMAP | SHM_RDONLY);
	CHECK(q == p + AT && !shmctl(id, IPC_RMID, NULL));
	CHECK(rest_ok(p, PIECE) && !q[0] && !is_armed(q));
	CHECK(write(pipes[1], p, 1) == 1);
	CHECK(read(pipes[0], q, 1) < 0 && errno == EFAULT);
	CHECK(!shmdt(q));
	close(pipes[0]);
	close(pipes[1]);
	return !munmap(p, BUF_BYTES);
}

/* For shared mappings alone; of ours it is refused, and nothing is lost. */
static bool rearranged(void)
{
	unsigned char *p = armed_buffer(), *q;
	FILE *f = tmpfile();

	CHECK(remap_file_pages(p, PIECE, 0, 2, 0) < 0 && errno == EINVAL);
	CHECK(pattern_ok(p, BUF_BYTES));
	CHECK(f && !ftruncate(fileno(f), PIECE));
	q = mmap(p + AT, PIECE, RW, MAP_SHARED | MAP_FIXED, fileno(f), 0);
	CHECK(q == p + AT);
	for (size_t i = 0; i < PIECE; i++)
		q[i] = (unsigned char)(i / PAGE);
	CHECK(!remap_file_pages(q, PAGE, 0, 3, 0) && q[0] == 3);
	CHECK(usable(q, PIECE, 5) && rest_ok(p, PIECE));
	fclose(f);
	return !munmap(p, BUF_BYTES);
}

static bool devices(void)
{
	unsigned char *p = armed_buffer(), *q;
	int fd = open("/dev/zero", O_RDWR | O_CLOEXEC);

	CHECK(fd >= 0);
	for (int shared = 0; shared < 2; shared++) {
		q = mmap(p + AT, PIECE, RW,
			 (shared ? MAP_SHARED : MAP_PRIVATE) | MAP_FIXED, fd,
			 0);
		CHECK(q == p + AT && !q[0] && !q[PIECE - 1]);
		CHECK(usable(q, PIECE, 3) && rest_ok(p, PIECE));
	}
	close(fd);
	return !munmap(p, BUF_BYTES);
}

/* Where there are some: "absent" needs vm.nr_hugepages. */
static bool huge_table(void)
{
	unsigned char *p = new_buffer(4 * HUGE), *at, *q;

	at = (void *)(((uintptr_t)p + HUGE - 1) & ~(HUGE - 1));
	CHECK(wait_armed(at));
	q = mmap(NULL, HUGE, RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1,
		 0);
	if (q == MAP_FAILED) {
		printf("absent: huge pages: %m\n");
		/* Refused where armed memory is: it stays, or is a gap. */
		q = mmap(at, HUGE, RW,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | MAP_FIXED,
			 -1, 0);
		CHECK(q == MAP_FAILED);
		return !munmap(p, 4 * HUGE);
	}
	CHECK(usable(q, HUGE, 6) && !munmap(q, HUGE));
	q = mmap(at, HUGE, RW,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | MAP_FIXED, -1, 0);
	CHECK(q == at && !q[0]);
	CHECK(usable(q, HUGE, 6));
	CHECK(part_ok(p, 0, (size_t)(at - p)));
	CHECK(part_ok(p, (size_t)(at - p) + HUGE, 4 * HUGE));
	CHECK(!munmap(q, HUGE));
	return !munmap(p, 4 * HUGE);
}

int main(int argc, char **argv)
{
	static const struct armed_case cases[] = {
		{"segment", segment},
		{"segment-read-only", segment_read_only},
		{"rearranged", rearranged},
		{"devices", devices},
		{"huge-table", huge_table},
		{NULL, NULL},
	};

	return run_cases(cases, argc, argv);
}
