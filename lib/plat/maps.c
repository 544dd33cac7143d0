/* SPDX-License-Identifier: MIT */
/*
 * The process's mappings: all of them from /proc/thread-self/maps, or one of
 * them by PROCMAP_QUERY (Linux 6.11).
 *
 * thread-self and not self: once the first thread has left by pthread_exit(),
 * /proc/self/maps is empty although the process lives on.
 *
 * The mappings may change while they are read.  Each line is true for its own
 * moment, and addresses only ascend; who acts on one has to be able to find
 * it gone.  Owns nothing but the memory of whether the query is there.
 * Called by numabald, interposers and start.
 */
#include "maps.h"

#include "../base/parse.h"
#include "line_reader.h"
#include "sys.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/ioctl.h>
#include <stdatomic.h>
#include <sys/syscall.h>

#define MAPS_PATH "/proc/thread-self/maps"

/* The kernel's interface, which libc's and Debian 12's headers lack. */
struct procmap_query {
	uint64_t size; /* of this struct: how it grows */
	uint64_t query_flags;
	uint64_t query_addr;
	uint64_t vma_start;
	uint64_t vma_end;
	uint64_t vma_flags;
	uint64_t vma_page_size;
	uint64_t vma_offset;
	uint64_t inode;
	uint32_t dev_major;
	uint32_t dev_minor;
	uint32_t vma_name_size; /* in: room; out: length with the NUL, or 0 */
	uint32_t build_id_size;
	uint64_t vma_name_addr;
	uint64_t build_id_addr;
};

#define QUERY_IOCTL _IOWR('f', 17, struct procmap_query)
/* In query_flags: the mapping at the address, or else the next one. */
#define QUERY_OR_NEXT 0x10

/* Bits of vma_flags. */
#define QUERY_READABLE 0x01
#define QUERY_WRITABLE 0x02
#define QUERY_EXECUTABLE 0x04
#define QUERY_SHARED 0x08

/* Room for every name that nb_vma_name_flags() knows. */
#define QUERY_NAME_BYTES 64

static _Atomic bool no_query; /* (A) the kernel does not have it */

/**
 * nb_maps_for_each() - call a function for each mapping
 * @fn: the function
 * @arg: passed through
 *
 * Context: Any thread; nothing is allocated, five KiB of stack are used.
 * Return: 0; what @fn returned if not 0; -errno when it cannot be read.
 */
int nb_maps_for_each(nb_vma_fn *fn, void *arg)
{
	struct nb_line_reader r;
	const char *name;
	struct nb_vma vma;
	char *line;
	int ret;

	ret = nb_lines_open(&r, MAPS_PATH);
	if (ret)
		return ret;
	for (;;) {
		ret = nb_lines_next(&r, &line);
		if (ret <= 0)
			break;
		/* A line of a form that we do not know is left alone. */
		ret = 0;
		if (!nb_parse_maps_line(line, &vma, &name))
			ret = fn(&vma, name, arg);
		if (ret)
			break;
	}
	nb_lines_close(&r);
	return ret;
}

static uint32_t query_flags(const struct procmap_query *q, const char *name)
{
	uint32_t flags = 0;

	if (q->vma_flags & QUERY_READABLE)
		flags |= NB_VMA_READ;
	if (q->vma_flags & QUERY_WRITABLE)
		flags |= NB_VMA_WRITE;
	if (q->vma_flags & QUERY_EXECUTABLE)
		flags |= NB_VMA_EXEC;
	if (q->vma_flags & QUERY_SHARED)
		flags |= NB_VMA_SHARED;
	if (q->inode)
		flags |= NB_VMA_FILE;
	return flags | nb_vma_name_flags(name);
}

static long open_maps(void)
{
	return nb_syscall6(SYS_openat, AT_FDCWD, (long)MAPS_PATH,
			   O_RDONLY | O_CLOEXEC, 0, 0, 0);
}

/**
 * nb_maps_query() - look one mapping up by PROCMAP_QUERY alone
 * @addr: an address
 * @vma: the mapping that it is in
 *
 * Context: Any thread.
 * Return: 0; -ENOENT: not mapped; -ENOTTY: the kernel lacks it; -errno.
 */
