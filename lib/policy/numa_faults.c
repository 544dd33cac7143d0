/* SPDX-License-Identifier: MIT */
/*
 * 3. Fault statistics of one thread.
 *
 * Four arrays over nodes, each split into shared and private: where the memory
 * that the thread used was (MEM), where the thread was when it used it (CPU),
 * and a buffer of each for the running pass.  At the end of a pass numabald
 * folds the buffers in and halves what was there before, so a fault counts
 * 1, 1/2, 1/4 ... and a change of phase shows after two or three passes.
 *
 * Owns nothing: the caller allocates nb_numa_faults_size() bytes per thread.
 *
 * Differs from Linux:
 * - Failed migrations (locality[FAILED]) decay by half per pass.  The kernel
 *   keeps them for ever on the path that doubles the scan period, so that one
 *   failure slows a task down for the rest of its life.
 * - The CPU weight is a share of all faults of the pass, also of those whose
 *   memory node is unknown, so that the shares never add up to more than one.
 */
#include "numa_faults.h"

#include <string.h>

/* Linux: numa_get_avg_runtime() callers, runtime << 16: a 16.16 fraction. */
#define CPU_WEIGHT_SHIFT 16

/* Above this the weight's fraction would not fit 64 bits: 2^47 ns, 39 hours. */
#define MAX_PERIOD_BITS 47

/**
 * nb_numa_faults_size() - bytes of one thread's statistics.
 * @nr_nids: highest node id + 1, at least 1
 *
 * Context: any thread.
 * Return: the size.
 */
size_t nb_numa_faults_size(int nr_nids)
{
	return sizeof(struct nb_numa_faults) + (size_t)NB_NR_NUMA_STATS *
						       (size_t)nr_nids * 2 *
						       sizeof(uint64_t);
}

/**
 * nb_numa_faults_init() - forget everything.
 * @f: nb_numa_faults_size(@nr_nids) bytes
 * @nr_nids: highest node id + 1, at least 1
 *
 * Context: numabald.
 */
void nb_numa_faults_init(struct nb_numa_faults *f, int nr_nids)
{
	memset(f, 0, nb_numa_faults_size(nr_nids));
	f->nr_nids = nr_nids;
	f->numa_preferred_nid = NB_NO_NODE;
}

static bool known(const struct nb_numa_faults *f, int nid)
{
	return nid >= 0 && nid < f->nr_nids;
}

static uint64_t *cell(struct nb_numa_faults *f, enum nb_numa_faults_stats s,
		      int nid, bool priv)
{
	return &f->faults[nb_numa_faults_idx(f, s, nid, priv)];
}

/**
 * nb_numa_faults_account() - count one fault in the running pass.
 * @f: the statistics of the thread that faulted
 * @s: the fault; an unknown node leaves out what depends on it
 *
 * A fault is remote only if both nodes are known: not knowing where a page is
 * must not look like a page in the wrong place.
 *
 * Context: numabald.
 */
void nb_numa_faults_account(struct nb_numa_faults *f,
			    const struct nb_fault_sample *s)
{
	bool mem = known(f, s->mem_nid);
	bool cpu = known(f, s->cpu_nid);

	if (mem)
		*cell(f, NB_NUMA_MEMBUF, s->mem_nid, s->priv) += s->nr_pages;
	if (cpu)
		*cell(f, NB_NUMA_CPUBUF, s->cpu_nid, s->priv) += s->nr_pages;
	if (s->local)
		f->locality[NB_LOCALITY_LOCAL] += s->nr_pages;
	else if (mem && cpu)
		f->locality[NB_LOCALITY_REMOTE] += s->nr_pages;
	if (s->migrate_fail)
		f->locality[NB_LOCALITY_FAILED] += s->nr_pages;
	if (s->priv)
		f->pass_private += s->nr_pages;
	else
		f->pass_shared += s->nr_pages;
}

/*
 * The share of the pass that the thread ran, as a 16.16 fraction below 1.
 * Linux: task_numa_placement(), div64_u64(runtime << 16, period + 1)
 */
static uint64_t cpu_weight(uint64_t runtime_ns, uint64_t period_ns)
{
	uint64_t runtime = nb_min(runtime_ns, period_ns);

	if (period_ns >> MAX_PERIOD_BITS) {
		runtime >>= CPU_WEIGHT_SHIFT + 1;
		period_ns >>= CPU_WEIGHT_SHIFT + 1;
	}
	return (runtime << CPU_WEIGHT_SHIFT) / (period_ns + 1);
}

/**
 * nb_numa_faults_decay() - end of a pass: fold the buffers in.
 * @f: the statistics
 * @runtime_ns: CPU time of the thread in this pass
 * @period_ns: wall time of this pass
 *
 * The CPU side is weighted by how much the thread ran: a thread that uses much
 * memory in little time does not outvote one that computes on a node all along.
 *
 * Context: numabald.
 */
void nb_numa_faults_decay(struct nb_numa_faults *f, uint64_t runtime_ns,
			  uint64_t period_ns)
{
	uint64_t weight = cpu_weight(runtime_ns, period_ns);
	uint64_t nr_pass = f->pass_private + f->pass_shared;

	f->total = 0;
	for (int i = 0; i < f->nr_nids * 2; i++) {
		uint64_t *mem = cell(f, NB_NUMA_MEM, i / 2, i & 1);
		uint64_t *cpu = cell(f, NB_NUMA_CPU, i / 2, i & 1);
		uint64_t *membuf = cell(f, NB_NUMA_MEMBUF, i / 2, i & 1);
		uint64_t *cpubuf = cell(f, NB_NUMA_CPUBUF, i / 2, i & 1);

		*mem = *mem - *mem / 2 + *membuf;
		*cpu = *cpu - *cpu / 2 + weight * *cpubuf / (nr_pass + 1);
		*membuf = 0;
		*cpubuf = 0;
		f->total += *mem;
	}
	f->locality[NB_LOCALITY_REMOTE] = 0;
	f->locality[NB_LOCALITY_LOCAL] = 0;
	f->locality[NB_LOCALITY_FAILED] /= 2;
	f->pass_private = 0;
	f->pass_shared = 0;
	f->numa_scan_seq++;
}

static uint64_t sum(const struct nb_numa_faults *f, enum nb_numa_faults_stats s,
		    int nid)
{
	if (!known(f, nid))
		return 0;
	return f->faults[nb_numa_faults_idx(f, s, nid, false)] +
	       f->faults[nb_numa_faults_idx(f, s, nid, true)];
}

/**
 * nb_numa_faults_mem() - faults on memory of a node, decayed.
 * @f: the statistics
 * @nid: any node id
 *
 * Context: numabald.
 * Return: private and shared together; 0 for a node out of range.
 */
uint64_t nb_numa_faults_mem(const struct nb_numa_faults *f, int nid)
{
	return sum(f, NB_NUMA_MEM, nid);
}

/**
 * nb_numa_faults_cpu() - faults taken while running on a node, decayed.
 * @f: the statistics
 * @nid: any node id
 *
 * Context: numabald.
 * Return: private and shared together, weighted by CPU time; 0 for a node out
 * of range.
 */
uint64_t nb_numa_faults_cpu(const struct nb_numa_faults *f, int nid)
{
	return sum(f, NB_NUMA_CPU, nid);
}
