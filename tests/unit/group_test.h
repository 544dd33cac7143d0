/* SPDX-License-Identifier: MIT */
/*
 * What the tests of policy/group_place.c have in common: a machine, threads in
 * groups, and the memory that they use.
 */
#ifndef NB_GROUP_TEST_H
#define NB_GROUP_TEST_H

#include "../../lib/policy/group_place.h"

#include "policy_test.h"

#define NONE NB_NO_NODE
#define CASE(name) static void name(void **state __attribute__((unused)))
#define MOST 48
#define NR_NODES 4

static struct nb_topology topo;
static struct nb_task_place tp;
static struct nb_group_task t[MOST];
static struct nb_numa_faults *nf[MOST];
static struct nb_partners partners[MOST];
static struct nb_numa_group g[MOST];
static struct nb_group_set set;
static size_t nr;

/* Four nodes, four CPUs each, distances as on a ring: 0-1-2-3-0. */
static inline int setup(void **state)
{
	(void)state;
	memset(&topo, 0, sizeof(topo));
	memset(&tp, 0, sizeof(tp));
	memset(&set, 0, sizeof(set));
	memset(g, 0, sizeof(g));
	memset(partners, 0, sizeof(partners));
	topo.nr_nids = NR_NODES;
	topo.nr_cpus = 16;
	topo.online.bits = topo.has_cpu.bits = topo.has_memory.bits = 15;
	tp.topo = &topo;
	tp.nodes.bits = 15;
	for (int n = 0; n < NR_NODES; n++) {
		tp.load[n].nr_cpus = 4;
		for (int cpu = 4 * n; cpu < 4 * n + 4; cpu++) {
			nb_cpu_set(&topo.node_cpus[n], cpu);
			nb_cpu_set(&topo.cpus_allowed, cpu);
		}
		for (int m = 0; m < NR_NODES; m++)
			topo.distance[n][m] = n == m	     ? 10
					      : (n ^ m) == 2 ? 30
							     : 20;
	}
	set.g = g;
	set.max = MOST;
	nr = 0;
	return 0;
}

static inline int teardown(void **state)
{
	(void)state;
	for (size_t i = 0; i < MOST; i++) {
		free(nf[i]);
		nf[i] = NULL;
	}
	return 0;
}

/* @count threads in group @index that run on @nid. */
static inline void add(int index, int nid, int count)
{
	while (count--) {
		assert_true(nr < MOST);
		t[nr] = (struct nb_group_task){
			.id = (uint32_t)nr + 1,
			.group = (uint32_t)nr + 1,
			.index = index,
			.current_nid = (int16_t)nid,
			.want_nid = 99,
			.running = true,
			.partners = &partners[nr],
		};
		nr++;
	}
	for (; index >= 0 && set.nr <= index; set.nr++)
		g[set.nr].nid = NONE;
}

/* Thread @i uses memory on a node, on its own or together with others. */
static inline void uses(size_t i, int nid, bool priv, uint64_t pages)
{
	if (!nf[i]) {
		nf[i] = malloc(nb_numa_faults_size(NR_NODES));
		assert_non_null(nf[i]);
		nb_numa_faults_init(nf[i], NR_NODES);
		t[i].nf = nf[i];
	}
	nf[i]->faults[nb_numa_faults_idx(nf[i], NB_NUMA_MEM, nid, priv)] +=
		pages;
}

static inline void mem(size_t i, int nid, uint64_t pages)
{
	uses(i, nid, false, pages / 2);
	uses(i, nid, true, pages - pages / 2);
}

#endif /* NB_GROUP_TEST_H */
