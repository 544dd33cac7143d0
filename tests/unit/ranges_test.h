/* SPDX-License-Identifier: MIT */
/*
 * For tests of the system call table: a call with given arguments, and exactly
 * which ranges it hands over.
 */
#ifndef NB_RANGES_TEST_H
#define NB_RANGES_TEST_H

#include "guard_test.h"

#include <sys/syscall.h>

#define MAX_SEEN 2048
#define P(i) (0x7000000000ULL + ((uint64_t)(i) << 20)) /* not there */

static struct {
	struct nb_range_sink sink;
	bool opaque;
	uint64_t nr, start[MAX_SEEN], len[MAX_SEEN];
} seen;

static inline void note(struct nb_range_sink *to, uint64_t start, uint64_t len)
{
	(void)to;
	assert_true(seen.nr < MAX_SEEN);
	seen.start[seen.nr] = start;
	seen.len[seen.nr++] = len;
}

#define CALL(nr, ...) run(nr, (const uint64_t[6]){__VA_ARGS__})
#define RANGES(...) expect((const uint64_t[]){__VA_ARGS__, 0}, __LINE__)
#define NOTHING expect((const uint64_t[]){0}, __LINE__)
#define OPAQUE                                                                 \
	do {                                                                   \
		assert_true(seen.opaque);                                      \
		seen.opaque = false;                                           \
		seen.nr = 0;                                                   \
	} while (0)

static inline void run(uint64_t nr, const uint64_t *arg)
{
	struct nb_regs r = {.rax = nr};

	for (int i = 0; i < 6; i++)
		r.arg[i] = arg[i];
	memset(&seen, 0, sizeof(seen));
	seen.sink.add = note;
	seen.opaque = nb_syscall_each_range(nb_sysclass(nr), &r, &seen.sink);
}

/* Exactly these {start, length} pairs, in this order. */
static inline void expect(const uint64_t *pairs, int line)
{
	uint64_t n = 0;

	for (; pairs[2 * n]; n++) {
		if (n < seen.nr && seen.start[n] == pairs[2 * n] &&
		    seen.len[n] == pairs[2 * n + 1])
			continue;
		fail_msg("line %d, range %llu: %#llx+%llu, not %#llx+%llu",
			 line, (unsigned long long)n,
			 (unsigned long long)seen.start[n],
			 (unsigned long long)seen.len[n],
			 (unsigned long long)pairs[2 * n],
			 (unsigned long long)pairs[2 * n + 1]);
	}
	if (n != seen.nr || seen.opaque)
		fail_msg("line %d: %llu ranges, not %llu; opaque: %d", line,
			 (unsigned long long)seen.nr, (unsigned long long)n,
			 seen.opaque);
}

#endif /* NB_RANGES_TEST_H */
