/* SPDX-License-Identifier: MIT */
/*
 * For plain programs that tests run under the preload library: memory that is
 * known to be armed at this moment, and a table of cases to run.
 *
 * That memory is armed is read from /proc/self/maps, as any program could.
 * With NB_PLAIN set (a run without numabal, to compare) nothing is waited for.
 */
#ifndef ARMED_H
#define ARMED_H

#include "second_thread.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define BUF_BYTES ((size_t)8 << 20)
#define LONELY_BYTES ((size_t)256 << 10)
#define WAIT_S 20

#define CHECK(cond)                                                            \
	do {                                                                   \
		if (!(cond)) {                                                 \
			fprintf(stderr, "%s:%d: not true: %s (errno %m)\n",    \
				__FILE__, __LINE__, #cond);                    \
			return false;                                          \
		}                                                              \
	} while (0)

struct armed_case {
	const char *name;
	bool (*fn)(void);
};

/* Is the page of @p without access, as far as the kernel knows? */
static inline bool is_armed(const void *p)
{
	char text[256 * 1024];
	size_t n = 0;
	int fd = open("/proc/self/maps", O_RDONLY);
	ssize_t r;

	if (fd < 0)
		return false;
	while (n < sizeof(text) - 1 &&
	       (r = read(fd, text + n, sizeof(text) - 1 - n)) > 0)
		n += (size_t)r;
	close(fd);
	text[n] = '\0';
	for (char *line = text; line && *line;) {
		unsigned long start, end;
		char prot[5];

		if (sscanf(line, "%lx-%lx %4s", &start, &end, prot) == 3 &&
		    (uintptr_t)p >= start && (uintptr_t)p < end)
			return !strcmp(prot, "---p");
		line = strchr(line, '\n');
		line = line ? line + 1 : NULL;
	}
	return false;
}

/* Wait until the page of @p is armed. */
static inline bool wait_armed(const void *p)
{
	time_t until = time(NULL) + WAIT_S;

	if (getenv("NB_PLAIN"))
		return true;
	while (!is_armed(p)) {
		if (time(NULL) > until) {
			fprintf(stderr, "was never armed\n");
			return false;
		}
	}
	return true;
}

/*
 * A mapping filled with a pattern that depends on the page.  Its first page is
 * armed as its others are: what of a chunk is another mapping's never is.
 */
static inline unsigned char *new_buffer(size_t bytes)
{
	const size_t chunk = 64 << 10;
	unsigned char *p,
		*room = mmap(NULL, bytes + chunk, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	size_t before = -(size_t)room & (chunk - 1);

	if (room == MAP_FAILED)
		exit(99);
	p = room + before;
	if (before)
		munmap(room, before);
	munmap(p + bytes, chunk - before);
	for (size_t i = 0; i < bytes; i += 512)
		p[i] = (unsigned char)(i / 512 * 7);
	return p;
}

static inline bool pattern_ok(const unsigned char *p, size_t bytes)
{
	for (size_t i = 0; i < bytes; i += 512)
		if (p[i] != (unsigned char)(i / 512 * 7))
			return false;
	return true;
}

/* The same, armed. */
static inline unsigned char *armed_buffer(void)
{
	unsigned char *p = new_buffer(BUF_BYTES);

	if (!wait_armed(p) || !wait_armed(p + BUF_BYTES - 4096))
		exit(98);
	return p;
}

/* Memory with nothing else anywhere near it. */
static inline unsigned char *lonely_buffer(void)
{
	const size_t gap = 16UL << 20, bytes = LONELY_BYTES;
	unsigned char *p = mmap(NULL, 2 * gap, PROT_NONE,
				MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		return NULL;
	p = mmap(p + gap, bytes, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	if (p == MAP_FAILED)
		return NULL;
	memset(p, 1, bytes);
	return p;
}

/* Is the thread asleep in a system call? */
static inline bool asleep(int tid)
{
	char path[64], line[256] = "";
	char *state;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/self/task/%d/stat", tid);
	f = fopen(path, "r");
	if (!f)
		return false;
	if (!fgets(line, sizeof(line), f))
		line[0] = '\0';
	fclose(f);
	state = strrchr(line, ')');
	return state && state[2] == 'S';
}

static inline int run_cases(const struct armed_case *c, int argc, char **argv)
{
	int bad = 0, ran = 0;

	for (; c->name; c++) {
		bool wanted = argc < 2, ok;

		for (int i = 1; i < argc; i++)
			wanted |= !strcmp(argv[i], c->name);
		if (!wanted)
			continue;
		ran++;
		ok = c->fn();
		bad += !ok;
		printf("%s %s\n", ok ? "ok  " : "FAIL", c->name);
		fflush(stdout);
	}
	return bad || !ran;
}

#endif /* ARMED_H */
