/* SPDX-License-Identifier: MIT */
/*
 * A small simulated NUMA machine that runs the policy of numabal.
 *
 * Time is counted in passes.  In each, every chunk that the scan arms is used
 * by one of its users, the pipeline decides, and pages and threads move at
 * once.  A simple scheduler stands for the kernel's: it takes threads that are
 * not pinned away from nodes with more threads than CPUs.  The same numbers
 * come out in each run.
 */
#ifndef NB_SIM_H
#define NB_SIM_H

#include "../../lib/policy/migrate_filter.h"
#include "../../lib/policy/numa_faults.h"
#include "../../lib/policy/page_history.h"
#include "../../lib/policy/placement.h"
#include "../../lib/policy/scan.h"
#include "../../lib/policy/scan_period.h"
#include "../../lib/policy/task_place.h"

#define SIM_MAX_NODES 4
#define SIM_MAX_TASKS 16
#define SIM_MAX_BUFS 16
#define SIM_BUF_PAGES 64
#define SIM_PAGE_BYTES 4096

/* A buffer of SIM_BUF_PAGES pages. */
struct sim_buf {
	uint32_t users; /* bit per task */
	bool locked;	/* its pages cannot move */
	int nid[SIM_BUF_PAGES];
	struct nb_page_history history[SIM_BUF_PAGES];
};

struct sim_task {
	int nid;	/* where it runs */
	int pinned_nid; /* by numabal */
	bool bound;	/* by the program */
	uint32_t hold;
	struct nb_numa_faults *f;
};

struct sim {
	struct nb_topology topo;
	int nr_tasks, nr_bufs;
	struct sim_task tasks[SIM_MAX_TASKS];
	struct sim_buf bufs[SIM_MAX_BUFS];
	struct nb_scan scan;
	struct nb_scan_opts scan_opts;
	struct nb_scan_period period;
	struct nb_scan_period_opts period_opts;
	struct nb_pass_faults pass;
	uint64_t seed;
	/* counted since sim_init() */
	uint64_t nr_page_moves;
	uint64_t nr_task_moves; /* pinned, re-pinned or released */
};

void sim_init(struct sim *s, int nr_nodes, int cpus_per_node);
void sim_destroy(struct sim *s);
int sim_add_task(struct sim *s, int nid, bool bound);
int sim_add_buf(struct sim *s, int nid, uint32_t users, bool locked);
void sim_pass(struct sim *s);
int sim_local_permille(const struct sim *s);
int sim_nr_on(const struct sim *s, int nid);

#endif /* NB_SIM_H */
