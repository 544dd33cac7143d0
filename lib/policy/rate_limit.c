/* SPDX-License-Identifier: MIT */
/*
 * 9. A token bucket over migrated bytes.
 *
 * numabald asks before it hands a batch to mech/migrate.  The bucket holds what
 * may be moved in 100 ms, and at least one huge page: a limit must slow down
 * migration, not make the migration of a huge page impossible.
 *
 * Owns nothing: the state is the caller's struct nb_rate_limit.
 *
 * Differs from Linux, which has had no limit for balancing since 4.20 and whose
 * older one let the whole allowance through at the start of each window.
 */
#include "rate_limit.h"

/* Linux before 4.20: migrate_interval_millisecs 100 */
#define BURSTS_PER_SEC 10

/* One huge page on x86-64, and on arm64 with 4 KiB pages. */
#define MIN_BURST_BYTES (2 * NB_MIB)

static uint64_t burst_bytes(const struct nb_rate_limit *r)
{
	return nb_max(r->bytes_per_sec / BURSTS_PER_SEC, MIN_BURST_BYTES);
}

/**
 * nb_rate_limit_init() - start with a full bucket.
 * @r: the bucket
 * @bytes_per_sec: the limit; 0: none
 * @now_ns: time, from any start
 *
 * Context: numabald.
 */
void nb_rate_limit_init(struct nb_rate_limit *r, uint64_t bytes_per_sec,
			uint64_t now_ns)
{
	r->bytes_per_sec = bytes_per_sec;
	r->tokens = burst_bytes(r);
	r->last_ns = now_ns;
}

/*
 * What @ns are worth in bytes, @burst at most.  The products are split so that
 * none passes 64 bits: whole and broken seconds, whole and broken bytes per ns.
 */
static uint64_t earned(uint64_t rate, uint64_t ns, uint64_t burst)
{
	uint64_t secs = ns / NB_NSEC_PER_SEC;
	uint64_t rest = ns % NB_NSEC_PER_SEC;
	uint64_t bytes;

	if (secs > burst / rate)
		return burst;
	bytes = secs * rate + rate / NB_NSEC_PER_SEC * rest +
		rate % NB_NSEC_PER_SEC * rest / NB_NSEC_PER_SEC;
	return nb_min(bytes, burst);
}

static void refill(struct nb_rate_limit *r, uint64_t now_ns)
{
	uint64_t burst = burst_bytes(r);
	uint64_t bytes;

	/* A clock that went back earns nothing, and goes on from there. */
	if (now_ns < r->last_ns)
		r->last_ns = now_ns;
	bytes = earned(r->bytes_per_sec, now_ns - r->last_ns, burst);
	/* Less than a byte: keep the time, or frequent calls earn nothing. */
	if (!bytes)
		return;
	r->tokens = nb_min(r->tokens + bytes, burst);
	r->last_ns = now_ns;
}

/**
 * nb_rate_limit_take() - ask to move bytes now.
 * @r: the bucket
 * @bytes: how many are wanted
 * @now_ns: the time
 *
 * Context: numabald.
 * Return: how many may be moved now, @bytes at most; they are taken.
 */
uint64_t nb_rate_limit_take(struct nb_rate_limit *r, uint64_t bytes,
			    uint64_t now_ns)
{
	uint64_t granted;

	if (!r->bytes_per_sec)
		return bytes;
	refill(r, now_ns);
	granted = nb_min(bytes, r->tokens);
	r->tokens -= granted;
	return granted;
}
