/* SPDX-License-Identifier: MIT */
/*
 * Coroutines by makecontext(3) on stacks from malloc(3), in several threads,
 * under a storm of signals that are handled on whatever stack runs: none of
 * them may be lost, and each coroutine must add up right.
 */
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <ucontext.h>
#include <unistd.h>

#define NR_THREADS 3
#define NR_CO 200
#define STACK_BYTES (64 * 1024)
#define TURNS 1500
#define NR_SIGNALS 20000

struct co {
	ucontext_t ctx;
	ucontext_t *back;
	char *stack;
	uint64_t *data;
	uint64_t sum;
	int left;
};

static volatile sig_atomic_t handled;
static int running = NR_THREADS;

static void on_signal(int sig)
{
	char buf[2000];

	(void)sig;
	memset(buf, (int)handled, sizeof(buf));
	handled += buf[17] == buf[1717];
}

static uint64_t deeper(struct co *c, int depth)
{
	uint64_t local[64];

	for (int i = 0; i < 64; i++)
		local[i] = c->data[(i * 7 + depth) % 512] + (uint64_t)i;
	if (depth > 0)
		return deeper(c, depth - 1) + local[depth];
	swapcontext(&c->ctx, c->back);
	return local[3];
}

static void body(unsigned int low, unsigned int high)
{
	struct co *c = (struct co *)((uint64_t)high << 32 | low);

	while (c->left-- > 0) {
		c->sum += deeper(c, c->left % 20);
		c->data[c->left % 512] += c->sum;
	}
}

static void start(struct co *c, ucontext_t *back, int n)
{
	c->back = back;
	c->left = TURNS;
	c->sum = (uint64_t)n;
	c->stack = malloc(STACK_BYTES);
	c->data = calloc(512, sizeof(*c->data));
	if (!c->stack || !c->data || getcontext(&c->ctx))
		abort();
	c->ctx.uc_stack.ss_sp = c->stack;
	c->ctx.uc_stack.ss_size = STACK_BYTES;
	c->ctx.uc_link = back;
	makecontext(&c->ctx, (void (*)(void))body, 2,
		    (unsigned int)(uintptr_t)c,
		    (unsigned int)((uintptr_t)c >> 32));
}

static void *run(void *arg)
{
	struct co *co = calloc(NR_CO, sizeof(*co));
	uint64_t *sum = arg;
	ucontext_t back;

	if (!co)
		abort();
	for (int i = 0; i < NR_CO; i++)
		start(&co[i], &back, i + (int)*sum);
	/* Once more than there are turns: each runs to its end. */
	for (int turn = 0; turn <= TURNS; turn++)
		for (int i = 0; i < NR_CO; i++)
			if (swapcontext(&back, &co[i].ctx))
				abort();
	*sum = 0;
	for (int i = 0; i < NR_CO; i++) {
		*sum = *sum * 31 + co[i].sum;
		free(co[i].stack);
		free(co[i].data);
	}
	free(co);
	__atomic_fetch_sub(&running, 1, __ATOMIC_RELEASE);
	return NULL;
}

/* One at a time: a second one that is pending would be merged with it. */
static int storm(pthread_t *t)
{
	int sent = 0;

	while (sent < NR_SIGNALS &&
	       __atomic_load_n(&running, __ATOMIC_ACQUIRE) == NR_THREADS) {
		pthread_kill(t[sent % NR_THREADS], SIGUSR1);
		sent++;
		for (long i = 0; handled < sent; i++) {
			if (i > 200000)
				return sent;
			usleep(50);
		}
	}
	return sent;
}

int main(void)
{
	struct sigaction sa = {.sa_handler = on_signal};
	uint64_t sum[NR_THREADS];
	pthread_t t[NR_THREADS];
	int sent;

	sigaction(SIGUSR1, &sa, NULL);
	for (int i = 0; i < NR_THREADS; i++) {
		sum[i] = (uint64_t)i;
		if (pthread_create(&t[i], NULL, run, &sum[i]))
			return 1;
	}
	sent = storm(t);
	for (int i = 0; i < NR_THREADS; i++) {
		pthread_join(t[i], NULL);
		printf("thread %d: %016llx\n", i, (unsigned long long)sum[i]);
	}
	printf("lost signals: %d\n", sent - (int)handled);
	return sent != handled;
}
