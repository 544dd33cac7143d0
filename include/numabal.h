/* SPDX-License-Identifier: MIT */
/*
 * numabal - automatic NUMA balancing inside one process.
 *
 * There is one balancer per process, because SIGSEGV, page protections and
 * thread affinity belong to the process: the API therefore takes no handle.
 *
 * Conventions, true of every function below unless its comment says otherwise:
 *  - returns 0 (or a count) on success and a negative errno value on failure;
 *    errno itself is left alone;
 *  - may be called from any thread, not from a signal handler;
 *  - times are milliseconds, sizes are bytes, rates are MiB/s, node ids are
 *    the kernel's; the unit is always in the field's name.
 */
#ifndef NUMABAL_H
#define NUMABAL_H

#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

#define NUMABAL_VERSION_MAJOR 0
#define NUMABAL_VERSION_MINOR 1
#define NUMABAL_VERSION_PATCH 0
#define NUMABAL_VERSION_NUM(a, b, c) (((a) << 16) | ((b) << 8) | (c))

#define NUMABAL_API __attribute__((visibility("default")))
#define NUMABAL_CHECK __attribute__((warn_unused_result))

/* No node: the kernel's NUMA_NO_NODE. */
#define NUMABAL_NO_NODE (-1)

/*
 * Options and results are structs that grow only at the end.  @sz must be the
 * first member and hold sizeof(the struct) as the caller was compiled.  A
 * field left 0 means "the default".  An older library refuses, with -E2BIG, a
 * newer struct whose unknown tail is not all zero.
 *
 *	struct numabal_opts opts = { .sz = sizeof(opts) };
 */

/* ---- options ------------------------------------------------------------ */

enum numabal_flags {
	NUMABAL_F_NO_TASK_MIGRATE = 1U << 0, /* move pages, never threads */
	NUMABAL_F_NO_PAGE_MIGRATE = 1U << 1, /* move threads, never pages */
	NUMABAL_F_OBSERVE = 3U,		     /* both: decide, act on nothing */
	NUMABAL_F_FORCE = 1U << 2, /* work on a one-node machine as well */
};

struct numabal_opts {
	size_t sz;
	uint32_t flags;		     /* enum numabal_flags */
	uint32_t scan_delay_ms;	     /* before the first scan; default 1000 */
	uint32_t scan_period_min_ms; /* default 1000 */
	uint32_t scan_period_max_ms; /* default 60000 */
	uint32_t scan_size_mb;	     /* MiB armed per scan; default 256 */
	uint32_t migrate_rate_mbps;  /* MiB/s ceiling; default: no ceiling */
	uint32_t max_overhead_pct;   /* ceiling for all costs; default 2 */
	uint32_t max_stall_us;	/* longest stop of a thread; default 1000 */
	uint32_t min_rss_mb;	/* leave smaller processes; default 64 */
	uint32_t min_region_kb; /* never arm smaller mappings */
	uint32_t chunk_kb;	/* unit of arming; default: adaptive */
	uint32_t reserved;	/* must be 0 */
};

/**
 * numabal_start() - start balancing this process
 * @opts: options, or NULL for the defaults and the NUMABAL_* environment.
 *
 * Installs the SIGSEGV handler, reads the topology and starts the balancer
 * thread "numabald".  On a one-node machine it succeeds and stays idle.
 *
 * Return: 0; -EALREADY if running; -EINVAL for an option out of range; -E2BIG
 * for an option this library does not know; -EAGAIN or -ENOMEM if the thread
 * cannot be made; -ENOSYS if the kernel lacks move_pages(2).
 */
NUMABAL_API NUMABAL_CHECK int numabal_start(const struct numabal_opts *opts);

/**
 * numabal_stop() - disarm every page, restore affinity, stop the thread
 *
 * When it returns no page of the process is armed and every thread has back
 * the CPU mask it had before numabal first moved it.
 *
 * Return: 0; -ESRCH if not running.
 */
NUMABAL_API int numabal_stop(void);

/**
 * numabal_pause() - disarm everything and arm nothing until numabal_resume()
 *
 * Calls nest.  Meant for sections that cannot take a hint fault: a direct
 * I/O or RDMA registration, a raw clone(2), a checkpoint.
 *
 * Return: 0; -ESRCH if not running.
 */
NUMABAL_API int numabal_pause(void);

/**
 * numabal_resume() - undo one numabal_pause()
 *
 * Return: 0; -ESRCH if not running; -EINVAL if not paused.
 */
NUMABAL_API int numabal_resume(void);

/* ---- memory ------------------------------------------------------------- */

/**
 * numabal_exclude() - never arm or migrate [@addr, @addr + @len)
 * @addr: start, rounded down to a page.
 * @len: length in bytes, rounded up to pages; must not be 0.
 *
 * The range is disarmed before the call returns.  Lasts until
 * numabal_include().  A program that is linked only, not preloaded, calls it
 * before it unmaps or protects memory that it included.
 *
 * Return: 0; -EINVAL for an empty or wrapping range; -ENOMEM.
 */
NUMABAL_API int numabal_exclude(const void *addr, size_t len);

/**
 * numabal_include() - balance [@addr, @addr + @len), or do so again
 * @addr: start, rounded down to a page.
 * @len: length in bytes, rounded up to pages; must not be 0.
 *
 * Return: 0; -EINVAL for an empty or wrapping range; -ENOMEM.
 */
NUMABAL_API int numabal_include(const void *addr, size_t len);

/* ---- threads ------------------------------------------------------------ */

/**
 * numabal_thread_register() - let the calling thread be sampled and moved
 *
 * Needed only for threads not made by pthread_create(3).  A thread that is
 * not registered may still touch an armed page: the page is disarmed and the
 * access counted in numa_hint_faults_unknown.
 *
 * Return: 0; -ESRCH if not running; -ENOMEM.
 */
