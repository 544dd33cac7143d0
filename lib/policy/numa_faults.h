/* SPDX-License-Identifier: MIT */
/*
 * 3. Fault statistics of one thread: the kernel's numa_faults arrays.
 */
#ifndef NB_NUMA_FAULTS_H
#define NB_NUMA_FAULTS_H

#include "../base/nodemask.h"

/* Linux: enum numa_faults_stats */
enum nb_numa_faults_stats {
	NB_NUMA_MEM,	/* decayed, by node of the page */
	NB_NUMA_CPU,	/* decayed, by node of the thread */
	NB_NUMA_MEMBUF, /* this pass */
	NB_NUMA_CPUBUF,
	NB_NR_NUMA_STATS,
};

/* Linux: locality[] */
enum nb_locality_idx {
	NB_LOCALITY_REMOTE,
	NB_LOCALITY_LOCAL,
	NB_LOCALITY_FAILED,
	NB_NR_LOCALITY,
};

struct nb_numa_faults {
	int nr_nids;
	int numa_preferred_nid;		   /* or NB_NO_NODE */
	uint64_t numa_scan_seq;		   /* passes this thread has seen */
	uint64_t total;			   /* sum of NB_NUMA_MEM, decayed */
	uint64_t locality[NB_NR_LOCALITY]; /* pages, this pass */
	uint64_t pass_private;		   /* pages, this pass */
	uint64_t pass_shared;
	uint64_t faults[]; /* nb_numa_faults_idx() */
};

/* A fault as the statistics see it. */
struct nb_fault_sample {
	int mem_nid; /* where the page is now, after any migration */
	int cpu_nid;
	uint64_t nr_pages;
	bool priv;	   /* nobody else is seen to use it */
	bool local;	   /* page and thread on the same node */
	bool migrate_fail; /* a wanted migration did not happen */
};

static inline size_t nb_numa_faults_idx(const struct nb_numa_faults *f,
					enum nb_numa_faults_stats s, int nid,
					bool priv)
{
	return ((size_t)s * (size_t)f->nr_nids + (size_t)nid) * 2 + priv;
}

size_t nb_numa_faults_size(int nr_nids);
void nb_numa_faults_init(struct nb_numa_faults *f, int nr_nids);
void nb_numa_faults_account(struct nb_numa_faults *f,
			    const struct nb_fault_sample *s);
void nb_numa_faults_decay(struct nb_numa_faults *f, uint64_t runtime_ns,
			  uint64_t period_ns);
uint64_t nb_numa_faults_mem(const struct nb_numa_faults *f, int nid);
uint64_t nb_numa_faults_cpu(const struct nb_numa_faults *f, int nid);

#endif /* NB_NUMA_FAULTS_H */
