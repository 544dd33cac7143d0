/* SPDX-License-Identifier: MIT */
/*
 * Fixed-size sets of nodes and of CPUs.
 *
 * The bounds are those of the largest machines that Linux distributions are
 * built for (CONFIG_NODES_SHIFT 6 is more than any of them has, NR_CPUS 8192
 * is Debian's and Fedora's): a set is a plain value, copied and compared
 * without allocation.
 */
#ifndef NB_NODEMASK_H
#define NB_NODEMASK_H

#include "util.h"

#define NB_NO_NODE (-1)
#define NB_MAX_NODES 64
#define NB_MAX_CPUS 8192

struct nb_nodemask {
	uint64_t bits;
};

/* Laid out as the kernel's cpumask, so that it can be passed to it as is. */
struct nb_cpumask {
	unsigned long bits[NB_MAX_CPUS / (8 * sizeof(unsigned long))];
};

#define NB_CPUMASK_WORDS (NB_MAX_CPUS / (8 * sizeof(unsigned long)))
#define NB_LONG_BITS (8 * (int)sizeof(unsigned long))

static inline bool nb_node_valid(int nid)
{
	return nid >= 0 && nid < NB_MAX_NODES;
}

static inline bool nb_node_isset(const struct nb_nodemask *m, int nid)
{
	return nb_node_valid(nid) && (m->bits >> nid & 1);
}

static inline void nb_node_set(struct nb_nodemask *m, int nid)
{
	if (nb_node_valid(nid))
		m->bits |= 1ULL << nid;
}

static inline void nb_node_clear(struct nb_nodemask *m, int nid)
{
	if (nb_node_valid(nid))
		m->bits &= ~(1ULL << nid);
}

/* True if just one node is set. No call, as a weight may be. */
static inline bool nb_nodes_single(const struct nb_nodemask *m)
{
	return m->bits && !(m->bits & (m->bits - 1));
}

static inline int nb_nodes_weight(const struct nb_nodemask *m)
{
	return __builtin_popcountll(m->bits);
}

/* The first set node at or after @nid, or NB_MAX_NODES. */
static inline int nb_node_next(const struct nb_nodemask *m, int nid)
{
	uint64_t rest;

	if (nid >= NB_MAX_NODES)
		return NB_MAX_NODES;
	rest = m->bits >> nid;
	return rest ? nid + __builtin_ctzll(rest) : NB_MAX_NODES;
}

#define nb_for_each_nid(nid, mask)                                             \
	for ((nid) = nb_node_next((mask), 0); (nid) < NB_MAX_NODES;            \
	     (nid) = nb_node_next((mask), (nid) + 1))

static inline bool nb_cpu_isset(const struct nb_cpumask *m, int cpu)
{
	return cpu >= 0 && cpu < NB_MAX_CPUS &&
	       (m->bits[cpu / NB_LONG_BITS] >> (cpu % NB_LONG_BITS) & 1);
}

static inline void nb_cpu_set(struct nb_cpumask *m, int cpu)
{
	if (cpu >= 0 && cpu < NB_MAX_CPUS)
		m->bits[cpu / NB_LONG_BITS] |= 1UL << (cpu % NB_LONG_BITS);
}

static inline int nb_cpus_weight(const struct nb_cpumask *m)
{
	int nr = 0;

	for (size_t i = 0; i < NB_CPUMASK_WORDS; i++)
		nr += __builtin_popcountl(m->bits[i]);
	return nr;
}

static inline bool nb_cpus_empty(const struct nb_cpumask *m)
{
	for (size_t i = 0; i < NB_CPUMASK_WORDS; i++)
		if (m->bits[i])
			return false;
	return true;
}

static inline bool nb_cpus_equal(const struct nb_cpumask *a,
				 const struct nb_cpumask *b)
{
	for (size_t i = 0; i < NB_CPUMASK_WORDS; i++)
		if (a->bits[i] != b->bits[i])
			return false;
	return true;
}

/* True if every CPU of @a is in @b. */
static inline bool nb_cpus_subset(const struct nb_cpumask *a,
				  const struct nb_cpumask *b)
{
	for (size_t i = 0; i < NB_CPUMASK_WORDS; i++)
		if (a->bits[i] & ~b->bits[i])
			return false;
	return true;
}

static inline void nb_cpus_and(struct nb_cpumask *dst,
			       const struct nb_cpumask *a,
			       const struct nb_cpumask *b)
{
	for (size_t i = 0; i < NB_CPUMASK_WORDS; i++)
		dst->bits[i] = a->bits[i] & b->bits[i];
}

/* The first set CPU at or after @cpu, or NB_MAX_CPUS. */
static inline int nb_cpu_next(const struct nb_cpumask *m, int cpu)
{
	for (; cpu < NB_MAX_CPUS; cpu++) {
		unsigned long rest =
			m->bits[cpu / NB_LONG_BITS] >> (cpu % NB_LONG_BITS);

		if (rest)
			return cpu + __builtin_ctzl(rest);
		cpu |= NB_LONG_BITS - 1;
	}
	return NB_MAX_CPUS;
}

#define nb_for_each_cpu(cpu, mask)                                             \
	for ((cpu) = nb_cpu_next((mask), 0); (cpu) < NB_MAX_CPUS;              \
	     (cpu) = nb_cpu_next((mask), (cpu) + 1))

#endif /* NB_NODEMASK_H */
