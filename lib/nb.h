/* SPDX-License-Identifier: MIT */
/*
 * The process's one balancer.  Shared by the files of lib/ itself only.
 *
 * Ownership: (I) set before numabald exists, then constant; (D) numabald only;
 * (A) atomic; (L:as) under the as lock.
 */
#ifndef NB_H
#define NB_H

#include "base/topology.h"
#include "base/why.h"
#include "config.h"
#include "mech/migrate.h"
#include "mech/sigchain.h"
#include "plat/features.h"
#include "plat/lock.h"
#include "plat/log.h"
#include "plat/sys.h"
#include "policy/rate_limit.h"
#include "policy/scan.h"
#include "policy/scan_period.h"

#include <numabal.h>
#include <pthread.h>
#include <stdatomic.h>

enum nb_state {
	NB_OFF,	       /* never started, or stopped */
	NB_IDLE,       /* started; nothing to balance here */
	NB_RUNNING,    /* may arm */
	NB_PAUSED,     /* numabal_pause() */
	NB_STOOD_DOWN, /* for good */
};

/* Counters that only grow; see NUMABAL_STATS. */
struct nb_counters {
#define NB_COUNTER(name, doc) _Atomic uint64_t name;
	NUMABAL_STATS(NB_COUNTER)
#undef NB_COUNTER
};

struct numabal {
	/* set up */
	struct nb_config cfg;	  /* (I) */
	struct nb_topology topo;  /* (I) */
	const struct nb_sys *sys; /* (I) */
	uint32_t page_bytes;	  /* (I) */
	enum nb_thp_mode thp;	  /* (I) */
	bool preloaded;		  /* (I) interposers tell us of all memory */
	bool root_process;	  /* (I) the one that the user started */
	bool mpol_local;	  /* (I) kernel's balancing kept away */
	char comm[16];		  /* (I) program name */
	uint64_t start_ns;	  /* (I) */
	_Atomic int pid;	  /* (A) whose memory this is */
	/* state */
	_Atomic int state;	 /* (A) enum nb_state */
	const char *_Atomic why; /* (A) reason of IDLE or STOOD_DOWN */
	_Atomic bool crashed;	 /* (A) the default action is about to strike */
	_Atomic uint32_t inhibit;	   /* (A) > 0: arm nothing */
	_Atomic uint64_t inhibit_until_ns; /* (A) arm nothing before */
	_Atomic uint32_t paused;	   /* (A) nesting of numabal_pause() */
	_Atomic bool all_locked;	   /* (A) mlockall() */
	_Atomic bool traced;		   /* (A) by a debugger: arm nothing */
	struct nb_lock as_lock;
	/* the thread */
	pthread_t thread;		 /* (L:as) */
	bool thread_raw;		 /* made without libc: not .thread */
	_Atomic bool thread_started;	 /* (A) */
	_Atomic uint64_t young_until_ns; /* (A) no thread before; 0: any time */
	_Atomic uint32_t
		thread_running; /* (A) between its first and last act */
	_Atomic bool stop;	/* (A) numabald shall end */
	_Atomic int thread_tid; /* (A) */
	uint32_t wake;		/* futex: 0 asleep, 1 woken */
	/* numabald's own */
	struct nb_scan scan;			/* (D) */
	struct nb_scan_opts scan_opts;		/* (D) */
	struct nb_scan_period period;		/* (D) */
	struct nb_scan_period_opts period_opts; /* (D) */
	struct nb_pass_faults pass;		/* (D) this pass, so far */
	struct nb_pass_faults last_pass;	/* (D) the one before */
	struct nb_pass_faults window;		/* (D) .pass at the last scan */
	struct nb_rate_limit rate;		/* (D) */
	struct nb_migrate migrate;		/* (D) */
	const char *why_untraced;		/* (D) .why before it came */
	bool pages_off;		/* (D) the kernel refuses to move */
	_Atomic bool tasks_off; /* (A) ... or to re-pin */
	uint64_t next_scan_ns;	/* (D) */
	uint64_t next_tasks_ns; /* (D) */
	uint64_t next_alone_ns; /* (D) */
	uint64_t scan_cpu_ns;	/* (D) process CPU at the last scan */
	uint64_t ask_ns;	/* (D) when a scan was last asked for */
	uint64_t ask_cpu_ns;	/* (D) process CPU then */
	uint32_t unsettled;	/* (D) passes with a higher ceiling */
	uint64_t placing_ns;	/* (D) spent on placing memory once */
	int64_t free_ns;	/* (D) may be spent as well; < 0: a debt */
	uint64_t base_cost_ns;	/* (D) cost and process CPU ... */
	uint64_t base_cpu_ns;	/* (D) ... that the ceiling leaves out */
	uint64_t poll_ns;	/* (D) between two looks at the rings */
	uint64_t rss_bytes;	/* (D) at the last scan */
	/* results */
	struct nb_counters count;	       /* (A) */
	_Atomic uint64_t why_count[NB_NR_WHY]; /* (A) */
	_Atomic uint64_t scan_ns, migrate_ns;  /* (A) numabald's CPU time */
	_Atomic uint64_t daemon_ns;	       /* (A) all of it */
	_Atomic uint64_t fault_ns;	       /* (A) in the handler */
	_Atomic uint64_t max_fault_ns;	       /* (A) the longest */
	_Atomic uint32_t scan_period_ms;       /* (A) as in .period */
	_Atomic uint32_t local_permille;       /* (A) of the last full pass */
};

extern struct numabal nb;

#define nb_count(name, n)                                                      \
	atomic_fetch_add_explicit(&nb.count.name, (n), memory_order_relaxed)

/* Threads that start ask this, too. */
static inline bool nb_may_move_tasks(void)
{
	return nb.cfg.move_tasks && nb.cfg.mode == NB_MODE_ON && !nb.tasks_off;
}

/* numabald.c */
extern __thread bool nb_creating_daemon
	__attribute__((tls_model("initial-exec")));
int nb_daemon_start(void);
bool nb_daemon_stop(void);
void nb_daemon_wake(void);
void nb_daemon_after_fork(void);
uint64_t nb_cost_ns(void);
uint64_t nb_clock_of_cycles(uint64_t cycles);

/* sample.c: from hint faults to statistics and page moves */
int nb_samples_init(void);
unsigned int nb_fault_drain(void);
void nb_run_moves(struct nb_page_move *mv, unsigned int nr);

/* place.c: from statistics to threads on nodes */
void nb_place_round(uint64_t now_ns);
struct nb_numa_group;
const struct nb_numa_group *nb_place_group(int index);
int nb_place_nr_groups(void);

/* arming.c: from the scan cursor to armed memory */
int nb_arming_init(void);
void nb_scan_run(uint64_t now_ns);

/* standdown.c */
void nb_standdown(const char *why);
void nb_release_all(void);
int nb_disarm_all(void);
void nb_before_crash(void);

/* stats.c */
void nb_stats_prepare(void);
void nb_stats_write_start(void);
void nb_stats_write_exit(void);
void nb_stats_collect(struct numabal_stats *st);

/* start.c */
int nb_start(const struct numabal_opts *opts, bool preloaded);
void nb_finish(void);
bool nb_is_active(void);
void nb_maybe_start_daemon(void);

#endif /* NB_H */
