/* SPDX-License-Identifier: MIT */
/*
 * Contended locks of libc in memory from malloc(3): a futex call that fails
 * there makes libc abort, or hang. Knows nothing of
 * numabal; run by test_guard_locks.sh.
 *
 * prog_locks SECONDS
 */
#define _GNU_SOURCE
#include "armed.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <sys/syscall.h>

#define NR_THREADS 6
#define NR_SETS 24 /* more memory than is in use at a time */

/* One of each kind, with what it protects. */
struct set {
	pthread_mutex_t mutex, pi, robust, recursive;
	pthread_cond_t not_empty, not_full;
	pthread_rwlock_t rwlock;
	pthread_barrier_t barrier;
	sem_t sem;
	long count, pi_count, robust_count, recursive_count;
	long queue[4], head, tail, sum_in, sum_out;
	long pair[2];	    /* equal, but for who holds the lock for writing */
	_Atomic int inside; /* of the semaphore */
	_Atomic long met[NR_THREADS]; /* rounds of the barrier */
};

static struct set *sets[NR_SETS];
static _Atomic bool stop, over, bad;

#define MUST(cond)                                                             \
	do {                                                                   \
		if (!(cond)) {                                                 \
			fprintf(stderr, "line %d: not true: %s\n", __LINE__,   \
				#cond);                                        \
			bad = true;                                            \
		}                                                              \
	} while (0)

static void init_mutex(pthread_mutex_t *m, int type, int protocol, int robust)
{
	pthread_mutexattr_t a;

	pthread_mutexattr_init(&a);
	pthread_mutexattr_settype(&a, type);
	pthread_mutexattr_setprotocol(&a, protocol);
	pthread_mutexattr_setrobust(&a, robust);
	MUST(!pthread_mutex_init(m, &a));
	pthread_mutexattr_destroy(&a);
}

static struct set *new_set(void)
{
	struct set *s = aligned_alloc(4096, 8192);

	if (!s)
		exit(99);
	memset(s, 0, sizeof(*s));
	init_mutex(&s->mutex, PTHREAD_MUTEX_NORMAL, PTHREAD_PRIO_NONE, 0);
	init_mutex(&s->pi, PTHREAD_MUTEX_NORMAL, PTHREAD_PRIO_INHERIT, 0);
	init_mutex(&s->robust, PTHREAD_MUTEX_NORMAL, PTHREAD_PRIO_NONE, 1);
	init_mutex(&s->recursive, PTHREAD_MUTEX_RECURSIVE, PTHREAD_PRIO_NONE,
		   0);
	MUST(!pthread_cond_init(&s->not_empty, NULL));
	MUST(!pthread_cond_init(&s->not_full, NULL));
	MUST(!pthread_rwlock_init(&s->rwlock, NULL));
	MUST(!pthread_barrier_init(&s->barrier, NULL, NR_THREADS));
	MUST(!sem_init(&s->sem, 0, 2));
	return s;
}

static void add_under(pthread_mutex_t *m, long *count)
{
	MUST(!pthread_mutex_lock(m));
	++*(volatile long *)count;
	/* Whoever comes now has to wait in the kernel. */
	if (*count % 8 == 0)
		sched_yield();
	MUST(!pthread_mutex_unlock(m));
}

static void add_timed(pthread_mutex_t *m, long *count)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	ts.tv_sec += 100;
	MUST(!pthread_mutex_timedlock(m, &ts));
	MUST(!pthread_mutex_lock(m));
	++*count;
	MUST(!pthread_mutex_unlock(m) && !pthread_mutex_unlock(m));
}

static void put_one(struct set *s, long value)
{
	MUST(!pthread_mutex_lock(&s->mutex));
	while (s->head - s->tail == 4)
		MUST(!pthread_cond_wait(&s->not_full, &s->mutex));
	s->queue[s->head++ % 4] = value;
	s->sum_in += value;
	MUST(!pthread_cond_signal(&s->not_empty));
	MUST(!pthread_mutex_unlock(&s->mutex));
}

static void take_one(struct set *s)
{
	struct timespec ts;
	int err = 0;

	clock_gettime(CLOCK_REALTIME, &ts);
	ts.tv_sec += 100;
	MUST(!pthread_mutex_lock(&s->mutex));
	while (s->head == s->tail && !err)
		err = pthread_cond_timedwait(&s->not_empty, &s->mutex, &ts);
	MUST(!err);
	s->sum_out += s->queue[s->tail++ % 4];
	MUST(!pthread_cond_broadcast(&s->not_full));
	MUST(!pthread_mutex_unlock(&s->mutex));
}

