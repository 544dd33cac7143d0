/* SPDX-License-Identifier: MIT */
/*
 * Reason codes: every decision of policy, yes or no, carries one.
 */
#ifndef NB_WHY_H
#define NB_WHY_H

#include <stdbool.h>

/*
 * X(name, text, yes): yes is 1 where the code means that something moves.
 * The names in the comments are the rules' in Linux's fair.c.
 */
#define NB_WHY_LIST(X)                                                         \
	X(NONE, "no decision yet", 0)                                          \
	/* a page, yes */                                                      \
	X(PAGE_EARLY, "first passes: follow the first user", 1)                \
	X(PAGE_PRIVATE, "used again and again by one thread", 1)               \
	X(PAGE_SHARED, "used by several threads, all on that node", 1)         \
	X(PAGE_USED, "in slow memory, its user's node has plenty of room", 1)  \
	X(PAGE_HOT, "in slow memory, and used often", 1)                       \
	X(PAGE_DEMOTED, "to slow memory: its node is full and it is cold", 1)  \
	X(PAGE_SPREAD, "its node has too much of what all use", 1)             \
	/* a page, no */                                                       \
	X(PAGE_LOCAL, "already on the node of its user", 0)                    \
	X(PAGE_TWO_STAGE, "not yet used twice in a row from that node", 0)     \
	X(PAGE_FROZEN, "moved in vain before: waiting", 0)                     \
	X(PAGE_USED_BY_ALL, "used from several nodes in turn", 0)              \
	X(PAGE_TASK_FOLLOWS, "its user is about to go to another node", 0)     \
	X(PAGE_NO_MEMORY_NODE, "the node of the user has no memory", 0)        \
	X(PAGE_NOT_ALLOWED, "the node is outside the allowed set", 0)          \
	X(PAGE_NO_NODE, "node of page or thread unknown", 0)                   \
	X(PAGE_POLICY, "the program placed this memory itself", 0)             \
	X(PAGE_LOCKED, "the memory is locked", 0)                              \
	X(PAGE_TARGET_FULL, "the target node has too little free memory", 0)   \
	X(PAGE_RATE_LIMIT, "migration rate limit", 0)                          \
	X(PAGE_FAILED, "the kernel refused to move the page", 0)               \
	X(PAGE_COLD, "in slow memory, where it may stay: used rarely", 0)      \
	X(PAGE_PROVE, "was demoted before: must be used some more", 0)         \
	X(PAGE_WAITS, "waits for cold memory to make room", 0)                 \
	X(PAGE_OFF, "page migration is switched off", 0)                       \
	/* a page, not armed any more */                                       \
	X(PAGE_LATENCY, "kept for a latency-critical thread", 0)               \
	/* a task */                                                           \
	X(TASK_PREFERRED, "moved to its preferred node", 1)                    \
	X(TASK_RELIEF, "released: its node is overloaded", 1)                  \
	X(TASK_START, "started beside its creator", 1)                         \
	X(TASK_STAY, "already on its preferred node", 0)                       \
	X(TASK_NO_PREFERENCE, "no preferred node yet", 0)                      \
	X(TASK_BOUND, "the program chose its CPUs", 0)                         \
	X(TASK_NODE_BUSY, "no free capacity on its preferred node", 0)         \
	X(TASK_NO_CPU, "no allowed CPU on its preferred node", 0)              \
	X(TASK_HOLD, "released lately: waiting", 0)                            \
	X(TASK_OFF, "thread migration is switched off", 0)

enum nb_why {
#define NB_WHY_ENUM(name, text, yes) NB_WHY_##name,
	NB_WHY_LIST(NB_WHY_ENUM)
#undef NB_WHY_ENUM
		NB_NR_WHY
};

/* True if @why means that something moves. */
static inline bool nb_why_is_yes(enum nb_why why)
{
	switch (why) {
#define NB_WHY_YES(name, text, yes)                                            \
	case NB_WHY_##name:                                                    \
		return yes;
		NB_WHY_LIST(NB_WHY_YES)
#undef NB_WHY_YES
	default:
		return false;
	}
}

#endif /* NB_WHY_H */
