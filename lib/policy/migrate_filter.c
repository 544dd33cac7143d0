/* SPDX-License-Identifier: MIT */
/*
 * 7. Should this page move to the node of the thread that used it?
 *
 * numabald asks for every hint fault, with the page's node from the kernel and
 * the history from page_history.c.  The answer is a reason, and a yes only if
 * nb_why_is_yes() says so.  The target is always the node where the user ran,
 * not its preferred node: memory goes to where it is used, and threads are
 * brought together with their memory by task_place.c.
 *
 * Owns nothing.
 *
 * Differs from Linux:
 * - "Same task" and "same node" are exact (page_history.c).
 * - The first use ever seen of a page moves nothing, not even in the first
 *   passes.  It cannot tell private from shared memory, and in the kernel it is
 *   what deals a team's memory out to the nodes of its threads, each of which
 *   then prefers to stay where it is.  Private memory moves one pass later, or
 *   not at all, as threads have gone to it by then.
 * - While the user can still be brought to its preferred node, nothing follows
 *   it to where it happens to run: the kernel moves both, the memory at once.
 * - A page that moved in vain must show more uses in a row from one node, twice
 *   as many after each such move.  The kernel's pages may bounce for ever.
 * - What several nodes use goes from a node that has more than its part of such
 *   memory to one that has less (numa_group.c), or else stays.  The kernel's
 *   rule (G9) compares the faults of the two nodes by 3/4.
 * - Tiers (G3) are tier.c's.
 * - The node's memory is checked before the allowed set: the kernel's allowed
 *   sets never hold a node without memory, so the other order would hide the
 *   true reason.
 */
#include "migrate_filter.h"

/* Linux: should_numa_migrate_memory(), numa_scan_seq <= 4 */
#define EARLY_PASSES 4

/* Of two nodes that use a page alike, one makes so many once in 32 times. */
#define SHARED_RUN 6

/*
 * Uses in a row from one node that show that it has the page to itself.  Two
 * if nobody else was seen to use it, else more than chance would have.
 */
static uint32_t run_wanted(const struct nb_migrate_query *q)
{
	uint32_t run = q->last.shared ? SHARED_RUN : 2;

	/* All of its users are on one node by now. */
	if (q->group && nb_nodes_single(&q->group->active_nodes))
		run = 2;
	return nb_min(run << q->last.bounces, NB_RUN_MAX + 0U);
}

/*
 * Threads on several nodes take turns.  A page goes where less of such memory
 * is, from where there is too much of it: once, and it is corrected once.  Not
 * if one node has had it to itself but for this use.
 */
static enum nb_why spread(const struct nb_migrate_query *q)
{
	const struct nb_numa_group *g = q->group;

	if (g && !q->last.bounces && q->last.ended < SHARED_RUN &&
	    nb_node_isset(&g->under, q->cpu_nid) &&
	    q->dice % 1000 < g->over_permille[q->page_nid])
		return NB_WHY_PAGE_SPREAD;
	return NB_WHY_PAGE_USED_BY_ALL;
}

/**
 * nb_migrate_filter() - decide about one used page.
 * @q: the page, its user, and the user before
 * @t: the machine
 *
 * Context: numabald.
 * Return: the reason, yes or no.
 */
enum nb_why nb_migrate_filter(const struct nb_migrate_query *q,
			      const struct nb_topology *t)
{
	int target = q->cpu_nid;

	if (!nb_node_valid(q->page_nid) || !nb_node_valid(target))
		return NB_WHY_PAGE_NO_NODE;
	if (q->page_nid == target)
		return NB_WHY_PAGE_LOCAL;
	if (!nb_node_isset(&t->has_memory, target))
		return NB_WHY_PAGE_NO_MEMORY_NODE;
	if (!nb_node_isset(&q->nodes, target) ||
	    !nb_node_isset(&t->mems_allowed, target))
		return NB_WHY_PAGE_NOT_ALLOWED;

	/* It is cheaper to move the thread than all of its memory. */
	if (q->task_free && nb_node_valid(q->numa_preferred_nid) &&
	    q->numa_preferred_nid != target)
		return NB_WHY_PAGE_TASK_FOLLOWS;

	/*
	 * One use says where a page was used, not by whom alone: moving it then
	 * would share out a team's memory between the nodes of its threads.
	 */
	if (q->last.first)
		return NB_WHY_PAGE_TWO_STAGE;

	/*
	 * A young thread has nowhere to prefer yet: let its memory follow it
	 * at once, unless somebody else uses that memory as well.
	 */
	if ((q->numa_preferred_nid == NB_NO_NODE ||
	     q->task_scan_seq <= EARLY_PASSES) &&
	    q->last.same_task && !q->last.shared && !q->last.bounces)
		return NB_WHY_PAGE_EARLY;

	if (q->last.run < run_wanted(q)) {
		if (q->last.shared)
			return spread(q);
		return q->last.bounces ? NB_WHY_PAGE_FROZEN
				       : NB_WHY_PAGE_TWO_STAGE;
	}
	return q->last.same_task ? NB_WHY_PAGE_PRIVATE : NB_WHY_PAGE_SHARED;
}
