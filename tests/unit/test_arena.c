/* SPDX-License-Identifier: MIT */
/*
 * plat/arena.c: who owns what, reuse, forked children.
 */
#include "../../lib/plat/arena.h"
#include "../../lib/plat/maps.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static uint64_t addr_of(const void *p)
{
	return (uint64_t)(uintptr_t)p;
}

static bool all_zero(const char *p, size_t len)
{
	while (len--)
		if (*p++)
			return false;
	return true;
}

static void test_map(void **state)
{
	uint64_t before = nb_arena_mapped_bytes();
	long page = sysconf(_SC_PAGESIZE);
	char *p = nb_arena_map(100);
	int on_stack;

	(void)state;
	assert_non_null(p);
	assert_true(nb_arena_mapped_bytes() == before + (uint64_t)page);
	assert_true(all_zero(p, (size_t)page));
	memset(p, 1, (size_t)page);
	assert_true(nb_arena_owns(addr_of(p)));
	assert_true(nb_arena_owns(addr_of(p + page - 1)));
	assert_false(nb_arena_owns(addr_of(p + page)));
	assert_false(nb_arena_owns(addr_of(p) - 1));
	assert_false(nb_arena_owns(addr_of(&on_stack)));
	assert_false(nb_arena_owns(0));
	assert_false(nb_arena_owns(UINT64_MAX));
	assert_true(nb_arena_overlaps(addr_of(p) - 10, addr_of(p) + 1));
	assert_false(nb_arena_overlaps(addr_of(p) - 10, addr_of(p)));
	nb_arena_unmap(p, 100);
	assert_false(nb_arena_owns(addr_of(p)));
	assert_true(nb_arena_mapped_bytes() == before);
	nb_arena_unmap(NULL, 100);
}

static void test_map_impossible(void **state)
{
	uint64_t before = nb_arena_mapped_bytes();

	(void)state;
	assert_null(nb_arena_map(0));
	assert_null(nb_arena_map(SIZE_MAX));
	assert_null(nb_arena_map(SIZE_MAX / 2));
	assert_null(nb_arena_alloc(0));
	assert_null(nb_arena_alloc(SIZE_MAX));
	assert_true(nb_arena_mapped_bytes() == before);
}

static int find_name(const struct nb_vma *vma, const char *name, void *arg)
{
	uint64_t addr = *(uint64_t *)arg;

	if (addr < vma->start || addr >= vma->end)
		return 0;
	/* Kernels without CONFIG_ANON_VMA_NAME show nothing. */
	return strcmp(name, "[anon:numabal]") == 0 || !*name ? 1 : 2;
}

static void test_name(void **state)
{
	char *p = nb_arena_map(1);
	uint64_t addr = addr_of(p);

	(void)state;
	assert_int_equal(nb_maps_for_each(find_name, &addr), 1);
	nb_arena_unmap(p, 1);
}

static void test_alloc(void **state)
{
	static const size_t sizes[] = {1, 16, 17, 4096, 100000, 300000};
	char *last = NULL;

	(void)state;
	for (int round = 0; round < 40; round++) {
		size_t size = sizes[round % nb_array_size(sizes)];
		char *p = nb_arena_alloc(size);

		assert_non_null(p);
		assert_true(p != last);
		assert_int_equal(addr_of(p) % 16, 0);
		assert_true(all_zero(p, size));
		memset(p, 0xee, size);
		assert_true(nb_arena_owns(addr_of(p)));
		assert_true(nb_arena_owns(addr_of(p + size - 1)));
		last = p;
	}
}

/* The table is finite: a mapping that it cannot hold must not exist. */
static void test_table_full(void **state)
{
	static void *maps[5000];
	size_t nr = 0;
	uint64_t before = nb_arena_mapped_bytes();

	(void)state;
	while (nr < nb_array_size(maps) && (maps[nr] = nb_arena_map(1)))
		nr++;
	assert_in_range(nr, 1000, nb_array_size(maps) - 1);
	for (size_t i = 0; i < nr; i++)
		assert_true(nb_arena_owns(addr_of(maps[i])));
	nb_arena_unmap(maps[0], 1);
	maps[0] = nb_arena_map(1);
	assert_non_null(maps[0]);
	for (size_t i = 0; i < nr; i++)
		nb_arena_unmap(maps[i], 1);
	assert_true(nb_arena_mapped_bytes() == before);
}

static void *map_unmap(void *arg)
{
	(void)arg;
	for (int i = 0; i < 2000; i++) {
		char *p = nb_arena_map(4096);

		if (!p || !nb_arena_owns(addr_of(p)))
			return (void *)1;
		*p = 1;
		nb_arena_unmap(p, 4096);
	}
	return NULL;
}

static void test_threads(void **state)
{
	uint64_t before = nb_arena_mapped_bytes();
	char *mine = nb_arena_map(1);
	pthread_t threads[4];
	void *ret;

	(void)state;
	for (int i = 0; i < 4; i++)
		assert_int_equal(
			pthread_create(&threads[i], NULL, map_unmap, NULL), 0);
	for (int i = 0; i < 20000; i++)
		assert_true(nb_arena_owns(addr_of(mine)));
	for (int i = 0; i < 4; i++) {
		pthread_join(threads[i], &ret);
		assert_null(ret);
	}
	nb_arena_unmap(mine, 1);
	assert_true(nb_arena_mapped_bytes() == before);
}

#define PIECES 20000

/* Pieces of whoever asks at the same time do not overlap. */
static void *alloc_many(void *arg)
{
	static uint64_t *of[4][PIECES];
	uint64_t **mine = of[(uintptr_t)arg];

	for (uintptr_t i = 0; i < PIECES; i++) {
		mine[i] = nb_arena_alloc(2 * sizeof(uint64_t));
		if (!mine[i] || mine[i][0] || mine[i][1])
			return (void *)1;
		mine[i][0] = mine[i][1] = (uintptr_t)arg * PIECES + i + 1;
	}
	for (uintptr_t i = 0; i < PIECES; i++)
		if (mine[i][0] != (uintptr_t)arg * PIECES + i + 1 ||
		    mine[i][1] != mine[i][0])
			return (void *)2;
	return NULL;
}

static void test_alloc_threads(void **state)
{
	pthread_t threads[4];
	void *ret;

	(void)state;
	for (uintptr_t i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, alloc_many,
						(void *)i),
				 0);
	for (int i = 0; i < 4; i++) {
		pthread_join(threads[i], &ret);
		assert_null(ret);
	}
}

static void test_fork(void **state)
{
	char *p = nb_arena_map(1);
	int status;
	pid_t pid;

	(void)state;
	*p = 42;
	pid = fork();
	if (pid == 0)
		_exit(*p == 42 && nb_arena_owns(addr_of(p)) ? 0 : 1);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	nb_arena_unmap(p, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_map),
		cmocka_unit_test(test_map_impossible),
		cmocka_unit_test(test_name),
		cmocka_unit_test(test_alloc),
		cmocka_unit_test(test_table_full),
		cmocka_unit_test(test_threads),
		cmocka_unit_test(test_alloc_threads),
		cmocka_unit_test(test_fork),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
