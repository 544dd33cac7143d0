/* SPDX-License-Identifier: MIT */
/*
 * A program to be debugged: prog_debug STEPS [wait].  Two threads work on the
 * heap; one calls tick() with its step after each.  With "wait" it begins when
 * a debugger has set go.
 */
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define WORDS (1 << 18)

struct record {
	char name[64];
	uint64_t values[8];
	struct record *next;
};

struct record *head;
volatile int go = 1;
static uint64_t *data;
static long steps;

__attribute__((noinline)) void tick(long step, uint64_t sum)
{
	struct timespec ts = {0, 2000000};
	struct record *r = calloc(1, sizeof(*r));

	if (!r)
		abort();
	snprintf(r->name, sizeof(r->name), "record of step %ld", step);
	for (int i = 0; i < 8; i++)
		r->values[i] = (uint64_t)(step * 10 + i);
	r->next = head;
	head = r;
	data[0] ^= sum;
	nanosleep(&ts, NULL);
}

static void *work(void *arg)
{
	uint64_t *p = arg;

	for (long s = 0; s < steps; s++)
		for (long i = 1; i < WORDS; i++)
			p[i] = p[i] * 31 + p[i - 1] + (uint64_t)s;
	return NULL;
}

int main(int argc, char **argv)
{
	uint64_t sum = 0;
	pthread_t t;

	steps = argc > 1 ? atol(argv[1]) : 100;
	data = calloc(2 * WORDS, sizeof(*data));
	if (!data || pthread_create(&t, NULL, work, data + WORDS))
		return 1;
	if (argc > 2)
		go = 0;
	while (!go)
		for (long i = 1; i < WORDS; i++)
			data[i] = 0;
	for (long s = 0; s < steps; s++) {
		for (long i = 1; i < WORDS; i++)
			sum += data[i] =
				data[i] + data[i - 1] + (uint64_t)(s * i);
		tick(s, sum);
	}
	pthread_join(t, NULL);
	for (long i = 0; i < WORDS; i++)
		sum = sum * 31 + data[WORDS + i];
	for (struct record *r = head; r; r = r->next)
		sum = sum * 31 + strlen(r->name) + r->values[3];
	printf("sum %016llx\n", (unsigned long long)sum);
	return 0;
}
