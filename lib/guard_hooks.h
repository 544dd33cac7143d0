/* SPDX-License-Identifier: MIT */
/*
 * The glue's side of the guard: what the process does at certain system calls,
 * whoever makes them.
 */
#ifndef NB_GUARD_HOOKS_H
#define NB_GUARD_HOOKS_H

#include "guard/guard.h"

#include <ucontext.h>

struct nb_tier_choice;

extern const struct nb_guard_hook nb_guard_mm;	    /* guard_mm.c */
extern const struct nb_guard_hook nb_guard_signal;  /* guard_signal.c */
extern const struct nb_guard_hook nb_guard_process; /* guard_process.c */
extern const struct nb_guard_hook nb_guard_task;    /* guard_task.c */
extern const struct nb_guard_hook nb_guard_step;    /* guard_step.c */

/* guard_process.c: a call by a child that shares our memory; a forked child */
void nb_guard_process_shared(struct nb_regs *r);
void nb_guard_process_forked(void);
/* ... a call that was left by a jump */
void nb_guard_process_abandoned(struct nb_slot *slot, struct nb_call *call);
/* ... a handler of the program's, which may leave one */
void nb_guard_process_handler_begin(const ucontext_t *uc);
void nb_guard_process_handler_end(ucontext_t *uc);
/* ... a thread that ends */
void nb_guard_process_leaving(struct nb_slot *slot, const struct nb_call *call);

/* guard_alone.c */
void nb_alone_enter(struct nb_call *call, const struct nb_regs *r);
void nb_alone_leave(void);

/* guard_setup.c */
int nb_guard_setup(void);
void nb_guard_check(void);
bool nb_guarded(void);
enum nb_tier nb_guard_tier(void);
const struct nb_tier_choice *nb_guard_choice(void);
void nb_guard_exec_mapped(uint64_t addr, uint64_t len, int fd, uint64_t off,
			  bool constant);
void nb_guard_exec_made(uint64_t addr, uint64_t len, bool constant);
void nb_guard_exec_unmapped(uint64_t start, uint64_t end);
uint64_t nb_guard_holes(void);

#endif /* NB_GUARD_HOOKS_H */
