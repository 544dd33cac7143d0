/* SPDX-License-Identifier: MIT */
/*
 * A recorded run (lib/base/record.h) taken through lib/policy again.
 *
 * What came from outside is as it was recorded: hint faults, where pages were
 * and whether they could be moved, what threads did, how busy nodes were.  So
 * with the policy that was recorded every decision comes out as it was; with
 * another one, each is what that policy would have said to the same events.
 *
 * Not replayed but taken as they were: what is a question of tiers (memory on
 * nodes without CPUs), and where new threads start.
 */
#ifndef NB_SIM_REPLAY_H
#define NB_SIM_REPLAY_H

#include "../../lib/base/record.h"
#include "../../lib/policy/group_place.h"
#include "../../lib/policy/migrate_filter.h"
#include "../../lib/policy/numa_faults.h"
#include "../../lib/policy/rate_limit.h"
#include "../../lib/policy/task_place.h"
#include "../../lib/policy/tier.h"

#include <stdio.h>

#define REPLAY_MAX_SLOTS 8192 /* lib/mech/slot.h */
#define REPLAY_MAX_BATCH 4096 /* more than lib/sample.c takes at once */

/* lib/tasks.h */
struct replay_task {
	uint32_t id; /* 0: none */
	int32_t tid;
	bool running;
	uint16_t place_why;
	uint32_t hold;
	struct nb_numa_faults *nf;
	struct nb_partners *partners;
	uint32_t group;
	int group_index;
};

struct replay_history {
	uint64_t key; /* chunk and its size; 0: free */
	struct nb_page_history h;
};

struct replay_use {
	int slot;
	uint64_t d_ns, d_run_ns;
	struct nb_task_view view;
	bool off;	   /* threads were not to be moved */
	int preferred_nid; /* as recorded */
	int why;	   /* as recorded */
};

struct replay_sample {
	int slot;
	uint64_t addr, bytes;
	unsigned int chunk_shift;
	int cpu_nid, page_nid;
	bool no_history;
	enum nb_why not_movable;
	enum nb_why tier_why; /* what tiers say, or NONE */
	bool waits;	      /* there was no room for it */
	int why;	      /* as recorded */
	int dst_nid;
	uint32_t nr_moved, nr_failed;
	int result; /* what came of it */
	/* as replayed */
	struct nb_last_user last;
	enum nb_why new_why;
	int new_dst_nid;
};

/* The first decision that is not as it was. */
struct replay_difference {
	uint64_t time_ns;
	uint64_t sample; /* its number, from 1; 0: about a task */
	uint64_t addr;
	int32_t tid;
	const char *about; /* NULL: there is none */
	char recorded[32], replayed[32];
};

enum replay_end {
	REPLAY_CUT,   /* no more events: the process was killed */
	REPLAY_TORN,  /* ... in the middle of one */
	REPLAY_STOP,  /* as it should be */
	REPLAY_LIMIT, /* the file had its largest size */
};

struct replay {
	/* the run */
	char comm[32];
	int64_t pid, version[3];
	uint64_t start_ns, last_ns;
	struct nb_topology topo;
	uint32_t page_bytes;
	struct nb_nodemask nodes;
	bool has_machine, has_options, started;
	enum replay_end end;
	/* reasons: of the record to ours, and names of the record */
	int why_of[256];
	char why_name[256][32];
	/* what policy keeps */
	struct replay_task *task; /* REPLAY_MAX_SLOTS */
	uint16_t slot_of_id[2 * REPLAY_MAX_SLOTS];
	struct nb_group_set groups;
	struct nb_group_task *members; /* in the order of .use */
	void *scratch;
	struct nb_rate_limit rate;
	struct replay_history *history;
	size_t nr_history, cap_history; /* a power of two */
	/* events that belong together, until the last of them has come */
	struct replay_sample *sample;
	uint32_t nr_sample, want_sample;
	uint64_t batch_ns;
	bool tasks_off;
	struct replay_use *use;
	uint32_t nr_use, want_use, want_load;
	uint64_t round_ns;
	struct nb_task_place place;
	/* results */
	uint64_t nr_samples, nr_rounds, nr_tasks, nr_scans, nr_differ;
	uint64_t recorded[256]; /* by the record's numbers */
	uint64_t other[256];	/* made elsewhere, and not replayed */
	uint64_t replayed[NB_NR_WHY];
	struct replay_difference first;
	char err[160];
};

/* replay.c */
int replay_init(struct replay *r);
void replay_free(struct replay *r);
int replay_run(struct replay *r, const uint8_t *buf, size_t size, FILE *dump);

/* replay_event.c: an event, checked and kept; -EINVAL: r->err says why not */
int replay_event(struct replay *r, const struct nb_record_event *ev);
int replay_wrong(struct replay *r, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* replay_decide.c: what lib/sample.c and lib/place.c do */
int replay_batch(struct replay *r);
int replay_round(struct replay *r);
void replay_task_begin(struct replay *r, int slot, uint32_t id, int32_t tid);

/* replay_print.c */
const char *replay_why_name(enum nb_why why);
void replay_dump(const struct replay *r, const struct nb_record_event *ev,
		 FILE *f);
void replay_report(const struct replay *r, FILE *f);

#endif /* NB_SIM_REPLAY_H */
