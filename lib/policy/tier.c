/* SPDX-License-Identifier: MIT */
/*
 * Tiers of memory: how often is a chunk used, and should it be promoted?
 *
 * A node with memory and without CPUs is a slower tier: all who use it are
 * far away.  Memory there that is used often is promoted to the node of its
 * user; when that node is full, memory of it that is used much less often is
 * demoted to the nearest slower node, and makes room (tier_plan.c).
 *
 * How often a chunk is used is told by its hint faults: the time from arming
 * to the fault, or from arming until now when there was none, on a logarithmic
 * scale (a level), as a running mean.  Time is that in which the process ran.
 * numabald tells of each chunk that it arms and of each fault, asks
 * nb_tier_promote() for faults on slow memory, and lets wait what has no room.
 *
 * No ping-pong: a chunk that was demoted has to show itself hot twice before
 * it is promoted again, twice as often with each further time.
 *
 * Owns nothing: the state is the caller's struct nb_tier, and a record for
 * each chunk in the caller's table.
 *
 * Differs from Linux (memory tiering mode of NUMA balancing):
 * - One fault does not tell much of how often memory is used; the kernel has
 *   nothing else.  Here it is the mean of the last few, and the fewer there
 *   were, the hotter it has to be.
 * - The threshold between hot and cold is not a fixed time that a rate limit
 *   corrects once a minute: it follows from what is on the fast node.
 * - Time that the process sleeps does not make its memory cold.
 */
#include "tier.h"

#include <string.h>

/* Of a node's memory: with so much free all that is used may come. Linux: 16 */
#define PLENTY_PART 16

/*
 * What one fault tells is an octave off at least: the times between random
 * uses are spread over several.  A mean is better.  So what is to come is
 * taken for colder, and what is to go for hotter.
 */
#define DOUBT 4

/* The mean forgets at this pace: a new fault counts for a quarter. */
#define MAX_SEEN 4

/* A chunk that bounces has to show itself hot 2, 4, ... 64 times. */
#define MAX_BOUNCES 6

/* A bounce is forgotten after so many uses in fast memory. */
#define FORGET_USES 16

/**
 * nb_tier_init() - which nodes are slower tiers
 * @t: out: the tiers
 * @topo: the machine
 * @nodes: nodes that numabal may use
 *
 * Context: start only.
 * Return: true if there are two tiers; else there is nothing to be done here.
 */
bool nb_tier_init(struct nb_tier *t, const struct nb_topology *topo,
		  struct nb_nodemask nodes)
{
	uint64_t usable =
		topo->has_memory.bits & topo->mems_allowed.bits & nodes.bits;

	memset(t, 0, sizeof(*t));
	t->topo = topo;
	t->fast.bits = usable & topo->has_cpu.bits;
	t->slow.bits = usable & ~topo->has_cpu.bits;
	for (int n = 0; n < NB_MAX_NODES; n++)
		t->node[n].hot_level = NB_TIER_HOT_LEVEL;
	return t->fast.bits && t->slow.bits;
}

/**
 * nb_tier_tick() - let the clock go on
 * @t: the tiers
 * @wall_ns: the time
 * @cpu_ns: CPU time of all threads of the process
 *
 * The clock goes as fast as time while the process uses a CPU or more, and
 * more slowly if it uses less.
 *
 * Context: numabald.
 */
void nb_tier_tick(struct nb_tier *t, uint64_t wall_ns, uint64_t cpu_ns)
{
	struct nb_tier_clock *c = &t->clock;
	uint64_t passed = wall_ns - c->wall_ns;
	uint64_t ran = cpu_ns - c->cpu_ns;

	c->wall_before_ns = c->wall_ns;
	c->before_ns = c->ns;
	/* Not at the first tick. */
	if (c->wall_ns)
		c->ns += nb_min(passed, ran);
	c->wall_ns = wall_ns;
	c->cpu_ns = cpu_ns;
}

static uint32_t to_ms(uint64_t ns)
{
	return (uint32_t)(ns / NB_NSEC_PER_MSEC);
}

/* The clock at a time since the tick before the last, in milliseconds. */
static uint32_t clock_at(const struct nb_tier_clock *c, uint64_t wall_ns)
{
	uint64_t span = to_ms(c->wall_ns - c->wall_before_ns);
	uint64_t ran = to_ms(c->ns) - to_ms(c->before_ns);

	if (wall_ns >= c->wall_ns || !span)
		return to_ms(c->ns);
	if (wall_ns <= c->wall_before_ns)
		return to_ms(c->before_ns);
	return to_ms(c->before_ns) +
	       (uint32_t)(ran * to_ms(wall_ns - c->wall_before_ns) / span);
}

