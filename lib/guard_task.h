/* SPDX-License-Identifier: MIT */
/*
 * Memory that the kernel uses for a thread without being asked again.
 */
#ifndef NB_GUARD_TASK_H
#define NB_GUARD_TASK_H

#include "guard/guard.h"

/* More memory of a call in flight than its class says: kept open as well. */
void nb_guard_keep_open(struct nb_call *call, uint64_t start, uint64_t len);
/* Before clone(2) and clone3(2): what the new thread's end writes to. */
void nb_task_clone_never(const struct nb_regs *r);
/* What is around a thread pointer. */
void nb_guard_never_tls(uint64_t pointer);
/* Before exit(2) of a thread: its robust mutexes. */
void nb_task_exit_robust(struct nb_call *call);

#endif /* NB_GUARD_TASK_H */
