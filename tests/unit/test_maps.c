/* SPDX-License-Identifier: MIT */
/*
 * plat/maps.c and plat/line_reader.c: this process's own mappings.
 */
#include "../../lib/plat/line_reader.h"
#include "../../lib/plat/maps.h"
#include "../../lib/plat/taskinfo.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static long page;

static uint64_t addr_of(const void *p)
{
	return (uint64_t)(uintptr_t)p;
}

static void *map(size_t pages, int prot, int flags)
{
	void *p = mmap(NULL, pages * (size_t)page, prot, flags | MAP_ANONYMOUS,
		       -1, 0);

	assert_true(p != MAP_FAILED);
	return p;
}

struct walk {
	uint64_t find;
	uint64_t last;
	uint32_t flags; /* of the mapping that @find is in */
	char name[64];
	int nr;
	bool descends;
};

static int walk_one(const struct nb_vma *vma, const char *name, void *arg)
{
	struct walk *w = arg;

	w->nr++;
	if (vma->start < w->last || vma->end <= vma->start)
		w->descends = true;
	w->last = vma->end;
	if (w->find >= vma->start && w->find < vma->end) {
		w->flags = vma->flags;
		snprintf(w->name, sizeof(w->name), "%s", name);
	}
	return 0;
}

static struct walk walk(const void *find)
{
	struct walk w = {.find = addr_of(find)};

	assert_int_equal(nb_maps_for_each(walk_one, &w), 0);
	assert_false(w.descends);
	return w;
}

static void test_walk(void **state)
{
	char *rw = map(2, PROT_READ | PROT_WRITE, MAP_PRIVATE);
	char *none = map(2, PROT_NONE, MAP_PRIVATE);
	char *shared = map(2, PROT_READ, MAP_SHARED);
	int on_stack;

	(void)state;
	assert_int_equal(walk(rw).flags, NB_VMA_READ | NB_VMA_WRITE);
	assert_int_equal(walk(none).flags, 0);
	assert_true(walk(shared).flags & NB_VMA_SHARED);
	assert_true(walk(&on_stack).flags & NB_VMA_STACK);
	assert_string_equal(walk(&on_stack).name, "[stack]");
	assert_true(walk(sbrk(0)).nr > 5);
	assert_true(walk((void *)test_walk).flags & NB_VMA_EXEC);
	assert_true(walk((void *)test_walk).flags & NB_VMA_FILE);
	munmap(rw, 2 * (size_t)page);
	munmap(none, 2 * (size_t)page);
	munmap(shared, 2 * (size_t)page);
}

/* More text than any buffer: lines are split over reads. */
static void test_many(void **state)
{
	enum { PAIRS = 1000 };
	char *p = map(2 * PAIRS, PROT_NONE, MAP_PRIVATE);
	struct walk w;

	(void)state;
	for (int i = 0; i < PAIRS; i++)
		mprotect(p + 2 * i * page, (size_t)page, PROT_READ);
	w = walk(p + (2 * PAIRS - 2) * page);
	assert_in_range(w.nr, 2 * PAIRS, 2 * PAIRS + 500);
	assert_int_equal(w.flags, NB_VMA_READ);
	munmap(p, 2 * PAIRS * (size_t)page);
}

static int stop_at_third(const struct nb_vma *vma, const char *name, void *arg)
{
	(void)vma;
	(void)name;
	return ++*(int *)arg == 3 ? 77 : 0;
}

static void test_stop(void **state)
{
	int nr = 0;

	(void)state;
	assert_int_equal(nb_maps_for_each(stop_at_third, &nr), 77);
	assert_int_equal(nr, 3);
}

static void check_find(const void *p, uint64_t start, uint64_t end,
		       uint32_t flags)
{
	struct nb_vma vma = {0};

	assert_int_equal(nb_maps_find(addr_of(p), &vma), 0);
	assert_true(vma.start == start && vma.end == end);
	assert_int_equal(vma.flags, flags);
}

static void test_find(void **state)
{
	char *p = map(4, PROT_READ | PROT_WRITE, MAP_PRIVATE);
	uint64_t start = addr_of(p) + (uint64_t)page;
	struct nb_vma vma;
	int on_stack;

	(void)state;
	/* Two in the middle that do not merge with what is around. */
	mprotect(p + page, 2 * (size_t)page, PROT_READ);
	check_find(p + page, start, start + 2 * (uint64_t)page, NB_VMA_READ);
	check_find(p + 3 * page - 1, start, start + 2 * (uint64_t)page,
		   NB_VMA_READ);
	munmap(p + page, (size_t)page);
	assert_int_equal(nb_maps_find(start, &vma), -ENOENT);
	assert_int_equal(nb_maps_find(0, &vma), -ENOENT);
	assert_int_equal(nb_maps_find(UINT64_MAX, &vma), -ENOENT);
	assert_int_equal(nb_maps_find(addr_of(&on_stack), &vma), 0);
	assert_true(vma.flags & NB_VMA_STACK);
	assert_int_equal(nb_maps_find(addr_of((void *)test_find), &vma), 0);
	assert_true(vma.flags & NB_VMA_FILE);
	munmap(p, 4 * (size_t)page);
}

