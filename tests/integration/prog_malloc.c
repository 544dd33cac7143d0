/* SPDX-License-Identifier: MIT */
/*
 * Allocates, resizes and frees blocks of all sizes in eight threads, some of
 * them in a thread that did not allocate them, trims the heap, and checks what
 * is in every block.  prog_malloc SECONDS.  Knows nothing of numabal and of
 * which malloc(3) it has.
 */
#define _GNU_SOURCE
#include <malloc.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define THREADS 8
#define BLOCKS 400U

struct block {
	unsigned char *p;
	size_t bytes;
	unsigned char seed;
};

struct worker {
	pthread_t thread;
	uint64_t rng;
	unsigned long ops;
	pthread_mutex_t lock;
	struct block block[BLOCKS];
};

static struct worker workers[THREADS];
static _Atomic bool stop, bad;

static uint64_t rnd(struct worker *w, uint64_t n)
{
	w->rng ^= w->rng << 13;
	w->rng ^= w->rng >> 7;
	w->rng ^= w->rng << 17;
	return w->rng % n;
}

static void fill(struct block *b, size_t from)
{
	for (size_t i = from; i < b->bytes; i += 61)
		b->p[i] = (unsigned char)(b->seed + i / 61);
}

static void check(const struct block *b, size_t bytes)
{
	for (size_t i = 0; i < bytes; i += 61)
		if (b->p[i] != (unsigned char)(b->seed + i / 61))
			atomic_store(&bad, true);
}

static size_t some_size(struct worker *w)
{
	switch (rnd(w, 16)) {
	case 0:
		return 1 + rnd(w, 1 << 20);
	case 1 ... 4:
		return 1 + rnd(w, 1 << 16);
	default:
		return 1 + rnd(w, 2000);
	}
}

static void one(struct worker *w, struct block *b)
{
	size_t bytes = some_size(w), old = b->bytes;

	if (!b->p) {
		b->p = malloc(bytes);
		b->seed = (unsigned char)rnd(w, 256);
		b->bytes = b->p ? bytes : 0;
		fill(b, 0);
		return;
	}
	check(b, old);
	if (rnd(w, 2)) {
		free(b->p);
		*b = (struct block){0};
		return;
	}
	b->p = realloc(b->p, bytes);
	b->bytes = bytes;
	check(b, bytes < old ? bytes : old);
	fill(b, 0);
}

static void *work(void *arg)
{
	struct worker *w = arg;

	while (!atomic_load(&stop) && !atomic_load(&bad)) {
		/* Another's block, sometimes. */
		struct worker *of = rnd(w, 4) ? w : &workers[rnd(w, THREADS)];

		pthread_mutex_lock(&of->lock);
		one(w, &of->block[rnd(w, BLOCKS)]);
		pthread_mutex_unlock(&of->lock);
		if (!(++w->ops % 5000))
			malloc_trim(0);
	}
	return NULL;
}

int main(int argc, char **argv)
{
	long secs = argc > 1 ? strtol(argv[1], NULL, 10) : 3;
	time_t until = time(NULL) + secs;
	struct timespec ts = {0, 20000000};
	unsigned long ops = 0;

	for (int i = 0; i < THREADS; i++) {
		workers[i].rng = (uint64_t)i + 88172645463325252UL;
		pthread_mutex_init(&workers[i].lock, NULL);
	}
	for (int i = 0; i < THREADS; i++)
		if (pthread_create(&workers[i].thread, NULL, work, &workers[i]))
			return 2;
	while (time(NULL) < until && !atomic_load(&bad))
		nanosleep(&ts, NULL);
	atomic_store(&stop, true);
	for (int i = 0; i < THREADS; i++) {
		pthread_join(workers[i].thread, NULL);
		ops += workers[i].ops;
	}
	printf("%lu operations, %s\n", ops, atomic_load(&bad) ? "BAD" : "fine");
	return atomic_load(&bad);
}
