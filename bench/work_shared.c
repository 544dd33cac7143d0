/* SPDX-License-Identifier: MIT */
/*
 * work_shared: teams of threads, one buffer per team, every team mixed over
 * the nodes. All members read the whole buffer of their team, and each writes
 * its own cache lines of every page, so that each page is shared by all.
 *
 * What should happen: local_pages_pct starts at about 100 / nodes. Pages
 * alone cannot mend it, wherever they go only part of the team is there. A
 * balancer has to see who shares with whom, bring the members of a team
 * together and put its buffer there, with as many threads on each node as
 * before: 95 and more when teams fill whole nodes (threads / teams is at most
 * the number of CPUs of a node; the default has one team per node, or fewer
 * where that would leave a team with one thread). With --place interleave the
 * buffers start spread over all nodes, so that a page says nothing about where
 * the team should go.
 *
 * Where it is adverse: --teams 1 is wider than a node. There is no right
 * placement, 100 / nodes is the best there is, and a balancer should spread
 * the pages over the nodes in use and then leave them alone: watch
 * task_node_moves and pages. With fewer teams than nodes, memory has to be
 * spread over idle nodes or left where it is, never bounced.
 */
#include "work.h"

/* At least two members each: else nothing is shared. */
static int one_team_per_node(const struct work *w)
{
	int nr = w->nr_homes < 2 ? 2 : w->nr_homes;
	int most = w->opts.nr_threads < 4 ? 1 : w->opts.nr_threads / 2;

	return nr < most ? nr : most;
}

/* Members alternate over the nodes; each buffer stays on its team's node. */
static void place_mixed(struct work *w)
{
	for (int i = 0; i < w->opts.nr_threads; i++) {
		struct work_thread *t = &w->threads[i];

		t->start_nid = w->homes[(t->team + t->member) % w->nr_homes];
	}
}

int main(int argc, char **argv)
{
	static const struct work_kind kind = {
		.name = "work_shared",
		.what = "teams share a buffer, members start on all nodes",
		.has_teams = true,
		.default_teams = one_team_per_node,
		.place_wrong = place_mixed,
	};

	return work_main(&kind, argc, argv);
}
