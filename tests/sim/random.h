/* SPDX-License-Identifier: MIT */
/*
 * Machines and programs by chance, each from a seed.
 */
#ifndef NB_SIM_RANDOM_H
#define NB_SIM_RANDOM_H

#include "scenario.h"

/* X(name): what a group of threads does; those after STREAM change. */
#define SIM_PATTERNS(X)                                                        \
	X(private)                                                             \
	X(slices)                                                              \
	X(team)                                                                \
	X(read_all)                                                            \
	X(write_all)                                                           \
	X(prodcons)                                                            \
	X(hotcold)                                                             \
	X(imbalance)                                                           \
	X(bound)                                                               \
	X(locked)                                                              \
	X(stream)                                                              \
	X(phase)                                                               \
	X(churn)                                                               \
	X(rebind)                                                              \
	X(sleepy)

enum sim_pattern {
#define SIM_PATTERN_ENUM(name) SIM_P_##name,
	SIM_PATTERNS(SIM_PATTERN_ENUM)
#undef SIM_PATTERN_ENUM
		SIM_NR_PATTERNS
};

#define SIM_FIRST_CHANGING SIM_P_stream

/* A thread whose use changes while it runs. */
struct sim_slot {
	enum sim_pattern what;
	int proc, thread, seg, pool;
	uint64_t bytes;
	uint32_t period, at; /* ticks */
};

#define SIM_MAX_SLOTS 512

/* s->scenario, so that it must be one block of memory. */
struct sim_random {
	struct sim_machine m;
	uint64_t rng;
	uint32_t grain_4k;
	uint32_t scan_period_min_ms; /* what the user asks for */
	uint32_t wanted;   /* patterns to draw from, 1 << enum sim_pattern */
	uint32_t patterns; /* that were drawn */
	bool changes;
	struct sim_slot slot[SIM_MAX_SLOTS];
	int nr_slots;
};

extern const char *const sim_pattern_names[SIM_NR_PATTERNS];
extern const struct sim_scenario sim_random_scenario;

struct sim_random *sim_random_new(uint64_t seed, uint32_t wanted);

/* random_machine.c */
void sim_random_machine(struct sim_machine *m, uint64_t *rng);
struct sim_limits sim_random_limits(const struct sim_machine *m, uint64_t *rng);

#endif /* NB_SIM_RANDOM_H */
