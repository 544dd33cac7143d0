/* SPDX-License-Identifier: MIT */
/*
 * Virtual SIGSEGV: the kernel has our handler, the application has an action
 * and a mask of its own that it can set and ask for, and every SIGSEGV that is
 * not a hint fault ends as it would have without us.
 *
 * Invariants:
 * 1. While installed, the kernel's action for SIGSEGV is ours, until a SIGSEGV
 *    comes that the application's default action must take.
 *    Or it is ignored, for the time of an exec(2), while nothing is armed.
 * 2. The application's action is read by the handler without a lock: two
 *    copies, and an index that changes when the new one is complete.
 */
#include "sigchain.h"

#include "../base/mutant.h"
#include "../plat/lock.h"
#include "../plat/sys.h"
#include "altstack.h"
#include "hint_fault.h"
#include "sigframe.h"
#include "sigmask.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/syscall.h>

#pragma GCC poison malloc free calloc realloc printf fprintf pthread_mutex_lock

static struct nb_ksigaction actions[2]; /* the application's; invariant 2 */
static _Atomic int current_action;
static _Atomic uint32_t nr_set; /* times that the action was set */
static _Atomic bool installed;
static _Atomic bool every_mask; /* see nb_sigchain_every_mask() */
static void (*on_crash)(void);
static struct nb_lock action_lock = NB_LOCK_INIT(NB_LOCK_SEGV);
static uint32_t ignoring; /* under that lock; see nb_sigchain_ignore() */

#if defined(__x86_64__)
#define RESTORER ((uint64_t)nb_restore_rt)
#define RESTORER_FLAG SA_RESTORER
#else
#define RESTORER 0
#define RESTORER_FLAG 0
#endif

/* What the kernel keeps of sa_flags, in the versions that drop the rest. */
#define KERNEL_FLAGS                                                           \
	((uint32_t)(SA_NOCLDSTOP | SA_NOCLDWAIT | SA_SIGINFO | SA_ONSTACK |    \
		    SA_RESTART | SA_NODEFER | SA_RESETHAND | SA_RESTORER) |    \
	 SA_EXPOSE_TAGBITS_BIT)
#define SA_EXPOSE_TAGBITS_BIT 0x800U
#define UNBLOCKABLE (NB_SIG_BIT(SIGKILL) | NB_SIG_BIT(SIGSTOP))

static long rt_sigaction(const struct nb_ksigaction *act,
			 struct nb_ksigaction *old)
{
	return nb_syscall6(SYS_rt_sigaction, SIGSEGV, (long)act, (long)old,
			   sizeof(act->mask), 0, 0);
}

static void set_action(const struct nb_ksigaction *act)
{
	int next = !atomic_load(&current_action);

	actions[next] = *act;
	atomic_store(&current_action, next);
	atomic_fetch_add(&nr_set, 1);
}

/* Without the lock: once more if it was set meanwhile. */
static void get_action(struct nb_ksigaction *act)
{
	uint32_t before;

	do {
		before = atomic_load(&nr_set);
		*act = actions[atomic_load(&current_action)];
	} while (before != atomic_load(&nr_set));
}

static void our_action(struct nb_ksigaction *act)
{
	act->handler = (uint64_t)nb_sigsegv_entry;
	act->flags = SA_SIGINFO | SA_ONSTACK | RESTORER_FLAG;
	act->restorer = RESTORER;
	act->mask = ~nb_signals_ignored();
}

/* Ignored in truth, or ours. */
static long set_kernel(bool ignored)
{
	struct nb_ksigaction act = {.handler = (uint64_t)SIG_IGN,
				    .flags = RESTORER_FLAG,
				    .restorer = RESTORER};

	if (!ignored)
		our_action(&act);
	return ignored && NB_NO_EXEC_IGNORE ? 0 : rt_sigaction(&act, NULL);
}

/* A parent may have left it blocked: see sigmask.c. */
static void unblock(void)
{
	uint64_t segv = NB_SIG_BIT(SIGSEGV), mask = 0;

	nb_syscall6(SYS_rt_sigprocmask, SIG_BLOCK, 0, (long)&mask, sizeof(segv),
		    0, 0);
	nb_sigchain_set_blocked(mask & segv);
	if (mask & segv)
		nb_syscall6(SYS_rt_sigprocmask, SIG_UNBLOCK, (long)&segv, 0,
			    sizeof(segv), 0, 0);
}

