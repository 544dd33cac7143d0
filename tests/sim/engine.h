/* SPDX-License-Identifier: MIT */
/*
 * The simulator's engine: a machine with nodes, threads that use memory, and
 * time.  It knows nothing of who decides: that is a struct sim_brain, which
 * hears of events and acts through the calls at the end of this file.
 *
 * Time goes in ticks of 10 ms.  Memory is made of pages; what a page is for
 * the simulation may stand for several 4 KiB pages (page_4k), which then fault
 * one by one but always are on one node, or for a huge page, which faults
 * once.  Pages that all threads use alike form a segment, so that accesses are
 * counted, not simulated: only hint faults are drawn, page by page, with the
 * chance that the page was touched in this tick.
 */
#ifndef NB_SIM_ENGINE_H
#define NB_SIM_ENGINE_H

#include "brain.h"
#include "limits.h"

#define SIM_TICK_NS (10 * NB_NSEC_PER_MSEC)
#define SIM_ACCESS_NS 16.0 /* see tick.c */
#define SIM_TICKS_PER_SEC 100
#define SIM_NOWHERE 0xff /* node of a page that is not there */
#define SIM_MAX_PROCS 8
#define SIM_WINDOW_TICKS 50
#define SIM_MAX_WINDOWS 8192

/* What time is spent on, besides the program's work. */
enum sim_cost { SIM_FAULT, SIM_MIGRATE, SIM_SCAN, SIM_MOVE, SIM_NR_COSTS };

/* A thread's use of a segment. */
struct sim_use {
	int seg;
	double weight;	   /* share of the thread's accesses */
	uint8_t write_pct; /* of the accesses */
	bool sweep;	   /* from end to end, not at random */
};

struct sim_thread {
	int proc;
	bool alive;
	int cpu;
	uint32_t duty_pct;	    /* how much of a CPU it wants; 0: asleep */
	struct nb_nodemask own;	    /* nodes that the program lets it run on */
	bool bound;		    /* ... which are not all: sim_bind() */
	uint32_t nr_masks;	    /* sim_set_affinity(), by the brain */
	struct nb_nodemask allowed; /* the same and the brain's wish */
	int soft_nid;		    /* the scheduler's hint, or NB_NO_NODE */
	uint32_t soft_failed;	    /* times that it was in the way */
	struct sim_use *use;
	uint32_t nr_uses, cap_uses;
	uint64_t run_ns, wait_ns; /* since its start */
	double debt_ns;		  /* to be taken from its next ticks */
	/* of this tick */
	int next;     /* on the same CPU */
	double share; /* of that CPU */
	double accesses;
};

struct sim_user {
	int thread;
	uint32_t use;
	double cum; /* touches up to and with this user, of this tick */
};

/* Armed pages [start, start + nr) that are given back together. */
struct sim_unit {
	uint32_t start, nr, seq;
};

struct sim_seg {
	int region;
	uint32_t first, nr;
	uint32_t nr_on[NB_MAX_NODES];
	int one_nid; /* the node of all pages, or NB_NO_NODE */
	struct sim_user *user;
	uint32_t nr_users, cap_users;
	struct sim_unit *unit; /* some of them disarmed since */
	uint32_t nr_units, cap_units, max_unit;
};

/* A mapping. */
struct sim_region {
	int proc;
	bool alive;
	bool thp;
	bool locked; /* its pages cannot move */
	uint32_t first, nr;
	uint32_t page_4k; /* 4 KiB pages in a page */
	uint64_t born_ns;
};

struct sim_window {
	double acc, local;	    /* accesses */
	double wanted_ns;	    /* time that threads wanted to run */
	double price_ns, needed_ns; /* see measure.c */
	double cost_ns;		    /* spent on balancing */
	uint64_t moved, task_moves, faults;
};

struct sim_totals {
	uint64_t faults, armed;	      /* as the brain's mechanism counts */
	uint64_t moved, failed;	      /* 4 KiB pages */
	uint64_t refused;	      /* masks without a CPU that is allowed */
	uint64_t moves;		      /* of threads between nodes, by brain */
	uint64_t balanced;	      /* ... by the scheduler */
	double cost_ns[SIM_NR_COSTS]; /* paid by threads */
	double background_ns;	      /* paid by nobody: a CPU was idle */
};

