/* SPDX-License-Identifier: MIT */
/*
 * NUMABAL_RECORD: a run written to a file, from which the policy can be run
 * again.  The format is in base/record.h.
 */
#ifndef NB_RECORD_H
#define NB_RECORD_H

#include "base/hint_fault.h"
#include "base/plan.h"
#include "base/record.h"
#include "base/vma.h"
#include "policy/task_place.h"

struct nb_task;

/* The file never gets larger. */
#define NB_RECORD_MAX_BYTES (256 * NB_MIB)
extern uint64_t nb_record_max_bytes; /* for tests */

/* A hint fault, what was decided about it, and what came of that. */
struct nb_record_sample {
	const struct nb_hint_fault *fault;
	const struct nb_page_move *move; /* .why: what came of it */
	const struct nb_task *task;
	unsigned int chunk_shift;
	uint32_t region_flags;
	int page_nid;
	bool no_history; /* nothing was known of the chunk */
	enum nb_why not_movable;
	enum nb_why tier_why; /* NONE: not a question of tiers */
	enum nb_why why;
};

/* record.c: the file */
bool nb_record_open(bool own_descriptors);
void nb_record_close(void);
bool nb_record_on(void);
void nb_record_add(const struct nb_record_event *ev);
void nb_record_flush(uint64_t now_ns);
char *nb_record_scratch(size_t *size);
void nb_record_after_fork(void);

/* record_events.c: what is in it */
void nb_record_start(uint64_t now_ns, bool own_descriptors);
void nb_record_stop(void);
void nb_record_task(const struct nb_task *t);
void nb_record_task_end(const struct nb_task *t);
void nb_record_scan(uint64_t now_ns, const struct nb_vma *vmas, int nr,
		    uint64_t pages_armed);
void nb_record_batch(uint64_t now_ns, unsigned int nr);
void nb_record_sample(const struct nb_record_sample *s);
void nb_record_round(uint64_t now_ns, const struct nb_task_place *place);

#endif /* NB_RECORD_H */
