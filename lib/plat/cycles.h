/* SPDX-License-Identifier: MIT */
/*
 * The CPU's own clock: a few nanoseconds to read, in its own unit.
 *
 * nb_clock_ns() gives nanoseconds; numabald relates the two over each of its
 * intervals, so nobody needs to know the frequency.
 */
#ifndef NB_CYCLES_H
#define NB_CYCLES_H

#include "sys.h"

static inline uint64_t nb_cycles(void)
{
#if defined(__x86_64__) || defined(__i386__)
	return __builtin_ia32_rdtsc();
#elif defined(__aarch64__)
	uint64_t v;

	__asm__ volatile("mrs %0, cntvct_el0" : "=r"(v));
	return v;
#else
	return nb_clock_ns();
#endif
}

#endif /* NB_CYCLES_H */
