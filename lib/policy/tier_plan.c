/* SPDX-License-Identifier: MIT */
/*
 * Tiers of memory: what has to go, so that what is hotter can come?
 *
 * numabald lets wait what should come to a node that is full.  From time to
 * time it counts all chunks, by node and level, with nb_tier_have() and those
 * that wait with nb_tier_want().  nb_tier_plan() pairs the hottest that wait
 * with the coldest that are there; nb_tier_demote() says of each chunk whether
 * it goes, and where to, and nb_tier_admit() who of those that wait comes.
 *
 * No ping-pong: the two of a pair are a factor of 4 apart.
 *
 * Owns nothing: the state is the caller's struct nb_tier.
 *
 * Differs from Linux (demotion in reclaim):
 * - Memory comes only if it is hotter than something that can go.
 * - Room is made for what waits, at once and as much as is needed; the kernel
 *   refuses, and its reclaim makes room by the age of lists some time later.
 */
#include "tier.h"

#include <string.h>

/* Between the two of an exchange: a factor of 4 in time. */
#define MARGIN 8

/*
 * Too little is free for the program's new memory: demote what was not used
 * for 8 s, whether or not something waits.
 */
#define LOW_PART 64
#define IDLE_LEVEL 52

/* What is hot is hotter than all but this part of the node's memory. */
#define COLDEST_PART 16

/**
 * nb_tier_plan_begin() - start to count
 * @t: the tiers
 *
 * Context: numabald.
 */
void nb_tier_plan_begin(struct nb_tier *t)
{
	int nid;

	nb_for_each_nid (nid, &t->fast) {
		memset(t->node[nid].have, 0, sizeof(t->node[nid].have));
		memset(t->node[nid].want, 0, sizeof(t->node[nid].want));
	}
}

/**
 * nb_tier_want() - count a chunk that waits for room
 * @t: the tiers
 * @nid: where it wants to go, a fast node
 * @level: its level
 * @bytes: its size
 *
 * Context: numabald.
 */
void nb_tier_want(struct nb_tier *t, int nid, int level, uint64_t bytes)
{
	t->node[nid].want[level] += bytes;
}

/**
 * nb_tier_have() - count a chunk that might make room
 * @t: the tiers
 * @nid: where it is; only fast nodes count
 * @level: its level, -1 if unknown
 * @bytes: its size
 *
 * Context: numabald.
 */
void nb_tier_have(struct nb_tier *t, int nid, int level, uint64_t bytes)
{
	if (level >= 0 && nb_node_isset(&t->fast, nid))
		t->node[nid].have[level] += bytes;
}

/*
 * Hot is what is hotter than the coldest of the node's memory.  Where little
 * of that is known, it is not ours to make room: hot enough if there is some.
 */
static void set_hot_level(struct nb_tier_node *n)
{
	uint64_t cold = 0;
	int level = NB_TIER_LEVELS;

	n->hot_level = NB_TIER_HOT_LEVEL;
	while (level-- > 0) {
		cold += n->have[level];
		if (cold <= n->total_bytes / COLDEST_PART)
			continue;
		n->hot_level = (uint8_t)nb_max(level - MARGIN, 0);
		return;
	}
}

/* What is free serves who waits first, and then the program. */
static void serve_from_free(struct nb_tier_node *n)
{
	n->left_bytes = n->free_bytes;
	for (int i = 0; i < NB_TIER_LEVELS; i++) {
		uint64_t part = nb_min(n->want[i], n->left_bytes);

		if (!part)
			continue;
		n->want[i] -= part;
		n->left_bytes -= part;
		n->promote_bytes += part;
		n->promote_level = (uint8_t)i;
	}
}

/* The coldest that are there, down to a level. */
static uint64_t take_coldest(struct nb_tier_node *n, int from, uint64_t bytes)
{
	uint64_t got = 0;

	for (int j = n->demote_level; j >= from && got < bytes; j--) {
		uint64_t part = nb_min(n->have[j], bytes - got);

		if (!part)
			continue;
		n->have[j] -= part;
		n->demote_level = (uint8_t)j;
		got += part;
	}
	n->demote_bytes += got;
	return got;
}

