/* SPDX-License-Identifier: MIT */
/*
 * Random numbers that are the same in each run.
 */
#ifndef NB_SIM_RAND_H
#define NB_SIM_RAND_H

#include "../../lib/base/util.h"

/* Marsaglia's xorshift64*; @state is never 0. */
static inline uint64_t sim_rand(uint64_t *state)
{
	uint64_t x = *state;

	x ^= x >> 12;
	x ^= x << 25;
	x ^= x >> 27;
	*state = x;
	return x * 0x2545f4914f6cdd1dULL;
}

/* Below @n, which is not 0. */
static inline uint32_t sim_rand_below(uint64_t *state, uint32_t n)
{
	return (uint32_t)((sim_rand(state) >> 32) * n >> 32);
}

/* In [0, 1). */
static inline double sim_rand_unit(uint64_t *state)
{
	return (double)(sim_rand(state) >> 11) / 9007199254740992.0;
}

/* A state from a seed, so that neighbouring seeds have nothing in common. */
static inline uint64_t sim_rand_seed(uint64_t seed)
{
	uint64_t x = seed + 0x9e3779b97f4a7c15ULL;

	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ULL;
	x = (x ^ x >> 27) * 0x94d049bb133111ebULL;
	x ^= x >> 31;
	return x ? x : 1;
}

#endif /* NB_SIM_RAND_H */