/* Sent to a program that has it blocked, from its beginning. */
static bool waits(void)
{
	uint64_t set = 0;

	nb_syscall6(SYS_rt_sigpending, (long)&set, sizeof(set), 0, 0, 0, 0);
	return set & NB_SIG_BIT(SIGSEGV);
}

/**
 * nb_sigchain_install() - put our handler before the application's
 *
 * Context: start only.
 * Return: 0 or -errno of rt_sigaction(2); -EBUSY: a SIGSEGV waits already,
 * which can only be kept by having it blocked.
 */
int nb_sigchain_install(void)
{
	struct nb_ksigaction ours, old;
	long err;

	if (atomic_load(&installed))
		return 0;
	if (waits())
		return -EBUSY;
	err = rt_sigaction(NULL, &old);
	if (err)
		return (int)err;
	set_action(&old);
	our_action(&ours);
	err = rt_sigaction(&ours, NULL);
	if (err)
		return (int)err;
	atomic_store(&installed, true);
	unblock();
	return 0;
}

/**
 * nb_sigchain_remove() - give SIGSEGV back to the application
 *
 * Only when nothing is armed any more.
 *
 * Context: any thread.
 * Return: 0 or -errno of rt_sigaction(2).
 */
int nb_sigchain_remove(void)
{
	struct nb_ksigaction act;
	struct nb_sigstate ss;
	long err;

	if (!atomic_exchange(&installed, false))
		return 0;
	/* From here on nobody tells. */
	nb_signals_set_ignored(~0ULL, false);
	nb_lock(&action_lock, &ss);
	act = actions[atomic_load(&current_action)];
	/* An action set since has none: that is libc's part, otherwise. */
	if (!act.restorer) {
		act.restorer = RESTORER;
		act.flags |= RESTORER_FLAG;
	}
	err = rt_sigaction(&act, NULL);
	nb_unlock(&action_lock, &ss);
	return (int)err;
}

/**
 * nb_sigchain_installed() - is SIGSEGV ours now?
 *
 * Context: any thread, signal handler.
 * Return: true if so.
 */
bool nb_sigchain_installed(void)
{
	return atomic_load(&installed);
}

/**
 * nb_sigchain_intact() - does the kernel have our handler, too?
 *
 * A program can replace it with a system call of its own, past every
 * interposer; the next hint fault would then be its end.
 *
 * Context: any thread.
 * Return: true if so.
 */
bool nb_sigchain_intact(void)
{
	struct nb_ksigaction now;

	return nb_sigchain_installed() && !rt_sigaction(NULL, &now) &&
	       nb_sigchain_is_ours(&now);
}

/**
 * nb_sigchain_renew() - what nb_signals_ignored() says has changed
 *
 * While our handler runs the same signals are blocked as under our locks.
 *
 * Context: any thread.
 */
void nb_sigchain_renew(void)
{
	struct nb_sigstate ss;

	nb_lock(&action_lock, &ss);
	/* Else a crash is near, or an exec(2). */
	if (nb_sigchain_intact())
		set_kernel(false);
	nb_unlock(&action_lock, &ss);
}

/**
 * nb_sigchain_fork_child() - another thread may have held our lock
 *
 * Or it was in exec(2).
 *
 * Context: forked child, the only thread there; nothing is armed.
 */
void nb_sigchain_fork_child(void)
{
	struct nb_ksigaction now;

	nb_lock_reinit(&action_lock);
	nb_sigmask_forget(); /* pending signals are not inherited */
	ignoring = 0;
	if (nb_sigchain_installed() && !rt_sigaction(NULL, &now) &&
	    now.handler == (uint64_t)SIG_IGN &&
	    actions[atomic_load(&current_action)].handler == now.handler)
		set_kernel(false);
}

/**
 * nb_sigchain_on_crash() - what to do before the default action strikes
 * @fn: gives all memory back, so that no other thread takes a hint fault
 *	while the kernel has the default action; async-signal-safe.
 *
 * Context: start only.
 */
