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
 * While memory is being put in its place - at the start, and after the program
 * has changed its ways - passes are four times as frequent: what a page's
 * second use tells should not be long in coming.  And as each window is a
 * sample of all memory, the next one tells of such a change.
 *
 * Owns nothing: the state is the caller's struct nb_scan_period.
 *
 * Differs from Linux (update_task_scan_period()):
 * - Windows are smaller than scan_size where there are less than 16 of them.
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

#define WINDOWS_WANTED 16
#define WINDOW_MIN_MB 8

/* Passes are so many times as frequent while memory is put in its place. */
#define QUICK_FACTOR 4

/*
 * A window that says something: with 64 faults and 80 % local a share that is
 * lower by 30 % is six standard deviations away.
 */
#define CHANGE_MIN_FAULTS 64
#define CHANGE_PERMILLE 300

/**
 * nb_scan_size_mb() - how large a window should be.
 * @rss_bytes: resident memory of the process
 * @max_mb: MiB per scan at most
 *
 * Context: numabald.
 * Return: MiB: a sixteenth of the memory, at least 8, at most @max_mb.
 */
uint32_t nb_scan_size_mb(uint64_t rss_bytes, uint32_t max_mb)
{
	uint64_t mb = rss_bytes / WINDOWS_WANTED / NB_MIB;

	mb = nb_max(mb, (uint64_t)WINDOW_MIN_MB);
	return (uint32_t)nb_min(mb, (uint64_t)nb_max(max_mb, 1U));
}

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

static uint32_t min_of(const struct nb_scan_period *p,
		       const struct nb_scan_period_opts *o, uint64_t rss_bytes)
{
	uint32_t min_ms = nb_scan_period_min(o, rss_bytes);

	return p->quick ? nb_max(min_ms / QUICK_FACTOR, 1U) : min_ms;
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
	p->quick = true;
	p->scan_period_ms = min_of(p, o, rss_bytes);
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
	int64_t min_ms = min_of(p, o, rss_bytes);
	int64_t max_ms = nb_scan_period_max(o, rss_bytes);
	int64_t period = p->scan_period_ms;

	p->failed = p->failed / 2 + pf->failed;
	if (pf->local + pf->remote == 0 || p->failed > pf->moved)
		period *= 2;
	else if (p->quick && slots_to_change(pf) < 0)
		period = min_ms;
	else
		period += slots_to_change(pf) *
			  (int64_t)nb_div_round_up(p->scan_period_ms,
						   PERIOD_SLOTS);
	p->scan_period_ms = (uint32_t)nb_clamp(period, min_ms, max_ms);
}

/**
 * nb_scan_phase_changed() - does a window tell of new ways of the program?
 * @before: the faults of the pass when the window was armed
 * @now: and until now
 * @local_permille: share of local pages in the last pass
 *
 * Context: numabald.
 * Return: true if much less of the window is local than the pass was.
 */
bool nb_scan_phase_changed(const struct nb_pass_faults *before,
			   const struct nb_pass_faults *now,
			   uint32_t local_permille)
{
	uint64_t local = now->local - before->local;
	uint64_t all = local + now->remote - before->remote;
	uint64_t faults = now->faults - before->faults;

	/* Another pass has begun: this window tells nothing. */
	if (now->faults < before->faults || now->local < before->local ||
	    now->remote < before->remote)
		return false;
	return faults >= CHANGE_MIN_FAULTS &&
	       local * 1000 + all * CHANGE_PERMILLE < all * local_permille;
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

/**
 * nb_scan_ask_delay() - when to ask again whether a scan is allowed.
 * @to_go_ns: CPU time that the process has to run before
 * @ran_ns: how long it ran lately
 * @passed_ns: and in which time
 * @min_ns: not sooner
 *
 * Asking costs CPU time as well, which the process has to earn.  Who asks again
 * and again while little is missing spends all that is earned meanwhile, and is
 * never allowed: so @min_ns should grow from one refusal to the next.
 *
 * Context: numabald.
 * Return: nanoseconds: until the process will have run so long, if it runs as
 * it did, and half a second at most.
 */
uint64_t nb_scan_ask_delay(uint64_t to_go_ns, uint64_t ran_ns,
			   uint64_t passed_ns, uint64_t min_ns)
{
	/* Microseconds, of 70 minutes: their product is below 2^64. */
	uint64_t to_go = nb_min(to_go_ns / 1000, (uint64_t)UINT32_MAX);
	uint64_t passed = nb_min(passed_ns / 1000, (uint64_t)UINT32_MAX);
	uint64_t ran = ran_ns / 1000, wait = NB_SCAN_ASK_MAX_NS / 1000;

	if (ran)
		wait = nb_min(to_go * passed / ran, wait);
	wait = nb_max(wait * 1000, min_ns);
	return nb_min(wait, NB_SCAN_ASK_MAX_NS);
}
