/* SPDX-License-Identifier: MIT */
/*
 * A torture for malloc(3), whichever one is loaded: threads allocate, resize,
 * hand over and free blocks of all sizes, each filled with a pattern that is
 * checked before it is given back.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <malloc.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NR_THREADS 6
#define NR_SHARED 4096
#define NR_OWN 2048
#define STEPS 100000

struct block {
	uint64_t *mem;
	size_t words;
	uint64_t seed;
};

static struct {
	pthread_mutex_t mutex;
	struct block block;
} shared[NR_SHARED];

static uint64_t errors;

static uint64_t next(uint64_t *state)
{
	uint64_t x = *state += 0x9e3779b97f4a7c15ULL;

	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ULL;
	x = (x ^ x >> 27) * 0x94d049bb133111ebULL;
	return x ^ x >> 31;
}

/* Mostly small, at times large enough for a mapping of its own. */
static size_t words_of(uint64_t r)
{
	if (r % 1000 == 0)
		return 1 + r / 1000 % (1 << 17);
	if (r % 20 == 0)
		return 1 + r / 20 % 4096;
	return 1 + r / 20 % 64;
}

static void fill(struct block *b, size_t from)
{
	for (size_t i = from; i < b->words; i++)
		b->mem[i] = b->seed ^ i;
}

static void check(const struct block *b, size_t words)
{
	for (size_t i = 0; i < words; i++)
		if (b->mem[i] != (b->seed ^ i))
			__atomic_fetch_add(&errors, 1, __ATOMIC_RELAXED);
}

static void must(const void *p)
{
	if (!p)
		abort();
}

static void take(struct block *b, uint64_t *rng)
{
	uint64_t how = next(rng) % 8;

	b->words = words_of(next(rng));
	b->seed = next(rng);
	if (how == 0)
		b->mem = calloc(b->words, sizeof(*b->mem));
	else if (how == 1)
		b->mem = aligned_alloc(64, (b->words * 8 + 63) & ~63UL);
	else
		b->mem = malloc(b->words * sizeof(*b->mem));
	must(b->mem);
	if (how == 0)
		for (size_t i = 0; i < b->words; i++)
			if (b->mem[i])
				__atomic_fetch_add(&errors, 1,
						   __ATOMIC_RELAXED);
	fill(b, 0);
}

static void drop(struct block *b)
{
	check(b, b->words);
	free(b->mem);
	b->mem = NULL;
}

static void resize(struct block *b, uint64_t *rng)
{
	size_t old = b->words, words = words_of(next(rng));

	b->mem = realloc(b->mem, words * sizeof(*b->mem));
	must(b->mem);
	b->words = words;
	check(b, old < words ? old : words);
	fill(b, old < words ? old : words);
}

static void change(struct block *b, uint64_t *rng)
{
	if (!b->mem)
		take(b, rng);
	else if (next(rng) % 4 == 0)
		resize(b, rng);
	else
		drop(b);
}

static void *work(void *arg)
{
	struct block *own = calloc(NR_OWN, sizeof(*own));
	uint64_t rng = (uint64_t)(uintptr_t)arg;

	must(own);
	for (int i = 0; i < STEPS; i++) {
		uint64_t k = next(&rng) % NR_SHARED;

		change(&own[next(&rng) % NR_OWN], &rng);
		pthread_mutex_lock(&shared[k].mutex);
		change(&shared[k].block, &rng);
		pthread_mutex_unlock(&shared[k].mutex);
		if (i % 10000 == 9999)
			malloc_trim(0);
	}
	for (int i = 0; i < NR_OWN; i++)
		if (own[i].mem)
			drop(&own[i]);
	free(own);
	return NULL;
}

static void say_whose_malloc(void)
{
	void *sym = dlsym(RTLD_DEFAULT, "malloc");
	const char *name;
	Dl_info info;

	if (!dladdr(sym, &info))
		abort();
	name = strrchr(info.dli_fname, '/');
	printf("malloc of %s\n", name ? name + 1 : info.dli_fname);
}

int main(void)
{
	pthread_t t[NR_THREADS];

	say_whose_malloc();
	/* glibc's own, if it is not used: its first call is for one thread. */
	malloc_trim(0);
	for (int i = 0; i < NR_SHARED; i++)
		pthread_mutex_init(&shared[i].mutex, NULL);
	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < NR_THREADS; i++)
			if (pthread_create(&t[i], NULL, work,
					   (void *)(intptr_t)(i + 1)))
				return 1;
		for (int i = 0; i < NR_THREADS; i++)
			pthread_join(t[i], NULL);
		printf("round %d: %llu errors\n", round,
		       (unsigned long long)errors);
	}
	for (int i = 0; i < NR_SHARED; i++)
		if (shared[i].block.mem)
			drop(&shared[i].block);
	return errors != 0;
}