void nb_sigchain_on_crash(void (*fn)(void))
{
	on_crash = fn;
}

/*
 * Who ignores a signal from now on has never got it.  One that waits in the
 * kernel is dropped only if the kernel ignores it, too: nothing is armed by
 * then, so a fault meanwhile is the program's, which has it ignored as well.
 */
static void drop_waiting(void)
{
	nb_sigmask_forget();
	if (!nb_sigchain_real() || !(ignoring || nb_sigchain_intact()))
		return;
	set_kernel(true);
	if (!ignoring)
		set_kernel(false);
}

/**
 * nb_sigchain_action() - the application's sigaction(SIGSEGV)
 * @act: its new action, or NULL.
 * @old: its old one, or NULL.
 *
 * Context: any thread, signal handler of the application.
 */
void nb_sigchain_action(const struct nb_ksigaction *act,
			struct nb_ksigaction *old)
{
	struct nb_ksigaction next;
	struct nb_sigstate ss;

	nb_lock(&action_lock, &ss);
	if (old)
		*old = actions[atomic_load(&current_action)];
	if (act) {
		next = *act;
		next.flags &= KERNEL_FLAGS;
		next.mask &= ~UNBLOCKABLE;
		set_action(&next);
		if (next.handler == (uint64_t)SIG_IGN)
			drop_waiting();
	}
	nb_unlock(&action_lock, &ss);
}

/**
 * nb_sigchain_get() - what action the application has
 * @act: out.
 *
 * Context: any thread, signal handler.
 */
void nb_sigchain_get(struct nb_ksigaction *act)
{
	get_action(act);
}

/**
 * nb_sigchain_is_ours() - is an action of the kernel's the one of install()?
 * @act: the action.
 *
 * Context: any thread, signal handler.
 * Return: true if so.
 */
bool nb_sigchain_is_ours(const struct nb_ksigaction *act)
{
	return act->handler == (uint64_t)nb_sigsegv_entry;
}

/**
 * nb_sigchain_every_mask() - do all changes of masks come by us?
 * @seen: true if those come, too, that libc makes itself.
 *
 * A handler that is left by siglongjmp(3) leaves SIGSEGV blocked unless the
 * mask is set again, which libc does by a call of its own.  Where we do not
 * see that, SIGSEGV is never taken for blocked while a handler runs, as if the
 * handler had SA_NODEFER.
 *
 * Context: start only.
 */
void nb_sigchain_every_mask(bool seen)
{
	atomic_store(&every_mask, seen);
}

/**
 * nb_sigchain_ignore() - have the kernel ignore SIGSEGV in truth
 * @on: true: an exec(2) is next, which hands on what is ignored; false: it
 *	failed.
 *
 * Until it has failed in each thread.
 *
 * Context: any thread, signal handler that has not interrupted us; nothing is
 * armed.
 * Return: 0, -EBUSY if the kernel's action is not ours, or -errno of
 * rt_sigaction(2).
 */
int nb_sigchain_ignore(bool on)
{
	struct nb_sigstate ss;
	long err = 0;

	nb_lock(&action_lock, &ss);
	if (!on && ignoring && !--ignoring && nb_sigchain_installed())
		err = set_kernel(false);
	if (on && !ignoring)
		err = nb_sigchain_intact() ? set_kernel(true) : -EBUSY;
	if (on && !err)
		ignoring++;
	nb_unlock(&action_lock, &ss);
	return (int)err;
}

/**
 * nb_sigchain_ignore_here() - the same in a process that runs in our memory
 * @on: ditto.
 *
 * Context: that process, whose actions are its own.
 */
void nb_sigchain_ignore_here(bool on)
{
	set_kernel(on);
}

/*
 * Let the kernel do what it does without a handler: with the same siginfo,
 * at the same instruction.  All signals are blocked until we return.
 */
