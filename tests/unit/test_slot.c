/* SPDX-License-Identifier: MIT */
/*
 * mech/slot.c: who gets which slot, and who gives it back.
 */
#include "../../lib/mech/fault_ring.h"
#include "../../lib/mech/slot.h"
#include "../../lib/plat/arena.h"
#include "../../lib/plat/sys.h"

#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* No thread has such an id: they end at 2^22. */
#define NOBODY 10000000

static struct nb_slot *table;

static int setup(void **state)
{
	(void)state;
	nb_slots_after_fork();
	if (table)
		nb_arena_unmap(table, NB_MAX_SLOTS * sizeof(*table));
	table = nb_arena_map(NB_MAX_SLOTS * sizeof(*table));
	nb_slots_init(table);
	return table ? 0 : -1;
}

static int index_of(const struct nb_slot *s)
{
	return (int)(s - table);
}

static void test_before_init(void **state)
{
	(void)state;
	assert_null(nb_slot_self());
	assert_null(nb_slot_self_existing());
	assert_int_equal(nb_slots_used(), 0);
	assert_int_equal(nb_slot_find(1), -1);
	nb_slots_after_fork();
}

static void test_take(void **state)
{
	struct nb_slot *s;
	int tid = (int)nb_sys_gettid();

	(void)state;
	assert_null(nb_slot_self_existing());
	assert_int_equal(nb_slots_used(), 0);
	s = nb_slot_self();
	assert_non_null(s);
	assert_ptr_equal(nb_slot_self(), s);
	assert_ptr_equal(nb_slot_self_existing(), s);
	assert_int_equal(nb_slot_tid(s), tid);
	assert_int_equal(nb_slots_used(), 1);
	assert_int_equal(nb_slot_find(tid), index_of(s));
	assert_ptr_equal(nb_slot_at(index_of(s)), s);
	assert_int_equal(nb_slot_find(tid + NOBODY), -1);
	assert_true(atomic_load(&s->task) != 0);
}

static void test_note_found(void **state)
{
	int tid = (int)nb_sys_gettid(), i, j;
	uint32_t task;

	(void)state;
	i = nb_slot_note_found(NOBODY);
	assert_true(i >= 0);
	assert_int_equal(nb_slot_note_found(NOBODY), i);
	assert_int_equal(nb_slot_find(NOBODY), i);
	assert_int_equal(nb_slot_tid(nb_slot_at(i)), NOBODY);
	/* found first, then it comes by: the same slot, the same task */
	i = nb_slot_note_found(tid);
	task = atomic_load(&nb_slot_at(i)->task);
	assert_int_equal(atomic_load(nb_slot_tid_word(i)), -tid);
	assert_int_equal(index_of(nb_slot_self()), i);
	assert_int_equal(atomic_load(nb_slot_tid_word(i)), tid);
	assert_int_equal(atomic_load(&nb_slot_at(i)->task), task);
	assert_int_equal(nb_slot_note_found(tid), i);
	/* both at once made two: the one that was only noted goes */
	j = nb_slot_note_found(NOBODY + 1);
	atomic_store(nb_slot_tid_word(j), -tid);
	assert_int_equal(nb_slot_note_found(tid), i);
	assert_int_equal(nb_slot_tid(nb_slot_at(j)), 0);
	assert_int_equal(nb_slot_find(tid), i);
}

static void test_release(void **state)
{
	struct nb_hint_fault f = {.addr = 1};
	struct nb_slot *s = nb_slot_at(nb_slot_note_found(NOBODY));
	uint32_t task = atomic_load(&s->task);

	(void)state;
	s->same_fault = 3;
	s->last_ip = s->last_addr = 7;
	atomic_store(&s->gone, 1);
	atomic_store(&s->nr_faults, 5);
	nb_fault_ring_push(&s->ring, &f);
	nb_slot_release(index_of(s));
	assert_int_equal(nb_slot_find(NOBODY), -1);
	assert_int_equal(nb_slot_note_found(NOBODY + 1), index_of(s));
	assert_true(atomic_load(&s->task) != task); /* another life */
	assert_int_equal(nb_fault_ring_fill(&s->ring), 0);
	assert_int_equal(atomic_load(&s->gone), 0);
	assert_int_equal(atomic_load(&s->nr_faults), 0);
	assert_int_equal(s->same_fault, 0);
	assert_int_equal(nb_slots_used(), 1);
}

