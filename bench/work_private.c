/* SPDX-License-Identifier: MIT */
/*
 * work_private: each thread reads and writes a buffer of its own, which
 * starts on the wrong node.
 *
 * What should happen: local_pages_pct is about 0 at the start. With a
 * balancer it goes to 95 and more and stays, as every page has one user and
 * one right node: its user's. Moving the pages and moving the threads are
 * both right; threads are already spread evenly, so that moving pages alone
 * is enough. With --pin wrong only pages may move (the affinity is the
 * program's own wish); with --mlock, or when --hold-free-mb leaves no room on
 * the threads' node, only threads. With --mbind pages must stay, too, and
 * threads have to come to them. Without a balancer it stays at 0: that the
 * kernel's load balancer moves a thread is then chance.
 *
 * Where it is adverse: with more threads than CPUs the scheduler moves
 * threads between nodes all the time, and each move makes a whole buffer
 * remote. A balancer that follows at once copies memory to and fro and gains
 * nothing. With --random every page of a large buffer is seldom seen, so that
 * a filter that asks for two faults in a row converges slowly.
 */
#include "work.h"

static int one_team_per_thread(const struct work *w)
{
	return w->opts.nr_threads;
}

int main(int argc, char **argv)
{
	static const struct work_kind kind = {
		.name = "work_private",
		.what = "each thread has its own buffer, on the wrong node",
		.default_teams = one_team_per_thread,
		.place_wrong = work_place_apart,
	};

	return work_main(&kind, argc, argv);
}
