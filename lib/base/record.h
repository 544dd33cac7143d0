/* SPDX-License-Identifier: MIT */
/*
 * The format of a recorded run, NUMABAL_RECORD: a header, then events.
 *
 * Header: 8 bytes magic, 4 bytes version, 4 bytes 0.
 * Event:  1 byte type, 2 bytes length of what follows, 1 byte number of
 *         numbers, the numbers, and the rest of the length is text.
 * Number: zigzag (0, -1, 1, -2 ...), 7 bits a byte, low ones first, the top
 *         bit set in all bytes but the last.
 * Integers of fixed size are little-endian.
 *
 * A type that a reader does not know it leaves out.  A type may get more
 * numbers, at its end: a reader takes those that it does not find as 0, and
 * leaves out those that it does not know.  Nothing else may change without a
 * new version.
 */
#ifndef NB_RECORD_FORMAT_H
#define NB_RECORD_FORMAT_H

#include "util.h"

#define NB_RECORD_MAGIC "NBRECORD"
#define NB_RECORD_VERSION 1
#define NB_RECORD_HEADER 16	    /* bytes */
#define NB_RECORD_EVENT_HEAD 4	    /* bytes before the numbers */
#define NB_RECORD_MAX_PAYLOAD 65535 /* bytes after the length */
#define NB_RECORD_MAX_FIELDS 24

/*
 * Fields of each type.  Times are nanoseconds of CLOCK_MONOTONIC, but for
 * wall_ns; *_cycles are of the counter that hint faults are stamped with (the
 * pairs in start and batch tell one by the other).
 */
/* clang-format off */
#define NB_RECORD_PROCESS_FIELDS(X, t) \
	X(t, pid) X(t, time_ns) X(t, wall_ns) \
	X(t, major) X(t, minor) X(t, patch)
#define NB_RECORD_WHY_FIELDS(X, t) X(t, code) X(t, yes)
#define NB_RECORD_MACHINE_FIELDS(X, t) \
	X(t, nr_nids) X(t, nr_cpus) X(t, topology_type) X(t, page_bytes)
#define NB_RECORD_NODE_FIELDS(X, t) \
	X(t, nid) X(t, has_cpu) X(t, has_memory) X(t, mems_allowed) \
	X(t, mem_total_kb)
#define NB_RECORD_DISTANCE_FIELDS(X, t) X(t, from) X(t, to) X(t, distance)
#define NB_RECORD_OPTIONS_FIELDS(X, t) \
	X(t, nodes) X(t, mode) X(t, move_pages) X(t, move_tasks) \
	X(t, migrate_rate_mbps)
#define NB_RECORD_START_FIELDS(X, t) X(t, time_ns) X(t, cycles)
#define NB_RECORD_TASK_FIELDS(X, t) X(t, slot) X(t, id) X(t, tid)
#define NB_RECORD_TASK_END_FIELDS(X, t) X(t, slot) X(t, id)
#define NB_RECORD_REGION_FIELDS(X, t) \
	X(t, there) X(t, start) X(t, bytes) X(t, flags)
#define NB_RECORD_SCAN_FIELDS(X, t) \
	X(t, time_ns) X(t, scan_seq) X(t, pages_armed) X(t, rss_bytes) \
	X(t, scan_period_ms)
/* So many samples follow, decided on at this time. */
#define NB_RECORD_BATCH_FIELDS(X, t) \
	X(t, nr_samples) X(t, time_ns) X(t, cycles) X(t, tasks_off)
/*
 * A hint fault.  It stands for bytes from addr - before on; its history is the
 * one of the chunk of 1 << chunk_shift bytes around addr.  Then what was
 * decided, and what came of it; tier_why is not NONE where it was a question of
 * tiers, and not of the rules for pages.
 */
#define NB_RECORD_SAMPLE_FIELDS(X, t) \
	X(t, slot) X(t, addr) X(t, before) X(t, bytes) X(t, chunk_shift) \
	X(t, age_cycles) X(t, cpu) X(t, cpu_nid) X(t, page_nid) X(t, flags) \
	X(t, region_flags) X(t, no_history) X(t, not_movable) \
	X(t, why) X(t, dst_nid) X(t, nr_moved) X(t, nr_failed) X(t, result) \
	X(t, tier_why)
