/* SPDX-License-Identifier: MIT */
/*
 * 8a. Who gives way where processes compete for a node.
 *
 * Other processes place their threads at the same time and do not talk to us.
 * Where two compete for a node, the one that uses more of its CPUs may bring
 * further threads there and the other gives way; between equals it is a matter
 * of turn, which differs between processes and rounds (the caller's business).
 *
 * Owns nothing; used by task_place.c.
 *
 * Differs from Linux: there one scheduler sees all processes and exchanges
 * their threads itself (task_numa_compare()).
 */
#include "task_claim.h"

/* Less than a quarter of a CPU: nobody to compete with. */
#define NOBODY_MILLI 250

/*
 * CPU that other programs use on a node, in thousandths.  What own threads use
 * is booked where they ran last: while they wander, it looks like others' on
 * the nodes where they were before, but not on all nodes together.
 */
static uint32_t others_milli(const struct nb_task_place *tp, int nid)
{
	const struct nb_node_load *load = &tp->load[nid];
	uint32_t busy = 0, own = 0;
	int n;

	nb_for_each_nid (n, &tp->nodes) {
		busy += tp->load[n].busy_milli;
		own += tp->load[n].own_milli;
	}
	busy -= nb_min(busy, own);
	own = nb_min(load->busy_milli, load->own_milli);
	return nb_min(busy, load->busy_milli - own);
}

/* Half as much again: less is noise. */
static bool clearly_more(uint32_t a, uint32_t b)
{
	return a > b + b / 2;
}

/**
 * nb_better_claim() - may we bring a further thread to a full node?
 * @tp: the round
 * @nid: the node
 *
 * Context: numabald.
 * Return: true if we use more of it than all other programs together, or as
 * much and it is our turn.
 */
bool nb_better_claim(const struct nb_task_place *tp, int nid)
{
	uint32_t own = tp->load[nid].own_milli;
	uint32_t others = others_milli(tp, nid);

	if (others <= NOBODY_MILLI || clearly_more(own, others))
		return true;
	return !clearly_more(others, own) && tp->turn;
}

/**
 * nb_worse_claim() - is it we who leave a node that is too full?
 * @tp: the round
 * @nid: the node
 *
 * Context: numabald.
 * Return: true if we use less of it than other programs, or as much and it is
 * our turn, or if nobody else is there who could leave.
 */
bool nb_worse_claim(const struct nb_task_place *tp, int nid)
{
	uint32_t own = tp->load[nid].own_milli;
	uint32_t others = others_milli(tp, nid);

	if (others <= NOBODY_MILLI || clearly_more(others, own))
		return true;
	return !clearly_more(own, others) && tp->turn;
}
