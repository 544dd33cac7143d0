/* SPDX-License-Identifier: MIT */
/*
 * The address space: every call that changes it, contents checked after each,
 * and an allocator that is kept busy.
 */
#include "torture.h"

#include <malloc.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <sys/syscall.h>

#define PAGE 4096UL
#define RW (PROT_READ | PROT_WRITE)
#define ANON (MAP_PRIVATE | MAP_ANONYMOUS)

static unsigned char *map(size_t pages)
{
	void *p = mmap(NULL, pages * PAGE, RW, ANON, -1, 0);

	CHECK(p != MAP_FAILED, errno);
	if (p == MAP_FAILED)
		abort();
	return p;
}

static bool zeros(const unsigned char *p, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++)
		if (p[i])
			return false;
	return true;
}

/* Map, write, take pieces out, put others there, check the rest. */
static void pieces(struct worker *w)
{
	size_t pages = 8 + below(w, 60), hole = 1 + below(w, pages - 4);
	unsigned char *p = map(pages), *q;
	uint64_t s = rnd(w);

	fill(p, pages * PAGE, s);
	q = mmap(p + hole * PAGE, PAGE, RW, ANON | MAP_FIXED, -1, 0);
	CHECK(q == p + hole * PAGE, errno);
	CHECK(zeros(q, PAGE), hole);
	CHECK(same(p, hole * PAGE, s), hole);
	memcpy(q, p, PAGE);
	MUST(munmap(p, PAGE));
	CHECK(same(q, PAGE, s), hole);
	MUST(madvise(p + PAGE, (pages - 1) * PAGE, MADV_DONTNEED));
	CHECK(zeros(p + PAGE, (pages - 1) * PAGE), pages);
	fill(p + PAGE, (pages - 1) * PAGE, s + 1);
	MUST(mprotect(p + PAGE, PAGE, PROT_READ));
	CHECK(same(p + PAGE, (pages - 1) * PAGE, s + 1), pages);
	MUST(mprotect(p + PAGE, PAGE, RW));
	fill(p + PAGE, PAGE, s + 2);
	CHECK(same(p + PAGE, PAGE, s + 2), pages);
	MUST(munmap(p + PAGE, (pages - 1) * PAGE));
	note(w, pages);
}

static void moves(struct worker *w)
{
	size_t old = 1 + below(w, 40), new = 1 + below(w, 80);
	size_t both = old < new ? old : new;
	unsigned char *p = map(old), *q, *to;
	uint64_t s = rnd(w);

	fill(p, old * PAGE, s);
	q = mremap(p, old * PAGE, new *PAGE, MREMAP_MAYMOVE);
	CHECK(q != MAP_FAILED, errno);
	if (q == MAP_FAILED)
		return;
	CHECK(same(q, both * PAGE, s), new);
	fill(q, new *PAGE, s + 1);
	to = map(new + 2);
	p = mremap(q, new *PAGE, new *PAGE, MREMAP_MAYMOVE | MREMAP_FIXED,
		   to + PAGE);
	CHECK(p == to + PAGE, errno);
	CHECK(same(p, new *PAGE, s + 1), new);
	fill(to, (new + 2) * PAGE, s + 3);
	CHECK(same(to, (new + 2) * PAGE, s + 3), new);
	MUST(munmap(to, (new + 2) * PAGE));
	note(w, old * 1000 + new);
}

static void advice(struct worker *w)
{
	size_t pages = 4 + below(w, 40);
	unsigned char *p = map(pages), *vec = get(pages);
	uint64_t s = rnd(w);

	MUST(madvise(p, pages * PAGE, MADV_WILLNEED));
	if (madvise(p, pages * PAGE, MADV_POPULATE_WRITE))
		CHECK(errno == EINVAL, errno);
	fill(p, pages * PAGE, s);
	MUST(mincore(p, pages * PAGE, vec));
	for (size_t i = 0; i < pages; i++)
		CHECK(vec[i] & 1, i);
	MUST(mlock(p + PAGE, PAGE));
	MUST(munlock(p + PAGE, PAGE));
	MUST(madvise(p, pages * PAGE, MADV_NOHUGEPAGE));
	MUST(madvise(p, 2 * PAGE, MADV_DONTFORK));
	MUST(madvise(p, 2 * PAGE, MADV_DOFORK));
	MUST(madvise(p, PAGE, MADV_WIPEONFORK));
	CHECK(same(p, pages * PAGE, s), pages);
	MUST(munmap(p, pages * PAGE));
	note(w, pages);
	free(vec);
}