struct sim {
	struct sim_machine m;
	const struct sim_brain *brain;
	void *ctx;	/* the brain's */
	void *scenario; /* the scenario's */
	uint64_t now_ns;
	uint64_t tick;
	uint64_t rng, rng_sched; /* of accesses, of the scheduler */
	uint32_t grain_4k;	 /* 4 KiB pages to a page that is not huge */
	bool patterns_changed;
	int nr_procs;
	struct sim_limits limits[SIM_MAX_PROCS];
	struct sim_thread *thread;
	int nr_threads, cap_threads;
	struct sim_region *region;
	int nr_regions, cap_regions;
	struct sim_seg *seg;
	int nr_segs, cap_segs;
	uint8_t *page_nid;
	uint32_t *page_seg;
	uint32_t *arm_seq; /* 0: not armed */
	uint32_t nr_pages, cap_pages, next_seq;
	uint64_t used_4k[NB_MAX_NODES];
	uint64_t moved_in[SIM_MAX_PROCS][NB_MAX_NODES]; /* 4 KiB pages */
	uint64_t least_free_4k[NB_MAX_NODES]; /* that a move has left */
	/* of this tick */
	double price[NB_MAX_NODES][NB_MAX_NODES];
	double bytes[NB_MAX_NODES][NB_MAX_NODES]; /* [CPU][memory] */
	double crowd_mem[NB_MAX_NODES];
	double crowd_link[NB_MAX_NODES][NB_MAX_NODES];
	uint16_t nr_running[NB_MAX_CPUS];
	double load[NB_MAX_CPUS];
	double busy_ns[NB_MAX_CPUS]; /* since the start */
	/* results */
	struct sim_totals total;
	struct sim_window *window;
	uint64_t last_change; /* the tick of the latest change of patterns */
};

/* engine.c: setting up */
struct sim *sim_new(const struct sim_machine *m, const struct sim_brain *b,
		    uint64_t seed, uint32_t grain_4k);
void sim_free(struct sim *s);
int sim_add_region(struct sim *s, int proc, bool thp);
int sim_add_seg(struct sim *s, int region, uint64_t bytes);
void sim_touch(struct sim *s, int seg, int nid);
void sim_drop_region(struct sim *s, int region);
int sim_add_thread(struct sim *s, int proc, int nid);
int sim_add_child(struct sim *s, int creator);
void sim_use(struct sim *s, int thread, const struct sim_use *use);
void sim_use_nothing(struct sim *s, int thread);
void sim_exit_thread(struct sim *s, int thread);
void sim_changed(struct sim *s);

/* sched.c, tick.c: time */
void sim_place_thread(struct sim *s, int thread, int nid);
void sim_schedule(struct sim *s);
void sim_crowd(struct sim *s);
void sim_prices(struct sim *s);
void sim_tick(struct sim *s);

/* act.c: what a brain may ask, and do */
int sim_nid(const struct sim *s, int thread);
uint64_t sim_free_4k(const struct sim *s, int nid);
const struct sim_region *sim_region_of(const struct sim *s, uint32_t page);
bool sim_accessed(struct sim *s, uint32_t page, double ticks);
uint32_t sim_arm(struct sim *s, uint32_t start, uint32_t nr);
void sim_disarm(struct sim *s, uint32_t start, uint32_t nr);
uint32_t sim_migrate(struct sim *s, int payer, uint32_t start, uint32_t nr,
		     int nid);
void sim_relocate(struct sim *s, const uint8_t *nids);
bool sim_set_affinity(struct sim *s, int thread, struct nb_nodemask nodes);
void sim_prefer(struct sim *s, int thread, int nid);
bool sim_move(struct sim *s, int thread, int cpu);
bool sim_swap(struct sim *s, int a, int b);
void sim_charge(struct sim *s, int thread, double ns, enum sim_cost what);
/* @payer: a thread, or SIM_PROC(proc): all of it, unless a CPU is idle */
#define SIM_PROC(proc) (-1 - (proc))

#endif /* NB_SIM_ENGINE_H */
