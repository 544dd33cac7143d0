/* SPDX-License-Identifier: MIT */
/*
 * Signal frames as the kernel makes them, and how a handler of the application
 * is entered on one: on the stack where the kernel has put it, or on a copy
 * where the application expects it.
 */
#ifndef NB_SIGFRAME_H
#define NB_SIGFRAME_H

#include "../base/util.h"

#include <signal.h>
#include <ucontext.h>

/* How to enter the application's handler.  Offsets are in sigframe.c, too. */
struct nb_sigjump {
	uint64_t handler;
	uint64_t sp; /* at its entry would be: the frame */
	uint64_t info;
	uint64_t uc;
	uint64_t mask; /* of the thread while it runs; right below sp */
};

/* The kernel's handler of SIGSEGV. */
void nb_sigsegv_entry(int sig, siginfo_t *info, void *uc);
/* The end of a signal frame, as unwinders and debuggers know it. */
void nb_restore_rt(void);

/*
 * sigchain.c: what to do with a SIGSEGV.  True: enter the handler of @jump,
 * then call nb_sigsegv_return() with the context that the handler has had.
 */
bool nb_sigsegv_handle(int sig, siginfo_t *info, void *uc,
		       struct nb_sigjump *jump);
void nb_sigsegv_return(ucontext_t *uc);

/*
 * sigmove.S: the kernel's handler of other signals, for what the program wants
 * on the interrupted stack.  Goes on in nb_sigmove_run, on the frame where it
 * belongs, or where the kernel has put it.
 */
void nb_sigmove_entry(int sig, siginfo_t *info, void *uc);
extern const char nb_sigmove_commit[], nb_sigmove_fault[];
extern void (*nb_sigmove_run)(int sig, siginfo_t *info, void *uc)
	__attribute__((visibility("hidden")));
void nb_sigmove_no_room(ucontext_t *uc); /* sigmask.c: it could not */

bool nb_sigframe_on_alt(const ucontext_t *uc, uint64_t sp);
uint64_t nb_sigframe_sp(const ucontext_t *uc);
void nb_sigframe_stay(struct nb_sigjump *jump, siginfo_t *info, ucontext_t *uc);
bool nb_sigframe_move(struct nb_sigjump *jump, siginfo_t *info, ucontext_t *uc);
bool nb_sigframe_copy_failed(ucontext_t *uc);

#endif /* NB_SIGFRAME_H */
