/* SPDX-License-Identifier: MIT */
/*
 * What else than the hooks of guard_signal.c the guard calls: at start, for
 * threads and for programs that are started.
 */
#ifndef NB_GUARD_SIGNAL_H
#define NB_GUARD_SIGNAL_H

#include "guard/guard.h"
#include "mech/sigchain.h"

struct nb_slot;

/*
 * The process in our memory, suspended in this thread, that has set an action
 * for SIGSEGV of its own.
 */
extern __thread pid_t nb_signal_action_set_by
	__attribute__((tls_model("initial-exec")));

int nb_signal_start(void);
void nb_signal_thread_begin(struct nb_slot *slot);
void nb_signal_shared_child(struct nb_regs *r);
void nb_signal_after_fork(void);

/* guard_exec.c.  What has been made true for an exec(2) or a vfork(2). */
struct nb_exec_signals {
	bool blocked;
	bool ignored;
};

void nb_signal_vfork_begin(struct nb_exec_signals *save, uint64_t *mask);
void nb_signal_exec_begin(struct nb_exec_signals *save, uint64_t *mask);
void nb_signal_exec_end(const struct nb_exec_signals *save, uint64_t *mask);
void nb_signal_exec_shared(void);

/*
 * guard_handler.c.  What stands between the kernel and the program's handlers:
 * @act becomes what the kernel gets, @old what the program sees; _undo(): the
 * kernel did not take @act.
 */
#define NB_NR_SIGNALS 64
#define NB_SIGCANCEL 32 /* of pthread_cancel(3) */
struct nb_handler_was {
	uint64_t handler;
	uint32_t change;
};
void nb_handler_wrap(int sig, struct nb_ksigaction *act,
		     struct nb_handler_was *was);
void nb_handler_undo(int sig, const struct nb_handler_was *was);
void nb_handler_view(int sig, struct nb_ksigaction *old,
		     const struct nb_handler_was *was);
bool nb_handler_known(int sig);

#endif /* NB_GUARD_SIGNAL_H */
