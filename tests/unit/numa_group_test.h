/* SPDX-License-Identifier: MIT */
/*
 * What the tests of groups have in common: threads that share memory.
 */
#ifndef NB_NUMA_GROUP_TEST_H
#define NB_NUMA_GROUP_TEST_H

#include "../../lib/policy/numa_group.h"

#include "policy_test.h"

#define CASE(name) static void name(void **state __attribute__((unused)))
#define MOST 200
#define EVENT ((int)NB_SHARED_EVENT)
#define LEAST (8 * NB_SHARED_EVENT) /* who shares less does not count */

static struct nb_partners partners[MOST];
static struct nb_group_task t[MOST];

static inline int setup(void **state)
{
	(void)state;
	memset(partners, 0, sizeof(partners));
	for (size_t i = 0; i < MOST; i++)
		t[i] = (struct nb_group_task){
			.id = (uint32_t)i + 1,
			.group = (uint32_t)i + 1,
			.partners = &partners[i],
		};
	return 0;
}

/* Threads 0 to @nr - 1; @cpus on the largest node. */
static inline void form(size_t nr, uint32_t cpus)
{
	void *scratch = malloc(nb_group_scratch_bytes(nr));

	assert_non_null(scratch);
	nb_groups_form(t, nr, cpus, scratch);
	free(scratch);
}

/* Threads @a and @b use the same memory in turn. */
static inline void share(size_t a, size_t b, int events)
{
	while (events--) {
		nb_partners_note(&partners[a], t[b].id);
		nb_partners_note(&partners[b], t[a].id);
	}
}

/* All of [from, to), each with each. */
static inline void team(size_t from, size_t to, int events)
{
	for (size_t a = from; a < to; a++)
		for (size_t b = a + 1; b < to; b++)
			share(a, b, events);
}

static inline void assert_alone(size_t from, size_t to)
{
	for (size_t i = from; i < to; i++)
		for (size_t k = 0; k < MOST; k++)
			assert_int_equal(t[k].group == t[i].group, k == i);
}

/* [from, to) are one group, and nobody else is in it. */
static inline void assert_group(size_t from, size_t to)
{
	for (size_t k = 0; k < MOST; k++)
		assert_int_equal(t[k].group == t[from].group,
				 k >= from && k < to);
}

#endif /* NB_NUMA_GROUP_TEST_H */
