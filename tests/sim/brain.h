/* SPDX-License-Identifier: MIT */
/*
 * Who decides: a brain hears of events through these functions and acts by the
 * calls of act.c.  To add one: fill in a struct sim_brain in a file of its
 * own, and name it in brains.h and in the list at the end of brain_simple.c.
 */
#ifndef NB_SIM_BRAIN_H
#define NB_SIM_BRAIN_H

#include <stdbool.h>
#include <stdint.h>

struct sim;

struct sim_fault {
	int thread, cpu, nid;
	uint32_t page;	    /* where the thread was */
	uint32_t start, nr; /* what has been given back */
	uint32_t times;	    /* faults that this one stands for */
	bool write;
};

/* All but name may be left out. */
struct sim_brain {
	const char *name;
	const char *doc;
	/* A page that stands for several 4 KiB pages faults for each of them */
	bool small_faults;
	void *(*init)(struct sim *s);
	void (*fini)(void *ctx);
	/* Where a page goes at its first touch from @nid. */
	int (*alloc_nid)(void *ctx, uint32_t page, int nid);
	/* Before it starts: on which node; NB_NO_NODE: as the scheduler likes.
	 */
	int (*thread_place)(void *ctx, int thread, int creator);
	void (*thread_start)(void *ctx, int thread);
	void (*thread_exit)(void *ctx, int thread);
	void (*thread_moved)(void *ctx, int thread, int from_nid);
	void (*hint_fault)(void *ctx, const struct sim_fault *f);
	void (*tick)(void *ctx);
	/* How often each reason was given, by enum nb_why. */
	const uint64_t *(*why_count)(void *ctx);
	/* The patterns changed; for those that may know. */
	void (*patterns)(void *ctx);
};

#endif /* NB_SIM_BRAIN_H */
