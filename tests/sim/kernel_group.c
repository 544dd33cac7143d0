/* SPDX-License-Identifier: MIT */
/*
 * The kernel's numa_group (N1-N6): threads that took faults on the same pages
 * one after the other.  Threads join one by one and never part.
 */
#include "kernel.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* Add a task's statistics to a group's, or take them away. */
static void fold(struct k_group *g, const struct k_task *t, int sign)
{
	if (!t->f)
		return;
	for (int i = 0; i < K_MEMBUF; i++) {
		for (int n = 0; n < NB_MAX_NODES; n++) {
			g->f[i][n][0] += sign * t->f[i][n][0];
			g->f[i][n][1] += sign * t->f[i][n][1];
		}
	}
	g->total += sign * t->total;
	g->nr_tasks += sign;
}

/* N1 */
static void create(struct kernel *k, int task)
{
	struct k_group *g;
	int i;

	for (i = 0; i < k->nr_groups; i++)
		if (!k->group[i].nr_tasks)
			break;
	if (i == k->cap_groups) {
		k->cap_groups = k->cap_groups * 2 + 16;
		k->group = realloc(k->group,
				   (size_t)k->cap_groups * sizeof(*k->group));
		assert(k->group);
	}
	k->nr_groups = nb_max(k->nr_groups, i + 1);
	g = &k->group[i];
	memset(g, 0, sizeof(*g));
	g->active_nodes = 1;
	fold(g, &k->task[task], 1);
	k->task[task].group = i;
}

/**
 * k_join() - two threads share a page: to one group with them
 * @k: the kernel
 * @task: who uses it now
 * @cpupid: who used it last
 * @priv: out: true if they may not share a group
 */
void k_join(struct kernel *k, int task, uint32_t cpupid, bool *priv)
{
	struct k_task *t = &k->task[task];
	int other, mine;

	if (t->group < 0)
		create(k, task);
	/* N2: only if that thread is on its CPU right now. */
	other = k->curr[(cpupid - 1) >> 8];
	if (other < 0 || ((uint32_t)other & 0xff) != ((cpupid - 1) & 0xff) ||
	    k->task[other].group < 0)
		return;
	mine = t->group;
	other = k->task[other].group;
	if (mine == other)
		return;
	/* N3: the smaller to the larger, or by address. */
	if (k->group[mine].nr_tasks > k->group[other].nr_tasks ||
	    (k->group[mine].nr_tasks == k->group[other].nr_tasks &&
	     mine > other))
		return;
	*priv = false;
	fold(&k->group[mine], t, -1);
	fold(&k->group[other], t, 1);
	t->group = other;
}

void k_leave(struct kernel *k, int task)
{
	struct k_task *t = &k->task[task];

	if (t->group < 0)
		return;
	fold(&k->group[t->group], t, -1);
	t->group = -1;
}
