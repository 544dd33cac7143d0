/* SPDX-License-Identifier: MIT */
/*
 * Tiers of memory: which nodes are slow, and what of them should come?
 *
 * A node with memory and without CPUs is a slower tier: all who use it are
 * far away.  Memory there that is used often (tier_heat.c) is promoted to the
 * node of its user; when that node is full, memory of it that is used much
 * less often is demoted to the nearest slower node, and makes room
 * (tier_plan.c).
 *
 * numabald tells of each chunk that it arms and of each fault, asks
 * nb_tier_promote() for faults on slow memory, and lets wait what has no room.
 *
 * No ping-pong: a chunk that was demoted has to show itself hot twice before
 * it is promoted again, twice as often with each further time.
 *
 * Owns nothing: the state is the caller's struct nb_tier, and a record for
 * each chunk in the caller's table.
 *
 * Differs from Linux (memory tiering mode of NUMA balancing): the threshold
 * between hot and cold is not a fixed time that a rate limit corrects once a
 * minute: it follows from what is on the fast node.
 */
#include "tier.h"

#include <string.h>

/* What was refused counts up to this part of the node, and is forgotten. */
#define REFUSED_PART 16
#define FORGET_PART 16

/* Of a node's memory: with so much free all that is used may come. Linux: 16 */
#define PLENTY_PART 16

/* A chunk that bounces has to show itself hot 2, 4, ... 64 times. */
#define MAX_BOUNCES 6

static uint64_t usable(const struct nb_topology *topo, struct nb_nodemask nodes)
{
	return topo->has_memory.bits & topo->mems_allowed.bits & nodes.bits;
}

/**
 * nb_tier_needed() - is some memory slower than other?
 * @topo: the machine
 * @nodes: nodes that numabal may use
 *
 * Context: start only.
 * Return: true if there are two tiers; else there is nothing to be done here.
 */
bool nb_tier_needed(const struct nb_topology *topo, struct nb_nodemask nodes)
{
	uint64_t bits = usable(topo, nodes);

	return bits & topo->has_cpu.bits && bits & ~topo->has_cpu.bits;
}

/**
 * nb_tier_init() - which nodes are slower tiers
 * @t: out: the tiers
 * @topo: the machine
 * @nodes: nodes that numabal may use
 *
 * Context: start only.
 */
void nb_tier_init(struct nb_tier *t, const struct nb_topology *topo,
		  struct nb_nodemask nodes)
{
	uint64_t bits = usable(topo, nodes);

	memset(t, 0, sizeof(*t));
	t->topo = topo;
	t->fast.bits = bits & topo->has_cpu.bits;
	t->slow.bits = bits & ~topo->has_cpu.bits;
	for (int n = 0; n < NB_MAX_NODES; n++)
		t->node[n].hot_level = NB_TIER_HOT_LEVEL;
}

/**
 * nb_tier_set_free() - how much of a node is free
 * @t: the tiers
 * @nid: the node
 * @free_bytes: what is free of it
 * @reserve_pct: what is always left free
 *
 * Context: numabald, before it asks for anything that concerns the node.
 */
void nb_tier_set_free(struct nb_tier *t, int nid, uint64_t free_bytes,
		      unsigned int reserve_pct)
{
	struct nb_tier_node *n = &t->node[nid];
	uint64_t reserve;

	n->total_bytes = t->topo->mem_total_kb[nid] * 1024;
	reserve = n->total_bytes / 100 * reserve_pct;
	reserve += n->refused_bytes;
	n->free_bytes = free_bytes - nb_min(free_bytes, reserve);
}

/**
 * nb_tier_learn() - what the kernel made of a move to a node
 * @t: the tiers
 * @nid: the node
 * @bytes: how much it was
 * @moved: it was moved
 *
 * Not all that is free is to be had: some is kept for the kernel itself, some
 * is in pieces.  What was refused is not counted as free, for a while.
 *
 * Context: numabald.
 */
void nb_tier_learn(struct nb_tier *t, int nid, uint64_t bytes, bool moved)
{
	struct nb_tier_node *n = &t->node[nid];

	if (moved)
		n->refused_bytes -=
			nb_min(bytes / FORGET_PART, n->refused_bytes);
	else
		n->refused_bytes = nb_min(n->refused_bytes + bytes,
					  n->total_bytes / REFUSED_PART);
}