static void default_action(siginfo_t *info)
{
	struct nb_ksigaction dfl;

	memset(&dfl, 0, sizeof(dfl));
	if (on_crash && !NB_NO_CRASH)
		on_crash();
	rt_sigaction(&dfl, NULL);
	/*
	 * A fault happens again by itself, except where another thread
	 * changes the mapping meanwhile; a sent signal must be sent again.
	 */
	if (info->si_code <= 0 || info->si_code == SI_KERNEL)
		nb_syscall6(SYS_rt_tgsigqueueinfo, nb_sys_getpid(),
			    nb_sys_gettid(), SIGSEGV, (long)info, 0, 0);
}

/*
 * Must the handler be brought to the interrupted stack?  Ours asks for the
 * alternate stack, which the application's may not know of.
 */
static bool on_wrong_stack(const struct nb_ksigaction *act,
			   const ucontext_t *uc)
{
	if (!nb_sigframe_on_alt(uc, (uint64_t)uc) ||
	    nb_sigframe_on_alt(uc, nb_sigframe_sp(uc)))
		return false;
	return !(act->flags & SA_ONSTACK) ||
	       nb_altstack_whose(&uc->uc_stack) == NB_ALTSTACK_OURS;
}

/*
 * How the kernel would enter the application's handler.  False: the stack is
 * used up, then it would not.
 */
static bool enter_handler(const struct nb_ksigaction *act, siginfo_t *info,
			  ucontext_t *uc, struct nb_sigjump *jump)
{
	uint64_t mask;

	memcpy(&mask, &uc->uc_sigmask, sizeof(mask));
	mask |= act->mask;
	if (!(act->flags & SA_NODEFER))
		mask |= NB_SIG_BIT(SIGSEGV);
	jump->handler = act->handler;
	/* SIGSEGV stays open, for hint faults in the handler. */
	jump->mask = mask & ~NB_SIG_BIT(SIGSEGV);
	nb_sigmask_show(uc);
	if (!on_wrong_stack(act, uc))
		nb_sigframe_stay(jump, info, uc);
	else if (!nb_sigframe_move(jump, info, uc))
		return false;
	nb_sigmask_handler_begin((const ucontext_t *)jump->uc);
	if (atomic_load_explicit(&every_mask, memory_order_relaxed))
		nb_sigchain_set_blocked(mask & NB_SIG_BIT(SIGSEGV));
	return true;
}

static void reset_handler(const struct nb_ksigaction *act)
{
	struct nb_ksigaction dfl = *act;

	dfl.handler = (uint64_t)SIG_DFL;
	nb_sigchain_action(&dfl, NULL);
}

/* A SIGSEGV that is not ours, with all signals blocked. */
static bool deliver(siginfo_t *info, ucontext_t *uc, struct nb_sigjump *jump)
{
	bool sent = info->si_code <= 0, blocked = nb_sigchain_blocked();
	struct nb_ksigaction act;

	get_action(&act);
	if (sent && blocked) {
		nb_sigmask_keep(info, uc);
		return false;
	}
	if (sent && act.handler == (uint64_t)SIG_IGN)
		return false;
	/*
	 * A fault while blocked or ignored kills, and so does one on a stack
	 * without room for the handler: so does the kernel.
	 */
	if (act.handler == (uint64_t)SIG_DFL || NB_NO_CHAIN ||
	    act.handler == (uint64_t)SIG_IGN || (!sent && blocked) ||
	    !enter_handler(&act, info, uc, jump)) {
		default_action(info);
		return false;
	}
	if (act.flags & SA_RESETHAND)
		reset_handler(&act);
	return true;
}

/**
 * nb_sigsegv_handle() - a SIGSEGV
 * @sig: SIGSEGV.
 * @info: as the kernel passed it.
 * @uc: the interrupted context; the application's handler may change it.
 * @jump: out: how to enter the application's handler.
 *
 * Context: signal handler, all signals blocked; nb_sigsegv_entry() only.
 * Return: true if it is for the application's handler.
 */
bool nb_sigsegv_handle(int sig, siginfo_t *info, void *uc,
		       struct nb_sigjump *jump)
{
	bool theirs;

	(void)sig;
	nb_signals_hold(true);
	theirs = !nb_hint_fault(info, uc) &&
		 !(info->si_code > 0 && nb_sigframe_copy_failed(uc)) &&
		 deliver(info, uc, jump);
	nb_signals_hold(false);
	return theirs;
}
