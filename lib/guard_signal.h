/* SPDX-License-Identifier: MIT */
/*
 * What else than the hooks of guard_signal.c and guard_cancel.c the guard
 * calls: at start, for threads and for programs that are started.
 */
#ifndef NB_GUARD_SIGNAL_H
#define NB_GUARD_SIGNAL_H

#include "guard/guard.h"
#include "mech/sigchain.h"

struct nb_slot;

/* What was made true for an exec(2) or a vfork(2). */
struct nb_exec_signals {
	bool blocked;
	bool ignored;
};

int nb_signal_start(void);
void nb_signal_thread_begin(struct nb_slot *slot);
void nb_signal_shared_child(struct nb_regs *r);
bool nb_signal_exec_begin(struct nb_exec_signals *save);
void nb_signal_exec_failed(const struct nb_exec_signals *save);
bool nb_signal_vfork_begin(struct nb_exec_signals *save);
void nb_signal_vfork_end(const struct nb_exec_signals *save);

/*
 * guard_cancel.c.  The signal of pthread_cancel(3), and what stands between
 * the kernel and libc's handler of it: @act becomes what the kernel gets,
 * @old what the program sees; _undo(): the kernel did not take @act.
 */
#define NB_SIGCANCEL 32
struct nb_cancel_action {
	uint64_t handler;
};
void nb_cancel_wrap(struct nb_ksigaction *act, struct nb_cancel_action *was);
void nb_cancel_undo(const struct nb_cancel_action *was);
void nb_cancel_view(struct nb_ksigaction *old,
		    const struct nb_cancel_action *was);

#endif /* NB_GUARD_SIGNAL_H */
