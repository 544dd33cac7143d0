/* SPDX-License-Identifier: MIT */
/*
 * For programs whose memory is being armed, and which then do something that a
 * balancer must step back from, or need not: see prog_step.c.
 */
#ifndef STEP_H
#define STEP_H

#include "armed.h"

#include <time.h>

#define WATCH_MS 100
#define SMALL ((size_t)3 << 20) /* not what a lower tier takes */

struct step_case {
	const char *name;
	bool (*fn)(void);
	bool low; /* large mappings are armed all the same */
};

static unsigned char *large, *small;

static inline long cpu_ms(void)
{
	return clock() / (CLOCKS_PER_SEC / 1000);
}

/* Used all the time, and never armed. */
static inline bool stays_open(unsigned char *p, size_t bytes)
{
	long until = cpu_ms() + WATCH_MS;

	do {
		CHECK(pattern_ok(p, bytes));
		CHECK(!is_armed(p) && !is_armed(p + bytes - 4096));
	} while (cpu_ms() < until);
	return true;
}

/* The kernel reads it, armed or not. */
static inline bool write_all(const unsigned char *p, size_t bytes)
{
	int pipes[2];
	char to[4096];

	CHECK(!pipe(pipes));
	for (size_t i = 0; i < bytes; i += sizeof(to)) {
		CHECK(write(pipes[1], p + i, sizeof(to)) == sizeof(to));
		CHECK(read(pipes[0], to, sizeof(to)) == sizeof(to));
		CHECK(!memcmp(to, p + i, sizeof(to)));
	}
	close(pipes[0]);
	close(pipes[1]);
	return true;
}

static inline bool absent(const char *what)
{
	printf("absent: %s: %m\n", what);
	return true;
}

static inline bool small_armed(void)
{
	small = new_buffer(SMALL);
	return wait_armed(large) && wait_armed(small);
}

/* Exit status. */
static inline int run_step(const struct step_case *c, const char *what)
{
	for (; c->name; c++) {
		if (strcmp(what, c->name))
			continue;
		if (!c->fn() || !pattern_ok(small, SMALL))
			return 1;
		if (c->low)
			return !wait_armed(large);
		return !stays_open(large, BUF_BYTES) ||
		       !stays_open(small, SMALL);
	}
	return 2;
}

#endif /* STEP_H */