static void read_or_write(struct set *s, bool write)
{
	if (write) {
		MUST(!pthread_rwlock_wrlock(&s->rwlock));
		s->pair[0]++;
		sched_yield();
		s->pair[1]++;
	} else {
		MUST(!pthread_rwlock_rdlock(&s->rwlock));
	}
	MUST(s->pair[0] == s->pair[1]);
	MUST(!pthread_rwlock_unlock(&s->rwlock));
}

static void be_inside(struct set *s)
{
	while (sem_wait(&s->sem))
		MUST(errno == EINTR);
	MUST(++s->inside <= 2);
	sched_yield();
	s->inside--;
	MUST(!sem_post(&s->sem));
}

static void meet(struct set *s, int me)
{
	int r;

	s->met[me]++;
	r = pthread_barrier_wait(&s->barrier);
	MUST(!r || r == PTHREAD_BARRIER_SERIAL_THREAD);
	for (int i = 0; i < NR_THREADS; i++)
		MUST(s->met[i] >= s->met[me]);
}

static void *worker(void *arg)
{
	int me = (int)(intptr_t)arg;
	long rounds = 0;

	for (; !bad; rounds++) {
		struct set *s = sets[rounds * 7 % NR_SETS];

		add_under(&s->mutex, &s->count);
		add_under(&s->pi, &s->pi_count);
		add_under(&s->robust, &s->robust_count);
		add_timed(&s->recursive, &s->recursive_count);
		if (me % 2)
			put_one(s, rounds);
		else
			take_one(s);
		read_or_write(s, me == 0);
		be_inside(s);
		/* All of them see the same, whoever was the last to come. */
		if (me == 0 && stop)
			over = true;
		meet(s, me);
		if (over)
			break;
		meet(s, me);
	}
	return (void *)(rounds + 1);
}

/* ---- one by one ---------------------------------------------------------- */

/* Whoever locks it next is told that its owner has ended. */
static void *owner(void *arg)
{
	MUST(!pthread_mutex_lock(arg));
	/* The kernel marks it, and nobody has touched it any more. */
	MUST(wait_armed(arg));
	return NULL;
}

static void owners_end(void)
{
	for (int i = 0; i < NR_SETS && !bad; i++) {
		pthread_mutex_t *m = &sets[i]->robust;
		struct timespec ts;
		pthread_t t;

		MUST(!pthread_create(&t, NULL, owner, m));
		MUST(!pthread_join(t, NULL));
		clock_gettime(CLOCK_REALTIME, &ts);
		ts.tv_sec += 5;
		MUST(pthread_mutex_timedlock(m, &ts) == EOWNERDEAD);
		MUST(!pthread_mutex_consistent(m));
		MUST(!pthread_mutex_unlock(m));
	}
}

enum what { MUTEX, PI, COND, READ, WRITE, BARRIER, SEM, NR_WHAT };

struct waiter {
	struct set *set;
	enum what what;
	_Atomic int tid;
};

static _Atomic int nr_signals;

static void handler(int sig)
{
	(void)sig;
	nr_signals++;
}

static void *waiter(void *arg)
{
	struct waiter *w = arg;
	struct set *s = w->set;

	w->tid = (int)syscall(SYS_gettid);
	switch (w->what) {
	case MUTEX:
		MUST(!pthread_mutex_lock(&s->mutex));
		MUST(!pthread_mutex_unlock(&s->mutex));
		break;
	case PI:
		MUST(!pthread_mutex_lock(&s->pi));
		MUST(!pthread_mutex_unlock(&s->pi));
		break;
	case COND:
		MUST(!pthread_mutex_lock(&s->mutex));
		while (s->sum_in != 4711)
			MUST(!pthread_cond_wait(&s->not_empty, &s->mutex));
		MUST(!pthread_mutex_unlock(&s->mutex));
		break;
	case READ:
		MUST(!pthread_rwlock_rdlock(&s->rwlock));
		MUST(!pthread_rwlock_unlock(&s->rwlock));
		break;
	case WRITE:
		MUST(!pthread_rwlock_wrlock(&s->rwlock));
		MUST(!pthread_rwlock_unlock(&s->rwlock));
		break;
	case BARRIER:
		pthread_barrier_wait(&s->barrier);
		break;
	default:
		MUST(!sem_wait(&s->sem));
	}
	return NULL;
}

