/* SPDX-License-Identifier: MIT */
/*
 * What the kernel calls instead of the program's handlers of other signals
 * than SIGSEGV.
 *
 * A signal's return puts back the mask that is in its frame, and no hook is
 * passed by then.  The handler may have put SIGSEGV into it, which would
 * really be blocked from there on: the next hint fault would kill.  Or it has
 * changed the mask by a call and leaves it to its return to put back what the
 * program believes as well.  So each handler is called from here, with the
 * frame as the program believes it to be, and the frame is looked at when it
 * returns.
 *
 * pthread_cancel(3): libc's handler unwinds the stack from where the signal
 * came.  A stub has no unwind information, so destructors and cleanup handlers
 * would be left out: where one was interrupted, libc's handler is shown the
 * instruction of the program that the stub was about to run instead.  If it
 * returns, the stub goes on.  What a stub calls needs nothing: to an unwinder,
 * entry.S looks like a signal frame that interrupted the site itself.
 *
 * Owns the program's handlers.  Called by guard_signal.c, and by the kernel.
 */
#include "guard_signal.h"

#include "guard/patch.h"
#include "mech/sigframe.h"

#include <signal.h>
#include <stdatomic.h>
#include <ucontext.h>

/* libc's own, which leaves masks alone. */
#define SIGSETXID 33

static struct {
	_Atomic uint64_t handler;
	_Atomic bool segv; /* SIGSEGV is in the mask */
} set[NB_NR_SIGNALS + 1];

static void call(uint64_t handler, int sig, siginfo_t *info, void *uc)
{
	((void (*)(int, siginfo_t *, void *))handler)(sig, info, uc);
}

/* What the kernel has in the program's place. */
static void on_signal(int sig, siginfo_t *info, void *uc)
{
	uint64_t handler = atomic_load(&set[sig].handler);

	/* Its mask is its own, and the thread's state is its parent's. */
	if (nb_guard_shared_child()) {
		call(handler, sig, info, uc);
		return;
	}
	nb_sigchain_handler_begin(uc, atomic_load(&set[sig].segv));
	call(handler, sig, info, uc);
	nb_sigsegv_return(uc);
}

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

/* ... and in libc's. */
static void on_cancel(int sig, siginfo_t *info, void *ucv)
{
	uint64_t handler = atomic_load(&set[sig].handler);
	ucontext_t *uc = ucv;
	greg_t ip = IP(uc), sp = SP(uc);
	bool shown = show_site(uc);

	call(handler, sig, info, uc);
	if (!shown)
		return;
	IP(uc) = ip;
	SP(uc) = sp;
}

#else

static void on_cancel(int sig, siginfo_t *info, void *uc)
{
	call(atomic_load(&set[sig].handler), sig, info, uc);
}

#endif

static bool is_ours(uint64_t handler)
{
	return handler == (uint64_t)on_signal || handler == (uint64_t)on_cancel;
}

/**
 * nb_handler_wrap() - an action that stands between
 * @sig: whose.
 * @act: the program's, becomes the kernel's.
 * @was: out: what it replaces.
 *
 * Context: any thread; one at a time.
 */
void nb_handler_wrap(int sig, struct nb_ksigaction *act,
		     struct nb_handler_was *was)
{
	was->handler = atomic_load(&set[sig].handler);
	was->segv = atomic_load(&set[sig].segv);
	atomic_store(&set[sig].segv, act->mask & NB_SIG_BIT(SIGSEGV));
	act->mask &= ~NB_SIG_BIT(SIGSEGV);
	if (act->handler == (uint64_t)SIG_DFL ||
	    act->handler == (uint64_t)SIG_IGN || sig == SIGSETXID)
		return;
	/* A program that has got at ours must not make it call itself. */
	if (!is_ours(act->handler))
		atomic_store(&set[sig].handler, act->handler);
	act->handler =
		sig == NB_SIGCANCEL ? (uint64_t)on_cancel : (uint64_t)on_signal;
}

/**
 * nb_handler_undo() - the kernel did not take nb_handler_wrap()'s action
 * @sig: whose.
 * @was: what that replaced.
 *
 * Context: any thread; one at a time.
 */
void nb_handler_undo(int sig, const struct nb_handler_was *was)
{
	atomic_store(&set[sig].handler, was->handler);
	atomic_store(&set[sig].segv, was->segv);
}

/**
 * nb_handler_view() - the program's action instead of the kernel's
 * @sig: whose.
 * @old: as the kernel told it.
 * @was: what there was before nb_handler_wrap(); NULL: as it is now.
 *
 * Context: any thread.
 */
void nb_handler_view(int sig, struct nb_ksigaction *old,
		     const struct nb_handler_was *was)
{
	if (is_ours(old->handler))
		old->handler =
			was ? was->handler : atomic_load(&set[sig].handler);
	if (was ? was->segv : atomic_load(&set[sig].segv))
		old->mask |= NB_SIG_BIT(SIGSEGV);
}

/**
 * nb_handler_known() - has the program's action passed by here?
 * @sig: whose.
 *
 * Context: any thread.
 * Return: false: what the kernel says is what the program has set.
 */
bool nb_handler_known(int sig)
{
	return atomic_load(&set[sig].handler) || atomic_load(&set[sig].segv);
}