NUMABAL_API int numabal_thread_register(void);

enum numabal_thread_flags {
	NUMABAL_THREAD_LATENCY = 1U << 0, /* it is to take no hint faults */
};

/**
 * numabal_thread_register_flags() - the same, and what the thread needs
 * @flags: enum numabal_thread_flags; 0 takes back what was asked for before.
 *
 * A thread with NUMABAL_THREAD_LATENCY takes no hint fault on its stack, on
 * thread-local storage and on what it maps from now on.  Of other memory it
 * takes one at most in each aligned block of 2 MiB of a mapping; they are
 * counted in latency_hint_faults.  Such blocks, and what it mapped, are not
 * balanced while the thread is there; afterwards they are again.  A forked
 * child's thread has no flags.  NUMABAL_LATENCY_THREADS marks threads by their
 * names.
 *
 * Return: 0; -EINVAL for an unknown flag; -ESRCH if not running; -ENOMEM.
 */
NUMABAL_API int numabal_thread_register_flags(uint32_t flags);

/**
 * numabal_thread_unregister() - leave the calling thread alone from now on
 *
 * Return: 0; -ESRCH if not running or not registered.
 */
NUMABAL_API int numabal_thread_unregister(void);

/* ---- signals ------------------------------------------------------------ */

/**
 * numabal_handle_sigsegv() - offer a SIGSEGV to numabal first
 * @sig, @info, @ucontext: as the application's own handler received them.
 *
 * For a program that installs a SIGSEGV handler behind numabal's back.
 *
 * Context: async-signal-safe; preserves errno.
 * Return: 1 if it was a hint fault, now resolved: return from the handler;
 * 0 if it was not numabal's.
 */
NUMABAL_API int numabal_handle_sigsegv(int sig, siginfo_t *info,
				       void *ucontext);

/* ---- statistics --------------------------------------------------------- */

/*
 * Every counter, once: the struct, numabal stat's output, its JSON and the
 * table in numabal(1) are all made from this list.  Names that the kernel has
 * in /proc/vmstat mean here what they mean there, for this process alone.
 */
/* clang-format off */
#define NUMABAL_STATS(X) \
	X(numa_pte_updates,	    "pages armed") \
	X(numa_huge_pte_updates,    "of them, in whole 2 MiB blocks: the blocks") \
	X(numa_hint_faults,	    "hint faults taken") \
	X(numa_hint_faults_local,   "of those, on the thread's own node") \
	X(numa_hint_faults_unknown, "of those, by an unregistered thread") \
	X(numa_hint_faults_dropped, "lost to a full ring") \
	X(numa_pages_migrated,	    "pages moved") \
	X(numa_pages_migrate_fail,  "pages move_pages(2) refused") \
	X(numa_task_migrated,	    "threads re-pinned") \
	X(numa_task_swapped,	    "pairs of threads exchanged") \
	X(numa_scan_seq,	    "full passes over the address space") \
	X(numa_scan_time_us,	    "CPU time spent scanning") \
	X(numa_migrate_time_us,	    "CPU time spent moving pages") \
	X(numa_fault_time_us,	    "thread time spent in hint faults") \
	X(numa_excluded_syscall,    "calls that excluded memory from arming") \
	X(latency_hint_faults,	    "hint faults of latency-critical threads")
/* clang-format on */

struct numabal_stats {
	size_t sz;
#define NUMABAL_STAT_FIELD(name, doc) uint64_t name;
	NUMABAL_STATS(NUMABAL_STAT_FIELD)
#undef NUMABAL_STAT_FIELD
};

/**
 * numabal_get_stats() - copy the process's counters
 * @st: result; @st->sz says how much of it the caller knows.
 *
 * Counters only grow, and are read without stopping anyone: two of them may
 * be a few events apart.
 *
 * Return: 0; -EINVAL if @st->sz is too small; -ESRCH if never started.
 */
NUMABAL_API int numabal_get_stats(struct numabal_stats *st);

struct numabal_task_stats {
	size_t sz;
	pid_t tid;
	pid_t numa_group_id;	    /* tid of the thread that founded it */
	int32_t numa_preferred_nid; /* or NUMABAL_NO_NODE */
	int32_t current_nid;
	uint32_t numa_scan_period_ms;
	uint32_t active_nodes;	    /* of its numa_group */
	uint64_t total_numa_faults; /* decayed, as the kernel's */
};

typedef int numabal_task_fn(const struct numabal_task_stats *ts, void *arg);

/**
 * numabal_for_each_task() - call @fn for every registered thread
 * @fn: stops the walk by returning non-zero.
 * @arg: passed through.
 *
 * Return: what @fn last returned, or 0; -ESRCH if not running.
 */
NUMABAL_API int numabal_for_each_task(numabal_task_fn *fn, void *arg);

/* ---- library ------------------------------------------------------------ */

enum numabal_log_level {
	NUMABAL_LOG_WARN = 1,
	NUMABAL_LOG_INFO,
	NUMABAL_LOG_DEBUG,
};
typedef void numabal_log_fn(enum numabal_log_level level, const char *msg,
			    void *arg);

/**
 * numabal_set_log() - take over numabal's messages
 * @fn: called from numabald, never from a signal handler; NULL: silence.
 * @arg: passed through.
 */
NUMABAL_API void numabal_set_log(numabal_log_fn *fn, void *arg);

/**
 * numabal_version() - the version of the library loaded
 *
 * Return: as NUMABAL_VERSION_NUM(), to compare with.
 */
NUMABAL_API unsigned int numabal_version(void);

#ifdef __cplusplus
}
#endif

#endif /* NUMABAL_H */
