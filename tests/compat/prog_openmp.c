/* SPDX-License-Identifier: MIT */
/*
 * A program for OpenMP: parallel loops, reductions, tasks, sections, locks,
 * barriers and critical sections on heap memory, with sums that do not depend
 * on who did what.
 */
#include <omp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define N (1L << 20)
#define ROUNDS 400
#define NR_LOCKS 64
#define CUTOFF 2048

struct node {
	struct node *left, *right;
	uint64_t value;
};

static uint64_t mix(uint64_t x)
{
	x ^= x >> 31;
	x *= 0x9e3779b97f4a7c15ULL;
	return x ^ x >> 29;
}

static uint64_t loops(uint64_t *a, uint64_t *b)
{
	uint64_t sum = 0;

	for (int r = 0; r < ROUNDS; r++) {
#pragma omp parallel for schedule(dynamic, 4096)
		for (long i = 0; i < N; i++)
			a[i] = mix(a[i] + (uint64_t)i);
#pragma omp parallel for schedule(static)
		for (long i = 0; i < N; i++)
			b[i] += a[N - 1 - i];
#pragma omp parallel for reduction(+ : sum) schedule(guided)
		for (long i = 0; i < N; i++)
			sum += mix(b[i]);
	}
	return sum;
}

static struct node *build(int depth, uint64_t seed)
{
	struct node *n = malloc(sizeof(*n));

	if (!n)
		abort();
	n->value = mix(seed);
	n->left = n->right = NULL;
	if (!depth)
		return n;
#pragma omp task if (depth > 8)
	n->left = build(depth - 1, seed * 2);
#pragma omp task if (depth > 8)
	n->right = build(depth - 1, seed * 2 + 1);
#pragma omp taskwait
	return n;
}

static uint64_t total(const struct node *n)
{
	return n ? n->value + total(n->left) + total(n->right) : 0;
}

static void destroy(struct node *n)
{
	if (!n)
		return;
	destroy(n->left);
	destroy(n->right);
	free(n);
}

static uint64_t tasks(void)
{
	struct node *root = NULL;
	uint64_t sum;

#pragma omp parallel
#pragma omp single
	root = build(15, 1);
	sum = total(root);
	destroy(root);
	return sum;
}

/* Locks and their data are on the heap, contended by all. */
static uint64_t locks(void)
{
	omp_lock_t *lock = malloc(NR_LOCKS * sizeof(*lock));
	uint64_t *count = calloc(NR_LOCKS, sizeof(*count));
	uint64_t sum = 0, all = 0;

	if (!lock || !count)
		abort();
	for (int i = 0; i < NR_LOCKS; i++)
		omp_init_lock(&lock[i]);
#pragma omp parallel for schedule(dynamic, 64)
	for (long i = 0; i < 200000; i++) {
		int k = (int)(mix((uint64_t)i) % NR_LOCKS);

		omp_set_lock(&lock[k]);
		count[k] += (uint64_t)i;
		omp_unset_lock(&lock[k]);
		if (i % 256)
			continue;
#pragma omp critical
		all++;
	}
	for (int i = 0; i < NR_LOCKS; i++) {
		sum = sum * 31 + count[i];
		omp_destroy_lock(&lock[i]);
	}
	free(lock);
	free(count);
	return sum + all;
}

/* Each adds what its neighbour has written before the barrier. */
static uint64_t barriers(int nr_threads)
{
	uint64_t *cell = calloc((size_t)nr_threads * 2, sizeof(*cell));
	uint64_t sum = 0;

	if (!cell)
		abort();
#pragma omp parallel num_threads(nr_threads)
	{
		int me = omp_get_thread_num(), n = omp_get_num_threads();

		for (int r = 0; r < 2000; r++) {
			int from = r & 1 ? n : 0, to = r & 1 ? 0 : n;

			cell[to + me] =
				mix(cell[from + (me + 1) % n] + (uint64_t)r);
#pragma omp barrier
		}
	}
	for (int i = 0; i < nr_threads; i++)
		sum += cell[i];
	free(cell);
	return sum;
}

int main(void)
{
	uint64_t *a = calloc(N, sizeof(*a)), *b = calloc(N, sizeof(*b));

	if (!a || !b)
		return 1;
	omp_set_num_threads(4);
	printf("procs %d\n", omp_get_num_procs());
	printf("loops %016llx\n", (unsigned long long)loops(a, b));
	printf("tasks %016llx\n", (unsigned long long)tasks());
	printf("locks %016llx\n", (unsigned long long)locks());
	printf("barriers %016llx\n", (unsigned long long)barriers(4));
	free(a);
	free(b);
	return 0;
}