/* The end of a pass; so many loads and, then, uses follow. */
#define NB_RECORD_ROUND_FIELDS(X, t) \
	X(t, nr_loads) X(t, nr_uses) X(t, time_ns) X(t, turn) \
	X(t, rss_bytes) X(t, scan_period_ms) \
	X(t, local_pages) X(t, remote_pages)
#define NB_RECORD_LOAD_FIELDS(X, t) \
	X(t, nid) X(t, nr_cpus) X(t, nr_idle) X(t, nr_running) X(t, run_ns) \
	X(t, wait_ns) X(t, own_milli) X(t, busy_milli)
/* What a task did since the round before; then what was decided. */
#define NB_RECORD_USE_FIELDS(X, t) \
	X(t, slot) X(t, time_ns) X(t, run_ns) X(t, wait_ns) \
	X(t, current_nid) X(t, pinned_nid) X(t, running) X(t, bound) \
	X(t, numa_preferred_nid) X(t, why)
#define NB_RECORD_STOP_FIELDS(X, t) X(t, time_ns) X(t, state)
#define NB_RECORD_LIMIT_FIELDS(X, t) X(t, time_ns) X(t, bytes)
/* Decisions since the last such event that are in no sample or use. */
#define NB_RECORD_OTHER_FIELDS(X, t) X(t, why) X(t, nr) X(t, time_ns)

/* X(NAME, number, name in the dump): numbers are for ever. */
#define NB_RECORD_TYPES(X) \
	X(PROCESS, 1, "process") X(WHY, 2, "why") X(MACHINE, 3, "machine") \
	X(NODE, 4, "node") X(DISTANCE, 5, "distance") \
	X(OPTIONS, 6, "options") X(START, 7, "start") X(TASK, 8, "task") \
	X(TASK_END, 9, "task-end") X(REGION, 10, "region") \
	X(SCAN, 11, "scan") X(BATCH, 12, "batch") X(SAMPLE, 13, "sample") \
	X(ROUND, 14, "round") X(LOAD, 15, "load") X(USE, 16, "use") \
	X(STOP, 17, "stop") X(LIMIT, 18, "limit") X(OTHER, 19, "other")

#define NB_RECORD_TYPE_ENUM(name, nr, text) NB_RECORD_##name = (nr),
enum nb_record_type { NB_RECORD_TYPES(NB_RECORD_TYPE_ENUM) };

/* NB_RECORD_SAMPLE_addr: its place in v[]. */
#define NB_RECORD_FIELD_ENUM(t, name) NB_RECORD_##t##_##name,
#define NB_RECORD_FIELDS_ENUM(t, nr, text) \
	enum { \
		NB_RECORD_##t##_FIELDS(NB_RECORD_FIELD_ENUM, t) \
		NB_RECORD_##t##_NR \
	}; \
	_Static_assert(NB_RECORD_##t##_NR <= NB_RECORD_MAX_FIELDS, "");
NB_RECORD_TYPES(NB_RECORD_FIELDS_ENUM)
/* clang-format on */

struct nb_record_event {
	uint32_t type;	  /* enum nb_record_type, or one from the future */
	uint32_t nr;	  /* numbers in v[] */
	const char *text; /* not terminated */
	size_t text_len;
	int64_t v[NB_RECORD_MAX_FIELDS];
};

/* What is known of a type; NULL: nothing. */
struct nb_record_type_info {
	const char *name;
	const char *const *fields;
	uint32_t nr;
};

size_t nb_record_put_header(uint8_t *buf);
int nb_record_check_header(const uint8_t *buf, size_t size, uint32_t *version);
size_t nb_record_put(uint8_t *buf, size_t size,
		     const struct nb_record_event *ev);
int nb_record_get(const uint8_t *buf, size_t size, struct nb_record_event *ev,
		  size_t *used);
const struct nb_record_type_info *nb_record_type_info(uint32_t type);

#endif /* NB_RECORD_FORMAT_H */
