/* SPDX-License-Identifier: MIT */
/*
 * mech/affinity.c on fake threads: the program's mask, our pin, and what the
 * kernel has at each moment.
 */
#include "../../lib/mech/affinity.h"
#include "../../lib/mech/slot.h"
#include "../../lib/plat/arena.h"

#include "fake_sys.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define TID 100
#define SLOT 3

static struct nb_topology topo; /* 4 nodes of 4 CPUs */

static struct nb_cpumask cpus(int first, int nr)
{
	struct nb_cpumask m;

	memset(&m, 0, sizeof(m));
	for (int i = first; i < first + nr; i++)
		nb_cpu_set(&m, i);
	return m;
}

static int setup(void **state)
{
	struct nb_cpumask all = cpus(0, 16);

	(void)state;
	fake_reset();
	fake_topology(&topo, 4, 4);
	for (int i = 0; i < 3; i++)
		fake_add_tid(TID + i, &all);
	fake.self = TID;
	if (nb_affinity_init(&fake_sys, &topo))
		return -1;
	for (int i = 0; i < 8; i++)
		nb_affinity_forget(i);
	fake_log_clear();
	return 0;
}

static void kernel_has(pid_t tid, struct nb_cpumask want)
{
	assert_true(nb_cpus_equal(fake_tid_mask(tid), &want));
}

static void program_sees(int slot, struct nb_cpumask want)
{
	struct nb_cpumask got;

	if (!nb_affinity_get_wish(slot, &got))
		fake_sys.sched_getaffinity(TID, &got);
	assert_true(nb_cpus_equal(&got, &want));
}

static void pin(int nid)
{
	assert_int_equal(nb_affinity_pin(SLOT, TID, nid), 0);
	assert_int_equal(nb_affinity_pinned_nid(SLOT), nid);
	kernel_has(TID, cpus(4 * nid, 4));
}

static int set_wish(struct nb_cpumask mask)
{
	return nb_affinity_set_wish(SLOT, TID, &mask);
}

static void test_unknown(void **state)
{
	struct nb_cpumask m;

	(void)state;
	assert_int_equal(nb_affinity_pinned_nid(SLOT), NB_NO_NODE);
	assert_false(nb_affinity_bound(SLOT));
	assert_false(nb_affinity_get_wish(SLOT, &m));
	assert_int_equal(nb_affinity_release(SLOT, TID), 0);
	assert_int_equal(nb_affinity_apply_wish(SLOT), 0);
	assert_int_equal(fake.nr_log, 0);
	assert_int_equal(nb_affinity_learn(SLOT, 999), -ESRCH);
	assert_int_equal(nb_affinity_pin(SLOT, 999, 0), -ESRCH);
	assert_int_equal(nb_affinity_learn(SLOT, TID), 0);
	assert_false(nb_affinity_bound(SLOT));
	assert_int_equal(nb_affinity_pinned_nid(SLOT), NB_NO_NODE);
}

static void test_pin_and_release(void **state)
{
	(void)state;
	pin(2);
	program_sees(SLOT, cpus(0, 16));
	pin(1);
	program_sees(SLOT, cpus(0, 16));
	assert_int_equal(nb_affinity_release(SLOT, TID), 0);
	kernel_has(TID, cpus(0, 16));
	assert_int_equal(nb_affinity_pinned_nid(SLOT), NB_NO_NODE);
	program_sees(SLOT, cpus(0, 16));
	fake_log_clear();
	assert_int_equal(nb_affinity_release(SLOT, TID), 0);
	assert_int_equal(fake.nr_log, 0);
	kernel_has(TID + 1, cpus(0, 16));
}

static void test_bound(void **state)
{
	(void)state;
	*fake_tid_mask(TID) = cpus(4, 8);
	assert_int_equal(nb_affinity_learn(SLOT, TID), 0);
	assert_true(nb_affinity_bound(SLOT));
	assert_int_equal(nb_affinity_pin(SLOT, TID, 1), -EBUSY);
	kernel_has(TID, cpus(4, 8));
	/* it gives itself all CPUs again: free to be pinned */
	assert_int_equal(set_wish(cpus(0, 16)), 0);
	assert_false(nb_affinity_bound(SLOT));
	pin(1);
}

/* A node without CPUs, or without any that the process may use. */
static void test_no_cpu_there(void **state)
{
	(void)state;
	topo.node_cpus[3] = cpus(0, 0);
	assert_int_equal(nb_affinity_pin(SLOT, TID, 3), -EINVAL);
	topo.cpus_allowed = cpus(0, 8);
	assert_int_equal(nb_affinity_pin(SLOT, TID, 2), -EINVAL);
	kernel_has(TID, cpus(0, 16));
	pin(1);
}

