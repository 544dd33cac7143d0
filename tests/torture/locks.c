/* SPDX-License-Identifier: MIT */
/*
 * Locks of all kinds in the heap, some of them shared by all workers.  What
 * they protect is checked each time.
 */
#include "torture.h"

#include <linux/futex.h>
#include <sched.h>
#include <sys/syscall.h>
#include <time.h>

struct shared {
	pthread_mutex_t mutex;
	pthread_rwlock_t rw;
	pthread_spinlock_t spin;
	uint64_t a;
	char gap[5000];
	uint64_t b; /* always as a, under mutex; c and d under rw */
	uint64_t c;
	char gap2[5000];
	uint64_t d;
	uint64_t e;
};

static struct shared *all;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void make_shared(void)
{
	all = calloc(1, sizeof(*all));
	pthread_mutex_init(&all->mutex, NULL);
	pthread_rwlock_init(&all->rw, NULL);
	pthread_spin_init(&all->spin, 0);
}

static void contended(struct worker *w)
{
	pthread_once(&once, make_shared);
	for (int i = 0; i < 50; i++) {
		CHECK(!pthread_mutex_lock(&all->mutex), i);
		CHECK(all->a == all->b, all->b);
		all->a++;
		if (!(i & 15))
			sched_yield(); /* so that others come to wait */
		all->b++;
		CHECK(!pthread_mutex_unlock(&all->mutex), i);
		CHECK(!pthread_rwlock_rdlock(&all->rw), i);
		CHECK(all->c == all->d, all->d);
		CHECK(!pthread_rwlock_unlock(&all->rw), i);
		if (i % 10)
			continue;
		CHECK(!pthread_rwlock_wrlock(&all->rw), i);
		all->c++;
		sched_yield();
		all->d++;
		CHECK(!pthread_rwlock_unlock(&all->rw), i);
		pthread_spin_lock(&all->spin);
		all->e++;
		pthread_spin_unlock(&all->spin);
	}
	note(w, 50);
}

static pthread_mutex_t *new_mutex(int type, int protocol, int robust)
{
	pthread_mutex_t *m = get(sizeof(*m));
	pthread_mutexattr_t *a = get(sizeof(*a));

	CHECK(!pthread_mutexattr_init(a), 0);
	CHECK(!pthread_mutexattr_settype(a, type), 0);
	CHECK(!pthread_mutexattr_setprotocol(a, protocol), 0);
	CHECK(!pthread_mutexattr_setrobust(a, robust), 0);
	CHECK(!pthread_mutex_init(m, a), 0);
	pthread_mutexattr_destroy(a);
	free(a);
	return m;
}

static void drop_mutex(pthread_mutex_t *m)
{
	CHECK(!pthread_mutex_destroy(m), 0);
	free(m);
}

static void kinds(struct worker *w)
{
	pthread_mutex_t *r, *e, *pi;

	r = new_mutex(PTHREAD_MUTEX_RECURSIVE, PTHREAD_PRIO_NONE, 0);
	e = new_mutex(PTHREAD_MUTEX_ERRORCHECK, PTHREAD_PRIO_NONE, 0);
	pi = new_mutex(PTHREAD_MUTEX_NORMAL, PTHREAD_PRIO_INHERIT, 0);
	for (int i = 0; i < 3; i++)
		CHECK(!pthread_mutex_lock(r), i);
	for (int i = 0; i < 3; i++)
		CHECK(!pthread_mutex_unlock(r), i);
	CHECK(pthread_mutex_unlock(r) == EPERM, 0);
	CHECK(!pthread_mutex_lock(e), 0);
	CHECK(pthread_mutex_lock(e) == EDEADLK, 0);
	CHECK(!pthread_mutex_unlock(e), 0);
	CHECK(!pthread_mutex_lock(pi), 0);
	CHECK(pthread_mutex_trylock(pi) == EBUSY, 0);
	CHECK(!pthread_mutex_unlock(pi), 0);
	note(w, 3);
	drop_mutex(r);
	drop_mutex(e);
	drop_mutex(pi);
}

/* A thread that dies with a lock. */
static void *die_holding(void *m)
{
	CHECK(!pthread_mutex_lock(m), 0);
	return NULL;
}

static void robust(struct worker *w)
{
	pthread_mutex_t *m = new_mutex(PTHREAD_MUTEX_NORMAL, (int)below(w, 2),
				       PTHREAD_MUTEX_ROBUST);
	pthread_t t;
	int err;

	CHECK(!pthread_create(&t, NULL, die_holding, m), errno);
	CHECK(!pthread_join(t, NULL), 0);
	err = pthread_mutex_lock(m);
	CHECK(err == EOWNERDEAD, err);
	CHECK(!pthread_mutex_consistent(m), 0);
	CHECK(!pthread_mutex_unlock(m), 0);
	CHECK(!pthread_mutex_lock(m), 0);
	CHECK(!pthread_mutex_unlock(m), 0);
	note(w, (uint64_t)err);
	drop_mutex(m);
}

