/* SPDX-License-Identifier: MIT */
/*
 * 10. How soon to scan again.
 *
 * A pass over the resident memory is cut into windows of scan_size; the scan
 * period is the time between two windows.  Its bounds are times for a whole
 * pass, divided by the number of windows.  After every pass numabald gives the
 * pass's faults here: what is in place is scanned more slowly, what still has
 * to move faster.
 *
 * Owns nothing: the state is the caller's struct nb_scan_period.
 *
 * Differs from Linux (update_task_scan_period()):
 * - One period per process, not per task: one thread scans for all.  The
 *   scaling by sharing (task_scan_start(), task_scan_max()) goes with it.
 * - Nothing but private remote faults speeds scanning up.  The kernel takes
 *   "no local and no shared faults" for "idle", and doubles the period of the
 *   very task that most needs balancing.
 * - Failed migrations fade, and slow down only while they outnumber those that
 *   worked.  In the kernel a single one doubles the period at every later pass.
 * - Locality is looked at before sharing.  The kernel asks first whether faults
 *   are private, and slows down for private memory on the wrong node.
 */
#include "scan_period.h"

/* Linux: NUMA_PERIOD_SLOTS, NUMA_PERIOD_THRESHOLD */
#define PERIOD_SLOTS 10
#define PERIOD_THRESHOLD 7

/* Linux: MAX_SCAN_WINDOW, in MiB: never more than 2.5 GiB of a second's pass */
#define MAX_SCAN_WINDOW 2560

#define MSEC_PER_SEC 1000

/**
 * nb_nr_scan_windows() - in how many scans a pass is cut.
 * @rss_bytes: resident memory of the process
 * @scan_size_mb: MiB per scan
 *
 * Context: numabald.
 * Return: the number, at least 1.
 */
uint64_t nb_nr_scan_windows(uint64_t rss_bytes, uint32_t scan_size_mb)
{
	uint64_t window = nb_max(scan_size_mb, 1U) * NB_MIB;

	return nb_max(nb_div_round_up(rss_bytes, window), 1ULL);
}

/**
 * nb_scan_period_min() - the shortest period for this much memory.
 * @o: options
 * @rss_bytes: resident memory of the process
 *
 * Context: numabald.
 * Return: milliseconds.
 */
uint32_t nb_scan_period_min(const struct nb_scan_period_opts *o,
			    uint64_t rss_bytes)
{
	uint32_t size = nb_max(o->scan_size_mb, 1U);
	uint32_t floor_ms = MSEC_PER_SEC;
	uint64_t min_ms;

	if (size < MAX_SCAN_WINDOW)
		floor_ms = MSEC_PER_SEC / (MAX_SCAN_WINDOW / size);
	min_ms = o->scan_period_min_ms / nb_nr_scan_windows(rss_bytes, size);
	/* Windows of 1 or 2 MiB have a floor of 0: a period never is. */
	floor_ms = nb_max(floor_ms, 1U);
	return nb_max((uint32_t)min_ms, floor_ms);
}

/**
 * nb_scan_period_max() - the longest period for this much memory.
 * @o: options
 * @rss_bytes: resident memory of the process
 *
 * Context: numabald.
 * Return: milliseconds, not less than nb_scan_period_min().
 */
uint32_t nb_scan_period_max(const struct nb_scan_period_opts *o,
			    uint64_t rss_bytes)
{
	uint64_t windows = nb_nr_scan_windows(rss_bytes, o->scan_size_mb);
	uint32_t max_ms = (uint32_t)(o->scan_period_max_ms / windows);

	return nb_max(max_ms, nb_scan_period_min(o, rss_bytes));
}

/**
 * nb_scan_period_start() - the first period: the shortest.
 * @p: out: the period
 * @o: options
 * @rss_bytes: resident memory of the process
 *
 * Context: numabald.
 */
void nb_scan_period_start(struct nb_scan_period *p,
			  const struct nb_scan_period_opts *o,
			  uint64_t rss_bytes)
{
	p->scan_period_ms = nb_scan_period_min(o, rss_bytes);
	p->failed = 0;
}

/* Tenths of @part in @part + @rest, which are not both 0. */
static int64_t tenths(uint64_t part, uint64_t rest)
{
	return (int64_t)(part * PERIOD_SLOTS / (part + rest));
}

/* By how many slots the period gets longer, or shorter if negative. */
static int64_t slots_to_change(const struct nb_pass_faults *pf)
{
	int64_t local = tenths(pf->local, pf->remote);
	int64_t shared = 0;

	if (local >= PERIOD_THRESHOLD)
		return nb_max(local - PERIOD_THRESHOLD, 1L);
	if (pf->shared)
		shared = tenths(pf->shared, pf->priv);
	if (shared < PERIOD_THRESHOLD)
		return local - PERIOD_THRESHOLD;
	/*
	 * Remote because several nodes share it: scanning faster would not make
	 * it local.  Give it up slowly, and not while pages still move.
	 */
	return pf->moved ? 0 : nb_max(shared - PERIOD_THRESHOLD, 1L);
}

/**
 * nb_scan_period_update() - adapt the period after a pass.
 * @p: the period
 * @o: options
 * @pf: the faults of the pass
 * @rss_bytes: resident memory of the process now
 *
 * Context: numabald.
 */
void nb_scan_period_update(struct nb_scan_period *p,
			   const struct nb_scan_period_opts *o,
			   const struct nb_pass_faults *pf, uint64_t rss_bytes)
{
	int64_t min_ms = nb_scan_period_min(o, rss_bytes);
	int64_t max_ms = nb_scan_period_max(o, rss_bytes);
	int64_t period = p->scan_period_ms;

	p->failed = p->failed / 2 + pf->failed;
	if (pf->local + pf->remote == 0 || p->failed > pf->moved)
		period *= 2;
	else
		period += slots_to_change(pf) *
			  (int64_t)nb_div_round_up(p->scan_period_ms,
						   PERIOD_SLOTS);
	p->scan_period_ms = (uint32_t)nb_clamp(period, min_ms, max_ms);
}

/**
 * nb_scan_budget_delay() - how long the process must run before the next scan.
 * @cost_ns: CPU time that balancing has cost
 * @cpu_ns: CPU time of the process over the same time, cost included
 * @max_overhead_pct: the ceiling, in percent of @cpu_ns
 *
 * Linux waits for 32 times the cost of a scan, which makes 3 %; this is the
 * same rule for any ceiling, and for all that balancing costs.
 *
 * Context: numabald.
 * Return: nanoseconds of process CPU time to go; 0: scan now; UINT64_MAX: never
 * (a ceiling of 0, or a cost beyond any time).
 */
uint64_t nb_scan_budget_delay(uint64_t cost_ns, uint64_t cpu_ns,
			      uint32_t max_overhead_pct)
{
	uint64_t need_ns;

	if (max_overhead_pct >= 100 || !cost_ns)
		return 0;
	if (!max_overhead_pct || cost_ns > UINT64_MAX / 100)
		return UINT64_MAX;
	need_ns = nb_div_round_up(cost_ns * 100, max_overhead_pct);
	return need_ns > cpu_ns ? need_ns - cpu_ns : 0;
}