/**
 * nb_tier_armed() - a chunk is about to be armed
 * @t: the tiers
 * @c: the chunk
 *
 * Context: numabald.
 */
void nb_tier_armed(const struct nb_tier *t, struct nb_tier_chunk *c)
{
	c->armed_ms = to_ms(t->clock.ns) + 1;
}

/* The level of a time. */
static int level_of(uint32_t ms)
{
	uint64_t v = ms + 1ULL;
	int octave = 63 - __builtin_clzll(v);
	int level = octave * 4 + (int)(v << 2 >> octave & 3);

	return nb_min(level, NB_TIER_LEVELS - 1);
}

/**
 * nb_tier_used() - a chunk took a hint fault
 * @t: the tiers
 * @c: the chunk
 * @nid: its node
 * @wall_ns: when that was
 * @may_move: the program does not mind
 *
 * Context: numabald.
 */
void nb_tier_used(const struct nb_tier *t, struct nb_tier_chunk *c, int nid,
		  uint64_t wall_ns, bool may_move)
{
	uint32_t at_ms = clock_at(&t->clock, wall_ns) + 1;
	int level;

	c->nid1 = (uint8_t)(nid + 1);
	c->stays = !may_move;
	if (!c->armed_ms)
		return;
	level = level_of(at_ms - nb_min(c->armed_ms, at_ms)) * 4;
	c->armed_ms = 0;
	if (c->nr_seen < MAX_SEEN)
		c->nr_seen++;
	/* Of the first few: their mean. */
	if (c->nr_seen == 1)
		c->level4 = (uint8_t)level;
	else
		c->level4 = (uint8_t)(c->level4 +
				      (level - c->level4) / (int)c->nr_seen);
	if (!nb_node_isset(&t->fast, nid) || !c->bounces)
		return;
	if (++c->count < FORGET_USES)
		return;
	c->bounces--;
	c->count = 0;
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
	if (is_slow && was_slow)
		return;
	c->count = 0;
	if (!is_slow)
		return;
	if (c->bounces < MAX_BOUNCES)
		c->bounces++;
	c->count = (uint8_t)(1U << c->bounces);
}

static int doubt(const struct nb_tier_chunk *c)
{
	return c->nr_seen ? DOUBT / (int)c->nr_seen : DOUBT;
}

/**
 * nb_tier_level_hot() - the level of a chunk that may be promoted
 * @c: the chunk
 *
 * Context: numabald.
 * Return: its level, perhaps more than it is; -1 if nothing is known.
 */
int nb_tier_level_hot(const struct nb_tier_chunk *c)
{
	if (!c->nr_seen)
		return -1;
	return nb_min(c->level4 / 4 + doubt(c), NB_TIER_LEVELS - 1);
}

/**
 * nb_tier_level_cold() - the level of a chunk that may be demoted
 * @t: the tiers
 * @c: the chunk
 * @armed: it is armed
 *
 * Context: numabald.
 * Return: its level, perhaps less than it is; -1 if nothing is known, or if it
 * is not to be moved.
 */
int nb_tier_level_cold(const struct nb_tier *t, const struct nb_tier_chunk *c,
		       bool armed)
{
	uint32_t now_ms = to_ms(t->clock.ns) + 1;
	int level = c->nr_seen ? c->level4 / 4 : -1;

	/*
	 * Armed once and no more, without a fault that we know of: given back
	 * for a system call, or the fault was lost.  It is in use.
	 */
	if (c->stays || (c->armed_ms && !armed))
		return -1;
	if (c->armed_ms)
		level = nb_max(level, level_of(now_ms - c->armed_ms));
	if (level < 0)
		return level;
	return nb_max(level - doubt(c), 0);
}

/* All uses that a demoted chunk has to show, again. */
static enum nb_why start_again(struct nb_tier_chunk *c)
{
	if (c->count)
		c->count = (uint8_t)(1U << c->bounces);
	return NB_WHY_PAGE_COLD;
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
	const struct nb_tier_node *n;
	int level = nb_tier_level_hot(c), hot;
	bool plenty;

	if (!nb_node_isset(&t->slow, q->page_nid) ||
	    !nb_node_isset(&t->fast, q->dst_nid))
		return NB_WHY_NONE;
	n = &t->node[q->dst_nid];
	plenty = n->free_bytes >= n->total_bytes / PLENTY_PART + q->bytes;
	hot = plenty ? nb_max(n->hot_level, NB_TIER_HOT_LEVEL) : n->hot_level;
	if (level < 0 || level > hot) {
		if (!plenty || c->count)
			return start_again(c);
		return NB_WHY_PAGE_USED;
	}
	if (c->count && --c->count)
		return NB_WHY_PAGE_PROVE;
	return NB_WHY_PAGE_HOT;
}
