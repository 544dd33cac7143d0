/* SPDX-License-Identifier: MIT */
/*
 * work: what work_private, work_shared and work_phase have in common.
 *
 * A program has nr_teams teams of threads and as many buffers. Thread i is
 * member i / nr_teams of team i % nr_teams, and in phase p its team uses
 * buffer (team + p) % nr_teams. The programs differ in how many teams they
 * have, in whether there is a second phase, and in where threads start when
 * the placement is to be wrong; that is what struct work_kind tells.
 *
 * Ownership: (I) set before the threads start, then constant; (A) atomic;
 * (T) the thread itself only; (M) main thread only; (O) the thread that owns
 * the lane, handed over at the phase barrier.
 */
#ifndef BENCH_WORK_H
#define BENCH_WORK_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WORK_MAX_NODES 256
#define WORK_MAX_FILLS 8
/* CPUs: what CONFIG_MAXSMP kernels can have. */
#define WORK_SET_BITS 8192
/* One unit of work: short enough for the flags to be seen soon under TCG. */
#define WORK_UNIT_BYTES ((size_t)64 << 10)

/* What work_buf.nid and work_thread.start_nid say when they name no node. */
#define WORK_NID_ANY (-1)
#define WORK_NID_INTERLEAVE (-2)

/* Exit codes. */
enum work_exit {
	WORK_OK = 0,
	WORK_NOT_REACHED = 1, /* --until-local: the time ended first */
	WORK_USAGE = 2,
	WORK_CORRUPT = 3, /* a byte is not what was written last */
	WORK_SETUP = 4,	  /* no memory, no permission */
};

/* In the order of the words that the options accept. */
enum {
	WORK_PLACE_WRONG,
	WORK_PLACE_RIGHT,
	WORK_PLACE_FIRST_TOUCH,
	WORK_PLACE_INTERLEAVE,
	WORK_PLACE_NODE
};
enum { WORK_PIN_NONE, WORK_PIN_WRONG, WORK_PIN_RIGHT };
enum { WORK_THP_DEFAULT, WORK_THP_ON, WORK_THP_OFF };

/* A set of CPUs or of nodes. */
struct work_set {
	unsigned long bits[WORK_SET_BITS / (8 * sizeof(long))];
};

struct work_fill {
	int nid;
	int mb;
	bool leave; /* mb is what to leave free, not what to take */
};

/* Numbers are int or double, words and flags int: the table knows no more. */
struct work_opts {
	int nr_threads;
	int nr_teams; /* 0: as the program's kind says */
	int nr_phases;
	int mb;
	double seconds;
	double interval; /* 0: no progress lines */
	double until_local;
	int place, place_nid;
	int pin;
	int thp;
	int mlock, mbind, map, json, random;
	int nr_fills;
	struct work_fill fill[WORK_MAX_FILLS];
};

struct work_buf {
	uint64_t *mem;	/* (I) */
	int nid;	/* (I) where it is placed, or WORK_NID_* */
	uint32_t *pass; /* (O) [lane][unit]: how often each was rewritten */
};

struct work;

struct work_thread {
	struct work *w;			     /* (I) */
	pthread_t pthread;		     /* (M) */
	int id, team, member;		     /* (I) */
	int start_nid;			     /* (I) */
	uint64_t rng;			     /* (T) */
	_Alignas(64) _Atomic uint64_t units; /* (A) units of work done */
	_Atomic uint64_t sum;		     /* (A) keeps the reads alive */
	_Atomic int nid;		     /* (A) node it last ran on */
	_Atomic unsigned int node_moves;     /* (A) times that nid changed */
};

/**
 * struct work_kind - what makes one of the programs
 * @name: its name, before every message
 * @what: one line for --help
 * @has_teams: --teams is accepted, else each thread has its own buffer
 * @has_phases: --phases is accepted, 2 is the default, and the placement
 *	starts right by default (see work_phase.c for why)
 * @default_teams: number of teams when --teams is not given
 * @place_wrong: set start_nid of each thread and nid of each buffer for
 *	--place wrong; at entry both are those of --place right
 */
struct work_kind {
	const char *name;
	const char *what;
	bool has_teams, has_phases;
	int (*default_teams)(const struct work *w);
	void (*place_wrong)(struct work *w);
};

struct work {
	const struct work_kind *kind; /* (I) */
	struct work_opts opts;	      /* (I) */
	struct work_set allowed;      /* (I) CPUs of the program */
	struct work_set node_mem;     /* (I) nodes that can be allocated on */
	struct work_set node_cpus[WORK_MAX_NODES]; /* (I) allowed CPUs only */
	int homes[WORK_MAX_NODES]; /* (I) nodes to start threads on */
	int nr_homes, max_nid;	   /* (I) */

	int nr_teams, nr_lanes;	     /* (I) lanes: members of the widest team */
	size_t buf_bytes, nr_units;  /* (I) of each buffer */
	struct work_buf *bufs;	     /* (I) nr_teams of them */
	struct work_thread *threads; /* (I) */

	pthread_barrier_t start_barrier; /* the threads and main */
	pthread_barrier_t phase_barrier; /* the threads */
	_Atomic int phase;		 /* (A) set by main */
	_Atomic int phase_begun;	 /* (A) all threads are in this one */
	_Atomic bool stop;		 /* (A) */
	_Atomic bool corrupt;		 /* (A) */
};

/**
 * work_main() - parse options, place, run, measure, report
 * @kind: which program this is
 * @argc: of main()
 * @argv: of main()
 *
 * Context: main thread, once.
 * Return: the exit code, one of enum work_exit.
 */
int work_main(const struct work_kind *kind, int argc, char **argv);

/**
 * work_other_node() - a node to misplace something on
 * @w: the program, its nodes known
 * @nid: the node it belongs to
 * @k: which of the others; any number
 *
 * Context: place_wrong().
 * Return: another node with CPUs and memory, else one with memory only, else
 * @nid itself (a machine of one node).
 */
int work_other_node(const struct work *w, int nid, int k);

/**
 * work_place_apart() - a place_wrong() that keeps teams together
 * @w: the program
 *
 * Each team starts on one node and its buffer on another, so that nothing is
 * local, while nodes have equal shares of threads and of buffers.
 *
 * Context: struct work_kind.
 */
void work_place_apart(struct work *w);

#endif /* BENCH_WORK_H */
