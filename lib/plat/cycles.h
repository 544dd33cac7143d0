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

#include <stdatomic.h>

/* The program has forbidden it (PR_SET_TSC): reading it would be a SIGSEGV. */
extern _Atomic bool nb_cycles_refused;

static inline uint64_t nb_cycles(void)
{
	if (nb_unlikely(atomic_load_explicit(&nb_cycles_refused,
					     memory_order_relaxed)))
		return 0;
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
