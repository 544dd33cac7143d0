/* SPDX-License-Identifier: MIT */
/*
 * The address space as the program changes it, seen at its system calls.
 */
#ifndef NB_GUARD_MM_H
#define NB_GUARD_MM_H

#include "guard/guard.h"

extern _Atomic uint32_t nb_mm_mutating; /* calls between enter and leave */

void nb_mm_learn(void);
bool nb_mm_disarm(const struct nb_range *r);
void nb_mm_must(bool ok);
void nb_mm_stack(struct nb_slot *slot, uint64_t sp);
void nb_mm_seen_stacks(void);
void nb_mm_never(uint64_t start, uint64_t len);

#endif /* NB_GUARD_MM_H */
