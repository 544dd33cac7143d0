/* SPDX-License-Identifier: MIT */
/*
 * What the tests of policy have in common: cmocka's headers in its order, and
 * a deterministic source of numbers for the property tests.
 */
#ifndef NB_POLICY_TEST_H
#define NB_POLICY_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* xorshift64 (Marsaglia 2003): the same numbers in each run, from @state. */
static inline uint64_t prng(uint64_t *state)
{
	uint64_t x = *state;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	*state = x;
	return x;
}

/* A number in [0, @n). */
static inline uint64_t prng_below(uint64_t *state, uint64_t n)
{
	return prng(state) % n;
}

#endif /* NB_POLICY_TEST_H */