/**
 * nb_tier_take_room() - is there room for a chunk on a node now?
 * @t: the tiers
 * @nid: the node
 * @bytes: the chunk's size
 *
 * Context: numabald.
 * Return: true if so; it is taken.
 */
bool nb_tier_take_room(struct nb_tier *t, int nid, uint64_t bytes)
{
	struct nb_tier_node *n = &t->node[nid];

	if (n->free_bytes < bytes)
		return false;
	n->free_bytes -= bytes;
	return true;
}

static void hold_back(struct nb_tier_chunk *c)
{
	if (c->bounces < MAX_BOUNCES)
		c->bounces++;
	c->count = 1U << c->bounces & 0x7f;
}

/**
 * nb_tier_moved() - a chunk has been moved
 * @t: the tiers
 * @c: the chunk
 * @nid: its node now
 *
 * Context: numabald.
 */
void nb_tier_moved(const struct nb_tier *t, struct nb_tier_chunk *c, int nid)
{
	bool was_slow = nb_node_isset(&t->slow, c->nid1 - 1);
	bool is_slow = nb_node_isset(&t->slow, nid);

	c->nid1 = (uint8_t)(nid + 1);
	c->torn = 0;
	if (is_slow && was_slow)
		return;
	c->count = 0;
	if (is_slow)
		hold_back(c);
}

/**
 * nb_tier_stayed() - the kernel did not move a chunk
 * @t: the tiers
 * @c: the chunk
 *
 * Trying is dear.  What is in slow memory, or some of it, is tried again when
 * the chunk has shown itself hot more often, as if it had been demoted.
 *
 * Context: numabald.
 */
void nb_tier_stayed(const struct nb_tier *t, struct nb_tier_chunk *c)
{
	if (nb_node_isset(&t->slow, c->nid1 - 1) || c->torn)
		hold_back(c);
}

/**
 * nb_tier_torn() - some pages of a chunk did not come along
 * @t: the tiers
 * @c: the chunk, after nb_tier_moved() or nb_tier_stayed()
 * @nid: where the others are now
 *
 * The program may always use first what has come, and where that is does not
 * tell that something is left behind.  It is fetched at the next use if the
 * chunk is hot; most of it comes each time, or else the chunk is held back.
 *
 * Context: numabald.
 */
void nb_tier_torn(const struct nb_tier *t, struct nb_tier_chunk *c, int nid)
{
	c->torn = nb_node_isset(&t->fast, nid);
}

/* All uses that a demoted chunk has to show, again. */
static enum nb_why start_again(struct nb_tier_chunk *c)
{
	if (c->count)
		c->count = 1U << c->bounces & 0x7f;
	return NB_WHY_PAGE_COLD;
}

static enum nb_why promote(const struct nb_tier_node *n,
			   const struct nb_tier_query *q,
			   struct nb_tier_chunk *c)
{
	bool plenty = n->free_bytes >= n->total_bytes / PLENTY_PART + q->bytes;
	int level = nb_tier_level_hot(c), hot = n->hot_level;

	if (plenty)
		hot = nb_max(hot, NB_TIER_HOT_LEVEL);
	if (level < 0 || level > hot) {
		if (!plenty || c->count)
			return start_again(c);
		return NB_WHY_PAGE_USED;
	}
	if (c->count && --c->count)
		return NB_WHY_PAGE_PROVE;
	return NB_WHY_PAGE_HOT;
}

/**
 * nb_tier_promote() - should a chunk of slow memory come to its user?
 * @t: the tiers
 * @q: the use, after nb_tier_used()
 * @c: the chunk
 *
 * Context: numabald.
 * Return: the reason, yes or no; NB_WHY_NONE if this is not a question of
 * tiers.  A yes does not mean that there is room: see nb_tier_take_room().
 */
enum nb_why nb_tier_promote(struct nb_tier *t, const struct nb_tier_query *q,
			    struct nb_tier_chunk *c)
{
	bool torn = c->torn && q->page_nid == q->dst_nid;
	enum nb_why why;

	if (!nb_node_isset(&t->fast, q->dst_nid) ||
	    (!torn && !nb_node_isset(&t->slow, q->page_nid)))
		return NB_WHY_NONE;
	why = promote(&t->node[q->dst_nid], q, c);
	/* The page itself is in its place. */
	return torn && !nb_why_is_yes(why) ? NB_WHY_NONE : why;
}