/* Memory comes and goes at the same addresses with different rights. */
static void same_place(struct worker *w)
{
	enum { PAGES = 16 };
	unsigned char *p = map(PAGES);
	int *pfd = get(2 * sizeof(*pfd));

	MUST(pipe(pfd));
	for (int i = 0; i < 6; i++) {
		int prot = below(w, 2) ? PROT_READ : PROT_NONE;

		MUST(munmap(p, PAGES * PAGE));
		p = mmap(NULL, PAGES * PAGE, prot, ANON, -1, 0);
		CHECK(p != MAP_FAILED, errno);
		if (prot == PROT_NONE)
			FAILS(write(pfd[1], p, 10), EFAULT);
		else
			CHECK(write(pfd[1], p, 10) == 10, errno);
		/* Read only is read only: the kernel must not get in. */
		if (prot == PROT_READ)
			FAILS(read(pfd[0], p, 10), EFAULT);
		MUST(munmap(p, PAGES * PAGE));
		p = map(PAGES);
		CHECK(zeros(p, PAGES * PAGE), i);
		fill(p, PAGES * PAGE, (uint64_t)i);
		CHECK(same(p, PAGES * PAGE, (uint64_t)i), i);
	}
	MUST(munmap(p, PAGES * PAGE));
	close(pfd[0]);
	close(pfd[1]);
	free(pfd);
	note(w, PAGES);
}

/* Chunks come from one thread's arena and go back in another order. */
static void churn(struct worker *w)
{
	enum { NR = 200 };
	unsigned char **p = calloc(NR, sizeof(*p));
	size_t *bytes = calloc(NR, sizeof(*bytes));

	for (int i = 0; i < 600; i++) {
		uint64_t k = below(w, NR);

		if (p[k]) {
			CHECK(same(p[k], bytes[k], k), k);
			free(p[k]);
		}
		bytes[k] = below(w, 30) ? below(w, 600) : below(w, 200000);
		p[k] = malloc(bytes[k]);
		if (!p[k] && bytes[k])
			abort();
		fill(p[k], bytes[k], k);
	}
	for (uint64_t k = 0; k < NR; k++) {
		if (p[k])
			CHECK(same(p[k], bytes[k], k), k);
		note(w, bytes[k]);
		free(p[k]);
	}
	free(p);
	free(bytes);
}

static void large_blocks(struct worker *w)
{
	size_t bytes = 1 + below(w, 1 << 20), next = 1 + below(w, 1 << 20);
	unsigned char *p = get_filled(bytes, 1), *q;

	q = realloc(p, next); /* mremap(2), mostly */
	if (!q)
		abort();
	CHECK(same(q, bytes < next ? bytes : next, 1), next);
	fill(q, next, 2);
	CHECK(malloc_usable_size(q) >= next, next);
	q = realloc(q, 100);
	CHECK(same(q, next < 100 ? next : 100, 2), next);
	free(q);
	p = calloc(1, bytes);
	CHECK(zeros(p, bytes), bytes);
	free(p);
	malloc_trim(bytes & 0xffff);
	note(w, bytes);
}

static void segments(struct worker *w)
{
	size_t bytes = PAGE * (1 + below(w, 8));
	int id = shmget(IPC_PRIVATE, bytes, IPC_CREAT | 0600);
	struct shmid_ds *ds = get(sizeof(*ds));
	unsigned char *p, *q;

	CHECK(id >= 0, errno);
	if (id < 0)
		return;
	p = shmat(id, NULL, 0);
	q = shmat(id, NULL, SHM_RDONLY);
	MUST(shmctl(id, IPC_RMID, NULL));
	fill(p, bytes, bytes);
	CHECK(same(q, bytes, bytes), bytes);
	/* A child of somebody else may have it, too. */
	MUST(shmctl(id, IPC_STAT, ds));
	CHECK(ds->shm_segsz == bytes && ds->shm_nattch >= 2, ds->shm_nattch);
	MUST(shmdt(p));
	MUST(shmdt(q));
	note(w, bytes);
	free(ds);
}

const struct op map_ops[] = {
	{"pieces", pieces, 1},	   {"moves", moves, 1},
	{"advice", advice, 1},	   {"same-place", same_place, 1},
	{"churn", churn, 1},	   {"large-blocks", large_blocks, 1},
	{"segments", segments, 2}, {0},
};