static void test_wish_while_pinned(void **state)
{
	(void)state;
	pin(2);
	/* all CPUs: the pin stays, the program sees what it asked for */
	assert_int_equal(set_wish(cpus(0, 32)), 0);
	kernel_has(TID, cpus(8, 4));
	assert_int_equal(nb_affinity_pinned_nid(SLOT), 2);
	program_sees(SLOT, cpus(0, 16));
	assert_int_equal(nb_affinity_release(SLOT, TID), 0);
	kernel_has(TID, cpus(0, 32));
	/* fewer: to the letter, also those outside of the pin */
	pin(2);
	assert_int_equal(set_wish(cpus(3, 2)), 0);
	kernel_has(TID, cpus(3, 2));
	assert_true(nb_affinity_bound(SLOT));
	assert_int_equal(nb_affinity_pinned_nid(SLOT), NB_NO_NODE);
	program_sees(SLOT, cpus(3, 2));
	/* refused by the kernel: nothing changes */
	assert_int_equal(set_wish(cpus(0, 0)), -EINVAL);
	assert_int_equal(nb_affinity_set_wish(4, 999, &topo.cpus_allowed),
			 -ESRCH);
	kernel_has(TID, cpus(3, 2));
	program_sees(SLOT, cpus(3, 2));
}

/* Set by a raw system call, or by somebody else. */
static void test_behind_our_back(void **state)
{
	(void)state;
	pin(2);
	*fake_tid_mask(TID) = cpus(1, 1);
	assert_int_equal(nb_affinity_learn(SLOT, TID), 0);
	assert_true(nb_affinity_bound(SLOT));
	assert_int_equal(nb_affinity_pinned_nid(SLOT), NB_NO_NODE);
	assert_int_equal(nb_affinity_release(SLOT, TID), 0);
	kernel_has(TID, cpus(1, 1));
	assert_int_equal(set_wish(cpus(0, 16)), 0);
	/* seen at the release only */
	pin(2);
	*fake_tid_mask(TID) = cpus(1, 1);
	assert_int_equal(nb_affinity_release(SLOT, TID), 0);
	kernel_has(TID, cpus(1, 1));
	assert_int_equal(set_wish(cpus(0, 16)), 0);
	/* back to all CPUs: nothing is pinned any more */
	pin(2);
	*fake_tid_mask(TID) = cpus(0, 16);
	assert_int_equal(nb_affinity_learn(SLOT, TID), 0);
	assert_int_equal(nb_affinity_pinned_nid(SLOT), NB_NO_NODE);
	assert_false(nb_affinity_bound(SLOT));
}

/* The kernel does not tell of a CPU that is off; nobody chose anything. */
static void test_cpu_unplugged(void **state)
{
	(void)state;
	pin(2);
	fake.online = cpus(0, 9); /* 9 to 15 are off: of node 2, 8 is left */
	assert_int_equal(nb_affinity_learn(SLOT, TID), 0);
	assert_false(nb_affinity_bound(SLOT));
	assert_int_equal(nb_affinity_pinned_nid(SLOT), 2);
	assert_int_equal(nb_affinity_release(SLOT, TID), 0);
	kernel_has(TID, cpus(0, 16));
	assert_int_equal(nb_affinity_learn(SLOT, TID), 0);
	assert_false(nb_affinity_bound(SLOT));
	pin(1);
	assert_int_equal(nb_affinity_release(SLOT, TID), 0);
	/* the program's own choice is seen all the same */
	*fake_tid_mask(TID) = cpus(0, 8);
	assert_int_equal(nb_affinity_learn(SLOT, TID), 0);
	assert_true(nb_affinity_bound(SLOT));
	/* a thread first seen now has all that there are */
	assert_int_equal(nb_affinity_learn(5, TID + 1), 0);
	assert_false(nb_affinity_bound(5));
	/* not told what is on: better left alone than moved */
	assert_int_equal(nb_affinity_learn(6, TID + 2), 0);
	fake.online = cpus(0, 8);
	fake_fail_from(FAKE_READ_FILE, 1, EACCES);
	assert_int_equal(nb_affinity_learn(6, TID + 2), 0);
	assert_true(nb_affinity_bound(6));
	fake_fail_end();
}

static void test_inherit(void **state)
{
	(void)state;
	pin(2);
	/* clone(2): the new thread has the pin, too */
	*fake_tid_mask(TID + 1) = cpus(8, 4);
	nb_affinity_inherit(4, SLOT);
	assert_int_equal(nb_affinity_pinned_nid(4), 2);
	program_sees(4, cpus(0, 16));
	assert_int_equal(nb_affinity_release(4, TID + 1), 0);
	kernel_has(TID + 1, cpus(0, 16));
	kernel_has(TID, cpus(8, 4));
	/* from one that nothing is known of: learnt later */
	nb_affinity_inherit(5, 6);
	assert_int_equal(nb_affinity_pinned_nid(5), NB_NO_NODE);
	assert_int_equal(nb_affinity_pin(5, TID + 2, 0), 0);
	/* forgotten: the next thread of the slot is another one */
	nb_affinity_forget(SLOT);
	assert_int_equal(nb_affinity_pinned_nid(SLOT), NB_NO_NODE);
	assert_int_equal(nb_affinity_release(SLOT, TID), 0);
	kernel_has(TID, cpus(8, 4));
}

