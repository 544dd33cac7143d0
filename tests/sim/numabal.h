/* SPDX-License-Identifier: MIT */
/*
 * numabal on the simulated machine: the real policy of lib/policy, and a
 * stand-in for each file of lib/ that calls it.  One balancer per process.
 */
#ifndef NB_SIM_NUMABAL_H
#define NB_SIM_NUMABAL_H

#include "../../lib/policy/group_place.h"
#include "../../lib/policy/migrate_filter.h"
#include "../../lib/policy/numa_faults.h"
#include "../../lib/policy/placement.h"
#include "../../lib/policy/rate_limit.h"
#include "../../lib/policy/scan.h"
#include "../../lib/policy/scan_period.h"
#include "../../lib/policy/task_place.h"
#include "../../lib/policy/task_start.h"
#include "../../lib/policy/tier.h"
#include "engine.h"

#define N_PAGE_BYTES 4096U
#define N_BLOCK_BYTES (2 * NB_MIB) /* lib/mech/chunk.h */
#define N_RING_SIZE 256		   /* lib/mech/slot.h */
#define N_RESERVE_PCT 3		   /* lib/mech/migrate.c */
#define N_MAX_WAITING 4096	   /* lib/tiering.c */

/* lib/tasks.h; its fault ring too. */
struct n_task {
	bool known, running;
	int16_t current_nid, pinned_nid;
	uint16_t place_why;
	uint32_t hold, moves;
	uint64_t run_ns, wait_ns, round_ns;
	uint64_t d_run_ns, d_wait_ns, d_ns;
	int16_t start_nid; /* ... where it started beside its creator */
	uint32_t start_epoch;
	struct nb_numa_faults *nf;
	struct nb_partners *partners;
	uint32_t group; /* its name */
	int group_index;
	struct sim_fault ring[N_RING_SIZE];
	uint64_t ring_ns[N_RING_SIZE];
	uint32_t nr_ring;
};

/* lib/nb.h: what belongs to one process. */
struct n_proc {
	struct n_brain *b;
	int proc;
	bool started, off; /* off: there is only one node for it */
	struct nb_topology topo;
	struct nb_nodemask nodes; /* NUMABAL_NODES */
	struct nb_scan scan;
	struct nb_scan_period period;
	struct nb_scan_opts scan_opts;
	struct nb_scan_period_opts period_opts;
	struct nb_pass_faults pass, window;
	struct nb_rate_limit rate;
	uint64_t next_pass_ns, next_scan_ns, poll_ns;
	uint64_t scan_cpu_ns, ask_ns, ask_cpu_ns, exited_ns;
	uint64_t daemon_ns, fault_ns, placing_ns;
	uint64_t base_cost_ns, base_cpu_ns;
	int64_t free_ns;
	uint64_t rss_bytes, nr_moved, nr_dropped;
	uint32_t unsettled, local_permille, nr_rounds;
	struct n_tiering *tiering;	 /* NULL: there is one tier */
	double busy_before[NB_MAX_CPUS]; /* /proc/stat at the last round */
	uint64_t busy_ns;		 /* and when that was */
	struct nb_group_set groups;
	struct nb_group_task *members;
	void *scratch;
	size_t cap_members;
	double late_ns; /* numabald is behind by so much */
	struct nb_task_start start;
	uint64_t next_walk_ns, start_ns; /* when .start is made and was */
	uint32_t start_epoch;
	double start_busy[NB_MAX_CPUS]; /* /proc/stat then */
	int placed_nid;			/* of the thread that is created */
};

/* lib/tiering.c */
struct n_tiering {
	struct nb_tier tier;
	struct nb_rate_limit rate;
	struct n_waiting {
		uint32_t start;
		int16_t dst_nid;
	} waiting[N_MAX_WAITING];
	uint32_t nr_waiting;
	uint64_t next_ns, scan_seq;
};

/* lib/sample.c: a fault on its way to a decision. */
struct n_sample {
	const struct sim_fault *fault;
	uint64_t ns; /* when */
	int page_nid, dst_nid;
	uint32_t start, nr; /* the chunk */
	uint32_t nr_4k;
	struct nb_last_user last;
	enum nb_why why;
	uint32_t nr_moved, nr_failed;
};

struct n_brain {
	struct sim *s;
	struct n_proc proc[SIM_MAX_PROCS];
	struct n_task **task; /* by thread */
	int nr_tasks, cap_tasks;
	uint64_t *va; /* where each region starts */
	int nr_regions, cap_regions;
	struct nb_page_history *history;  /* by page: of the chunk there */
	struct nb_tier_chunk *tier_chunk; /* the same */
	uint32_t nr_pages;
	struct nb_vma *vmas;
	uint64_t why_count[NB_NR_WHY];
};

#define n_for_each_task(t, i, p)                                               \
	for ((i) = 0; (i) < (p)->b->nr_tasks; (i)++)                           \
		if (((t) = (p)->b->task[i]) &&                                 \
		    (p)->b->s->thread[i].proc == (p)->proc)

/* What a helper does in a process's name costs it. */
void n_pay(struct n_proc *p, double ns, enum sim_cost what);

/* numabal_arming.c */
uint32_t n_chunk(const struct n_brain *b, uint32_t page, uint32_t *nr);
void n_scan_run(struct n_proc *p);

/* numabal_sample.c */
unsigned int n_fault_drain(struct n_proc *p);
uint32_t n_move(struct n_proc *p, uint32_t start, uint32_t nr, int nid,
		uint32_t *nr_failed);

/* numabal_tiering.c */
void n_tiering_init(struct n_proc *p);
void n_tiering_begin(struct n_proc *p, uint64_t cpu_ns);
enum nb_why n_tiering_filter(struct n_proc *p, struct n_sample *sm,
			     const struct nb_migrate_query *q);
enum nb_why n_tiering_admit(struct n_proc *p, struct n_sample *sm,
			    enum nb_why why);
void n_tiering_moved(struct n_proc *p, uint32_t start, int nid,
		     uint32_t nr_moved, uint32_t nr_failed);
void n_tiering_run(struct n_proc *p);

/* numabal_place.c */
void n_place_round(struct n_proc *p);

/* numabal_start.c */
void n_start_publish(struct n_proc *p);
int n_start_place(struct n_proc *p, int creator);
void n_start_begin(struct n_proc *p, int thread);
void n_start_end(struct n_proc *p, int thread);

#endif /* NB_SIM_NUMABAL_H */