/* The kernel gave a dead thread's id to a new one before numabald saw it. */
static void test_tid_reused(void **state)
{
	int tid = (int)nb_sys_gettid();
	struct nb_slot *s = nb_slot_at(nb_slot_note_found(NOBODY));
	uint32_t task = atomic_load(&s->task);

	(void)state;
	atomic_store(nb_slot_tid_word(index_of(s)), tid);
	atomic_store(&s->gone, 1);
	assert_ptr_equal(nb_slot_self(), s);
	assert_true(atomic_load(&s->task) != task);
	assert_int_equal(atomic_load(&s->gone), 0);
}

static void test_after_fork(void **state)
{
	struct nb_slot *s;
	int status;
	pid_t pid;

	(void)state;
	nb_slot_note_found(NOBODY);
	s = nb_slot_self();
	pid = fork();
	if (!pid) {
		bool ok;

		nb_slots_after_fork();
		ok = !nb_slots_used() && nb_slot_find(NOBODY) < 0 &&
		     !nb_slot_self_existing() && nb_slot_self() &&
		     nb_slots_used() == 1 &&
		     nb_slot_tid(nb_slot_self()) == getpid();
		_exit(ok ? 0 : 1);
	}
	waitpid(pid, &status, 0);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	assert_ptr_equal(nb_slot_self_existing(), s);
}

static void *no_slot_left(void *arg)
{
	(void)arg;
	return nb_slot_self();
}

static void test_exhausted(void **state)
{
	pthread_t t;
	void *ret;

	(void)state;
	for (int i = 0; i < NB_MAX_SLOTS - 1; i++)
		atomic_store(nb_slot_tid_word(i), NOBODY + i);
	assert_int_equal(nb_slot_note_found(NOBODY + 20000), NB_MAX_SLOTS - 1);
	assert_int_equal(nb_slots_used(), NB_MAX_SLOTS);
	assert_int_equal(nb_slot_note_found(NOBODY + 20001), -1);
	assert_int_equal(nb_slot_note_found(NOBODY + 20000), NB_MAX_SLOTS - 1);
	assert_int_equal(pthread_create(&t, NULL, no_slot_left, NULL), 0);
	pthread_join(t, &ret);
	assert_null(ret);
	nb_slot_release(1234);
	assert_int_equal(pthread_create(&t, NULL, no_slot_left, NULL), 0);
	pthread_join(t, &ret);
	assert_ptr_equal(ret, nb_slot_at(1234));
}

/* ---- by stack pointer ---------------------------------------------------- */

#define MID (5 * NB_MIB)

