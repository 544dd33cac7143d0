/* SPDX-License-Identifier: MIT */
/*
 * Threads that the program or the user marks as latency-critical: they are to
 * take no hint faults.
 */
#ifndef NB_LATENCY_H
#define NB_LATENCY_H

#include "mech/slot.h"

/* Who marked a thread. */
enum nb_latency_by {
	NB_LATENCY_BY_PROGRAM = 1U << 0, /* numabal_thread_register_flags() */
	NB_LATENCY_BY_NAME = 1U << 1,	 /* LATENCY_THREADS */
};

void nb_latency_mark(struct nb_slot *slot, enum nb_latency_by by, bool yes);
uint32_t nb_latency_region_flags(const struct nb_slot *slot);
void nb_latency_walk(void);

#endif /* NB_LATENCY_H */
