/* SPDX-License-Identifier: MIT */
/*
 * Tiers of memory: what is used most is on nodes with CPUs, what is
 * used least may be on slower ones.
 */
#ifndef NB_TIER_H
#define NB_TIER_H

#include "../base/topology.h"
#include "../base/util.h"
#include "../base/why.h"

/* How soon memory is used again: quarters of an octave of ms, to 65 s. */
#define NB_TIER_LEVELS 64

/* Linux: hot_threshold_ms, until more is known; 1000 ms */
#define NB_TIER_HOT_LEVEL 39

/* What is known of a chunk.  All zero: nothing. */
struct nb_tier_chunk {
	uint32_t armed_ms;   /* by the clock below; 0: not armed by numabald */
	uint8_t level4;	     /* mean level, in quarters */
	uint8_t nid1;	     /* node where it was last seen + 1; 0: unknown */
	uint8_t nr_seen : 3; /* uses that the mean is made of, at most */
	uint8_t stays : 1;   /* the program does not want it moved */
	uint8_t bounces : 4; /* times it was demoted, less those forgotten */
	uint8_t count : 7;   /* in slow memory: uses to be shown; else: shown */
	uint8_t torn : 1;    /* in fast memory, but for some of its pages */
};

/* Time in which the process ran: what sleeps does not let memory get cold. */
struct nb_tier_clock {
	uint64_t wall_ns, cpu_ns;	    /* at the last tick */
	uint64_t ns;			    /* the clock then */
	uint64_t wall_before_ns, before_ns; /* the tick before */
};

struct nb_tier_node {
	uint64_t free_bytes;	/* to be had without touching the reserve */
	uint64_t total_bytes;	/* 0: nothing is known of the node */
	uint64_t refused_bytes; /* free, but not to be had, as it seems */
	uint8_t hot_level;	/* what is used less often is not promoted */
	/* of the plan */
	uint8_t promote_level, demote_level; /* up to, from */
	uint64_t promote_bytes, demote_bytes;
	uint64_t left_bytes;	       /* free, and nobody waits for it */
	uint64_t have[NB_TIER_LEVELS]; /* bytes there, by level */
	uint64_t want[NB_TIER_LEVELS]; /* bytes that wait to go there */
};

struct nb_tier {
	const struct nb_topology *topo;
	struct nb_nodemask fast, slow; /* with memory that may be used */
	struct nb_tier_clock clock;
	struct nb_tier_node node[NB_MAX_NODES];
};

/* A use of a chunk in slow memory. */
struct nb_tier_query {
	int page_nid;
	int dst_nid; /* where its user runs, or will run */
	uint64_t bytes;
};

/* Memory that is as near as it should be, though not on its user's node. */
static inline bool nb_tier_in_place(enum nb_why why)
{
	return why == NB_WHY_PAGE_COLD || why == NB_WHY_PAGE_PROVE;
}

/* tier_heat.c: how often */
void nb_tier_tick(struct nb_tier *t, uint64_t wall_ns, uint64_t cpu_ns);
void nb_tier_armed(const struct nb_tier *t, struct nb_tier_chunk *c);
void nb_tier_used(const struct nb_tier *t, struct nb_tier_chunk *c, int nid,
		  uint64_t wall_ns, bool may_move);
int nb_tier_level_hot(const struct nb_tier_chunk *c);
int nb_tier_level_cold(const struct nb_tier *t, const struct nb_tier_chunk *c,
		       bool armed);

/* tier.c: what comes */
bool nb_tier_needed(const struct nb_topology *topo, struct nb_nodemask nodes);
void nb_tier_init(struct nb_tier *t, const struct nb_topology *topo,
		  struct nb_nodemask nodes);
void nb_tier_set_free(struct nb_tier *t, int nid, uint64_t free_bytes,
		      unsigned int reserve_pct);
bool nb_tier_take_room(struct nb_tier *t, int nid, uint64_t bytes);
enum nb_why nb_tier_promote(struct nb_tier *t, const struct nb_tier_query *q,
			    struct nb_tier_chunk *c);
void nb_tier_moved(const struct nb_tier *t, struct nb_tier_chunk *c, int nid);
void nb_tier_stayed(const struct nb_tier *t, struct nb_tier_chunk *c);
void nb_tier_torn(const struct nb_tier *t, struct nb_tier_chunk *c, int nid);
void nb_tier_learn(struct nb_tier *t, int nid, uint64_t bytes, bool moved);

/* tier_plan.c: what goes, so that more can come */
void nb_tier_plan_begin(struct nb_tier *t);
void nb_tier_want(struct nb_tier *t, int nid, int level, uint64_t bytes);
void nb_tier_have(struct nb_tier *t, int nid, int level, uint64_t bytes);
bool nb_tier_plan(struct nb_tier *t, uint64_t max_bytes);
int nb_tier_demote(struct nb_tier *t, int nid, int level, uint64_t bytes);
bool nb_tier_admit(struct nb_tier *t, int nid, int level, uint64_t bytes);

#endif /* NB_TIER_H */