static void test_for_sp(void **state)
{
	const uint64_t stack = 64 * NB_MIB + MID;
	struct nb_slot *s;
	bool fresh = false;

	(void)state;
	s = nb_slot_for_sp(stack, NULL);
	assert_ptr_equal(s, nb_slot_self());
	assert_false(nb_slot_knows_sp(s, stack));
	assert_ptr_equal(nb_slot_for_sp(stack, &fresh), s);
	assert_true(fresh);
	for (uint64_t sp = stack - NB_MIB; sp < stack + NB_MIB; sp += 4096) {
		assert_ptr_equal(nb_slot_for_sp(sp, &fresh), s);
		assert_false(fresh);
		assert_true(nb_slot_knows_sp(s, sp));
	}
	/* another stack, told once; looking does not tell */
	assert_ptr_equal(nb_slot_for_sp(MID, NULL), s);
	assert_true(nb_slot_knows_sp(s, stack));
	assert_ptr_equal(nb_slot_for_sp(MID, &fresh), s);
	assert_true(fresh);
	assert_false(nb_slot_knows_sp(s, stack));
	/* the alternate one is known */
	atomic_store(&s->alt_start, stack);
	atomic_store(&s->alt_end, stack + 4096);
	assert_true(nb_slot_knows_sp(s, stack + 4095));
	assert_false(nb_slot_knows_sp(s, stack + 4096));
	assert_ptr_equal(nb_slot_for_sp(stack + 8, &fresh), s);
	assert_false(fresh);
	assert_true(nb_slot_knows_sp(s, MID));
	/* one that the glue knows better, until something new is mapped */
	nb_slot_set_stack(s, MID, MID + 8192);
	assert_true(nb_slot_knows_sp(s, MID + 8191));
	assert_false(nb_slot_knows_sp(s, MID + 8192));
	nb_slots_forget_stacks(MID + 8192, 2 * MID);
	assert_true(nb_slot_knows_sp(s, MID));
	nb_slots_forget_stacks(MID - 4096, MID + 4096);
	assert_false(nb_slot_knows_sp(s, MID));
	nb_slot_for_sp(MID, &fresh);
	assert_true(fresh && nb_slot_knows_sp(s, MID));
	/* the very ends of the address space */
	assert_ptr_equal(nb_slot_for_sp(0, &fresh), s);
	assert_true(fresh && nb_slot_knows_sp(s, 0));
	nb_slot_for_sp(UINT64_MAX, &fresh);
	assert_true(fresh || nb_slot_knows_sp(s, UINT64_MAX));
}

/* A process that shares our memory, but not one of our threads. */
static void test_not_the_owner(void **state)
{
	bool fresh = true;

	(void)state;
	nb_slots_set_owner(getpid() + 1);
	assert_null(nb_slot_for_sp(MID, &fresh));
	assert_false(fresh);
	assert_null(nb_slot_self_existing());
	nb_slots_set_owner(getpid());
	assert_non_null(nb_slot_for_sp(MID, &fresh));
	nb_slots_set_owner(getpid() + 1);
	/* on its parent's stack: not asked */
	assert_non_null(nb_slot_for_sp(MID, &fresh));
	assert_null(nb_slot_for_sp(100 * MID, &fresh));
	nb_slots_set_owner(0);
}

/* What another thread does that has our TLS pointer: our tid, changed. */
static void test_shared_tls(void **state)
{
	struct nb_slot *s = nb_slot_self(), *other;
	int tid = nb_slot_tid(s);
	bool fresh;

	(void)state;
	nb_slot_for_sp(MID, &fresh);
	assert_true(nb_slot_knows_sp(s, MID));
	nb_slot_share_tls();
	assert_false(nb_slot_knows_sp(s, MID));
	assert_ptr_equal(nb_slot_for_sp(MID, &fresh), s);
	assert_false(fresh || nb_slot_knows_sp(s, MID));
	nb_slot_for_sp(10 * MID, &fresh);
	assert_true(fresh);
	/* as if we were another one: the kernel says tid, the slot does not */
	atomic_store(nb_slot_tid_word(index_of(s)), NOBODY);
	other = nb_slot_for_sp(MID, &fresh);
	assert_ptr_not_equal(other, s);
	assert_int_equal(nb_slot_tid(other), tid);
	assert_ptr_equal(nb_slot_self_existing(), s);
	assert_true(fresh);
	assert_ptr_equal(nb_slot_for_sp(MID, &fresh), other);
	assert_false(fresh);
	assert_int_equal(nb_slots_used(), 2);
	/* numabald had found it before */
	nb_slot_release(index_of(other));
	assert_int_equal(nb_slot_note_found(tid), index_of(other));
	assert_ptr_equal(nb_slot_for_sp(MID, &fresh), other);
	assert_int_equal(atomic_load(nb_slot_tid_word(index_of(other))), tid);
}

static void *hold_dead(void *arg)
{
	*(int *)arg = index_of(nb_slot_self());
	return (void *)nb_sys_gettid();
}

