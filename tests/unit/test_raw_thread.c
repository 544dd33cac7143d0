/* SPDX-License-Identifier: MIT */
/*
 * plat/raw_thread.c: a thread without libc, waited for; its memory in a forked
 * child, where it is not.
 */
#include "../../lib/plat/arena.h"
#include "../../lib/plat/raw_thread.h"
#include "../../lib/plat/sys.h"

#include <setjmp.h>
#include <stdarg.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static struct nb_raw_thread thread;
static uint32_t go;
static _Atomic int ran_as;
static pid_t first;

static void wait_for_go(void)
{
	while (!__atomic_load_n(&go, __ATOMIC_ACQUIRE))
		nb_futex_wait(&go, 0, UINT64_MAX);
	atomic_store(&ran_as, (int)nb_sys_gettid());
}

static void let_go(void)
{
	__atomic_store_n(&go, 1, __ATOMIC_RELEASE);
	nb_futex_wake(&go, 1);
}

static void start(void)
{
	go = 0;
	assert_int_equal(nb_raw_thread_create(&thread, wait_for_go), 0);
}

static void test_join(void **state)
{
	uint64_t before = nb_arena_mapped_bytes();
	uint32_t tid;

	(void)state;
	start();
	tid = atomic_load(&thread.tid);
	assert_true(nb_thread_exists((pid_t)tid));
	/* not yet: all of its memory stays */
	assert_false(nb_raw_thread_join(&thread, NB_NSEC_PER_MSEC));
	assert_true(nb_arena_owns((uint64_t)thread.area));
	let_go();
	assert_true(nb_raw_thread_join(&thread, 20 * NB_NSEC_PER_SEC));
	assert_int_equal(atomic_load(&ran_as), tid);
	assert_null(thread.area);
	assert_true(nb_arena_mapped_bytes() == before);
	assert_true(nb_raw_thread_join(&thread, 0));
}

/* Children of children of children, each with one of its own. */
static void test_generations(void **state)
{
	uint64_t before = nb_arena_mapped_bytes();
	int status, bad = 0;
	pid_t pid = 0;

	(void)state;
	for (int i = 0; i < 20 && !pid; i++) {
		start();
		pid = fork();
		if (pid)
			break;
		nb_raw_thread_forget(&thread);
		bad |= nb_arena_mapped_bytes() != before;
	}
	if (!pid)
		_exit(bad);
	let_go();
	nb_raw_thread_join(&thread, 20 * NB_NSEC_PER_SEC);
	waitpid(pid, &status, 0);
	/* All but the first are children themselves. */
	if (getpid() != first)
		_exit(status ? 1 : 0);
	assert_int_equal(status, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_join),
		cmocka_unit_test(test_generations),
	};

	if (!nb_raw_thread_supported())
		return 77;
	first = getpid();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
