/* SPDX-License-Identifier: MIT */
/*
 * 5. The groups that there are, and where the memory is that they share.
 *
 * Of a group, and of the process as a whole, the shared faults are summed up
 * by node: from where memory is used (active_nodes), and where it is.  Where
 * several nodes use it, each should have as much of it as it makes use of it;
 * migrate_filter.c takes it there.
 *
 * Owns nothing: the set is the caller's.
 *
 * Differs from Linux: memory used from several nodes is spread over them.  The
 * kernel's rule (G9) looks at one page's node and moves it back and forth.
 */
#include "numa_group.h"

#include <string.h>

/* Shared pages that say something, in chunks of 64 KiB 8. */
#define MIN_PAGES 128

/* Linux: ACTIVE_NODE_FRACTION: a third of the most used node's faults */
#define ACTIVE_FRACTION 3
/* Who is active stays until it is a sixth. */
#define INACTIVE_FRACTION 6

/* A node may have an eighth more than its part of the memory. */
#define OVER_NUM 9
#define OVER_DEN 8

/* Before a group's threads are counted anew: its node stays. */
static void clear(struct nb_numa_group *g)
{
	g->nr_tasks = 0;
	g->nr_running = 0;
	memset(g->mem, 0, sizeof(g->mem));
	memset(g->cpu, 0, sizeof(g->cpu));
}

static void add(struct nb_numa_group *g, const struct nb_group_task *t)
{
	const struct nb_numa_faults *f = t->nf;

	g->nr_tasks++;
	g->nr_running += t->running;
	for (int n = 0; f && n < f->nr_nids; n++) {
		g->mem[n] +=
			f->faults[nb_numa_faults_idx(f, NB_NUMA_MEM, n, 0)];
		g->cpu[n] +=
			f->faults[nb_numa_faults_idx(f, NB_NUMA_CPU, n, 0)];
	}
}

static void update_active(struct nb_numa_group *g)
{
	uint64_t max = 0;

	for (int n = 0; n < NB_MAX_NODES; n++)
		max = nb_max(max, g->cpu[n]);
	for (int n = 0; n < NB_MAX_NODES; n++) {
		uint64_t by = nb_node_isset(&g->active_nodes, n)
				      ? INACTIVE_FRACTION
				      : ACTIVE_FRACTION;

		nb_node_clear(&g->active_nodes, n);
		if (g->cpu[n] && g->cpu[n] * by > max)
			nb_node_set(&g->active_nodes, n);
	}
}

/* What nodes use the group's memory, and which have too much of it. */
static void update(struct nb_numa_group *g, const struct nb_topology *topo,
		   const struct nb_nodemask *nodes)
{
	struct nb_nodemask may = {topo->has_memory.bits & nodes->bits};
	uint64_t mem = 0, cpu = 0;
	int n;

	update_active(g);
	may.bits &= g->active_nodes.bits;
	g->under.bits = 0;
	memset(g->over_permille, 0, sizeof(g->over_permille));
	nb_for_each_nid (n, &topo->online) {
		mem += g->mem[n];
		cpu += nb_node_isset(&may, n) ? g->cpu[n] : 0;
	}
	if (mem < MIN_PAGES || !cpu)
		return;
	nb_for_each_nid (n, &topo->online) {
		uint64_t part = nb_node_isset(&may, n) ? g->cpu[n] : 0;

		/* Both are pages of a few passes: far from 2^54. */
		part = mem * (part * 1024 / cpu) / 1024;
		if (g->mem[n] < part)
			nb_node_set(&g->under, n);
		else if (g->mem[n] * OVER_DEN > part * OVER_NUM)
			g->over_permille[n] = (uint16_t)((g->mem[n] - part) *
							 1000 / g->mem[n]);
	}
}

static int find_group(const struct nb_group_set *set, uint32_t id)
{
	for (int i = 0; i < set->nr; i++)
		if (set->g[i].id == id)
			return i;
	return -1;
}

/* Groups of which nobody is left make room, the others keep their order. */
static void drop_empty(struct nb_group_set *set)
{
	int nr = 0;

	for (int i = 0; i < set->nr; i++)
		if (set->g[i].nr_tasks)
			set->g[nr++] = set->g[i];
	set->nr = nr;
}

static int new_group(struct nb_group_set *set, uint32_t id)
{
	struct nb_numa_group *g;

	if (set->nr >= set->max)
		return -1;
	g = &set->g[set->nr];
	memset(g, 0, sizeof(*g));
	g->id = id;
	g->nid = NB_NO_NODE;
	return set->nr++;
}

/**
 * nb_group_set_update() - the groups that there are, and their statistics.
 * @set: the groups; at first all zero but for its memory
 * @t: all threads, as nb_groups_form() left them
 * @nr: how many
 * @topo: the machine
 * @nodes: nodes that numabal may use
 *
 * Context: numabald.
 */
void nb_group_set_update(struct nb_group_set *set, struct nb_group_task *t,
			 size_t nr, const struct nb_topology *topo,
			 const struct nb_nodemask *nodes)
{
	clear(&set->all);
	for (int i = 0; i < set->nr; i++)
		clear(&set->g[i]);
	for (size_t i = 0; i < nr; i++) {
		int at = t[i].group == t[i].id ? -1
					       : find_group(set, t[i].group);

		if (at >= 0)
			set->g[at].nr_tasks++;
	}
	drop_empty(set);
	for (int i = 0; i < set->nr; i++)
		set->g[i].nr_tasks = 0;
	for (size_t i = 0; i < nr; i++)
		if (t[i].group != t[i].id && find_group(set, t[i].group) < 0)
			new_group(set, t[i].group);
	for (size_t i = 0; i < nr; i++) {
		/* A founder's group has its own id: is anybody else in it? */
		t[i].index = find_group(set, t[i].group);
		add(&set->all, &t[i]);
		if (t[i].index >= 0)
			add(&set->g[t[i].index], &t[i]);
	}
	update(&set->all, topo, nodes);
	for (int i = 0; i < set->nr; i++)
		update(&set->g[i], topo, nodes);
}
