/* SPDX-License-Identifier: MIT */
/*
 * lib/start_room.c: new threads take idle CPUs beside their creator, and give
 * them back.  All of them are this one, in another slot.
 */
#include "../../lib/mech/affinity.h"
#include "../../lib/nb.h"
#include "../../lib/start_room.h"
#include "../../lib/tasks.h"
#include "fake_sys.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define NOBODY 10000000 /* no thread has such an id */
#define CREATOR 1
#define NODE 2 /* where it belongs */
#define CPUS 4 /* of a node */

static pid_t self;

static int slot(int who)
{
	return nb_slot_note_found(NOBODY + who);
}

/* All nodes have so many idle CPUs. */
static void publish(uint32_t nr, uint64_t ago_ns)
{
	uint64_t idle[NB_MAX_NODES] = {0};

	for (int n = 0; n < 4; n++)
		idle[n] = nr * 1000;
	nb_start_publish(idle, nb_clock_ns() - ago_ns);
}

/* Nobody's mask is narrower than all CPUs. */
static void all_free(void)
{
	fake.tid[0] = (struct fake_tid){self, nb.topo.cpus_allowed};
	fake.tid[1] = (struct fake_tid){NOBODY + CREATOR, nb.topo.cpus_allowed};
}

static int setup(void **state)
{
	struct nb_task *t;

	(void)state;
	self = (pid_t)nb_sys_gettid();
	fake_reset();
	fake_topology(&nb.topo, 4, CPUS);
	nb.sys = &fake_sys;
	nb_config_defaults(&nb.cfg);
	nb.cfg.nodes = nb.topo.mems_allowed;
	nb.tasks_off = false;
	memset(nb.why_count, 0, sizeof(nb.why_count));
	all_free();
	if (nb_tasks_init() || nb_affinity_init(nb.sys, &nb.topo))
		return -1;
	nb_tasks_after_fork();
	nb_affinity_reinit();
	for (int i = 0; i < 40; i++)
		nb_affinity_forget(i);
	publish(0, 0); /* nothing is left of the test before */
	publish(CPUS, 0);
	if (nb_affinity_learn(slot(CREATOR), NOBODY + CREATOR))
		return -1;
	t = nb_task_at(slot(CREATOR));
	atomic_store(&t->pub_tid, NOBODY + CREATOR);
	atomic_store(&t->pub_preferred_nid, NODE);
	return 0;
}

static int went_to; /* the node of the first mask that was asked for */

static long note_node(pid_t tid, const struct nb_cpumask *mask)
{
	int n;

	nb_for_each_nid (n, &nb.topo.has_cpu)
		if (went_to == NB_NO_NODE &&
		    nb_cpus_equal(mask, &nb.topo.node_cpus[n]))
			went_to = n;
	return fake_sys.sched_setaffinity(tid, mask);
}

/* The node that a new thread goes to; NB_NO_NODE: it is left to the kernel. */
static int begin(int who)
{
	struct nb_sys sys = fake_sys;
	int s = slot(who);

	all_free();
	went_to = NB_NO_NODE;
	sys.sched_setaffinity = note_node;
	assert_int_equal(nb_affinity_init(&sys, &nb.topo), 0);
	nb_affinity_inherit(s, slot(CREATOR));
	nb_start_begin(s, slot(CREATOR));
	assert_int_equal(nb_affinity_init(&fake_sys, &nb.topo), 0);
	/* It is not kept there. */
	assert_int_equal(nb_affinity_pinned_nid(s), NB_NO_NODE);
	assert_true(nb_cpus_equal(&fake.tid[0].mask, &nb.topo.cpus_allowed));
	return went_to;
}

static void test_beside(void **state)
{
	(void)state;
	assert_int_equal(begin(10), NODE);
	/* The program finds it as free as it made it, whomever it asks. */
	assert_false(nb_affinity_bound(slot(10)));
	assert_int_equal(atomic_load(&nb.why_count[NB_WHY_TASK_START]), 1);
}

