/* SPDX-License-Identifier: MIT */
/*
 * pthread_cancel(3): libc's handler unwinds the stack from where the signal
 * came.  A stub has no unwind information, so destructors and cleanup handlers
 * would be left out: where one was interrupted, libc's handler is shown the
 * instruction of the program that the stub was about to run instead.  If it
 * returns, the stub goes on.
 *
 * What a stub calls needs nothing: to an unwinder, entry.S looks like a signal
 * frame that interrupted the site itself.
 *
 * Owns libc's handler.  Called by guard_signal.c, and by the kernel.
 */
#include "guard_signal.h"

#include "guard/patch.h"

#include <signal.h>
#include <stdatomic.h>
#include <ucontext.h>

static _Atomic uint64_t libc_handler;

#if defined(__x86_64__)

#define IP(uc) ((uc)->uc_mcontext.gregs[REG_RIP])
#define SP(uc) ((uc)->uc_mcontext.gregs[REG_RSP])

static bool show_site(ucontext_t *uc)
{
	const struct nb_patched *site;
	uint64_t ip = (uint64_t)IP(uc), original;

	if (!nb_patch_original(ip, &original, &site))
		return false;
	SP(uc) += nb_patch_skew(ip);
	IP(uc) = (greg_t)original;
	return true;
}

/* What the kernel has in libc's place. */
static void on_cancel(int sig, siginfo_t *info, void *ucv)
{
	uint64_t handler = atomic_load(&libc_handler);
	ucontext_t *uc = ucv;
	greg_t ip = IP(uc), sp = SP(uc);
	bool shown = show_site(uc);

	((void (*)(int, siginfo_t *, void *))handler)(sig, info, uc);
	if (!shown)
		return;
	IP(uc) = ip;
	SP(uc) = sp;
}

#else

static void on_cancel(int sig, siginfo_t *info, void *uc)
{
	uint64_t handler = atomic_load(&libc_handler);

	((void (*)(int, siginfo_t *, void *))handler)(sig, info, uc);
}

#endif

/**
 * nb_cancel_wrap() - an action that stands between
 * @act: libc's, becomes the kernel's.
 * @was: out: what it replaces.
 *
 * Context: any thread.
 */
void nb_cancel_wrap(struct nb_ksigaction *act, struct nb_cancel_action *was)
{
	was->handler = atomic_load(&libc_handler);
	if (act->handler == (uint64_t)SIG_DFL ||
	    act->handler == (uint64_t)SIG_IGN)
		return;
	atomic_store(&libc_handler, act->handler);
	act->handler = (uint64_t)on_cancel;
}

/**
 * nb_cancel_undo() - the kernel did not take nb_cancel_wrap()'s action
 * @was: what that replaced.
 *
 * Context: any thread.
 */
void nb_cancel_undo(const struct nb_cancel_action *was)
{
	atomic_store(&libc_handler, was->handler);
}

/**
 * nb_cancel_view() - libc's action instead of the kernel's
 * @old: as the kernel told it.
 * @was: what libc had before nb_cancel_wrap(); NULL: as it is now.
 *
 * Context: any thread.
 */
void nb_cancel_view(struct nb_ksigaction *old,
		    const struct nb_cancel_action *was)
{
	if (old->handler == (uint64_t)on_cancel)
		old->handler = was ? was->handler : atomic_load(&libc_handler);
}
