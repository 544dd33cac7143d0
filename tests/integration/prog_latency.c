/* SPDX-License-Identifier: MIT */
/*
 * A thread named rt-* that takes almost no hint faults, beside memory that is
 * armed all the time.  Knows nothing of numabal; run by test_latency.sh, which
 * counts the faults.
 *
 * All that the thread uses besides what a case is about is on stacks.
 */
#define _GNU_SOURCE
#include "armed.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/prctl.h>

#define PAGE 4096UL
#define OWN_BYTES (64 * PAGE)
#define NR_OWN 4
#define HEAP_BYTES ((size_t)8 << 20)
#define ROUNDS 4
#define STEP (61 * PAGE) /* in the heap, between pages looked at */

/* What the thread is to do next, and when it has done it. */
enum todo { NOTHING, PROBE, MAP_OWN, USE_OWN, USE_HEAP, BE_PLAIN, END };

struct shared {
	_Atomic int todo;
	unsigned char *control; /* armed again and again */
	unsigned char *heap;
	unsigned char *probe;
	unsigned char *own[NR_OWN];
};

static unsigned char *map(size_t bytes)
{
	return mmap(NULL, bytes, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

static void use(unsigned char *p, size_t bytes)
{
	for (size_t at = 0; at < bytes; at += PAGE)
		p[at]++;
}

static void do_it(struct shared *sh, int todo)
{
	switch (todo) {
	case PROBE:
		sh->probe = map(PAGE);
		*sh->probe = 1;
		break;
	case MAP_OWN:
		for (int i = 0; i < NR_OWN; i++)
			sh->own[i] = map(OWN_BYTES);
		/* One of them by another way. */
		sh->own[0] = mremap(sh->own[0], OWN_BYTES, 2 * OWN_BYTES,
				    MREMAP_MAYMOVE);
		/* fall through */
	case USE_OWN:
		for (int i = 0; i < NR_OWN; i++)
			use(sh->own[i], OWN_BYTES);
		break;
	case USE_HEAP:
		use(sh->heap, HEAP_BYTES);
		break;
	case BE_PLAIN:
		prctl(PR_SET_NAME, "plain");
		break;
	}
}

static void *critical(void *arg)
{
	struct shared *sh = arg;
	int todo;

	prctl(PR_SET_NAME, "rt-1");
	while ((todo = atomic_load(&sh->todo)) != END) {
		if (todo == NOTHING) {
			sched_yield();
			continue;
		}
		do_it(sh, todo);
		atomic_store(&sh->todo, NOTHING);
	}
	return NULL;
}

static void let(struct shared *sh, int todo)
{
	atomic_store(&sh->todo, todo);
	while (atomic_load(&sh->todo) == todo)
		sched_yield();
}

/* Everything that may be armed is, since the call. */
static bool armed_anew(struct shared *sh)
{
	for (int i = 0; i < 2; i++) {
		use(sh->control, BUF_BYTES);
		/* Not at an end: another mapping may share its block. */
		CHECK(wait_armed(sh->control + BUF_BYTES / 2));
		CHECK(wait_armed(sh->control + BUF_BYTES / 4 * 3 - PAGE));
	}
	return true;
}

/* The name is looked at once a second: until then, what it maps is armed. */
static bool begin(struct shared *sh, pthread_t *t)
{
	time_t until = time(NULL) + WAIT_S;

	memset(sh, 0, sizeof(*sh));
	sh->control = new_buffer(BUF_BYTES);
	sh->heap = new_buffer(HEAP_BYTES);
	CHECK(!pthread_create(t, NULL, critical, sh));
	do {
		CHECK(time(NULL) < until);
		let(sh, PROBE);
		CHECK(armed_anew(sh));
	} while (is_armed(sh->probe));
	return true;
}

static bool end(struct shared *sh, pthread_t t)
{
	atomic_store(&sh->todo, END);
	return !pthread_join(t, NULL);
}

static bool own_stays_open(struct shared *sh)
{
	for (int i = 0; i < NR_OWN; i++)
		for (size_t at = 0; at < OWN_BYTES; at += PAGE)
			CHECK(!is_armed(sh->own[i] + at));
	return true;
}

static struct shared *shared; /* for the main thread only */

static bool own(void)
{
	struct shared *sh = shared;
	pthread_t t;

	CHECK(begin(sh, &t));
	let(sh, MAP_OWN);
	for (int i = 0; i < ROUNDS; i++) {
		CHECK(armed_anew(sh));
		CHECK(own_stays_open(sh));
		let(sh, USE_OWN);
	}
	CHECK(end(sh, t));
	/* Nobody needs it to be open any more. */
	use(sh->own[1], OWN_BYTES);
	CHECK(wait_armed(sh->own[1]));
	CHECK(wait_armed(sh->own[NR_OWN - 1] + OWN_BYTES - PAGE));
	return true;
}

static bool heap(void)
{
	struct shared *sh = shared;
	pthread_t t;

	CHECK(begin(sh, &t));
	for (size_t at = 0; at < HEAP_BYTES; at += STEP)
		CHECK(wait_armed(sh->heap + at));
	let(sh, USE_HEAP);
	for (int i = 0; i < ROUNDS; i++) {
		CHECK(armed_anew(sh));
		for (size_t at = 0; at < HEAP_BYTES; at += STEP)
			CHECK(!is_armed(sh->heap + at));
		let(sh, USE_HEAP);
	}
	let(sh, BE_PLAIN);
	CHECK(wait_armed(sh->heap + HEAP_BYTES / 2));
	return end(sh, t);
}

static const struct armed_case cases[] = {
	{"own", own},
	{"heap", heap},
	{NULL, NULL},
};

int main(int argc, char **argv)
{
	struct shared of_both; /* until the program ends */

	shared = &of_both;
	return run_cases(cases, argc, argv);
}
