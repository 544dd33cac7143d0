/* SPDX-License-Identifier: MIT */
/*
 * Machines by chance: 1 to 16 nodes and now and then 64, with any distances,
 * without CPUs here and without memory there; and what of them a process may
 * use.
 */
#include "rand.h"
#include "random.h"

#define MIB_4K (NB_MIB / 4096)

static uint32_t between(uint64_t *rng, uint32_t from, uint32_t to)
{
	return from + sim_rand_below(rng, to - from + 1);
}

static bool one_in(uint64_t *rng, uint32_t n)
{
	return sim_rand_below(rng, n) == 0;
}

/* Mostly as firmware says it, sometimes anything. */
static void distances(struct sim_machine *m, uint64_t *rng)
{
	uint32_t kind = sim_rand_below(rng, 4), far = between(rng, 11, 60);

	for (int a = 0; a < m->nr_nodes; a++) {
		for (int b = 0; b < m->nr_nodes; b++) {
			uint32_t d;

			if (a == b)
				d = 10;
			else if (kind == 0)
				d = far;
			else if (kind == 1)
				d = 11 + 5 * (uint32_t)__builtin_popcount(
						     (uint32_t)(a ^ b));
			else if (kind == 2)
				d = a / 2 == b / 2 ? 12 : 12 + far;
			else
				d = between(rng, 10, 254);
			m->distance[a][b] = (uint8_t)d;
		}
	}
	/* Both ways alike, as a rule. */
	for (int a = 0; a < m->nr_nodes && !one_in(rng, 8); a++)
		for (int b = 0; b < a; b++)
			m->distance[a][b] = m->distance[b][a];
}

/**
 * sim_random_machine() - a machine
 * @m: out: the machine
 * @rng: the numbers
 */
void sim_random_machine(struct sim_machine *m, uint64_t *rng)
{
	int nr = one_in(rng, 16) ? 64 : (int)between(rng, 1, 16);
	bool uneven = one_in(rng, 2), holes = one_in(rng, 4);
	uint32_t cpus = between(rng, 1, nr > 8 ? 4 : 8);
	uint32_t mib = between(rng, 128, 512), mbps;

	if (one_in(rng, 2))
		nr = (int)between(rng, 2, 4);
	m->name = "random";
	m->cpus_per_llc = (int)between(rng, 1, 4);
	for (int n = 0; n < nr; n++) {
		uint32_t c = uneven ? between(rng, 1, 8) : cpus;
		uint32_t mem = uneven ? between(rng, 64, 1024) : mib;

		/* The first has both. */
		if (n && holes && one_in(rng, 3))
			c = 0;
		else if (n && holes && one_in(rng, 6))
			mem = 0;
		mbps = one_in(rng, 3) ? between(rng, 1000, 64000)
				      : 8000 * nb_max(c, 2U);
		sim_machine_add_node(m, (int)c, mem * MIB_4K, mbps);
	}
	distances(m, rng);
	sim_machine_link(m, between(rng, 1000, 40000));
}

/* Each with a chance of 3/4; not none of them, if there is one. */
static uint64_t some_of(uint64_t bits, uint64_t *rng)
{
	uint64_t some = bits & (sim_rand(rng) | sim_rand(rng));

	return some ? some : bits & -bits;
}

static void some_cpus(struct sim_limits *l, uint64_t *rng)
{
	struct nb_cpumask some = {{0}};
	int cpu;

	nb_for_each_cpu (cpu, &l->cpus)
		if (!one_in(rng, 4))
			nb_cpu_set(&some, cpu);
	if (!nb_cpus_empty(&some))
		l->cpus = some;
}

static void cpus_of_nodes(struct sim_limits *l, const struct sim_machine *m,
			  uint64_t *rng)
{
	struct nb_cpumask some = {{0}};
	struct nb_nodemask nodes = {some_of(UINT64_MAX, rng)};
	int cpu;

	nb_for_each_cpu (cpu, &l->cpus)
		if (nb_node_isset(&nodes, m->cpu_nid[cpu]))
			nb_cpu_set(&some, cpu);
	if (!nb_cpus_empty(&some))
		l->cpus = some;
}

/**
 * sim_random_limits() - what a process may use
 * @m: the machine
 * @rng: the numbers
 *
 * Return: the limits, often none.
 */
struct sim_limits sim_random_limits(const struct sim_machine *m, uint64_t *rng)
{
	struct sim_limits l = sim_limits_none(m);

	if (one_in(rng, 4))
		l.mems.bits = some_of(l.mems.bits, rng);
	if (one_in(rng, 4))
		cpus_of_nodes(&l, m, rng);
	if (one_in(rng, 6))
		some_cpus(&l, rng);
	/* Also nodes that it may not use, or that are not there. */
	if (one_in(rng, 3))
		l.nodes.bits = some_of(UINT64_MAX, rng);
	return l;
}
