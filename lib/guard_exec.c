/* SPDX-License-Identifier: MIT */
/*
 * What goes on into programs that are started: which signals are blocked, and
 * which ignored.  For SIGSEGV the kernel has our idea of both, so that it is
 * told the program's before exec(2), and before a process is made that runs in
 * our memory; and ours again when the call comes back.
 *
 * A handler of the program may come before and after each of these, and jump
 * away, but not in between: signals are blocked.  So a mask is not set here,
 * but given to who lets them in again.
 *
 * Owns nothing; called by guard_process.c, which sees to it that nothing is
 * armed meanwhile.
 */
#include "guard_signal.h"
#include "nb.h"
#include "plat/sys.h"

#include <signal.h>
#include <sys/syscall.h>

#define SEGV NB_SIG_BIT(SIGSEGV)
#define MASK_BYTES 8 /* the kernel's sigset_t */

/**
 * nb_signal_vfork_begin() - a process is made that runs in our memory
 * @save: out: for nb_signal_exec_end().
 * @mask: what the thread is about to have blocked; becomes what the program
 *	believes, which the process inherits.
 *
 * Context: the calling thread, before vfork(2) or its like, signals blocked;
 * nothing is armed until nb_signal_exec_end().
 */
void nb_signal_vfork_begin(struct nb_exec_signals *save, uint64_t *mask)
{
	save->ignored = false;
	/* Once masks are real it may be so already, and stays so then. */
	save->blocked = nb_sigchain_installed() && nb_sigchain_blocked() &&
			!(*mask & SEGV);
	if (save->blocked)
		*mask |= SEGV;
}

static bool ignores(void)
{
	struct nb_ksigaction act;

	nb_sigchain_get(&act);
	return nb_sigchain_installed() && act.handler == (uint64_t)SIG_IGN;
}

/**
 * nb_signal_exec_begin() - let the kernel have what the program believes
 * @save: out: for nb_signal_exec_end().
 * @mask: what the thread is about to have blocked; the same of it.
 *
 * What is blocked and what is ignored goes on into the next program.
 *
 * Context: the calling thread, before execve(2), signals blocked; nothing is
 * armed.
 */
void nb_signal_exec_begin(struct nb_exec_signals *save, uint64_t *mask)
{
	nb_signal_vfork_begin(save, mask);
	save->ignored = ignores() && !nb_sigchain_ignore(true);
}

/**
 * nb_signal_exec_end() - undo nb_signal_exec_begin() or _vfork_begin()
 * @save: what it stored.
 * @mask: what the thread is about to have blocked.
 *
 * Context: the same thread, signals blocked; nothing is armed yet.
 */
void nb_signal_exec_end(const struct nb_exec_signals *save, uint64_t *mask)
{
	if (save->ignored)
		nb_sigchain_ignore(false);
	if (save->blocked)
		*mask &= ~SEGV;
}

static bool kernel_action(struct nb_ksigaction *now)
{
	return !nb_syscall6(SYS_rt_sigaction, SIGSEGV, 0, (long)now, MASK_BYTES,
			    0, 0);
}

/*
 * What has become of our action in a process that was made with
 * CLONE_CLEAR_SIGHAND, as posix_spawn(3) of newer libcs does: the kernel resets
 * handlers, not what is ignored.
 */
static bool was_reset(const struct nb_ksigaction *now)
{
	return now->handler == (uint64_t)SIG_DFL &&
	       (pid_t)nb_sys_getpid() != nb_signal_action_set_by;
}

/**
 * nb_signal_exec_shared() - exec(2) by a process that runs in our memory
 *
 * It may have set an action of its own, and has had the right mask from its
 * beginning.  Nothing is undone: its actions end with it.
 *
 * Context: that process.
 */
void nb_signal_exec_shared(void)
{
	struct nb_ksigaction now;

	if (ignores() && kernel_action(&now) &&
	    (nb_sigchain_is_ours(&now) || was_reset(&now)))
		nb_sigchain_ignore_here(true);
}