/* A thread's id is used again while its slot is being given back. */
static void test_hold(void **state)
{
	struct nb_slot *s = nb_slot_self();
	int tid = (int)nb_sys_gettid(), own = index_of(s), i = -1;
	pthread_t th;
	void *dead;

	(void)state;
	/* it was thought to be gone, and is there again */
	assert_false(nb_slot_hold(own, tid));
	assert_int_equal(nb_slot_tid(s), tid);
	assert_int_equal(nb_slot_find(tid), own);
	/* somebody else has it */
	assert_false(nb_slot_hold(own, NOBODY));
	assert_int_equal(nb_slot_tid(s), tid);
	pthread_create(&th, NULL, hold_dead, &i);
	pthread_join(th, &dead);
	while (nb_thread_exists((pid_t)(intptr_t)dead))
		sched_yield();
	assert_int_equal(nb_slot_find((pid_t)(intptr_t)dead), i);
	assert_true(nb_slot_hold(i, (pid_t)(intptr_t)dead));
	/* who comes now takes another one */
	assert_int_equal(nb_slot_find((pid_t)(intptr_t)dead), -1);
	assert_int_not_equal(nb_slot_note_found(NOBODY), i);
	nb_slot_release(i);
	assert_int_equal(nb_slot_note_found(NOBODY + 1), i);
	assert_true(nb_slot_hold(i, NOBODY + 1));
	nb_slot_release(i);
}

/* What a thread leaves is not the next one's. */
static void test_calls_end(void **state)
{
	struct nb_slot *s = nb_slot_self();
	int tid = nb_slot_tid(s);
	bool fresh;

	(void)state;
	for (int again = 0; again < 2; again++) {
		nb_slot_for_sp(MID, &fresh);
		assert_true(fresh);
		atomic_store(&s->alt_end, 4096);
		atomic_store(&s->sp_seen, 1);
		atomic_store(&s->calls.depth, 1);
		atomic_store(&s->calls.call[0].flags, NB_CALL_OPAQUE);
		assert_true(nb_slots_may_touch(0, 0));
		/* given back; or a new thread of the same id comes by */
		nb_slots_after_fork();
		if (again) {
			atomic_store(&s->calls.depth, 1);
			atomic_store(nb_slot_tid_word(index_of(s)), tid);
			assert_ptr_equal(nb_slot_self(), s);
		}
		assert_false(nb_slot_on_alt(s, 8));
		assert_int_equal(s->sp_seen, 0);
		assert_int_equal(s->calls.depth, 0);
		assert_false(nb_slots_may_touch(0, 0));
		assert_ptr_equal(nb_slot_self(), s);
	}
}

/* A thread that gives its slot up is not the owner of the next one's. */
static void test_give_up(void **state)
{
	struct nb_slot *s = nb_slot_self();
	struct nb_hint_fault f = {.addr = 1};
	uint32_t task = atomic_load(&s->task);

	(void)state;
	atomic_store(&s->sp_seen, 1);
	assert_true(nb_fault_ring_push(&s->ring, &f));
	assert_false(nb_slot_give_up(s)); /* numabald has not seen it */
	assert_true(nb_fault_ring_pop(&s->ring, &f));
	assert_non_null(nb_call_push(&s->calls, 100, 0, 0));
	assert_true(nb_slot_give_up(s));
	assert_int_equal(nb_slot_tid(s), 0);
	assert_int_equal(s->calls.depth, 0);
	assert_null(nb_slot_self_existing());
	assert_false(nb_slot_give_up(s)); /* nobody's */
	assert_ptr_equal(nb_slot_self(), s);
	assert_int_not_equal(atomic_load(&s->task), task);
	assert_int_equal(s->sp_seen, 0);
	s->tls_shared = 1;
	assert_false(nb_slot_give_up(s)); /* the pointer is another's, too */
}