struct compare {
	int nr;
	int differ;
};

static int compare_one(const struct nb_vma *vma, const char *name, void *arg)
{
	struct compare *c = arg;
	struct nb_vma q;

	c->nr++;
	/* Not part of the address space: only shown. */
	if (strcmp(name, "[vsyscall]") == 0)
		return 0;
	if (nb_maps_query(vma->start, &q) || q.start != vma->start ||
	    q.flags != vma->flags) {
		fprintf(stderr, "differs: %llx %s %x %x\n",
			(unsigned long long)vma->start, name, vma->flags,
			q.flags);
		c->differ++;
	}
	return 0;
}

/* The text and the query must say the same of every mapping. */
static void test_query_agrees(void **state)
{
	struct compare c = {0, 0};
	struct nb_vma vma;

	(void)state;
	if (nb_maps_query(addr_of(&c), &vma) == -ENOTTY)
		skip();
	assert_int_equal(nb_maps_for_each(compare_one, &c), 0);
	assert_true(c.nr > 5);
	assert_int_equal(c.differ, 0);
}

/* From now on ioctl(2) is what it is on a kernel without the query. */
static int forbid_ioctl(void)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
			 offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_ioctl, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOTTY),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog prog = {nb_array_size(filter), filter};

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return -1;
	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog);
}

static int find_one(const struct nb_vma *vma, const char *name, void *arg)
{
	struct nb_vma found;

	(void)name;
	(void)arg;
	return nb_maps_find(vma->end - 1, &found) ||
	       found.start != vma->start || found.flags != vma->flags;
}

static void test_find_without_query(void **state)
{
	struct nb_vma vma;
	int status;
	pid_t pid = fork();

	(void)state;
	if (pid == 0) {
		if (forbid_ioctl())
			_exit(77);
		if (nb_maps_query(addr_of(&vma), &vma) != -ENOTTY)
			_exit(1);
		if (nb_maps_for_each(find_one, NULL))
			_exit(2);
		_exit(nb_maps_find(0, &vma) == -ENOENT ? 0 : 3);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
		skip();
	assert_int_equal(status, 0);
}

static void *after_leader(void *arg)
{
	struct nb_taskinfo ti = {0};
	struct walk w = {0};

	(void)arg;
	/* Nobody is left to join us, and not every tool can join it. */
	pthread_detach(pthread_self());
	while (ti.state != 'Z') {
		sched_yield();
		if (nb_taskinfo_read(getpid(), &ti))
			_exit(2);
	}
	_exit(nb_maps_for_each(walk_one, &w) || w.nr < 5);
}

/* The first thread leaves by pthread_exit(): the process lives on. */
static void test_leader_gone(void **state)
{
	pthread_t t;
	int status;
	pid_t pid = fork();

	(void)state;
	if (pid == 0) {
		pthread_create(&t, NULL, after_leader, NULL);
		pthread_exit(NULL);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void test_long_lines(void **state)
{
	enum { LONG = 3 * NB_LINE_READER_BYTES };
	static char text[LONG + 16];
	char path[] = "/tmp/nb-lines-XXXXXX";
	struct nb_line_reader r;
	char *line;
	int fd;

	(void)state;
	fd = mkstemp(path);
	assert_true(fd >= 0);
	memset(text, 'x', LONG);
	memcpy(text, "one\n\n", 5);
	memcpy(text + LONG, "\ntwo\nlast", 9);
	assert_int_equal(write(fd, text, LONG + 9), LONG + 9);
	close(fd);
	assert_int_equal(nb_lines_open(&r, path), 0);
	assert_int_equal(nb_lines_next(&r, &line), 1);
	assert_string_equal(line, "one");
	assert_int_equal(nb_lines_next(&r, &line), 1);
	assert_string_equal(line, "");
	assert_int_equal(nb_lines_next(&r, &line), 1);
	assert_int_equal(strlen(line), NB_LINE_READER_BYTES - 1);
	assert_int_equal(nb_lines_next(&r, &line), 1);
	assert_string_equal(line, "two");
	assert_int_equal(nb_lines_next(&r, &line), 1);
	assert_string_equal(line, "last");
	assert_int_equal(nb_lines_next(&r, &line), 0);
	nb_lines_close(&r);
	unlink(path);
	assert_int_equal(nb_lines_open(&r, path), -ENOENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_walk),
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_stop),
		cmocka_unit_test(test_find),
		cmocka_unit_test(test_query_agrees),
		cmocka_unit_test(test_find_without_query),
		cmocka_unit_test(test_leader_gone),
		cmocka_unit_test(test_long_lines),
	};

	page = sysconf(_SC_PAGESIZE);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
