/* SPDX-License-Identifier: MIT */
/*
 * Threads that come and go, are cancelled where they wait and where they
 * compute, run on stacks from the heap, and coroutines.
 */
#include "torture.h"

#include <limits.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <time.h>
#include <ucontext.h>

#define STACK (256 * 1024UL)

struct errand {
	sem_t ready;
	unsigned int where;
	int fd[2];
	unsigned char *buf;
	size_t bytes;
	uint64_t seed, sum;
	_Atomic int cleaned, tsd;
	pthread_mutex_t lock;
	pthread_cond_t never;
	volatile uint64_t turns;
};

static pthread_key_t key;
static pthread_once_t key_once = PTHREAD_ONCE_INIT;

static void tsd_gone(void *e)
{
	((struct errand *)e)->tsd++;
}

static void make_key(void)
{
	pthread_key_create(&key, tsd_gone);
}

static struct errand *new_errand(struct worker *w)
{
	struct errand *e = calloc(1, sizeof(*e));

	pthread_once(&key_once, make_key);
	MUST(sem_init(&e->ready, 0, 0));
	MUST(pipe(e->fd));
	pthread_mutex_init(&e->lock, NULL);
	pthread_cond_init(&e->never, NULL);
	e->bytes = 100 + below(w, 20000);
	e->buf = get(e->bytes);
	e->seed = rnd(w);
	return e;
}

static void drop_errand(struct errand *e)
{
	MUST(close(e->fd[0]));
	MUST(close(e->fd[1]));
	pthread_cond_destroy(&e->never);
	CHECK(!pthread_mutex_destroy(&e->lock), 0);
	free(e->buf);
	free(e);
}

static void *plain(void *arg)
{
	struct errand *e = arg;
	char local[3000];

	pthread_setspecific(key, e);
	fill(local, sizeof(local), e->seed);
	fill(e->buf, e->bytes, e->seed);
	full_write(e->fd[1], local, sizeof(local));
	memset(local, 0, sizeof(local));
	full_read(e->fd[0], local, sizeof(local));
	CHECK(same(local, sizeof(local), e->seed), 0);
	e->sum = hash(local, sizeof(local));
	return e;
}

static void joined(struct worker *w)
{
	pthread_attr_t *attr = get(sizeof(*attr));
	struct errand *e = new_errand(w);
	void *stack = NULL, *ret = NULL;
	bool own = below(w, 2);
	pthread_t t;

	pthread_attr_init(attr);
	if (own) {
		CHECK(!posix_memalign(&stack, 4096, STACK), 0);
		memset(stack, 0x33, STACK);
		CHECK(!pthread_attr_setstack(attr, stack, STACK), 0);
	}
	CHECK(!pthread_create(&t, attr, plain, e), errno);
	CHECK(!pthread_join(t, &ret), 0);
	CHECK(ret == e && e->tsd == 1, e->tsd);
	CHECK(same(e->buf, e->bytes, e->seed), e->bytes);
	note(w, e->sum);
	pthread_attr_destroy(attr);
	free(attr);
	free(stack);
	drop_errand(e);
}

static void *detached_main(void *arg)
{
	struct errand *e = arg;

	fill(e->buf, e->bytes, e->seed);
	MUST(sem_post(&e->ready));
	return NULL;
}

static void detached(struct worker *w)
{
	struct errand *e = new_errand(w);
	pthread_attr_t attr;
	pthread_t t;

	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	CHECK(!pthread_create(&t, &attr, detached_main, e), errno);
	MUST(AGAIN(sem_wait(&e->ready)));
	CHECK(same(e->buf, e->bytes, e->seed), e->bytes);
	note(w, e->bytes);
	pthread_attr_destroy(&attr);
	drop_errand(e);
}

/* ---- cancelled ----------------------------------------------------------- */

static void clean(void *arg)
{
	struct errand *e = arg;

	fill(e->buf, e->bytes, e->seed);
	e->cleaned++;
}

static void clean_lock(void *arg)
{
	struct errand *e = arg;

	pthread_mutex_unlock(&e->lock);
}

static void wait_somewhere(struct errand *e)
{
	struct timespec ts = {1000, 0};
	struct pollfd p = {.fd = e->fd[0], .events = POLLIN};

	switch (e->where) {
	case 0:
		read(e->fd[0], e->buf, e->bytes);
		break;
	case 1:
		nanosleep(&ts, &ts);
		break;
	case 2:
		poll(&p, 1, -1);
		break;
	case 3:
		pthread_mutex_lock(&e->lock);
		pthread_cleanup_push(clean_lock, e);
		for (;;)
			pthread_cond_wait(&e->never, &e->lock);
		pthread_cleanup_pop(1);
		break;
	case 4:
		sem_wait(&e->ready);
		break;
	default:
		pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, NULL);
		for (;;)
			e->turns++;
	}
}

static void *waiting(void *arg)
{
	struct errand *e = arg;
	sem_t *ready = &e->ready;

	pthread_setspecific(key, e);
	pthread_cleanup_push(clean, e);
	if (e->where != 4)
		sem_post(ready);
	/* A handler of ours may let it out: go in again. */
	for (;;)
		wait_somewhere(e);
	pthread_cleanup_pop(0);
	return NULL;
}

