/* SPDX-License-Identifier: MIT */
/*
 * Tiers of memory: how often is a chunk used?
 *
 * That is told by its hint faults: the time from arming to the fault, or from
 * arming until now when there was none, on a logarithmic scale (a level), as a
 * running mean.  Time is that in which the process ran.
 *
 * Owns nothing: the clock is in the caller's struct nb_tier, and there is a
 * record for each chunk in the caller's table.
 *
 * Differs from Linux (should_numa_migrate_memory(), in tiering mode):
 * - One fault does not tell much of how often memory is used; the kernel has
 *   nothing else.  Here it is the mean of the last few, and the fewer there
 *   were, the hotter, or colder, it has to be.
 * - Time that the process sleeps does not make its memory cold.
 */
#include "tier.h"

/*
 * What one fault tells is an octave off at least: the times between random
 * uses are spread over several.  A mean is better.  So what is to come is
 * taken for colder, and what is to go for hotter.
 */
#define DOUBT 4

/* The mean forgets at this pace: a new fault counts for a quarter. */
#define MAX_SEEN 4

/* A bounce is forgotten after so many uses in fast memory. */
#define FORGET_USES 16

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
	if (!nb_node_isset(&t->fast, nid) || !c->bounces || c->torn)
		return;
	if (++c->count < FORGET_USES)
		return;
	c->bounces--;
	c->count = 0;
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