static void semaphores(struct worker *w)
{
	struct job job = {.kind = JOB_POST};
	struct timespec *ts = get(sizeof(*ts));
	sem_t *s = get(sizeof(*s));
	int *left = get(sizeof(*left));

	MUST(sem_init(s, 0, 0));
	job.sem = s;
	for (int i = 0; i < 10; i++) {
		job.seed = rnd(w);
		peer_do(w->peer, &job);
		MUST(AGAIN(sem_wait(s)));
	}
	clock_gettime(CLOCK_REALTIME, ts);
	ts->tv_nsec += 300000;
	if (ts->tv_nsec >= 1000000000) {
		ts->tv_sec++;
		ts->tv_nsec -= 1000000000;
	}
	FAILS(sem_timedwait(s, ts), ETIMEDOUT);
	FAILS(sem_trywait(s), EAGAIN);
	MUST(sem_getvalue(s, left));
	CHECK(*left == 0, *left);
	peer_wait(w->peer);
	note(w, 10);
	MUST(sem_destroy(s));
	free(s);
	free(ts);
	free(left);
}

/* ---- a queue and a barrier with a thread of our own -----------------------
 */

struct queue {
	pthread_mutex_t lock;
	pthread_cond_t filled, taken;
	pthread_barrier_t both;
	unsigned int nr, in, out, total;
	uint64_t item[7];
	uint64_t sum;
};

static void *consumer(void *arg)
{
	struct queue *q = arg;

	pthread_barrier_wait(&q->both);
	for (unsigned int i = 0; i < q->total; i++) {
		pthread_mutex_lock(&q->lock);
		while (!q->nr)
			pthread_cond_wait(&q->filled, &q->lock);
		q->sum = q->sum * 31 + q->item[q->out];
		q->out = (q->out + 1) % 7;
		q->nr--;
		pthread_cond_signal(&q->taken);
		pthread_mutex_unlock(&q->lock);
	}
	pthread_barrier_wait(&q->both);
	return NULL;
}

static void conditions(struct worker *w)
{
	struct queue *q = calloc(1, sizeof(*q));
	struct timespec *ts = get(sizeof(*ts));
	uint64_t sum = 0;
	pthread_t t;

	q->total = 200;
	pthread_mutex_init(&q->lock, NULL);
	pthread_cond_init(&q->filled, NULL);
	pthread_cond_init(&q->taken, NULL);
	pthread_barrier_init(&q->both, NULL, 2);
	CHECK(!pthread_create(&t, NULL, consumer, q), errno);
	pthread_barrier_wait(&q->both);
	for (unsigned int i = 0; i < q->total; i++) {
		uint64_t v = rnd(w);

		sum = sum * 31 + v;
		pthread_mutex_lock(&q->lock);
		while (q->nr == 7)
			pthread_cond_wait(&q->taken, &q->lock);
		q->item[q->in] = v;
		q->in = (q->in + 1) % 7;
		q->nr++;
		pthread_cond_signal(&q->filled);
		pthread_mutex_unlock(&q->lock);
	}
	pthread_barrier_wait(&q->both);
	CHECK(q->sum == sum, q->nr);
	CHECK(!pthread_join(t, NULL), 0);
	pthread_mutex_lock(&q->lock);
	clock_gettime(CLOCK_REALTIME, ts);
	CHECK(pthread_cond_timedwait(&q->filled, &q->lock, ts) == ETIMEDOUT, 0);
	pthread_mutex_unlock(&q->lock);
	note(w, sum);
	pthread_barrier_destroy(&q->both);
	pthread_cond_destroy(&q->filled);
	pthread_cond_destroy(&q->taken);
	pthread_mutex_destroy(&q->lock);
	free(q);
	free(ts);
}

static long futex(uint32_t *word, int op, uint32_t val, void *timeout,
		  uint32_t *word2, uint32_t val3)
{
	return syscall(SYS_futex, word, op, val, timeout, word2, val3);
}

static void futexes(struct worker *w)
{
	uint32_t *a = calloc(1, 9000), *b = a + 2100;
	struct timespec *ts = get(sizeof(*ts));

	*ts = (struct timespec){0, 100000};
	FAILS(futex(a, FUTEX_WAIT, 1, NULL, NULL, 0), EAGAIN);
	FAILS(futex(a, FUTEX_WAIT_PRIVATE, 0, ts, NULL, 0), ETIMEDOUT);
	FAILS(futex(a, FUTEX_WAIT, 0, ts, NULL, 0), ETIMEDOUT);
	CHECK(futex(a, FUTEX_WAKE, 1, NULL, NULL, 0) == 0, errno);
	CHECK(futex(a, FUTEX_CMP_REQUEUE, 1, (void *)1, b, 0) == 0, errno);
	FAILS(futex(a, FUTEX_CMP_REQUEUE, 1, (void *)1, b, 3), EAGAIN);
	CHECK(futex(a, FUTEX_WAKE_OP, 1, (void *)1, b,
		    FUTEX_OP(FUTEX_OP_ADD, 5, FUTEX_OP_CMP_EQ, 0)) == 0,
	      errno);
	CHECK(*b == 5, *b);
	CHECK(futex(a, FUTEX_LOCK_PI, 0, NULL, NULL, 0) == 0, errno);
	CHECK(*a == (uint32_t)gettid(), *a);
	CHECK(futex(a, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0) == 0, errno);
	note(w, *b);
	free(a);
	free(ts);
}

const struct op lock_ops[] = {
	{"contended", contended, 1},
	{"kinds", kinds, 1},
	{"robust", robust, 2},
	{"semaphores", semaphores, 1},
	{"conditions", conditions, 1},
	{"futexes", futexes, 1},
	{0},
};
