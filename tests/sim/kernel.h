/* SPDX-License-Identifier: MIT */
/*
 * Linux's automatic NUMA balancing, as a rival: its rules on the simulated
 * machine.  Written from a description of the rules (as of 6.12), with their
 * known mistakes left in.  Rules have the letters of that description:
 * S scanning, V mappings, F faults, C last user, G page, T statistics,
 * D preferred node, N group, X thread, O period, Z tiers, L scheduler.
 */
#ifndef NB_SIM_KERNEL_H
#define NB_SIM_KERNEL_H

#include "engine.h"

enum k_stats { K_MEM, K_CPU, K_MEMBUF, K_CPUBUF, K_NR_STATS };
enum k_locality { K_REMOTE, K_LOCAL, K_FAILED, K_NR_LOCALITY };

/* Faults by kind, node, and private (1) or shared (0). */
typedef int64_t k_faults[NB_MAX_NODES][2];

struct k_group {
	int nr_tasks; /* 0: not in use */
	int active_nodes;
	int64_t total, max_faults_cpu;
	k_faults f[K_MEMBUF]; /* K_MEM and K_CPU */
};

struct k_task {
	k_faults *f; /* K_NR_STATS of them, from the first fault on */
	int64_t total;
	int64_t locality[K_NR_LOCALITY];
	int preferred;	   /* numa_preferred_nid, or NB_NO_NODE */
	int group;	   /* or -1 */
	uint32_t scan_seq; /* numa_scan_seq */
	uint32_t period_ms, period_max_ms;
	uint64_t node_stamp; /* of its run time */
	uint64_t retry_ns;   /* numa_migrate_retry */
	uint64_t placed_ns, placed_run_ns;
};

struct k_mm {
	uint32_t scan_seq;
	uint32_t offset; /* page where the next scan starts */
	uint64_t next_scan_ns;
};

/* vma_numab_state, by region. */
struct k_vma {
	bool known;
	uint32_t start_seq;
	int64_t prev_seq;
	uint64_t next_scan_ns, reset_ns;
	uint64_t pids[2];
};

struct k_page {
	uint32_t cpupid;  /* 0: unset; 1 + CPU * 256 + low byte of thread */
	uint16_t scan_ms; /* of slow memory: when it was armed */
	uint32_t checked; /* tick of kswapd's last look */
};

struct kernel {
	struct sim *s;
	struct nb_topology topo;
	int max_distance;
	bool tiering;
	uint64_t rng;
	struct k_task *task;
	int nr_tasks, cap_tasks;
	struct k_group *group;
	int nr_groups, cap_groups;
	struct k_vma *vma;
	int nr_vmas;
	struct k_page *page;
	uint32_t nr_pages;
	struct k_mm mm[SIM_MAX_PROCS];
	int curr[NB_MAX_CPUS];	     /* thread on each CPU, or -1 */
	uint32_t hand[NB_MAX_NODES]; /* kswapd's */
	bool kswapd[NB_MAX_NODES];
	/* Z5 */
	uint32_t threshold_ms;
	uint64_t candidates, adjust_ns;
};

static inline bool k_top_tier(const struct kernel *k, int nid)
{
	return k->s->m.node_cpus[nid] > 0;
}

/* kernel_scan.c */
uint32_t k_period_min(const struct kernel *k, int task);
uint32_t k_period_start(const struct kernel *k, int task);
uint32_t k_period_max(const struct kernel *k, int task);
void k_scan_tick(struct kernel *k);

/* kernel_fault.c */
void k_hint_fault(void *ctx, const struct sim_fault *f);

/* kernel_stats.c */
int64_t k_task_faults(const struct kernel *k, int task, int nid);
int64_t k_group_faults(const struct k_group *g, int nid);
int64_t k_group_cpu(const struct k_group *g, int nid);
int64_t k_task_weight(const struct kernel *k, int task, int nid, int dist);
int64_t k_group_weight(const struct kernel *k, int task, int nid, int dist);
void k_placement(struct kernel *k, int task);

/* kernel_group.c */
void k_join(struct kernel *k, int task, uint32_t cpupid, bool *priv);
void k_leave(struct kernel *k, int task);

/* kernel_place.c */
void k_migrate_preferred(struct kernel *k, int task);

/* kernel_tier.c */
bool k_promote(struct kernel *k, uint32_t page, int nid);
bool k_has_room(const struct kernel *k, int nid, uint32_t nr_4k);
void k_reclaim(struct kernel *k);

#endif /* NB_SIM_KERNEL_H */