int nb_maps_query(uint64_t addr, struct nb_vma *vma)
{
	char name[QUERY_NAME_BYTES] = "";
	struct procmap_query q = {
		.size = sizeof(q),
		.query_addr = addr,
		.vma_name_size = sizeof(name),
		.vma_name_addr = (uintptr_t)name,
	};
	long fd, ret;

	fd = open_maps();
	if (fd < 0)
		return (int)fd;
	ret = nb_syscall6(SYS_ioctl, fd, (long)QUERY_IOCTL, (long)&q, 0, 0, 0);
	if (ret == -ENAMETOOLONG) {
		/* Some file's path, then: it is not needed. */
		q.vma_name_size = 0;
		q.vma_name_addr = 0;
		name[0] = '\0';
		ret = nb_syscall6(SYS_ioctl, fd, (long)QUERY_IOCTL, (long)&q, 0,
				  0, 0);
	}
	nb_syscall6(SYS_close, fd, 0, 0, 0, 0, 0);
	if (ret < 0)
		return (int)ret;
	name[sizeof(name) - 1] = '\0';
	vma->start = q.vma_start;
	vma->end = q.vma_end;
	vma->flags = query_flags(&q, name);
	return 0;
}

struct find {
	uint64_t addr;
	struct nb_vma *vma;
};

static int find_in(const struct nb_vma *vma, const char *name, void *arg)
{
	struct find *find = arg;

	(void)name;
	if (find->addr >= vma->end)
		return 0;
	/* They ascend: past @addr there is nothing to find. */
	if (find->addr < vma->start)
		return -ENOENT;
	*find->vma = *vma;
	return 1;
}

/**
 * nb_maps_find() - look one mapping up
 * @addr: an address
 * @vma: the mapping that it is in
 *
 * Context: Any thread.
 * Return: 0; -ENOENT: not mapped; -errno when it cannot be read.
 */
int nb_maps_find(uint64_t addr, struct nb_vma *vma)
{
	struct find find = {.addr = addr, .vma = vma};
	int ret;

	if (!atomic_load_explicit(&no_query, memory_order_relaxed)) {
		ret = nb_maps_query(addr, vma);
		if (ret == 0 || ret == -ENOENT)
			return ret;
		/* Refused once, by kernel or sandbox: always refused. */
		atomic_store_explicit(&no_query, true, memory_order_relaxed);
	}
	ret = nb_maps_for_each(find_in, &find);
	if (ret == 1)
		return 0;
	return ret ? ret : -ENOENT;
}

struct walk {
	uint64_t start, end;
	nb_vma_fn *fn;
	void *arg;
};

static int walk_line(const struct nb_vma *vma, const char *name, void *arg)
{
	const struct walk *w = arg;

	if (vma->end <= w->start || vma->start >= w->end)
		return 0;
	return w->fn(vma, name, w->arg);
}

/* By queries alone; -ENOTTY: the kernel lacks them, nothing was told. */
static int walk_by_query(const struct walk *w)
{
	uint64_t at = w->start;
	long fd = open_maps(), ret = 0;
	struct nb_vma vma;

	if (fd < 0)
		return (int)fd;
	while (!ret && at < w->end) {
		struct procmap_query q = {
			.size = sizeof(q),
			.query_flags = QUERY_OR_NEXT,
			.query_addr = at,
		};

		ret = nb_syscall6(SYS_ioctl, fd, (long)QUERY_IOCTL, (long)&q, 0,
				  0, 0);
		if (ret || q.vma_start >= w->end)
			break;
		vma.start = q.vma_start;
		vma.end = q.vma_end;
		vma.flags = query_flags(&q, "");
		at = vma.end;
		ret = w->fn(&vma, "", w->arg);
	}
	nb_syscall6(SYS_close, fd, 0, 0, 0, 0, 0);
	return ret == -ENOENT ? 0 : (int)ret;
}

/**
 * nb_maps_walk() - call a function for each mapping that overlaps a range
 * @start: first byte
 * @end: one past the last
 * @fn: the function; names, and what only they tell, may be missing
 * @arg: passed through
 *
 * Context: Any thread.
 * Return: 0; what @fn returned if not 0; -errno when it cannot be read.
 */
int nb_maps_walk(uint64_t start, uint64_t end, nb_vma_fn *fn, void *arg)
{
	struct walk w = {start, end, fn, arg};
	int ret;

	if (!atomic_load_explicit(&no_query, memory_order_relaxed)) {
		ret = walk_by_query(&w);
		if (ret != -ENOTTY)
			return ret;
		atomic_store_explicit(&no_query, true, memory_order_relaxed);
	}
	return nb_maps_for_each(walk_line, &w);
}
