/* SPDX-License-Identifier: MIT */
/*
 * The kernel as the library calls it: one table of raw system calls.
 *
 * Every entry returns the kernel's result, or -errno; errno is never touched.
 * All are async-signal-safe and allocate nothing.  The table exists so that
 * tests can run mech on a fake address space and fail the N-th call.
 */
#ifndef NB_SYS_H
#define NB_SYS_H

#include "../base/nodemask.h"
#include "../base/vma.h"

#include <sys/types.h>

/*
 * @name is the path or [name], perhaps empty, valid during the call.  Not 0
 * stops the walk and is what it returns.
 */
typedef int nb_vma_fn(const struct nb_vma *vma, const char *name, void *arg);

struct nb_sys {
	/* memory */
	long (*mprotect)(uint64_t addr, uint64_t len, int prot);
	/* move_pages(2) on this process, MPOL_MF_MOVE; nodes NULL: query */
	long (*move_pages)(unsigned long count, void **pages, const int *nodes,
			   int *status);
	/* mincore(2): bit 0 of vec[i] tells whether page i is resident */
	long (*mincore)(uint64_t addr, uint64_t len, unsigned char *vec);
	/*
	 * A full memory barrier in every running thread of the process.  Fails
	 * where the kernel lacks or refuses membarrier(2).
	 */
	long (*membarrier)(void);
	/* mode of the VMA's own policy at addr (MPOL_F_ADDR) */
	long (*get_vma_policy)(uint64_t addr, int *mode);
	/* the mappings that overlap a range: nb_maps_walk() */
	int (*walk_maps)(uint64_t start, uint64_t end, nb_vma_fn *fn,
			 void *arg);
	/* threads */
	long (*sched_setaffinity)(pid_t tid, const struct nb_cpumask *mask);
	long (*sched_getaffinity)(pid_t tid, struct nb_cpumask *mask);
	/* files: /proc and /sys, whole, NUL-terminated; length or -errno */
	long (*read_file)(const char *path, char *buf, size_t size);
	/* bytes of free memory on a node */
	long (*node_free_bytes)(int nid, uint64_t *bytes);
};

extern const struct nb_sys nb_sys_linux;

/* Raw calls that no test needs to replace. */
long nb_syscall6(long nr, long a, long b, long c, long d, long e, long f);
long nb_sys_gettid(void);
long nb_sys_getpid(void);
long nb_sys_getcpu(int *cpu, int *nid);
uint64_t nb_clock_ns(void);	  /* CLOCK_MONOTONIC */
uint64_t nb_process_cpu_ns(void); /* CLOCK_PROCESS_CPUTIME_ID */
uint64_t nb_thread_cpu_ns(void);  /* CLOCK_THREAD_CPUTIME_ID */
long nb_sys_write_all(int fd, const char *buf, size_t len);
long nb_futex_wait(uint32_t *word, uint32_t val, uint64_t timeout_ns);
long nb_futex_wake(uint32_t *word, int nr);
long nb_sys_sched_yield(void);
long nb_sys_membarrier_register(void);
bool nb_thread_exists(pid_t tid); /* in this process */

#endif /* NB_SYS_H */
