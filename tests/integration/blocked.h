/* SPDX-License-Identifier: MIT */
/*
 * For plain programs: a system call that blocks in a thread of its own while
 * memory is being armed all around it, and is then let go on.
 */
#ifndef BLOCKED_H
#define BLOCKED_H

#include "armed.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <sys/syscall.h>

/* Over a page's end, in the middle of the buffer; objects lie 64 KiB apart. */
#define PLACE(b, i) ((b)->p + BUF_BYTES / 2 - 5 + (size_t)(i)*65536)
/* For what has to be aligned. */
#define WORD(b, i) ((void *)((b)->p + BUF_BYTES / 2 + (size_t)(i)*65536))

struct blocked {
	unsigned char *p; /* what can be armed */
	int fd[4];	  /* closed in the end */
	long ret, err;	  /* of the call */
	long x;		  /* of the case */
	_Atomic int tid;
	pthread_t thread;
	const struct blocked_case *of;
};

struct blocked_case {
	const char *name;
	bool (*prepare)(struct blocked *b);
	long (*call)(struct blocked *b); /* blocks */
	bool (*let_go)(struct blocked *b);
	bool (*check)(struct blocked *b); /* of what it returned */
};

static inline void *blocked_thread(void *arg)
{
	struct blocked *b = arg;

	b->tid = (int)syscall(SYS_gettid);
	b->ret = b->of->call(b);
	b->err = b->ret < 0 ? errno : 0;
	return NULL;
}

/* Memory around the call, and elsewhere, is armed while it blocks. */
static inline bool arm_around(struct blocked *b, unsigned char *other)
{
	for (int pass = 0; pass < 2; pass++) {
		CHECK(wait_armed(other) && wait_armed(b->p));
		CHECK(wait_armed(b->p + BUF_BYTES - 4096));
		CHECK(pattern_ok(other, BUF_BYTES) && b->p[0] == 0);
	}
	return true;
}

static inline bool run_blocked(const struct blocked_case *c)
{
	struct blocked b = {.of = c, .fd = {-1, -1, -1, -1}};
	unsigned char *other = new_buffer(BUF_BYTES);
	time_t until = time(NULL) + WAIT_S;
	bool ok;

	b.p = new_buffer(BUF_BYTES);
	CHECK(!c->prepare || c->prepare(&b));
	CHECK(!pthread_create(&b.thread, NULL, blocked_thread, &b));
	/* It may sleep on its way there as well. */
	do {
		while (!b.tid || !asleep(b.tid))
			if (sched_yield() || time(NULL) > until)
				exit(97);
		if (!arm_around(&b, other))
			exit(96);
	} while (!asleep(b.tid));
	if (!c->let_go(&b) || pthread_join(b.thread, NULL))
		exit(95);
	ok = c->check(&b);
	if (!ok)
		fprintf(stderr, "%s: %ld, errno %ld\n", c->name, b.ret, b.err);
	for (int i = 0; i < 4; i++)
		if (b.fd[i] >= 0)
			close(b.fd[i]);
	munmap(other, BUF_BYTES);
	munmap(b.p, BUF_BYTES);
	return ok;
}

static inline int run_all_blocked(const struct blocked_case *c, int argc,
				  char **argv)
{
	int bad = 0, ran = 0;

	for (; c->name; c++) {
		bool wanted = argc < 2, ok;

		for (int i = 1; i < argc; i++)
			wanted |= !strcmp(argv[i], c->name);
		if (!wanted)
			continue;
		ran++;
		ok = run_blocked(c);
		bad += !ok;
		printf("%s %s\n", ok ? "ok  " : "FAIL", c->name);
		fflush(stdout);
	}
	return bad || !ran;
}

#endif /* BLOCKED_H */