/* Pair the hottest that wait with the coldest that are there. */
static void pair(struct nb_tier_node *n, uint64_t *max_bytes)
{
	n->promote_level = 0;
	n->demote_level = NB_TIER_LEVELS - 1;
	n->promote_bytes = 0;
	n->demote_bytes = 0;
	serve_from_free(n);
	for (int i = 0; i < NB_TIER_LEVELS - MARGIN; i++) {
		uint64_t bytes = nb_min(n->want[i], *max_bytes);
		uint64_t got = take_coldest(n, i + MARGIN, bytes);

		if (!n->want[i])
			continue;
		*max_bytes -= got;
		n->promote_bytes += got;
		n->promote_level = (uint8_t)i;
		if (got < n->want[i])
			return;
	}
}

/**
 * nb_tier_plan() - decide what comes and what goes
 * @t: the tiers, with all chunks counted
 * @max_bytes: demote at most so much
 *
 * Context: numabald.
 * Return: true if something is to be demoted.
 */
bool nb_tier_plan(struct nb_tier *t, uint64_t max_bytes)
{
	uint64_t room = 0, demote = 0;
	int nid;

	nb_for_each_nid (nid, &t->slow)
		room += t->node[nid].free_bytes;
	max_bytes = nb_min(max_bytes, room);
	nb_for_each_nid (nid, &t->fast) {
		set_hot_level(&t->node[nid]);
		pair(&t->node[nid], &max_bytes);
	}
	nb_for_each_nid (nid, &t->fast) {
		struct nb_tier_node *n = &t->node[nid];
		uint64_t low = n->total_bytes / LOW_PART;

		low -= nb_min(low, n->left_bytes);
		max_bytes -=
			take_coldest(n, IDLE_LEVEL, nb_min(low, max_bytes));
		demote += n->demote_bytes;
	}
	return demote;
}

/* The nearest slow node with room, the first of equals. */
static int below(const struct nb_tier *t, int nid, uint64_t bytes)
{
	const uint16_t *distance = t->topo->distance[nid];
	int best = NB_NO_NODE, n;

	nb_for_each_nid (n, &t->slow) {
		if (t->node[n].free_bytes < bytes)
			continue;
		if (best == NB_NO_NODE || distance[n] < distance[best])
			best = n;
	}
	return best;
}

/**
 * nb_tier_demote() - does a chunk go, by the plan?
 * @t: the tiers
 * @nid: its node
 * @level: its level, -1 if unknown
 * @bytes: its size
 *
 * Context: numabald.
 * Return: where to; NB_NO_NODE: it stays.
 */
int nb_tier_demote(struct nb_tier *t, int nid, int level, uint64_t bytes)
{
	struct nb_tier_node *n = &t->node[nid];
	int to;

	if (!nb_node_isset(&t->fast, nid) || !n->demote_bytes ||
	    level < n->demote_level)
		return NB_NO_NODE;
	to = below(t, nid, bytes);
	if (to == NB_NO_NODE)
		return to;
	t->node[to].free_bytes -= bytes;
	n->demote_bytes -= nb_min(bytes, n->demote_bytes);
	return to;
}

/**
 * nb_tier_admit() - may a chunk that waited come now?
 * @t: the tiers, with nb_tier_set_free() since the demotion
 * @nid: where it wants to go
 * @level: its level
 * @bytes: its size
 *
 * Context: numabald.
 * Return: true if so; its room is taken.
 */
bool nb_tier_admit(struct nb_tier *t, int nid, int level, uint64_t bytes)
{
	struct nb_tier_node *n = &t->node[nid];

	if (!n->promote_bytes || level > n->promote_level ||
	    !nb_tier_take_room(t, nid, bytes))
		return false;
	n->promote_bytes -= nb_min(bytes, n->promote_bytes);
	return true;
}
