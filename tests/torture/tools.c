/* SPDX-License-Identifier: MIT */
/*
 * Patterns, random numbers, whole reads and writes, and the blocks that a
 * worker keeps over all its rounds: their contents are checked in each.
 */
#include "torture.h"

#include <malloc.h>
#include <stdio.h>
#include <time.h>

uint64_t mix(uint64_t x)
{
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ULL;
	x = (x ^ x >> 27) * 0x94d049bb133111ebULL;
	return x ^ x >> 31;
}

uint64_t rnd(struct worker *w)
{
	w->rng += 0x9e3779b97f4a7c15ULL;
	return mix(w->rng);
}

uint64_t below(struct worker *w, uint64_t n)
{
	return rnd(w) % n;
}

void note(struct worker *w, uint64_t v)
{
	w->sum = mix(w->sum * 31 + v);
}

static unsigned char pattern(uint64_t seed, size_t i)
{
	uint64_t word = seed + i / 8 * 0x9e3779b97f4a7c15ULL;

	word ^= word >> 29;
	return (unsigned char)(word >> i % 8 * 8);
}

void fill(void *p, size_t bytes, uint64_t seed)
{
	unsigned char *c = p;

	for (size_t i = 0; i < bytes; i++)
		c[i] = pattern(seed, i);
}

bool same(const void *p, size_t bytes, uint64_t seed)
{
	const unsigned char *c = p;

	for (size_t i = 0; i < bytes; i++)
		if (c[i] != pattern(seed, i))
			return false;
	return true;
}

uint64_t hash(const void *p, size_t bytes)
{
	const unsigned char *c = p;
	uint64_t h = 14695981039346656037ULL;

	for (size_t i = 0; i < bytes; i++)
		h = (h ^ c[i]) * 1099511628211ULL;
	return h;
}

void *get(size_t bytes)
{
	void *p = malloc(bytes ? bytes : 1);

	if (!p) {
		complain(__FILE__, __LINE__, "malloc", (long)bytes);
		abort();
	}
	memset(p, 0x5a, bytes);
	return p;
}

void *get_filled(size_t bytes, uint64_t seed)
{
	void *p = get(bytes);

	fill(p, bytes, seed);
	return p;
}

void full_read(int fd, void *p, size_t bytes)
{
	size_t done = 0;

	while (done < bytes) {
		long n = AGAIN(read(fd, (char *)p + done, bytes - done));

		CHECK(n > 0, n);
		if (n <= 0)
			return;
		done += (size_t)n;
	}
}

void full_write(int fd, const void *p, size_t bytes)
{
	size_t done = 0;

	while (done < bytes) {
		long n = AGAIN(write(fd, (const char *)p + done, bytes - done));

		CHECK(n > 0, n);
		if (n <= 0)
			return;
		done += (size_t)n;
	}
}

/* In the heap, like everything else. */
char *path_of(struct worker *w, const char *name)
{
	size_t bytes = strlen(w->dir) + strlen(name) + 2;
	char *path = get(bytes);

	snprintf(path, bytes, "%s/%s", w->dir, name);
	return path;
}

long now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* ---- blocks that stay ---------------------------------------------------- */

static size_t kept_bytes(struct worker *w)
{
	switch (below(w, 16)) {
	case 0:
		return 1 + below(w, 1 << 20); /* a mapping of its own */
	case 1 ... 5:
		return 1 + below(w, 65536);
	default:
		return 1 + below(w, 9000);
	}
}

static void kept_new(struct worker *w, struct kept *k)
{
	k->bytes = kept_bytes(w);
	k->seed = rnd(w);
	switch (below(w, 4)) {
	case 0:
		k->p = calloc(1, k->bytes);
		CHECK(k->p && !k->p[0] && !k->p[k->bytes / 2], k->bytes);
		break;
	case 1:
		k->p = memalign(64UL << below(w, 8), k->bytes);
		break;
	default:
		k->p = malloc(k->bytes);
	}
	if (!k->p)
		abort();
	fill(k->p, k->bytes, k->seed);
}

void kept_start(struct worker *w)
{
	for (int i = 0; i < NR_KEPT; i++) {
		struct kept *k = &w->kept[i];

		if (k->p && !same(k->p, k->bytes, k->seed))
			complain(__FILE__, __LINE__, "block changed", i);
		free(k->p);
		kept_new(w, k);
	}
}

static void kept_resize(struct worker *w, struct kept *k)
{
	size_t bytes = kept_bytes(w);
	unsigned char *p = realloc(k->p, bytes);

	if (!p)
		abort();
	k->p = p;
	CHECK(same(p, k->bytes < bytes ? k->bytes : bytes, k->seed), bytes);
	k->bytes = bytes;
	fill(p, bytes, k->seed);
}

bool kept_ok(const struct worker *w)
{
	for (int i = 0; i < NR_KEPT; i++)
		if (!same(w->kept[i].p, w->kept[i].bytes, w->kept[i].seed))
			return false;
	return true;
}

void kept_round(struct worker *w)
{
	for (int i = 0; i < NR_KEPT; i++) {
		struct kept *k = &w->kept[i];

		CHECK(same(k->p, k->bytes, k->seed), i);
		note(w, k->bytes);
		switch (below(w, 4)) {
		case 0:
			free(k->p);
			kept_new(w, k);
			break;
		case 1:
			kept_resize(w, k);
			break;
		}
	}
	if (!below(w, 8))
		malloc_trim(0);
}
