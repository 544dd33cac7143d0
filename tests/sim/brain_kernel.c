/* SPDX-License-Identifier: MIT */
/*
 * The kernel's balancing as a brain: its memory, threads that come and go, and
 * its part of a tick.
 */
#include "brains.h"
#include "kernel.h"
#include "rand.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define SCAN_DELAY_MS 1000

static void *kernel_init(struct sim *s)
{
	struct kernel *k = calloc(1, sizeof(*k));

	assert(k);
	k->s = s;
	k->rng = sim_rand_seed(2);
	k->threshold_ms = 1000;
	sim_machine_topology(&s->m, &k->topo);
	for (int a = 0; a < s->m.nr_nodes; a++) {
		k->tiering |= !s->m.node_cpus[a];
		for (int b = 0; b < s->m.nr_nodes; b++)
			if (s->m.node_cpus[a] && s->m.node_cpus[b])
				k->max_distance =
					nb_max(k->max_distance,
					       k->topo.distance[a][b] + 0);
	}
	return k;
}

static void kernel_fini(void *ctx)
{
	struct kernel *k = ctx;

	for (int i = 0; i < k->nr_tasks; i++)
		free(k->task[i].f);
	free(k->task);
	free(k->group);
	free(k->vma);
	free(k->page);
	free(k);
}

/* E2: a new thread has no statistics, but its creator's preferred node. */
static void thread_start(void *ctx, int thread)
{
	struct kernel *k = ctx;
	struct k_task *t;

	if (thread >= k->cap_tasks) {
		k->cap_tasks = thread * 2 + 16;
		k->task = realloc(k->task,
				  (size_t)k->cap_tasks * sizeof(*k->task));
		assert(k->task);
	}
	k->nr_tasks = thread + 1;
	t = &k->task[thread];
	memset(t, 0, sizeof(*t));
	t->preferred = NB_NO_NODE;
	t->group = -1;
	t->period_ms = SCAN_DELAY_MS;
	t->node_stamp = 2 * SIM_TICK_NS;
}

/* E4 */
static void thread_exit(void *ctx, int thread)
{
	struct kernel *k = ctx;

	k_leave(k, thread);
	free(k->task[thread].f);
	k->task[thread].f = NULL;
}

/* L6: who is taken away from where it should be is scanned more often. */
static void thread_moved(void *ctx, int thread, int from_nid)
{
	struct kernel *k = ctx;
	struct k_task *t = &k->task[thread];
	int to = sim_nid(k->s, thread);

	if (!t->f)
		return;
	if (t->scan_seq && (to == t->preferred || (t->preferred != NB_NO_NODE &&
						   from_nid != t->preferred)))
		return;
	t->period_ms = k_period_start(k, thread);
}

/* Memory and mappings may have been added since the last tick. */
static void make_room(struct kernel *k)
{
	const struct sim *s = k->s;

	if (s->nr_pages > k->nr_pages) {
		k->page = realloc(k->page, s->nr_pages * sizeof(*k->page));
		assert(k->page);
		memset(k->page + k->nr_pages, 0,
		       (s->nr_pages - k->nr_pages) * sizeof(*k->page));
		k->nr_pages = s->nr_pages;
	}
	if (s->nr_regions > k->nr_vmas) {
		k->vma = realloc(k->vma,
				 (size_t)s->nr_regions * sizeof(*k->vma));
		assert(k->vma);
		memset(k->vma + k->nr_vmas, 0,
		       (size_t)(s->nr_regions - k->nr_vmas) * sizeof(*k->vma));
		k->nr_vmas = s->nr_regions;
	}
}

/* Who is on each CPU at this moment; of several one, by its share. */
static void find_current(struct kernel *k)
{
	const struct sim *s = k->s;

	for (int cpu = 0; cpu < s->m.nr_cpus; cpu++)
		k->curr[cpu] = -1;
	for (int i = 0; i < s->nr_threads; i++) {
		const struct sim_thread *t = &s->thread[i];

		if (!t->alive || t->share <= 0)
			continue;
		if (k->curr[t->cpu] < 0 || sim_rand_unit(&k->rng) < t->share)
			k->curr[t->cpu] = i;
	}
}

static void kernel_tick(void *ctx)
{
	struct kernel *k = ctx;

	make_room(k);
	find_current(k);
	k_scan_tick(k);
	if (k->tiering)
		k_reclaim(k);
}

const struct sim_brain sim_brain_kernel = {
	.name = "kernel",
	.doc = "Linux's rules, as of 6.12; tiers where nodes have no CPU",
	.small_faults = true,
	.init = kernel_init,
	.fini = kernel_fini,
	.thread_start = thread_start,
	.thread_exit = thread_exit,
	.thread_moved = thread_moved,
	.hint_fault = k_hint_fault,
	.tick = kernel_tick,
};