static void cancelled(struct worker *w)
{
	for (unsigned int where = 0; where < 6; where++) {
		struct errand *e = new_errand(w);
		void *ret = NULL;
		pthread_t t;

		e->where = where;
		CHECK(!pthread_create(&t, NULL, waiting, e), errno);
		if (where != 4)
			MUST(AGAIN(sem_wait(&e->ready)));
		while (where == 5 && !e->turns)
			sched_yield();
		CHECK(!pthread_cancel(t), 0);
		CHECK(!pthread_join(t, &ret), 0);
		CHECK(ret == PTHREAD_CANCELED, where);
		CHECK(e->cleaned == 1, where);
		CHECK(e->tsd == 1, where);
		CHECK(same(e->buf, e->bytes, e->seed), where);
		note(w, where);
		drop_errand(e);
	}
}

/* ---- coroutines ---------------------------------------------------------- */

struct coro {
	ucontext_t main, co;
	uint64_t sum;
	int *fd;
	unsigned int turns;
};

static __thread struct coro *running;

static void coro_main(void)
{
	struct coro *c = running;
	char local[600];

	for (unsigned int i = 0; i < c->turns; i++) {
		fill(local, sizeof(local), i);
		full_write(c->fd[1], local, sizeof(local));
		memset(local, 0, sizeof(local));
		swapcontext(&c->co, &c->main);
		full_read(c->fd[0], local, sizeof(local));
		CHECK(same(local, sizeof(local), i), i);
		c->sum += hash(local, sizeof(local));
	}
}

static void coroutines(struct worker *w)
{
	struct coro *c = calloc(1, sizeof(*c));
	char *stack = get(STACK);

	c->fd = get(2 * sizeof(int));
	MUST(pipe(c->fd));
	c->turns = 3 + (unsigned int)below(w, 20);
	MUST(getcontext(&c->co));
	c->co.uc_stack.ss_sp = stack;
	c->co.uc_stack.ss_size = STACK;
	c->co.uc_link = &c->main;
	makecontext(&c->co, coro_main, 0);
	running = c;
	for (unsigned int i = 0; i <= c->turns; i++)
		MUST(swapcontext(&c->main, &c->co));
	note(w, c->sum);
	close(c->fd[0]);
	close(c->fd[1]);
	free(c->fd);
	free(stack);
	free(c);
}

/* ---- signals for coroutines -----------------------------------------------
 */

enum { NR_SIGNALS = 20 };

static uint64_t deeper(unsigned int depth, uint64_t v)
{
	unsigned char local[900];

	memset(local, (int)depth, sizeof(local));
	if (depth)
		v = deeper(depth - 1, v);
	return v * 31 + local[v % sizeof(local)];
}

/* No system call: signals find a stack that nobody has seen before. */
static void busy_main(void)
{
	struct coro *c = running;
	long end = now_ms() + 20000;

	while (signals_counted() < NR_SIGNALS && now_ms() < end)
		for (unsigned int i = 0; i < 100; i++)
			c->turns += deeper(40, i) == 1;
	CHECK(signals_counted() == NR_SIGNALS, signals_counted());
}

static void busy_coroutines(struct worker *w)
{
	struct job job = {.kind = JOB_SIGNAL,
			  .sig = signals_counter(),
			  .target = pthread_self()};
	struct coro *c = calloc(1, sizeof(*c));
	char *stack = get(STACK);

	MUST(getcontext(&c->co));
	c->co.uc_stack.ss_sp = stack;
	c->co.uc_stack.ss_size = STACK;
	c->co.uc_link = &c->main;
	makecontext(&c->co, busy_main, 0);
	running = c;
	for (int i = 0; i < NR_SIGNALS; i++) {
		job.seed = rnd(w);
		peer_do(w->peer, &job);
	}
	MUST(swapcontext(&c->main, &c->co));
	peer_wait(w->peer);
	note(w, NR_SIGNALS);
	free(stack);
	free(c);
}

/* A thread that libc makes for a timer. */
static void on_timer(union sigval v)
{
	struct errand *e = v.sival_ptr;

	fill(e->buf, e->bytes, e->seed);
	MUST(sem_post(&e->ready));
}

static void timer_threads(struct worker *w)
{
	struct errand *e = new_errand(w);
	struct itimerspec *its = calloc(1, sizeof(*its));
	struct sigevent *ev = calloc(1, sizeof(*ev));
	timer_t *t = get(sizeof(*t));

	ev->sigev_notify = SIGEV_THREAD;
	ev->sigev_notify_function = on_timer;
	ev->sigev_value.sival_ptr = e;
	MUST(timer_create(CLOCK_MONOTONIC, ev, t));
	its->it_value.tv_nsec = 1 + (long)below(w, 500000);
	MUST(timer_settime(*t, 0, its, NULL));
	MUST(AGAIN(sem_wait(&e->ready)));
	CHECK(same(e->buf, e->bytes, e->seed), e->bytes);
	MUST(timer_delete(*t));
	note(w, e->bytes);
	free(its);
	free(ev);
	free(t);
	drop_errand(e);
}

const struct op thread_ops[] = {
	{"joined", joined, 1},
	{"detached", detached, 2},
	{"cancelled", cancelled, 2},
	{"coroutines", coroutines, 1},
	{"busy-coroutines", busy_coroutines, 6},
	{"timer-threads", timer_threads, 2},
	{0},
};