/* A vfork child about to exec: its own mask, the parent's books. */
static void test_apply_wish(void **state)
{
	(void)state;
	pin(2);
	*fake_tid_mask(TID + 1) = cpus(8, 4);
	fake.self = TID + 1;
	assert_int_equal(nb_affinity_apply_wish(SLOT), 0);
	kernel_has(TID + 1, cpus(0, 16));
	kernel_has(TID, cpus(8, 4));
	assert_int_equal(nb_affinity_pinned_nid(SLOT), 2);
	fake_fail(FAKE_SETAFFINITY, 1, EPERM);
	assert_int_equal(nb_affinity_apply_wish(SLOT), -EPERM);
}

static void test_fork(void **state)
{
	struct nb_slot *slots = nb_arena_map(NB_MAX_SLOTS * sizeof(*slots));
	int status;
	pid_t pid;

	(void)state;
	nb_slots_init(slots);
	for (int i = 0; i < 8; i++)
		nb_slot_note_found(10000000 + i);
	pin(2);
	nb_affinity_fork_prepare();
	pid = fork();
	if (!pid) {
		bool ok;

		nb_affinity_fork_child(SLOT);
		ok = nb_cpus_weight(fake_tid_mask(TID)) == 16 &&
		     nb_affinity_pinned_nid(SLOT) == NB_NO_NODE &&
		     !nb_affinity_pin(1, TID, 3) &&
		     nb_affinity_pinned_nid(1) == 3;
		_exit(ok ? 0 : 1);
	}
	nb_affinity_fork_parent();
	waitpid(pid, &status, 0);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	assert_int_equal(nb_affinity_pinned_nid(SLOT), 2);
	pin(1); /* the lock is free again */
}

/* Another thread had the lock when the memory was copied. */
static void test_fork_unprepared(void **state)
{
	int status;
	pid_t pid;

	(void)state;
	nb_affinity_fork_prepare();
	pid = fork();
	if (!pid) {
		nb_affinity_reinit();
		nb_affinity_forget(SLOT);
		_exit(nb_affinity_pinned_nid(SLOT) == NB_NO_NODE ? 0 : 1);
	}
	nb_affinity_fork_parent();
	waitpid(pid, &status, 0);
	assert_int_equal(status, 0);
}

/* After any failure the books say what the kernel has. */
static void check_books(void)
{
	int nid = nb_affinity_pinned_nid(SLOT);
	struct nb_cpumask all = cpus(0, 16), now = *fake_tid_mask(TID);

	if (nid == NB_NO_NODE) {
		assert_true(nb_cpus_equal(&now, &all));
		return;
	}
	assert_true(nb_cpus_equal(&now, &topo.node_cpus[nid]));
}

static void pin_step(void)
{
	nb_affinity_pin(SLOT, TID, 1);
}

static void release_step(void)
{
	nb_affinity_release(SLOT, TID);
}

static void wish_step(void)
{
	set_wish(cpus(0, 16));
}

static void test_each_call_fails(void **state)
{
	static void (*const steps[])(void) = {pin_step, release_step,
					      wish_step};

	(void)state;
	for (unsigned int i = 0; i < nb_array_size(steps); i++) {
		unsigned int fired = 1, nth;

		for (nth = 1; fired; nth++) {
			setup(NULL);
			pin(2);
			fake_fail(FAKE_ANY, nth, nth % 2 ? EPERM : ESRCH);
			steps[i]();
			fired = fake_fail_end();
			check_books();
			/* and it can be had back */
			assert_int_equal(nb_affinity_release(SLOT, TID), 0);
			kernel_has(TID, cpus(0, 16));
		}
		assert_int_equal(nth, 4); /* two calls each */
	}
	setup(NULL);
	fake_fail(FAKE_SETAFFINITY, 1, EPERM);
	assert_int_equal(nb_affinity_pin(SLOT, TID, 1), -EPERM);
	fake_fail(FAKE_SETAFFINITY, 1, EPERM);
	assert_int_equal(set_wish(cpus(0, 4)), -EPERM);
	fake_fail_end();
	pin(1);
	fake_fail(FAKE_SETAFFINITY, 1, EPERM);
	assert_int_equal(nb_affinity_release(SLOT, TID), -EPERM);
	assert_int_equal(nb_affinity_pinned_nid(SLOT), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_unknown, setup),
		cmocka_unit_test_setup(test_pin_and_release, setup),
		cmocka_unit_test_setup(test_bound, setup),
		cmocka_unit_test_setup(test_no_cpu_there, setup),
		cmocka_unit_test_setup(test_wish_while_pinned, setup),
		cmocka_unit_test_setup(test_behind_our_back, setup),
		cmocka_unit_test_setup(test_cpu_unplugged, setup),
		cmocka_unit_test_setup(test_inherit, setup),
		cmocka_unit_test_setup(test_apply_wish, setup),
		cmocka_unit_test_setup(test_each_call_fails, setup),
		cmocka_unit_test_setup(test_fork, setup),
		cmocka_unit_test_setup(test_fork_unprepared, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
