/* SPDX-License-Identifier: MIT */
/*
 * policy/page_history.c: who used a chunk before.
 */
#include "../../lib/policy/page_history.h"

#include "policy_test.h"

static void assert_note(struct nb_page_history *h, uint32_t task, int nid,
			bool first, bool same_task, int run)
{
	struct nb_last_user u = nb_page_history_note(h, task, nid);

	assert_int_equal(u.first, first);
	assert_int_equal(u.same_task, same_task);
	assert_int_equal(u.run, run);
}

static void first_use_is_private(void **state)
{
	struct nb_page_history h = {0};

	(void)state;
	assert_note(&h, 7, 0, true, true, 1);
	assert_note(&h, 7, 1, false, true, 1);
	assert_note(&h, 8, 63, false, false, 1);
	assert_note(&h, 8, 63, false, true, 2);
}

static void tasks_are_told_apart_exactly(void **state)
{
	struct nb_page_history h = {0};

	(void)state;
	/* The kernel keeps 8 bits: these two would be one to it. */
	assert_note(&h, 1, 0, true, true, 1);
	assert_note(&h, 257, 0, false, false, 2);
	assert_note(&h, 257 + 65536, 0, false, false, 3);
	assert_note(&h, UINT32_MAX, 0, false, false, 4);
	assert_note(&h, UINT32_MAX, 0, false, true, 5);
}

static void unknown_node_is_remembered_as_such(void **state)
{
	struct nb_page_history h = {0};

	(void)state;
	assert_note(&h, 1, NB_NO_NODE, true, true, 1);
	assert_note(&h, 1, NB_MAX_NODES, false, true, 1);
	assert_note(&h, 1, 2, false, true, 1);
	assert_note(&h, 1, -5, false, true, 1);
	assert_note(&h, 2, 0, false, false, 1);
	assert_note(&h, 2, 0, false, true, 2);
}

static struct nb_last_user note(struct nb_page_history *h, uint32_t task,
				int nid)
{
	return nb_page_history_note(h, task, nid);
}

static void two_changes_of_four_are_sharing(void **state)
{
	struct nb_page_history h = {0};

	(void)state;
	assert_false(note(&h, 1, 0).shared);
	assert_false(note(&h, 2, 0).shared); /* handed on */
	for (int i = 0; i < 3; i++)
		assert_false(note(&h, 2, 0).shared);
	assert_false(note(&h, 1, 0).shared); /* and back: one of four */
	assert_false(note(&h, 1, 0).shared);
	assert_true(note(&h, 2, 0).shared);
	assert_int_equal(note(&h, 2, 0).task, 2);
	assert_false(note(&h, 2, 0).shared);
}

static void who_owns_it(void **state)
{
	struct nb_page_history h = {0};
	struct nb_last_user u = note(&h, 1, 0);

	(void)state;
	assert_true(nb_last_user_owns(&u)); /* as far as is known */
	u = note(&h, 1, 0);
	assert_true(nb_last_user_owns(&u));
	u = note(&h, 2, 0);
	assert_false(nb_last_user_owns(&u));
	u = note(&h, 1, 0);
	assert_false(nb_last_user_owns(&u));
	u = note(&h, 1, 0);
	assert_false(nb_last_user_owns(&u)); /* two of the last four */
}

static void runs_of_one_node(void **state)
{
	struct nb_page_history h = {0};
	struct nb_last_user u;

	(void)state;
	for (uint32_t i = 1; i <= 40; i++) {
		u = note(&h, i, 3); /* whoever it is */
		assert_int_equal(u.run, nb_min(i, NB_RUN_MAX + 0U));
		assert_int_equal(u.ended, 0);
	}
	u = note(&h, 1, 0);
	assert_int_equal(u.run, 1);
	assert_int_equal(u.ended, NB_RUN_MAX);
	/* Nobody knows where: no run. */
	for (int i = 0; i < 3; i++)
		assert_int_equal(note(&h, 1, NB_NO_NODE).run, 1);
}

static void moves_for_nothing_count(void **state)
{
	struct nb_page_history h = {0};

	(void)state;
	note(&h, 1, 1);
	nb_page_history_moved(&h); /* what it is there for */
	assert_int_equal(note(&h, 1, 1).bounces, 0);
	for (int i = 1; i < 10; i++) {
		nb_page_history_moved(&h);
		assert_int_equal(note(&h, 1, i & 1).bounces,
				 nb_min(i, NB_BOUNCES_MAX));
	}
}

static void a_long_run_is_forgiving(void **state)
{
	struct nb_page_history h = {0};
	int bounces = 3;

	(void)state;
	for (int i = 0; i <= bounces; i++)
		nb_page_history_moved(&h);
	for (int round = 0; round < 5; round++) {
		for (int i = 1; i < 24; i++)
			assert_int_equal(note(&h, 1, round & 1).bounces,
					 bounces);
		/* The first is never forgotten. */
		bounces = nb_max(bounces - 1, 1);
		assert_int_equal(note(&h, 1, round & 1).bounces, bounces);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(first_use_is_private),
		cmocka_unit_test(tasks_are_told_apart_exactly),
		cmocka_unit_test(unknown_node_is_remembered_as_such),
		cmocka_unit_test(two_changes_of_four_are_sharing),
		cmocka_unit_test(who_owns_it),
		cmocka_unit_test(runs_of_one_node),
		cmocka_unit_test(moves_for_nothing_count),
		cmocka_unit_test(a_long_run_is_forgiving),
	};

	return cmocka_run_group_tests_name("page_history", tests, NULL, NULL);
}