static void test_may_touch(void **state)
{
	uint16_t who[2];

	(void)state;
	for (uint64_t i = 0; i < 3; i++) {
		struct nb_slot *s =
			nb_slot_at(nb_slot_note_found(NOBODY + (int)i));

		atomic_store(&s->calls.call[0].range[0].start, i * 100);
		atomic_store(&s->calls.call[0].range[0].end, i * 100 + 50);
		atomic_store(&s->calls.call[0].nr_ranges, 1);
		atomic_store(&s->calls.depth, 1);
	}
	assert_true(nb_slots_may_touch(249, 250));
	assert_true(nb_slots_may_touch(0, 1));
	assert_false(nb_slots_may_touch(150, 200));
	assert_int_equal(nb_slots_touching(149, 250, who, 2), 2);
	assert_true(who[0] == 1 && who[1] == 2);
	assert_int_equal(nb_slots_touching(0, 250, who, 2), 3);
	assert_int_equal(nb_slots_touching(150, 200, who, 2), 0);
	assert_false(nb_slots_may_touch(0, 0));
	/* below a stack pointer that is not in the table yet */
	atomic_store(&nb_slot_at(1)->sp_seen, 2 * NB_STACK_OPEN);
	assert_true(nb_slots_may_touch(NB_STACK_OPEN, NB_STACK_OPEN + 1));
	assert_false(nb_slots_may_touch(NB_STACK_OPEN - 1, NB_STACK_OPEN));
	assert_false(nb_slots_may_touch(2 * NB_STACK_OPEN, UINT64_MAX));
	assert_false(nb_slots_may_touch(0, 0));
	atomic_store(&nb_slot_at(2)->calls.overflow, 1);
	assert_true(nb_slots_may_touch(0, 0));
}

/* ---- a thousand threads, alive together ---------------------------------- */

#define NR_THREADS 1000

static pthread_barrier_t all_in;

static void *one_of_many(void *arg)
{
	struct nb_slot *s = nb_slot_self();
	struct nb_hint_fault f = {.addr = (uint64_t)nb_sys_gettid()};

	(void)arg;
	if (s && s == nb_slot_self())
		nb_fault_ring_push(&s->ring, &f);
	pthread_barrier_wait(&all_in);
	return s;
}

static void test_thousand_threads(void **state)
{
	static pthread_t t[NR_THREADS];
	static char seen[NB_MAX_SLOTS];
	pthread_attr_t attr;
	int nr = 0;

	(void)state;
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 128 * 1024);
	pthread_barrier_init(&all_in, NULL, NR_THREADS + 1);
	for (; nr < NR_THREADS; nr++)
		if (pthread_create(&t[nr], &attr, one_of_many, NULL))
			break;
	assert_int_equal(nr, NR_THREADS);
	/* numabald's walk at the same time */
	for (int i = 0; i < 5; i++)
		assert_true(nb_slot_note_found(NOBODY) >= 0);
	pthread_barrier_wait(&all_in);
	for (int i = 0; i < NR_THREADS; i++) {
		struct nb_hint_fault f;
		struct nb_slot *s;
		void *ret;

		pthread_join(t[i], &ret);
		s = ret;
		assert_non_null(s);
		assert_int_equal(seen[index_of(s)]++, 0);
		assert_true(nb_fault_ring_pop(&s->ring, &f));
		assert_int_equal(f.addr, nb_slot_tid(s));
	}
	assert_int_equal(nb_slots_used(), NR_THREADS + 1);
	pthread_barrier_destroy(&all_in);
	pthread_attr_destroy(&attr);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_before_init),
		cmocka_unit_test_setup(test_take, setup),
		cmocka_unit_test_setup(test_note_found, setup),
		cmocka_unit_test_setup(test_release, setup),
		cmocka_unit_test_setup(test_tid_reused, setup),
		cmocka_unit_test_setup(test_after_fork, setup),
		cmocka_unit_test_setup(test_exhausted, setup),
		cmocka_unit_test_setup(test_for_sp, setup),
		cmocka_unit_test_setup(test_not_the_owner, setup),
		cmocka_unit_test_setup(test_shared_tls, setup),
		cmocka_unit_test_setup(test_calls_end, setup),
		cmocka_unit_test_setup(test_give_up, setup),
		cmocka_unit_test_setup(test_hold, setup),
		cmocka_unit_test_setup(test_may_touch, setup),
		cmocka_unit_test_setup(test_thousand_threads, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
