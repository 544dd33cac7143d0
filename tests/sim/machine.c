/* SPDX-License-Identifier: MIT */
/*
 * The machines of the table.  Small ones, so that a run is short: what counts
 * is the ratio of threads to CPUs, of memory to bandwidth, and the distances.
 *
 * A CPU alone can ask for 4 GB/s of memory on its own node (tick.c); a node
 * has 8 GB/s for each of its CPUs and a link a third of a node's bandwidth, as
 * servers of recent years have, about.
 */
#include "machine.h"

#include <assert.h>
#include <string.h>

/* Two sockets of one kind: 10/21 is what most of them tell. */
static int direct(int a, int b)
{
	return a == b ? 10 : 21;
}

/* Eight nodes at the corners of a cube, one hop 6 more. */
static int cube(int a, int b)
{
	return 10 + 6 * __builtin_popcount((unsigned int)(a ^ b));
}

/* Boards of two nodes in a backplane. */
static int boards(int a, int b)
{
	if (a == b)
		return 10;
	return a / 2 == b / 2 ? 15 : 40;
}

/* Nodes 2 and 3 are memory behind sockets 0 and 1. */
static int behind(int a, int b)
{
	int hops = a % 2 != b % 2;

	if (a == b)
		return 10;
	return 10 + 11 * hops + (a >= 2 ? 14 : 0) + (b >= 2 ? 14 : 0);
}

const struct sim_machine_spec sim_machines[] = {
	{"2node",
	 "2 nodes of 8 CPUs",
	 2,
	 8,
	 {8},
	 {16},
	 {64000},
	 20000,
	 direct,
	 false},
	{"4node",
	 "4 nodes of 8 CPUs, all linked",
	 4,
	 4,
	 {8},
	 {16},
	 {64000},
	 20000,
	 direct,
	 false},
	{"8node",
	 "8 nodes of 4 CPUs, all linked",
	 8,
	 4,
	 {4},
	 {8},
	 {32000},
	 10000,
	 direct,
	 false},
	{"mesh",
	 "8 nodes of 4 CPUs, a glueless cube",
	 8,
	 4,
	 {4},
	 {8},
	 {32000},
	 10000,
	 cube,
	 false},
	{"backplane",
	 "4 boards of 2 nodes of 4 CPUs",
	 8,
	 4,
	 {4},
	 {8},
	 {32000},
	 10000,
	 boards,
	 false},
	{"cpuless",
	 "2 nodes of 8 CPUs, 2 of slow memory",
	 4,
	 8,
	 {8, 8, 0, 0},
	 {4, 4, 16, 16},
	 {64000, 64000, 15000, 15000},
	 20000,
	 behind,
	 false},
	{"uneven",
	 "4 nodes of 8, 8, 4, 4 CPUs and 4, 1, 2, 1 GiB",
	 4,
	 4,
	 {8, 8, 4, 4},
	 {16, 4, 8, 4},
	 {64000, 64000, 32000, 32000},
	 20000,
	 direct,
	 false},
	{"big",
	 "8 nodes of 128 CPUs, to see how long it takes",
	 8,
	 8,
	 {128},
	 {64},
	 {1024000},
	 320000,
	 direct,
	 true},
	{"64node",
	 "64 nodes of 64 CPUs, for the same",
	 64,
	 8,
	 {64},
	 {16},
	 {512000},
	 160000,
	 cube,
	 true},
};

const unsigned int sim_nr_machines = nb_array_size(sim_machines);

const struct sim_machine_spec *sim_machine_find(const char *name)
{
	for (unsigned int i = 0; i < sim_nr_machines; i++)
		if (!strcmp(sim_machines[i].name, name))
			return &sim_machines[i];
	return NULL;
}

/* The node through which the way from @a to @b goes, if it is not direct. */
static int via(const struct sim_machine *m, int a, int b)
{
	int best = -1, best_sum = m->distance[a][b] + NB_LOCAL_DISTANCE;

	for (int c = 0; c < m->nr_nodes; c++) {
		int sum = m->distance[a][c] + m->distance[c][b];

		if (c == a || c == b || sum > best_sum)
			continue;
		/* Each step comes nearer: a way has an end. */
		if (m->distance[c][b] >= m->distance[a][b])
			continue;
		if (best >= 0 && m->distance[a][c] >= m->distance[a][best])
			continue;
		best = c;
	}
	return best;
}

/**
 * sim_machine_link() - links between nodes whose distances are known
 * @m: the machine
 * @mbps: the bandwidth of each
 *
 * A way is direct unless it is no longer than one through a third node.
 */
void sim_machine_link(struct sim_machine *m, uint32_t mbps)
{
	for (int a = 0; a < m->nr_nodes; a++) {
		for (int b = 0; b < m->nr_nodes; b++) {
			int c = a == b ? -1 : via(m, a, b);

			m->hop[a][b] = (int8_t)(c < 0 ? b : c);
			if (a != b && c < 0)
				m->link_mbps[a][b] = mbps;
		}
	}
}

