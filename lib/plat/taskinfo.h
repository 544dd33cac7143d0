/* SPDX-License-Identifier: MIT */
/*
 * What the kernel knows of a thread and of the CPUs' load.
 */
#ifndef NB_TASKINFO_H
#define NB_TASKINFO_H

#include "../base/topology.h"

#include <sys/types.h>

#define NB_COMM_LEN 16

struct nb_taskinfo {
	uint64_t run_ns;  /* /proc/self/task/TID/schedstat: on a CPU */
	uint64_t wait_ns; /* ... and waiting for one */
	int cpu;	  /* last CPU, or -1 */
	char state;	  /* as in /proc/PID/stat; 'Z', 'X': gone */
};

/* Not 0 stops the walk and is what it returns. */
typedef int nb_tid_fn(pid_t tid, void *arg);

int nb_taskinfo_read(pid_t tid, struct nb_taskinfo *ti);
int nb_taskinfo_comm(pid_t tid, char comm[NB_COMM_LEN]);
int nb_for_each_tid(nb_tid_fn *fn, void *arg);

/* Idle and total time of each CPU since boot, in clock ticks. */
struct nb_cpu_times {
	uint64_t idle;
	uint64_t total;
};

int nb_cpu_times_read(struct nb_cpu_times *times, int nr_cpus);
void nb_cpu_times_idle(const struct nb_topology *t,
		       const struct nb_cpu_times *before,
		       const struct nb_cpu_times *now,
		       uint64_t idle[NB_MAX_NODES]);

/* Of thousandths of CPUs: four fifths of a CPU's time is a free CPU. */
static inline uint32_t nb_free_cpus(uint64_t idle)
{
	return (uint32_t)((idle + 200) / 1000);
}

/* Resident set in bytes; 0 when /proc is not there. */
uint64_t nb_rss_bytes(void);
/* Locked memory in bytes (VmLck); 0 when unknown. */
uint64_t nb_locked_bytes(void);

bool nb_own_descriptors(void);
int nb_nr_threads(void);

#endif /* NB_TASKINFO_H */
