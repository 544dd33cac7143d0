/* SPDX-License-Identifier: MIT */
/*
 * The table of options, for config.c alone: names, kinds, bounds, defaults.
 */
#ifndef NB_OPTION_H
#define NB_OPTION_H

#include "config.h"
#include "plat/log.h"

enum nb_option_kind {
	NB_OPTION_NUMBER,
	NB_OPTION_POW2, /* 0, or a power of two from @min to @max */
	NB_OPTION_BOOL,
	NB_OPTION_CHOICE, /* the value is the index of the word in @choices */
	NB_OPTION_NODES,
	NB_OPTION_STRING,
	NB_OPTION_LATER, /* known, but this version has nothing for it */
};

struct nb_option {
	const char *name;
	enum nb_option_kind kind;
	enum nb_unit unit;
	uint32_t min;
	uint32_t max;
	uint32_t def;	     /* of NB_OPTION_NODES and _STRING: empty */
	const char *choices; /* words separated by '|' */
	const char *later;   /* of _LATER: the word that is supported */
	size_t offset;	     /* in struct nb_config */
};

/* clang-format off */
#define NB_OPTION_FIELD(f) .offset = offsetof(struct nb_config, f)
#define NB_NUM(n, f, u, lo, hi, d) \
	{.name = #n, .kind = NB_OPTION_NUMBER, .unit = NB_UNIT_##u, \
	 .min = (lo), .max = (hi), .def = (d), NB_OPTION_FIELD(f)}
#define NB_POW2(n, f, u, lo, hi, d) \
	{.name = #n, .kind = NB_OPTION_POW2, .unit = NB_UNIT_##u, \
	 .min = (lo), .max = (hi), .def = (d), NB_OPTION_FIELD(f)}
#define NB_BOOL(n, f, d) \
	{.name = #n, .kind = NB_OPTION_BOOL, .max = 1, .def = (d), \
	 NB_OPTION_FIELD(f)}
#define NB_CHOICE(n, f, words, d) \
	{.name = #n, .kind = NB_OPTION_CHOICE, .choices = (words), \
	 .def = (d), NB_OPTION_FIELD(f)}
#define NB_NODES(n, f) \
	{.name = #n, .kind = NB_OPTION_NODES, NB_OPTION_FIELD(f)}
#define NB_STRING(n, f) \
	{.name = #n, .kind = NB_OPTION_STRING, NB_OPTION_FIELD(f)}
#define NB_LATER(n, off) \
	{.name = #n, .kind = NB_OPTION_LATER, .later = (off)}

#define NB_HOUR_MS 3600000U	/* no reason to wait longer */
#define NB_TIB_MB (1U << 20)	/* per second: above any memory's speed */
#define NB_TIB_KB (1U << 30)

/*
 * The bounds are as wide as the parts behind them can bear.  Where a default
 * is Linux's it says so (kernel/sched/fair.c), so that whoever tuned the
 * kernel's balancing finds the same numbers.  NUMABAL has to be the first.
 */
#define NB_OPTION_LIST \
	NB_CHOICE(NUMABAL, mode, "0|1|observe", NB_MODE_ON), \
	/* Linux: numa_balancing_scan_delay */ \
	NB_NUM(SCAN_DELAY_MS, scan_delay_ms, MS, 0, NB_HOUR_MS, 1000), \
	/* Linux: numa_balancing_scan_period_min, _max */ \
	NB_NUM(SCAN_PERIOD_MIN_MS, scan_period_min_ms, MS, 1, NB_HOUR_MS, \
	       1000), \
	NB_NUM(SCAN_PERIOD_MAX_MS, scan_period_max_ms, MS, 1, NB_HOUR_MS, \
	       60000), \
	/* Linux: numa_balancing_scan_size */ \
	NB_NUM(SCAN_SIZE_MB, scan_size_mb, MB, 1, NB_TIB_MB, 256), \
	/* A process that fits into a few caches has nothing to gain. */ \
	NB_NUM(MIN_RSS_MB, min_rss_mb, MB, 0, 16 * NB_TIB_MB, 64), \
	/* 4 KiB: the smallest page there is; nothing smaller is mapped. */ \
	NB_NUM(MIN_REGION_KB, min_region_kb, KB, 4, NB_TIB_KB, 256), \
	/* From the smallest page to a huge one (NB_BLOCK_BYTES). */ \
	NB_POW2(CHUNK_KB, chunk_kb, KB, 4, 2048, 0), \
	NB_NUM(MAX_OVERHEAD_PCT, max_overhead_pct, PCT, 1, 100, 2), \
	/* 50 us: move_pages(2) takes about 30 before it moves anything. */ \
	NB_NUM(MAX_STALL_US, max_stall_us, US, 50, 1000000, 1000), \
	NB_STRING(LATENCY_THREADS, latency_threads), \
	NB_NUM(MIGRATE_RATE_MBPS, migrate_rate_mbps, MBPS, 0, NB_TIB_MB, 0), \
	NB_BOOL(MOVE_PAGES, move_pages, 1), \
	NB_BOOL(MOVE_TASKS, move_tasks, 1), \
	NB_NODES(NODES, nodes), \
	NB_CHOICE(GUARD, guard, "auto|bracket|conservative|off", \
		  NB_GUARD_AUTO), \
	NB_CHOICE(FOLLOW, follow, "none|fork|exec", NB_FOLLOW_EXEC), \
	NB_STRING(ONLY, only), \
	NB_STRING(SKIP, skip), \
	NB_BOOL(FORCE, force, 0), \
	NB_BOOL(TRACE, trace, 0), \
	NB_STRING(STATS, stats), \
	NB_STRING(RECORD, record), \
	NB_CHOICE(LOG, log, "error|warn|info|debug", NB_LOG_WARN), \
	NB_STRING(LOG_FILE, log_file), \
	NB_LATER(SITES, "0")
/* clang-format on */

#endif /* NB_OPTION_H */