static void hold(struct set *s, enum what what)
{
	pthread_barrier_destroy(&s->barrier);
	MUST(!pthread_barrier_init(&s->barrier, NULL, 2));
	MUST(!sem_wait(&s->sem) && !sem_wait(&s->sem));
	if (what == MUTEX)
		MUST(!pthread_mutex_lock(&s->mutex));
	if (what == PI)
		MUST(!pthread_mutex_lock(&s->pi));
	if (what == READ || what == WRITE)
		MUST(!pthread_rwlock_wrlock(&s->rwlock));
}

static void let_go(struct set *s, enum what what)
{
	if (what == MUTEX)
		MUST(!pthread_mutex_unlock(&s->mutex));
	if (what == PI)
		MUST(!pthread_mutex_unlock(&s->pi));
	if (what == READ || what == WRITE)
		MUST(!pthread_rwlock_unlock(&s->rwlock));
	if (what == BARRIER)
		pthread_barrier_wait(&s->barrier);
	if (what == SEM)
		MUST(!sem_post(&s->sem));
	if (what != COND)
		return;
	MUST(!pthread_mutex_lock(&s->mutex));
	s->sum_in = 4711;
	MUST(!pthread_cond_signal(&s->not_empty));
	MUST(!pthread_mutex_unlock(&s->mutex));
}

/*
 * A signal interrupts the wait and the kernel begins it anew: it reads a word
 * that no thread has touched since everything around was armed.
 */
static void interrupted_wait(enum what what, struct set *s, void *other)
{
	struct waiter w = {.set = s, .what = what};
	pthread_t t;

	hold(s, what);
	MUST(!pthread_create(&t, NULL, waiter, &w));
	for (int i = 0; i < 3 && !bad; i++) {
		int before = nr_signals;

		while (!w.tid || !asleep(w.tid))
			sched_yield();
		for (int pass = 0; pass < 2; pass++) {
			MUST(wait_armed(other));
			*(volatile char *)other = 1;
		}
		MUST(!pthread_kill(t, SIGUSR1));
		while (nr_signals == before)
			sched_yield();
	}
	let_go(s, what);
	MUST(!pthread_join(t, NULL));
}

static void interrupted_waits(void)
{
	struct sigaction sa = {.sa_handler = handler, .sa_flags = SA_RESTART};
	struct set *other = new_set();

	MUST(!sigaction(SIGUSR1, &sa, NULL));
	for (int what = 0; what < NR_WHAT && !bad; what++)
		interrupted_wait((enum what)what, new_set(), other);
}

static void check(long rounds)
{
	long sum[5] = {0};

	for (int i = 0; i < NR_SETS; i++) {
		sum[0] += sets[i]->count;
		sum[1] += sets[i]->pi_count;
		sum[2] += sets[i]->robust_count;
		sum[3] += sets[i]->recursive_count;
		sum[4] += sets[i]->sum_in - sets[i]->sum_out;
		MUST(sets[i]->head == sets[i]->tail);
	}
	for (int i = 0; i < 4; i++)
		MUST(sum[i] == rounds * NR_THREADS);
	MUST(!sum[4]);
	printf("%ld rounds\n", rounds);
}

int main(int argc, char **argv)
{
	time_t until = time(NULL) + (argc > 1 ? atoi(argv[1]) : 3);
	const struct timespec tick = {0, 20000000};
	pthread_t t[NR_THREADS];
	void *rounds = NULL;

	for (int i = 0; i < NR_SETS; i++)
		sets[i] = new_set();
	owners_end();
	interrupted_waits();
	for (int i = 0; i < NR_THREADS; i++)
		if (pthread_create(&t[i], NULL, worker, (void *)(intptr_t)i))
			return 99;
	while (time(NULL) < until && !bad)
		nanosleep(&tick, NULL);
	stop = true;
	for (int i = 0; i < NR_THREADS && !bad; i++)
		pthread_join(t[i], &rounds);
	if (!bad)
		check((long)rounds);
	return bad;
}
