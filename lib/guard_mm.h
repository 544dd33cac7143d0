/* SPDX-License-Identifier: MIT */
/*
 * The address space as the program changes it, seen at its system calls.
 */
#ifndef NB_GUARD_MM_H
#define NB_GUARD_MM_H

#include "guard/guard.h"

void nb_mm_learn(void);
bool nb_mm_disarm(const struct nb_range *r);
void nb_mm_must(bool ok);
void nb_mm_stack(struct nb_slot *slot, uint64_t sp);
void nb_mm_seen_stacks(void);
void nb_mm_never(uint64_t start, uint64_t len);

/* guard_advice.c: of hook MM, what makes no mapping and removes none */
void nb_advice_enter(struct nb_call *call, const struct nb_regs *r);
void nb_advice_leave(const struct nb_call *call, const struct nb_regs *r);

/* guard_verify.c */
bool nb_verify_range(const struct nb_range *range);
bool nb_verify_all(void);
void nb_reconcile(uint64_t now_ns);
void nb_reconcile_after_fork(void);
extern const char nb_why_unseen_change[];

#endif /* NB_GUARD_MM_H */
