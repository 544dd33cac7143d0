/* SPDX-License-Identifier: MIT */
/*
 * A small kernel for unit tests: one range of pages, some nodes, some threads.
 *
 * It does what Linux does where mech depends on it: mprotect(2) that fails
 * half-way, a limit on mappings, move_pages(2) that stops at the first flush
 * with a page left behind, a transparent huge page that moves as a whole.
 * Any call can be made to fail.  Time is not in struct nb_sys and is real.
 */
#ifndef NB_TEST_FAKE_SYS_H
#define NB_TEST_FAKE_SYS_H

#include "../../lib/base/topology.h"
#include "../../lib/plat/sys.h"

#define FAKE_PAGE 4096ULL
#define FAKE_NR_PAGES 16384U /* 64 MiB: 32 blocks */
/* Nothing is there, under sanitizers neither. */
#define FAKE_BASE 0x480040000000ULL
#define FAKE_END (FAKE_BASE + FAKE_NR_PAGES * FAKE_PAGE)
#define FAKE_NR_TIDS 16
#define FAKE_LOG 4096

enum fake_kind {
	FAKE_MPROTECT,
	FAKE_MOVE_PAGES,
	FAKE_MINCORE,
	FAKE_MEMBARRIER,
	FAKE_POLICY,
	FAKE_SETAFFINITY,
	FAKE_GETAFFINITY,
	FAKE_READ_FILE,
	FAKE_NODE_FREE,
	FAKE_NR_KINDS,
	FAKE_ANY = FAKE_NR_KINDS,
};

struct fake_page {
	bool mapped;
	bool resident;
	bool huge;   /* one of the 512 of a huge page */
	int prot;    /* PROT_* */
	int nid;     /* where it is, if resident */
	int policy;  /* MPOL_* of its mapping */
	int refuses; /* errno of moving it: EBUSY at once, EAGAIN late */
};

struct fake_call {
	enum fake_kind kind;
	uint64_t addr; /* mprotect, mincore; move_pages: of the first page */
	uint64_t len;  /* move_pages: count; affinity: tid */
	int arg;       /* mprotect: prot; move_pages: node, -1 for a query */
	long ret;
};

struct fake_tid {
	pid_t tid; /* 0: none */
	struct nb_cpumask mask;
};

struct fake_fault {
	enum fake_kind kind;
	unsigned int nth;   /* from 1; 0: none */
	unsigned int count; /* how many from the nth on fail */
	int err;	    /* positive errno */
	bool partial;	    /* a failing mprotect changes half of the range */
	unsigned int seen;
	unsigned int fired;
};

struct fake {
	struct fake_page page[FAKE_NR_PAGES];
	unsigned int nr_vmas;  /* runs of mapped pages with one protection */
	unsigned int max_vmas; /* 0: no limit */
	int nr_nids;
	uint64_t free_bytes[NB_MAX_NODES];
	struct nb_cpumask online;
	struct fake_tid tid[FAKE_NR_TIDS];
	pid_t self; /* whom tid 0 means */
	struct fake_fault fault;
	/* Called once, in the next mprotect: what another thread does then. */
	void (*meanwhile)(void);
	void (*at_membarrier)(void); /* likewise, in the next membarrier */
	unsigned int calls[FAKE_NR_KINDS];
	unsigned int nr_log; /* calls ever; the first FAKE_LOG are kept */
	struct fake_call log[FAKE_LOG];
};

extern struct fake fake;
extern const struct nb_sys fake_sys;

void fake_reset(void);
/* Pages read-write and resident on @nid. */
void fake_map(uint64_t addr, uint64_t len, int nid);
void fake_unmap(uint64_t addr, uint64_t len);
struct fake_page *fake_page(uint64_t addr);
/* The @nth call of @kind fails with @err. */
void fake_fail(enum fake_kind kind, unsigned int nth, int err);
/* @nth and all later ones. */
void fake_fail_from(enum fake_kind kind, unsigned int nth, int err);
/* How often did it? Nothing fails any more after. */
unsigned int fake_fail_end(void);
void fake_log_clear(void);
/* The @nth call of @kind in the log, from 0, or NULL. */
const struct fake_call *fake_logged(enum fake_kind kind, unsigned int nth);
/* Where the thread may run; NULL: there is no such thread. */
struct nb_cpumask *fake_tid_mask(pid_t tid);
void fake_add_tid(pid_t tid, const struct nb_cpumask *mask);
/* @nr_nids nodes of 1 GiB in a row, CPUs dealt out in blocks, all allowed. */
void fake_topology(struct nb_topology *t, int nr_nids, int cpus_per_nid);

#endif /* NB_TEST_FAKE_SYS_H */
