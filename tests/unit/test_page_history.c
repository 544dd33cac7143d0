/* SPDX-License-Identifier: MIT */
/*
 * policy/page_history.c: who used a chunk before.
 */
#include "../../lib/policy/page_history.h"

#include "policy_test.h"

static void assert_note(struct nb_page_history *h, uint32_t task, int nid,
			bool first, bool same_task, int last_nid)
{
	struct nb_last_user u = nb_page_history_note(h, task, nid);

	assert_int_equal(u.first, first);
	assert_int_equal(u.same_task, same_task);
	assert_int_equal(u.last_nid, last_nid);
}

static void first_use_is_private(void **state)
{
	struct nb_page_history h = {0};

	(void)state;
	assert_note(&h, 7, 0, true, true, NB_NO_NODE);
	assert_note(&h, 7, 1, false, true, 0);
	assert_note(&h, 8, 63, false, false, 1);
	assert_note(&h, 8, 0, false, true, 63);
}

static void tasks_are_told_apart_exactly(void **state)
{
	struct nb_page_history h = {0};

	(void)state;
	/* The kernel keeps 8 bits: these two would be one to it. */
	assert_note(&h, 1, 0, true, true, NB_NO_NODE);
	assert_note(&h, 257, 0, false, false, 0);
	assert_note(&h, 257 + 65536, 0, false, false, 0);
	assert_note(&h, UINT32_MAX, 0, false, false, 0);
	assert_note(&h, UINT32_MAX, 0, false, true, 0);
}

static void unknown_node_is_remembered_as_such(void **state)
{
	struct nb_page_history h = {0};

	(void)state;
	assert_note(&h, 1, NB_NO_NODE, true, true, NB_NO_NODE);
	assert_note(&h, 1, NB_MAX_NODES, false, true, NB_NO_NODE);
	assert_note(&h, 1, 2, false, true, NB_NO_NODE);
	assert_note(&h, 1, -5, false, true, 2);
	assert_note(&h, 2, 0, false, false, NB_NO_NODE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(first_use_is_private),
		cmocka_unit_test(tasks_are_told_apart_exactly),
		cmocka_unit_test(unknown_node_is_remembered_as_such),
	};

	return cmocka_run_group_tests_name("page_history", tests, NULL, NULL);
}
