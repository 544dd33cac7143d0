/* SPDX-License-Identifier: MIT */
/*
 * The kernel's tiers: which pages of slow memory are hot enough to be promoted
 * (Z3-Z6), and kswapd, which makes room by demoting cold ones (Z8).
 */
#include "kernel.h"

#define THRESHOLD_MS 1000
#define ADJUST_NS (60 * NB_NSEC_PER_SEC)
#define GIB_4K 262144
#define LOOK_NS 60.0 /* at a page's accessed bit */

/* Pages that a node keeps free: the high watermark, and the one above. */
static uint64_t high(const struct kernel *k, int nid)
{
	return k->s->m.mem_4k[nid] / 128;
}

bool k_has_room(const struct kernel *k, int nid, uint32_t nr_4k)
{
	return sim_free_4k(k->s, nid) >= high(k, nid) + nr_4k;
}

/* Z5 */
static void adjust(struct kernel *k)
{
	/* 64 GiB/s, as far as anybody could ever be promoted. */
	uint64_t limit = 65536ULL * 256 * 60;
	uint32_t unit = 2 * THRESHOLD_MS / 16;

	if (k->s->now_ns < k->adjust_ns + ADJUST_NS)
		return;
	k->adjust_ns = k->s->now_ns;
	if (k->candidates > limit / 100 * 110)
		k->threshold_ms = nb_max(k->threshold_ms - unit, unit);
	else if (k->candidates < limit / 100 * 90)
		k->threshold_ms =
			nb_min(k->threshold_ms + unit, 2U * THRESHOLD_MS);
	k->candidates = 0;
}

/**
 * k_promote() - is a page of slow memory hot?
 * @k: the kernel
 * @page: the page, which was just touched
 * @nid: where it was touched from
 *
 * Return: true if it should move there.
 */
bool k_promote(struct kernel *k, uint32_t page, int nid)
{
	uint64_t enough = nb_max(k->s->m.mem_4k[nid] / 16, GIB_4K + 0ULL);
	uint16_t now_ms = (uint16_t)(k->s->now_ns / NB_NSEC_PER_MSEC);

	k->page[page].cpupid = 0;
	if (sim_free_4k(k->s, nid) > 2 * high(k, nid) + enough) {
		k->threshold_ms = THRESHOLD_MS;
		return true;
	}
	adjust(k);
	if ((uint16_t)(now_ms - k->page[page].scan_ms) >= k->threshold_ms)
		return false;
	k->candidates += sim_region_of(k->s, page)->page_4k;
	return true;
}

/* The nearest node below that has room. */
static int below(const struct kernel *k, int nid)
{
	int best = -1;

	for (int n = 0; n < k->s->m.nr_nodes; n++)
		if (!k_top_tier(k, n) && k_has_room(k, n, 512) &&
		    (best < 0 ||
		     k->s->m.distance[nid][n] < k->s->m.distance[nid][best]))
			best = n;
	return best;
}

/* A turn of kswapd: at most a quarter of memory, until there is room. */
static void demote(struct kernel *k, int nid)
{
	struct sim *s = k->s;
	uint64_t looks = s->nr_pages / 4 + 1;
	int to = below(k, nid);

	while (looks-- && to >= 0) {
		uint32_t p = k->hand[nid] = (k->hand[nid] + 1) % s->nr_pages;
		uint32_t ticks;

		if (s->page_nid[p] != nid)
			continue;
		if (sim_free_4k(s, nid) >= 3 * high(k, nid)) {
			k->kswapd[nid] = false;
			return;
		}
		ticks = (uint32_t)s->tick - k->page[p].checked;
		k->page[p].checked = (uint32_t)s->tick;
		sim_charge(s, SIM_PROC(sim_region_of(s, p)->proc), LOOK_NS,
			   SIM_SCAN);
		/* Never looked at before: like any page just allocated. */
		if (ticks == s->tick || sim_accessed(s, p, ticks))
			continue;
		sim_migrate(s, SIM_PROC(sim_region_of(s, p)->proc), p, 1, to);
		to = below(k, nid);
	}
}

void k_reclaim(struct kernel *k)
{
	for (int n = 0; n < k->s->m.nr_nodes; n++)
		if (k->kswapd[n] && k_top_tier(k, n))
			demote(k, n);
}