static void add_cpus(struct sim_machine *m, int nid, int nr)
{
	m->first_cpu[nid] = m->nr_cpus;
	m->node_cpus[nid] = nr;
	for (int i = 0; i < nr; i++) {
		assert(m->nr_cpus < NB_MAX_CPUS);
		if (i % m->cpus_per_llc == 0)
			m->nr_llcs++;
		m->cpu_nid[m->nr_cpus] = (int16_t)nid;
		m->cpu_llc[m->nr_cpus] = (int16_t)(m->nr_llcs - 1);
		m->nr_cpus++;
	}
}

/**
 * sim_machine_add_node() - a further node
 * @m: the machine: all zero, but for its name and cpus_per_llc, at first
 * @cpus: how many CPUs it has
 * @mem_4k: its memory, in pages
 * @mbps: the bandwidth of that
 *
 * Return: its number.  Its distances are the caller's business.
 */
int sim_machine_add_node(struct sim_machine *m, int cpus, uint64_t mem_4k,
			 uint32_t mbps)
{
	int nid = m->nr_nodes++;

	assert(nid < NB_MAX_NODES);
	add_cpus(m, nid, cpus);
	m->mem_4k[nid] = mem_4k;
	m->mem_mbps[nid] = mbps;
	return nid;
}

/**
 * sim_machine_make() - a machine from its description
 * @m: out: the machine
 * @sp: the description
 */
void sim_machine_make(struct sim_machine *m, const struct sim_machine_spec *sp)
{
	int cpus = 0;
	uint32_t gib_4 = 0, mbps = 0;

	memset(m, 0, sizeof(*m));
	m->name = sp->name;
	m->doc = sp->doc;
	m->cpus_per_llc = sp->cpus_per_llc;
	for (int n = 0; n < sp->nr_nodes; n++) {
		int i = nb_min(n, 15);

		/* A 0 repeats, but for CPUs after memory was given. */
		if (sp->cpus[i] || sp->mbps[i])
			cpus = sp->cpus[i];
		gib_4 = sp->gib_4[i] ? sp->gib_4[i] : gib_4;
		mbps = sp->mbps[i] ? sp->mbps[i] : mbps;
		sim_machine_add_node(m, cpus, gib_4 * 65536ULL, mbps);
		for (int b = 0; b < sp->nr_nodes; b++)
			m->distance[n][b] = (uint8_t)sp->distance(n, b);
	}
	sim_machine_link(m, sp->link_mbps);
}

/* As Linux does: see init_numa_topology_type(). */
static enum nb_topology_type type_of(const struct sim_machine *m)
{
	bool seen[256] = {false};
	int max = 0, far_a = 0, far_b = 0, nr = 0;

	for (int a = 0; a < m->nr_nodes; a++) {
		for (int b = 0; b < m->nr_nodes; b++) {
			int d = m->distance[a][b];

			if (!m->node_cpus[a] || !m->node_cpus[b])
				continue;
			nr += !seen[d];
			seen[d] = true;
			if (d <= max)
				continue;
			max = d;
			far_a = a;
			far_b = b;
		}
	}
	if (nr <= 2)
		return NB_TOPOLOGY_DIRECT;
	for (int c = 0; c < m->nr_nodes; c++)
		if (c != far_a && c != far_b && m->node_cpus[c] &&
		    m->distance[far_a][c] < max && m->distance[c][far_b] < max)
			return NB_TOPOLOGY_GLUELESS_MESH;
	return NB_TOPOLOGY_BACKPLANE;
}

/**
 * sim_machine_topology() - the machine as numabal's policy sees it
 * @m: the machine
 * @t: out: the topology
 */
void sim_machine_topology(const struct sim_machine *m, struct nb_topology *t)
{
	memset(t, 0, sizeof(*t));
	t->nr_nids = m->nr_nodes;
	t->nr_cpus = m->nr_cpus;
	t->type = type_of(m);
	for (int n = 0; n < nb_min(m->nr_nodes, NB_MAX_NODES); n++) {
		nb_node_set(&t->online, n);
		if (m->node_cpus[n])
			nb_node_set(&t->has_cpu, n);
		if (m->mem_4k[n])
			nb_node_set(&t->has_memory, n);
		t->mem_total_kb[n] = m->mem_4k[n] * 4;
		for (int b = 0; b < m->nr_nodes; b++)
			t->distance[n][b] = m->distance[n][b];
	}
	t->mems_allowed = t->has_memory;
	for (int cpu = 0; cpu < m->nr_cpus; cpu++) {
		t->cpu_to_nid[cpu] = m->cpu_nid[cpu];
		nb_cpu_set(&t->cpus_allowed, cpu);
		nb_cpu_set(&t->node_cpus[m->cpu_nid[cpu]], cpu);
	}
}
