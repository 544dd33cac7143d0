/* SPDX-License-Identifier: MIT */
/*
 * What programs do on the simulated machines.
 */
#ifndef NB_SIM_SCENARIO_H
#define NB_SIM_SCENARIO_H

#include "engine.h"

struct sim_scenario {
	const char *name;
	const char *doc;
	bool changes; /* patterns, while it runs: there is no end state */
	uint32_t secs;
	void (*setup)(struct sim *s);
	void (*step)(struct sim *s); /* before each tick, or NULL */
};

extern const struct sim_scenario sim_scenarios[];
extern const unsigned int sim_nr_scenarios;
extern bool sim_huge_pages;   /* all memory is in huge pages */
extern uint32_t sim_slice_mb; /* what a thread has of its own, about */

/* What a program has in the end. */
struct sim_result {
	double cost;	 /* time wanted per access, 1: all local, no waiting */
	double end_cost; /* the same for the last fifth of the time */
	double access;	 /* distance / 10 x crowding, without other costs */
	double local;	 /* share of accesses */
	double end_local;
	double overhead;	 /* share of wanted time spent on balancing */
	double converged_s;	 /* since the last change; -1: did not */
	double moves_per_page;	 /* a minute, after that */
	double moves_per_thread; /* likewise, by the brain */
	uint64_t moved_mb, failed_mb;
	uint64_t moves;	   /* of threads by the brain */
	uint64_t balanced; /* ... by the scheduler */
	uint64_t faults;
	uint64_t nr_pages_4k;
};

const struct sim_scenario *sim_scenario_find(const char *name);
double sim_cost_of(const struct sim_window *w);
/* Called for each half second that has passed, if not NULL. */
typedef void sim_watch(const struct sim *s, const struct sim_window *w);
struct sim_result sim_run(struct sim *s, const struct sim_scenario *sc,
			  uint32_t secs, sim_watch *watch);

extern const struct sim_brain *const sim_brains[];
extern const unsigned int sim_nr_brains;
const struct sim_brain *sim_brain_find(const char *name);

#endif /* NB_SIM_SCENARIO_H */
