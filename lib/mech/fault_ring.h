/* SPDX-License-Identifier: MIT */
/*
 * 3. Hint faults on their way from the faulting thread to numabald.
 */
#ifndef NB_FAULT_RING_H
#define NB_FAULT_RING_H

#include "slot.h"

bool nb_fault_ring_push(struct nb_fault_ring *r, const struct nb_hint_fault *f);
bool nb_fault_ring_pop(struct nb_fault_ring *r, struct nb_hint_fault *f);
uint32_t nb_fault_ring_fill(const struct nb_fault_ring *r);

#endif /* NB_FAULT_RING_H */
