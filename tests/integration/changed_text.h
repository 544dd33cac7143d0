/* SPDX-License-Identifier: MIT */
/*
 * What of a process's code is not as in its files: system calls with a jump to
 * a stub before them, found without help of whoever has put it there.
 */
#ifndef CHANGED_TEXT_H
#define CHANGED_TEXT_H

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

#define MAX_SITES 4096
#define SPAN 64 /* no site is longer, all in all */

struct site {
	uint64_t start;		 /* of the window before the call */
	uint64_t text, text_end; /* of the module */
	uint8_t was[SPAN], is[SPAN];
	char module[40];
};

static struct site sites[MAX_SITES];
static int nr_sites, mem; /* mem: its memory */
static pid_t pid;

static void die(const char *what)
{
	printf("FAIL %s: %s\n", what, strerror(errno));
	kill(pid, SIGKILL);
	exit(1);
}

static bool get(uint64_t at, void *to, size_t n)
{
	return pread(mem, to, n, (off_t)at) == (ssize_t)n;
}

static void put(uint64_t at, const void *from, size_t n)
{
	if (pwrite(mem, from, n, (off_t)at) != (ssize_t)n)
		die("its memory");
}

static bool in_text(const struct site *s, uint64_t at)
{
	return at >= s->text && at < s->text_end;
}

/* Where a jump at @at leads if it leaves @s's module; else 0. */
static uint64_t stub_at(const struct site *s, uint64_t at)
{
	uint8_t b[5];
	int32_t rel;
	uint64_t to;

	if (!get(at, b, sizeof(b)) || b[0] != 0xe9)
		return 0;
	memcpy(&rel, b + 1, sizeof(rel));
	to = at + 5 + (uint64_t)(int64_t)rel;
	return in_text(s, to) ? 0 : to;
}

/* ---- finding what was changed -------------------------------------------- */

/* Is it a site's beginning?  A call follows the jump, or is in its window. */
static bool begins_site(const uint8_t *is, const uint8_t *was)
{
	int i = 5;

	while (i < SPAN - 2 && is[i] == 0xcc)
		i++;
	if (is[i] == 0x0f && is[i + 1] == 0x05)
		return true;
	for (int k = 0; k + 1 < i; k++)
		if (was[k] == 0x0f && was[k + 1] == 0x05)
			return true;
	return false;
}

static void look_at_text(const char *path, uint64_t start, uint64_t end,
			 uint64_t off)
{
	const char *name = strrchr(path, '/') + 1;
	size_t n = end - start;
	uint8_t *is = malloc(n + SPAN), *was = malloc(n + SPAN);
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (!is || !was || fd < 0 || !get(start, is, n))
		die(path);
	memset(was, 0, n);
	if (pread(fd, was, n, (off_t)off) <= 0)
		die(path);
	close(fd);
	for (size_t i = 0; i + SPAN < n; i++) {
		struct site *s = &sites[nr_sites];

		if (is[i] == was[i])
			continue;
		if (is[i] == 0xe9 && begins_site(is + i, was + i)) {
			s->start = start + i;
			s->text = start;
			s->text_end = end;
			memcpy(s->was, was + i, SPAN);
			memcpy(s->is, is + i, SPAN);
			snprintf(s->module, sizeof(s->module), "%s", name);
			if (++nr_sites == MAX_SITES)
				die("too many sites");
		}
		for (i += 4; is[i + 1] == 0xcc && was[i + 1] != 0xcc;)
			i++;
	}
	free(is);
	free(was);
}

static void find_sites(void)
{
	char path[4096], line[8192], prot[5];
	unsigned long start, end, off;
	FILE *f;

	snprintf(line, sizeof(line), "/proc/%d/maps", pid);
	f = fopen(line, "r");
	if (!f)
		die("maps");
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, "%lx-%lx %4s %lx %*s %*s %4095[^\n]", &start,
			   &end, prot, &off, path) == 5 &&
		    prot[2] == 'x' && path[0] == '/' &&
		    !strstr(path, "libnumabal"))
			look_at_text(path, start, end, off);
	fclose(f);
}

#endif /* CHANGED_TEXT_H */
