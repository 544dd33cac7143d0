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
 * And each handler is called on the interrupted stack, unless the program has
 * asked for an alternate one, by mech/sigmove.S.
 *
 * Owns the program's handlers.  Called by guard_signal.c, and by the kernel.
 */
#include "guard_signal.h"

#include "guard/patch.h"
#include "guard_hooks.h"
#include "mech/sigframe.h"
#include "plat/lock.h"
#include "plat/sys.h"

#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/syscall.h>
#include <ucontext.h>

#define SIGSETXID 33	/* libc's own */
#define FIRST_QUEUED 32 /* the others wait once at most */

/* What the kernel's action has not as the program has set it. */
enum {
	NO_SEGV = 1,  /* SIGSEGV in the mask */
	ON_STACK = 2, /* SA_ONSTACK is ours */
	DEFERRED = 4, /* it is blocked until its handler is called */
};

static struct {
	_Atomic uint64_t handler;
	_Atomic uint32_t change;
} set[NB_NR_SIGNALS + 1];

static void on_signal(int sig, siginfo_t *info, void *uc);

static void call(uint64_t handler, int sig, siginfo_t *info, void *uc)
{
	((void (*)(int, siginfo_t *, void *))handler)(sig, info, uc);
}

static void on_other(int sig, siginfo_t *info, void *uc)
{
	uint32_t change = atomic_load(&set[sig].change);
	uint64_t bit = NB_SIG_BIT(sig);

	nb_sigchain_handler_begin(uc, change & NO_SEGV);
	if (change & DEFERRED)
		nb_syscall6(SYS_rt_sigprocmask, SIG_UNBLOCK, (long)&bit, 0,
			    sizeof(bit), 0, 0);
	call(atomic_load(&set[sig].handler), sig, info, uc);
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

/* Its handlers leave masks alone. */
static void on_libc(int sig, siginfo_t *info, void *uc)
{
	nb_guard_process_handler_begin(uc);
	if (sig == NB_SIGCANCEL)
		on_cancel(sig, info, uc);
	else
		call(atomic_load(&set[sig].handler), sig, info, uc);
	nb_guard_process_handler_end(uc);
}

static uint64_t kernel_handler(uint32_t change)
{
	return change & ON_STACK ? (uint64_t)nb_sigmove_entry
				 : (uint64_t)on_signal;
}

static long raw_action(int sig, const struct nb_ksigaction *act,
		       struct nb_ksigaction *old)
{
	return nb_syscall6(SYS_rt_sigaction, sig, (long)act, (long)old,
			   sizeof(act->mask), 0, 0);
}

/*
 * It was ignored when we were begun that it has interrupted: it comes again
 * when we are done, and the mask is the thread's again.
 */
static void put_off(int sig, siginfo_t *info, uint64_t mask, ucontext_t *uc)
{
	uint64_t bit = NB_SIG_BIT(sig);
	struct nb_ksigaction now;

	mask |= bit;
	memcpy(&uc->uc_sigmask, &mask, sizeof(mask));
	nb_syscall6(SYS_rt_sigprocmask, SIG_BLOCK, (long)&bit, 0, sizeof(bit),
		    0, 0);
	if (!raw_action(sig, NULL, &now) &&
	    now.flags & (uint32_t)SA_RESETHAND &&
	    now.handler == (uint64_t)SIG_DFL) {
		now.handler = kernel_handler(atomic_load(&set[sig].change));
		raw_action(sig, &now, NULL);
	}
	nb_syscall6(SYS_rt_tgsigqueueinfo, nb_sys_getpid(), nb_sys_gettid(),
		    sig, (long)info, 0, 0);
}

/*
 * We are the only ones who have both of these blocked: libc leaves SIGSETXID
 * alone where SIGSEGV is blocked in truth, as for exec(2).
 */
static bool interrupted_us(const ucontext_t *uc, uint64_t *mask)
{
	uint64_t both = NB_SIG_BIT(SIGSEGV) | NB_SIG_BIT(SIGSETXID);

	if (nb_likely(!nb_signals_held()))
		return false;
	memcpy(mask, &uc->uc_sigmask, sizeof(*mask));
	return !(both & ~nb_signals_ignored() & ~*mask);
}

/* What the kernel has in the program's place. */
static void on_signal(int sig, siginfo_t *info, void *uc)
{
	uint64_t mask;

	if (nb_unlikely(interrupted_us(uc, &mask))) {
		put_off(sig, info, mask, uc);
		return;
	}
	/* Its mask is its own, and the thread's state is its parent's. */
	if (nb_guard_shared_child())
		call(atomic_load(&set[sig].handler), sig, info, uc);
	else if (sig == SIGSETXID || sig == NB_SIGCANCEL)
		on_libc(sig, info, uc);
	else
		on_other(sig, info, uc);
}

static bool is_ours(uint64_t handler)
{
	return handler == (uint64_t)on_signal ||
	       handler == (uint64_t)nb_sigmove_entry;
}

/*
 * Until a frame has been moved there is little room.  Of a signal that queues
 * and may interrupt itself there can be any number of frames.
 */
static uint32_t wrap_flags(int sig, struct nb_ksigaction *act)
{
	if (act->flags & SA_ONSTACK)
		return 0;
	act->flags |= SA_ONSTACK;
	if (sig < FIRST_QUEUED || !(act->flags & SA_NODEFER) ||
	    act->mask & NB_SIG_BIT(sig))
		return ON_STACK;
	act->flags &= ~(uint64_t)SA_NODEFER;
	return ON_STACK | DEFERRED;
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
	uint32_t change = act->mask & NB_SIG_BIT(SIGSEGV) ? NO_SEGV : 0;

	was->handler = atomic_load(&set[sig].handler);
	was->change = atomic_load(&set[sig].change);
	act->mask &= ~NB_SIG_BIT(SIGSEGV);
	if (act->handler > (uint64_t)SIG_IGN) {
		/* A program that has got at ours must not make it call itself.
		 */
		if (!is_ours(act->handler))
			atomic_store(&set[sig].handler, act->handler);
		nb_sigmove_run = on_signal;
		change |= wrap_flags(sig, act);
		act->handler = change & ON_STACK ? (uint64_t)nb_sigmove_entry
						 : (uint64_t)on_signal;
	}
	atomic_store(&set[sig].change, change);
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
	atomic_store(&set[sig].change, was->change);
}

/* Set by us, and be it that the kernel has reset the handler. */
static bool was_wrapped(const struct nb_ksigaction *act)
{
	return is_ours(act->handler) || (act->handler == (uint64_t)SIG_DFL &&
					 act->flags & (uint32_t)SA_RESETHAND);
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
	uint32_t change = was ? was->change : atomic_load(&set[sig].change);

	if (change & NO_SEGV)
		old->mask |= NB_SIG_BIT(SIGSEGV);
	if (change & ON_STACK && was_wrapped(old))
		old->flags &= ~(uint64_t)SA_ONSTACK;
	if (change & DEFERRED && was_wrapped(old))
		old->flags |= SA_NODEFER;
	if (is_ours(old->handler))
		old->handler =
			was ? was->handler : atomic_load(&set[sig].handler);
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
	return atomic_load(&set[sig].handler) || atomic_load(&set[sig].change);
}