static void test_each_cpu_once(void **state)
{
	int nr[4] = {0};

	(void)state;
	for (int i = 0; i < 4 * CPUS; i++) {
		int nid = begin(10 + i);

		assert_in_range(nid, 0, 3);
		nr[nid]++;
		if (i < CPUS)
			assert_int_equal(nid, NODE);
	}
	for (int n = 0; n < 4; n++)
		assert_int_equal(nr[n], CPUS);
	assert_int_equal(begin(30), NB_NO_NODE);
	/* One that ends gives its CPU to the next, once. */
	nb_start_end(slot(10));
	nb_start_end(slot(10));
	assert_int_equal(begin(31), NODE);
	assert_int_equal(begin(32), NB_NO_NODE);
	/* Those of a moment ago do not count as idle CPUs. */
	publish(CPUS, 0);
	assert_int_equal(begin(33), NB_NO_NODE);
	publish(CPUS, 0);
	assert_int_equal(begin(34), NODE);
	/* The end of an older one is in the numbers by now. */
	nb_start_end(slot(11));
	for (int i = 1; i < CPUS; i++)
		assert_int_equal(begin(34 + i), NODE);
	assert_int_not_equal(begin(39), NODE);
}

static void test_left_alone(void **state)
{
	struct nb_task *t = nb_task_at(slot(CREATOR));

	(void)state;
	publish(CPUS, 5 * NB_NSEC_PER_SEC);
	assert_int_equal(begin(10), NB_NO_NODE); /* how is it now? */
	publish(CPUS, 0);
	nb.cfg.move_tasks = 0;
	assert_int_equal(begin(11), NB_NO_NODE);
	nb.cfg.move_tasks = 1;
	nb.tasks_off = true;
	assert_int_equal(begin(12), NB_NO_NODE);
	nb.tasks_off = false;
	atomic_store(&t->pub_tid, 5); /* another had the slot */
	assert_int_equal(begin(13), NB_NO_NODE);
	atomic_store(&t->pub_tid, NOBODY + CREATOR);
	atomic_store(&t->pub_preferred_nid, NB_NO_NODE);
	assert_int_equal(begin(14), NB_NO_NODE);
	atomic_store(&t->pub_preferred_nid, NODE);
	fake_fail(FAKE_SETAFFINITY, 1, 1);
	begin(15);
	assert_int_equal(fake_fail_end(), 1);
	/* None of them took a CPU. */
	for (int i = 0; i < CPUS; i++)
		assert_int_equal(begin(16 + i), NODE);
}

static long counted_anew(pid_t tid, const struct nb_cpumask *mask)
{
	(void)tid;
	(void)mask;
	publish(CPUS, 0);
	return -EPERM;
}

/* Between the taking of a CPU and its return all were counted again. */
static void test_counted_meanwhile(void **state)
{
	struct nb_sys sys = fake_sys;
	int s = slot(10);

	(void)state;
	sys.sched_setaffinity = counted_anew;
	assert_int_equal(nb_affinity_init(&sys, &nb.topo), 0);
	nb_affinity_inherit(s, slot(CREATOR));
	nb_start_begin(s, slot(CREATOR));
	assert_int_equal(nb_affinity_init(&fake_sys, &nb.topo), 0);
	publish(CPUS, 0);
	for (int i = 0; i < CPUS; i++)
		assert_int_equal(begin(11 + i), NODE);
}

static void test_bound(void **state)
{
	struct nb_cpumask one = nb.topo.node_cpus[1];
	int s = slot(10);

	(void)state;
	assert_int_equal(
		nb_affinity_set_wish(slot(CREATOR), NOBODY + CREATOR, &one), 0);
	fake.tid[0].mask = one;
	nb_affinity_inherit(s, slot(CREATOR));
	nb_start_begin(s, slot(CREATOR));
	assert_int_equal(nb_affinity_pinned_nid(s), NB_NO_NODE);
	assert_true(nb_cpus_equal(&fake.tid[0].mask, &one));
	assert_int_equal(atomic_load(&nb.why_count[NB_WHY_TASK_BOUND]), 1);
	/* A mask of its own (pthread_attr_setaffinity_np) is as good. */
	assert_int_equal(nb_affinity_set_wish(slot(CREATOR), NOBODY + CREATOR,
					      &nb.topo.cpus_allowed),
			 0);
	s = slot(11);
	fake.tid[0].mask = one;
	nb_affinity_inherit(s, slot(CREATOR));
	nb_start_begin(s, slot(CREATOR));
	assert_true(nb_cpus_equal(&fake.tid[0].mask, &one));
	assert_true(nb_affinity_bound(s));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_beside, setup),
		cmocka_unit_test_setup(test_each_cpu_once, setup),
		cmocka_unit_test_setup(test_left_alone, setup),
		cmocka_unit_test_setup(test_counted_meanwhile, setup),
		cmocka_unit_test_setup(test_bound, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
