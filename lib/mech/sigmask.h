/* SPDX-License-Identifier: MIT */
/*
 * The part of sigmask.c that is for sigchain.c alone; the rest is in
 * sigchain.h.
 */
#ifndef NB_SIGMASK_H
#define NB_SIGMASK_H

#include <signal.h>
#include <ucontext.h>

void nb_sigmask_show(ucontext_t *uc);
void nb_sigmask_handler_begin(const ucontext_t *uc);
void nb_sigmask_keep(const siginfo_t *info, ucontext_t *uc);
void nb_sigmask_forget(void);

#endif /* NB_SIGMASK_H */
