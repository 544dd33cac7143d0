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
#ifndef NB_PIPELINE_H
#define NB_PIPELINE_H

#include "../../lib/policy/group_place.h"
#include "../../lib/policy/migrate_filter.h"
#include "../../lib/policy/numa_faults.h"
#include "../../lib/policy/page_history.h"
#include "../../lib/policy/scan.h"
#include "../../lib/policy/scan_period.h"
#include "../../lib/policy/task_place.h"

#define PIPE_MAX_NODES 4
#define PIPE_MAX_TASKS 16
#define PIPE_MAX_BUFS 16
#define PIPE_BUF_PAGES 64
#define PIPE_PAGE_BYTES 4096

/* A buffer of PIPE_BUF_PAGES pages. */
struct pipe_buf {
	uint32_t users; /* bit per task */
	bool locked;	/* its pages cannot move */
	int nid[PIPE_BUF_PAGES];
	struct nb_page_history history[PIPE_BUF_PAGES];
};

struct pipe_task {
	int nid;	/* where it runs */
	int pinned_nid; /* by numabal */
	bool bound;	/* by the program */
	uint32_t hold;
	struct nb_numa_faults *f;
	struct nb_partners partners;
	uint32_t group;
	int group_index;
};

struct pipe {
	struct nb_topology topo;
	int nr_tasks, nr_bufs;
	struct pipe_task tasks[PIPE_MAX_TASKS];
	struct pipe_buf bufs[PIPE_MAX_BUFS];
	struct nb_scan scan;
	struct nb_scan_opts scan_opts;
	struct nb_scan_period period;
	struct nb_scan_period_opts period_opts;
	struct nb_pass_faults pass;
	struct nb_group_set groups;
	struct nb_numa_group group[PIPE_MAX_TASKS];
	uint64_t seed;
	/* counted since pipe_init() */
	uint64_t nr_page_moves;
	uint64_t nr_task_moves; /* pinned, re-pinned or released */
};

void pipe_init(struct pipe *s, int nr_nodes, int cpus_per_node);
void pipe_destroy(struct pipe *s);
int pipe_add_task(struct pipe *s, int nid, bool bound);
int pipe_add_buf(struct pipe *s, int nid, uint32_t users, bool locked);
void pipe_pass(struct pipe *s);
int pipe_local_permille(const struct pipe *s);
int pipe_nr_on(const struct pipe *s, int nid);

#endif /* NB_PIPELINE_H */
