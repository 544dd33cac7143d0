/* SPDX-License-Identifier: MIT */
/*
 * work_phase: half-way, who uses what changes. In each phase a team (one
 * thread by default) works on the buffer that the next team had before, which
 * was on another node. --phases N makes N - 1 changes in the time.
 *
 * What should happen: it starts placed right by default, 100 % local. The
 * change makes it about 0 at once; with a balancer it climbs back to 95, and
 * without one it ends at 0. It does not start wrong because on two nodes a
 * buffer on the wrong node for the first user is on the right one for the
 * next, and the run without balancing would end well: --place wrong gives
 * that (0, then 100), and with a balancer 0, 100, 0, 100. With an odd number
 * of teams on two nodes one team keeps a buffer of its own node; with one
 * team or one node nothing changes.
 *
 * With --until-local each phase ends as soon as the share is reached, and the
 * exit code is 1 when any phase did not reach it.
 *
 * Where it is adverse: many short phases. Before the pages have followed,
 * they belong to somebody else. A balancer whose statistics do not decay
 * stays with the past, one that follows every change copies for nothing: both
 * show as a lower mb_per_s than without balancing.
 */
#include "work.h"

static int one_team_per_thread(const struct work *w)
{
	return w->opts.nr_threads;
}

int main(int argc, char **argv)
{
	static const struct work_kind kind = {
		.name = "work_phase",
		.what = "half-way, buffers change their users",
		.has_teams = true,
		.has_phases = true,
		.default_teams = one_team_per_thread,
		.place_wrong = work_place_apart,
	};

	return work_main(&kind, argc, argv);
}
