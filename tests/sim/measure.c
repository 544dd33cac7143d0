/* SPDX-License-Identifier: MIT */
/*
 * Running a scenario, and what came out of it.
 *
 * The cost is how much longer threads need for the same work than with all
 * memory local, nothing crowded, a CPU for each and nobody balancing.  All
 * threads count alike, by the time that they want to run: it is the mean of
 * what their accesses cost (distance / 10 x crowding), times what they wait
 * for a CPU, over the share of time that faults and migration leave to them.
 *
 * Converged is who has reached, and then keeps within 3 %, the cost of the
 * last fifth of the time; who has not by then never did.
 */
#include "scenario.h"

#include <string.h>

#define SLACK 1.03

double sim_cost_of(const struct sim_window *w)
{
	double left = w->wanted_ns - w->cost_ns;

	return left > 0 ? w->needed_ns / left : 0;
}

static void add(struct sim_window *sum, const struct sim_window *w)
{
	sum->acc += w->acc;
	sum->local += w->local;
	sum->price_ns += w->price_ns;
	sum->needed_ns += w->needed_ns;
	sum->wanted_ns += w->wanted_ns;
	sum->cost_ns += w->cost_ns;
	sum->moved += w->moved;
	sum->task_moves += w->task_moves;
	sum->faults += w->faults;
}

static struct sim_window sum_of(const struct sim *s, uint32_t from, uint32_t to)
{
	struct sim_window sum = {0};

	for (uint32_t i = from; i < to; i++)
		add(&sum, &s->window[i]);
	return sum;
}

/* The first window from which on all cost what the last ones do. */
static uint32_t settled(const struct sim *s, uint32_t from, uint32_t nr)
{
	uint32_t end = nr - nb_max((nr - from) / 5, 1U);
	struct sim_window last = sum_of(s, end, nr), two;
	uint32_t i = end;

	/* Two windows together: a single one may be an odd moment. */
	while (i > from) {
		two = s->window[i];
		add(&two, &s->window[i - 1]);
		if (sim_cost_of(&two) > sim_cost_of(&last) * SLACK)
			return i;
		i--;
	}
	return from;
}

static uint64_t pages_4k(const struct sim *s)
{
	uint64_t nr = 0;

	for (int n = 0; n < s->m.nr_nodes; n++)
		nr += s->used_4k[n];
	return nr;
}

static int nr_alive(const struct sim *s)
{
	int nr = 0;

	for (int i = 0; i < s->nr_threads; i++)
		nr += s->thread[i].alive;
	return nr;
}

static struct sim_result result_of(const struct sim *s)
{
	uint32_t nr = (uint32_t)(s->tick / SIM_WINDOW_TICKS);
	uint32_t from = (uint32_t)(s->last_change / SIM_WINDOW_TICKS);
	uint32_t end = nr - nb_max(nr / 5, 1U), at;
	struct sim_window all = sum_of(s, 0, nr), last = sum_of(s, end, nr);
	struct sim_result r = {
		.cost = sim_cost_of(&all),
		.end_cost = sim_cost_of(&last),
		.moved_mb = s->total.moved / 256,
		.failed_mb = s->total.failed / 256,
		.moves = s->total.moves,
		.balanced = s->total.balanced,
		.faults = s->total.faults,
		.nr_pages_4k = pages_4k(s),
		.converged_s = -1,
	};
	double per_sec = SIM_TICKS_PER_SEC / SIM_WINDOW_TICKS;

	if (all.acc <= 0 || last.acc <= 0)
		return r;
	r.access = all.price_ns / all.wanted_ns;
	r.local = all.local / all.acc;
	r.end_local = last.local / last.acc;
	r.overhead = all.cost_ns / all.wanted_ns;
	at = settled(s, nb_min(from, nr - 1), nr);
	if (at < end)
		r.converged_s = (at - nb_min(from, at)) / per_sec;
	else
		at = from;
	/* What is cheap from the first may still be spread at first. */
	at = nb_max(at, from + (nr - nb_min(from, nr)) * 2 / 3);
	last = sum_of(s, at, nr);
	if (nr > at && nr_alive(s))
		r.moves_per_thread = (double)last.task_moves / nr_alive(s) *
				     60 * per_sec / (nr - at);
	if (nr > at && r.nr_pages_4k)
		r.moves_per_page = (double)last.moved / (double)r.nr_pages_4k *
				   60 * per_sec / (nr - at);
	return r;
}

/**
 * sim_run() - set up a scenario and let it run
 * @s: the simulation, at time 0
 * @sc: the scenario
 * @secs: how long; 0: as long as it says itself
 * @watch: what to call for each window of time, or NULL
 *
 * Return: what came out.
 */
struct sim_result sim_run(struct sim *s, const struct sim_scenario *sc,
			  uint32_t secs, sim_watch *watch)
{
	uint32_t ticks = (secs ? secs : sc->secs) * SIM_TICKS_PER_SEC;

	sc->setup(s);
	sim_changed(s);
	for (uint32_t i = 1; i <= ticks; i++) {
		if (sc->step)
			sc->step(s);
		sim_tick(s);
		if (watch && i % SIM_WINDOW_TICKS == 0)
			watch(s, &s->window[i / SIM_WINDOW_TICKS - 1]);
	}
	return result_of(s);
}

const struct sim_scenario *sim_scenario_find(const char *name)
{
	for (unsigned int i = 0; i < sim_nr_scenarios; i++)
		if (!strcmp(sim_scenarios[i].name, name))
			return &sim_scenarios[i];
	return NULL;
}

const struct sim_brain *sim_brain_find(const char *name)
{
	for (unsigned int i = 0; i < sim_nr_brains; i++)
		if (!strcmp(sim_brains[i]->name, name))
			return sim_brains[i];
	return NULL;
}
