/* SPDX-License-Identifier: MIT */
/*
 * 10. How soon to scan again.
 */
#ifndef NB_SCAN_PERIOD_H
#define NB_SCAN_PERIOD_H

#include "../base/util.h"

/* Whether a scan is allowed is asked as often at least. */
#define NB_SCAN_ASK_MAX_NS (500 * NB_NSEC_PER_MSEC)

struct nb_scan_period_opts {
	uint32_t scan_period_min_ms;
	uint32_t scan_period_max_ms;
	uint32_t scan_size_mb;
};

/* One pass's faults, in pages, summed over the process's threads. */
struct nb_pass_faults {
	uint64_t local;
	uint64_t remote;
	uint64_t failed; /* wanted migrations that did not happen */
	uint64_t moved;	 /* pages migrated */
	uint64_t priv;
	uint64_t shared;
	uint64_t faults; /* how many these are */
};

struct nb_scan_period {
	uint32_t scan_period_ms; /* between two scans (windows) */
	uint64_t failed;	 /* decayed over passes */
	bool quick;		 /* memory is being put in its place */
};

uint32_t nb_scan_size_mb(uint64_t rss_bytes, uint32_t max_mb);
uint64_t nb_nr_scan_windows(uint64_t rss_bytes, uint32_t scan_size_mb);
uint32_t nb_scan_period_min(const struct nb_scan_period_opts *o,
			    uint64_t rss_bytes);
uint32_t nb_scan_period_max(const struct nb_scan_period_opts *o,
			    uint64_t rss_bytes);
void nb_scan_period_start(struct nb_scan_period *p,
			  const struct nb_scan_period_opts *o,
			  uint64_t rss_bytes);
void nb_scan_period_update(struct nb_scan_period *p,
			   const struct nb_scan_period_opts *o,
			   const struct nb_pass_faults *pf, uint64_t rss_bytes);
bool nb_scan_phase_changed(const struct nb_pass_faults *before,
			   const struct nb_pass_faults *now,
			   uint32_t local_permille);
uint64_t nb_scan_budget_delay(uint64_t cost_ns, uint64_t cpu_ns,
			      uint32_t max_overhead_pct);
uint64_t nb_scan_ask_delay(uint64_t to_go_ns, uint64_t ran_ns,
			   uint64_t passed_ns, uint64_t min_ns);

#endif /* NB_SCAN_PERIOD_H */
