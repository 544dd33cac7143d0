/* SPDX-License-Identifier: MIT */
/*
 * numabal, watched: a brain that hands all on to it and looks at what it does.
 */
#ifndef NB_SIM_CHECK_BRAIN_H
#define NB_SIM_CHECK_BRAIN_H

#include "numabal.h"

/* What has been seen of one process. */
struct check_proc {
	uint64_t cpu_ns, cost_ns; /* at the last tick */
	uint64_t scan_cpu_ns, base_cost_ns;
	uint64_t cpu_nodes;
	double pages;	 /* of 4 KiB, at most */
	double share_ns; /* of its CPU time, that balancing may cost */
	double worst;	 /* cost at a scan, by what was allowed */
	uint32_t flips;	 /* of the ceiling */
};

struct check {
	struct sim *s;
	void *inner;
	char bad[256]; /* the first thing that was wrong, or empty */
	uint32_t *masks;
	int nr_masks;
	uint64_t heap_bytes; /* that numabal holds */
	bool heap_known;
	uint64_t most_alive;
	double fullest; /* of the memory that it may hold */
	struct check_proc proc[SIM_MAX_PROCS];
};

extern const struct sim_brain check_brain;

#define check_of(s) ((struct check *)(s)->ctx)
#define numabal_of(s) ((struct n_brain *)check_of(s)->inner)

#endif /* NB_SIM_CHECK_BRAIN_H */
