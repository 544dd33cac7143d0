/* SPDX-License-Identifier: MIT */
/*
 * Signals at the site of the system call: whoever makes it, libc's own
 * functions included, the kernel keeps our SIGSEGV handler, never has SIGSEGV
 * blocked in a thread, and has an alternate stack for it; the program sees
 * what it has set itself.
 *
 * Actions and alternate stacks are set right here, and the program gets the
 * result.  Masks, which may let a signal in, are changed by the program's own
 * call with another argument: a handler that comes then finds a stack that
 * can be unwound.
 *
 * A SIGSEGV that somebody sends while it is blocked has to wait, for whoever
 * unblocks it, sigwait(3) or signalfd(2), and only the kernel knows how: then
 * all memory is given back for good, and from there on masks are real.
 *
 * Called by the guard with vector state saved.  Memory of the program is read
 * and written by nb_guard_copy() alone.
 *
 * A process that runs in our memory (vfork) has signals of its own: it gets
 * what it asks for, and nothing is armed while it lives.  It does not come by
 * the hooks.
 */
#include "guard_signal.h"

#include "guard_hooks.h"
#include "guard_mm.h"
#include "mech/altstack.h"
#include "mech/slot.h"
#include "nb.h"

#include <errno.h>
#include <sys/auxv.h>
#include <sys/syscall.h>

#ifndef SYS_epoll_pwait2
#define SYS_epoll_pwait2 441
#endif
#ifndef AT_MINSIGSTKSZ
#define AT_MINSIGSTKSZ 51
#endif

#define SEGV NB_SIG_BIT(SIGSEGV)
#define MASK_BYTES 8 /* the kernel's sigset_t */

/* call->aux, between enter and leave */
enum {
	AUX_MASK,  /* what the kernel reads instead */
	AUX_SET_P, /* {pointer, size}, of pselect6 and its like */
	AUX_SET_BYTES,
	AUX_OLD, /* where the program wants its old mask with SIGSEGV, or 0 */
	AUX_RESTORE, /* 1 + whether SIGSEGV was blocked before, or 0 */
};

__thread pid_t nb_signal_action_set_by
	__attribute__((tls_model("initial-exec")));

/* One change of an action at a time. */
static struct nb_lock action_lock = NB_LOCK_INIT(NB_LOCK_ACTION);

/*
 * What the program gets.  A site that the call does not come back by can only
 * be told success: by a call that has no arguments and always succeeds.
 * Errors are the kernel's to find once more.
 */
static void answer(struct nb_call *call, struct nb_regs *r, long ret)
{
	if (!(atomic_load_explicit(&call->flags, memory_order_relaxed) &
	      NB_CALL_LAZY))
		nb_call_emulate(call, ret);
	else if (!ret)
		r->rax = SYS_sched_yield;
}

/* ---- actions ------------------------------------------------------------- */

static long raw_action(int sig, const struct nb_ksigaction *act,
		       struct nb_ksigaction *old)
{
	return nb_syscall6(SYS_rt_sigaction, sig, (long)act, (long)old,
			   MASK_BYTES, 0, 0);
}

/* What the kernel says of an action, as the program set it. */
static void view_action(int sig, struct nb_ksigaction *act,
			const struct nb_handler_was *was)
{
	if (sig == SIGSEGV && nb_sigchain_is_ours(act))
		nb_sigchain_get(act);
	else if (sig != SIGSEGV)
		nb_handler_view(sig, act, was);
}

/* Those that have no handler stay open while ours are not to run: lock.c. */
static void note_ignored(int sig, uint64_t handler)
{
	const uint64_t by_default = NB_SIG_BIT(SIGCHLD) | NB_SIG_BIT(SIGCONT) |
				    NB_SIG_BIT(SIGURG) | NB_SIG_BIT(SIGWINCH);
	bool on =
		handler == (uint64_t)SIG_IGN ||
		(handler == (uint64_t)SIG_DFL && by_default & NB_SIG_BIT(sig));

	if (nb_signals_set_ignored(NB_SIG_BIT(sig), on))
		nb_sigchain_renew();
}

/* An action for the kernel, stripped of SIGSEGV. */
static long change_action(int sig, const struct nb_ksigaction *act,
			  struct nb_ksigaction *old)
{
	struct nb_ksigaction k = *act;
	struct nb_handler_was was;
	struct nb_sigstate ss;
	long err;

	nb_lock(&action_lock, &ss);
	nb_handler_wrap(sig, &k, &was);
	if (act->handler > (uint64_t)SIG_IGN)
		note_ignored(sig, act->handler);
	err = raw_action(sig, &k, old);
	if (err) {
		nb_handler_undo(sig, &was);
	} else {
		note_ignored(sig, act->handler);
		view_action(sig, old, &was);
	}
	nb_unlock(&action_lock, &ss);
	return err;
}

static long do_action(int sig, const struct nb_ksigaction *act,
		      struct nb_ksigaction *old)
{
	long err;

	if (sig == SIGSEGV) {
		nb_sigchain_action(act, old);
		return 0;
	}
	if (act)
		return change_action(sig, act, old);
	err = raw_action(sig, NULL, old);
	if (!err)
		view_action(sig, old, NULL);
	return err;
}

/* Is it ours to answer?  All else the kernel answers, errors included. */
static bool is_ours(int sig, const struct nb_ksigaction *act)
{
	if (sig < 1 || sig > NB_NR_SIGNALS || !nb_sigchain_installed())
		return false;
	return act || sig == SIGSEGV || nb_handler_known(sig);
}

static void action_enter(struct nb_call *call, struct nb_regs *r)
{
	const void *from = (const void *)r->arg[1];
	struct nb_ksigaction act, old;
	void *to = (void *)r->arg[2];
	int sig = (int)r->arg[0];
	long err;

	if (r->arg[3] != MASK_BYTES)
		return;
	if (from && nb_guard_copy(&act, from, sizeof(act)))
		return;
	if (!is_ours(sig, from ? &act : NULL))
		return;
	err = do_action(sig, from ? &act : NULL, &old);
	if (!err && to)
		err = nb_guard_copy(to, &old, sizeof(old));
	answer(call, r, err);
}

/* ---- masks --------------------------------------------------------------- */

/* What becomes of the blocked flag: of SIGSEGV alone. */
static bool mask_after(int how, uint64_t set, bool was)
{
	if (how == SIG_SETMASK)
		return set & SEGV;
	if (!(set & SEGV))
		return was;
	return how == SIG_BLOCK;
}

static void mask_enter(struct nb_call *call, struct nb_regs *r)
{
	bool was = nb_sigchain_blocked(), now = was;
	int how = (int)r->arg[0];
	uint64_t set;

	call->aux[AUX_OLD] = was ? r->arg[2] : 0;
	/* Bad arguments, as some ask whether memory can be read. */
	if (r->arg[3] != MASK_BYTES || !nb_sigchain_installed())
		return;
	if (r->arg[1]) {
		if (nb_guard_copy(&set, (const void *)r->arg[1], sizeof(set)))
			return;
		if (how != SIG_BLOCK && how != SIG_UNBLOCK &&
		    how != SIG_SETMASK)
			return;
		now = mask_after(how, set, was);
		if (set & SEGV && how != SIG_UNBLOCK && !nb_sigchain_real()) {
			call->aux[AUX_MASK] = set & ~SEGV;
			nb_call_rewrite(call, r, 1,
					(uint64_t)&call->aux[AUX_MASK]);
		}
	}
	/* From here on the kernel may fail only after the mask has changed. */
	nb_sigchain_set_blocked(now);
	if (call->aux[AUX_OLD])
		nb_call_want_leave(call);
}

static void mask_leave(const struct nb_call *call, const struct nb_regs *r)
{
	void *old = (void *)call->aux[AUX_OLD];
	uint64_t mask;

	if (old && !r->rax && !nb_guard_copy(&mask, old, sizeof(mask))) {
		mask |= SEGV;
		nb_guard_copy(old, &mask, sizeof(mask));
	}
}

/* A mask for the time of a call. */
static void temporary_mask(struct nb_call *call, struct nb_regs *r, int arg)
{
	uint64_t mask = call->aux[AUX_MASK];
	bool was = nb_sigchain_blocked();

	call->aux[AUX_RESTORE] = 0;
	if (!(mask & SEGV) && !was)
		return;
	if (mask & SEGV && !nb_sigchain_real()) {
		call->aux[AUX_MASK] = mask & ~SEGV;
		call->aux[AUX_SET_P] = (uint64_t)&call->aux[AUX_MASK];
		call->aux[AUX_SET_BYTES] = MASK_BYTES;
		/* The sixth is a pair, but for epoll, where it is the size. */
		nb_call_rewrite(
			call, r, arg,
			(uint64_t)&call->aux[arg == 5 ? AUX_SET_P : AUX_MASK]);
		if (was)
			return;
	}
	/* A site that the call does not come back by cannot put it back. */
	if (atomic_load(&call->flags) & NB_CALL_LAZY)
		return;
	call->aux[AUX_RESTORE] = 1 + was;
	nb_call_want_leave(call);
	nb_sigchain_wait_begin(mask & SEGV);
}

/* Argument @arg points to a mask of @bytes. */
static void wait_enter(struct nb_call *call, struct nb_regs *r, int arg,
		       uint64_t bytes)
{
	call->aux[AUX_RESTORE] = 0;
	if (r->arg[arg] && bytes == MASK_BYTES && nb_sigchain_installed() &&
	    !nb_guard_copy(&call->aux[AUX_MASK], (const void *)r->arg[arg],
			   MASK_BYTES))
		temporary_mask(call, r, arg);
}

/* The sixth argument points to a pair {mask, bytes}. */
static void wait_pair_enter(struct nb_call *call, struct nb_regs *r)
{
	uint64_t pair[2];

	call->aux[AUX_RESTORE] = 0;
	if (!r->arg[5] || !nb_sigchain_installed() ||
	    nb_guard_copy(pair, (const void *)r->arg[5], sizeof(pair)))
		return;
	if (pair[0] && pair[1] == MASK_BYTES &&
	    !nb_guard_copy(&call->aux[AUX_MASK], (const void *)pair[0],
			   MASK_BYTES))
		temporary_mask(call, r, 5);
}

static void wait_leave(const struct nb_call *call)
{
	if (call->aux[AUX_RESTORE])
		nb_sigchain_wait_end(call->aux[AUX_RESTORE] - 1);
}

/* ---- a SIGSEGV that waits ------------------------------------------------ */

/* Once the masks are real, no page may be armed any more. */
static void before_it_waits(void)
{
	struct nb_sigstate ss;

	nb_standdown("SIGSEGV was sent to the program, which blocks it");
	/* Another thread may be at it. */
	nb_lock(&nb.as_lock, &ss);
	nb_unlock(&nb.as_lock, &ss);
}

/**
 * nb_signal_after_fork() - a thread that is not here may have held our lock
 *
 * Context: forked child, the only thread there.
 */
void nb_signal_after_fork(void)
{
	nb_lock_reinit(&action_lock);
}

/* ---- alternate stacks ---------------------------------------------------- */

static void altstack_enter(struct nb_call *call, struct nb_regs *r)
{
	const void *from = (const void *)r->arg[0];
	void *to = (void *)r->arg[1];
	stack_t ss, old = {.ss_flags = 0};
	struct nb_slot *slot;
	long err;

	slot = nb_slot_for_sp(r->sp, NULL);
	if (!slot)
		return;
	if (from && nb_guard_copy(&ss, from, sizeof(ss)))
		return; /* the kernel says so */
	/* The kernel writes there at any time from now on. */
	if (from && !(ss.ss_flags & SS_DISABLE) && ss.ss_size)
		nb_mm_never((uint64_t)ss.ss_sp, ss.ss_size);
	err = nb_altstack_set(slot, from ? &ss : NULL, &old);
	if (!err && to)
		err = nb_guard_copy(to, &old, sizeof(old));
	answer(call, r, err);
}

/**
 * nb_signal_thread_begin() - a thread has got a slot
 * @slot: the calling thread's.
 *
 * Context: the thread itself; once more in a forked child.
 */
void nb_signal_thread_begin(struct nb_slot *slot)
{
	uint64_t start;

	if (nb_altstack_install(slot) != NB_ALTSTACK_THEIRS)
		return;
	start = atomic_load(&slot->alt_start);
	nb_mm_never(start, atomic_load(&slot->alt_end) - start);
}

/* ---- the hook ------------------------------------------------------------ */

static void dispatch(struct nb_call *call, struct nb_regs *r)
{
	switch (r->rax) {
	case SYS_rt_sigaction:
		action_enter(call, r);
		break;
	case SYS_rt_sigprocmask:
		mask_enter(call, r);
		break;
	case SYS_rt_sigsuspend:
		wait_enter(call, r, 0, r->arg[1]);
		break;
	case SYS_ppoll:
		wait_enter(call, r, 3, r->arg[4]);
		break;
	case SYS_epoll_pwait:
	case SYS_epoll_pwait2:
		wait_enter(call, r, 4, r->arg[5]);
		break;
	case SYS_pselect6:
	case SYS_io_pgetevents:
		wait_pair_enter(call, r);
		break;
	case SYS_sigaltstack:
		altstack_enter(call, r);
		break;
	}
}

static void signal_leave(struct nb_call *call, struct nb_regs *r)
{
	switch (call->nr) {
	case SYS_rt_sigprocmask:
		mask_leave(call, r);
		break;
	case SYS_rt_sigsuspend:
	case SYS_ppoll:
	case SYS_epoll_pwait:
	case SYS_epoll_pwait2:
	case SYS_pselect6:
	case SYS_io_pgetevents:
		wait_leave(call);
		break;
	}
}

/*
 * A change of masks at a site that the call does not come back by: made here
 * and now.
 */
static void change_mask_here(struct nb_call *call, struct nb_regs *r)
{
	struct nb_regs k = *r;

	k.rax = (uint64_t)nb_syscall6(SYS_rt_sigprocmask, (long)r->arg[0],
				      (long)r->arg[1], (long)r->arg[2],
				      (long)r->arg[3], 0, 0);
	mask_leave(call, &k);
	atomic_fetch_and(&call->flags, ~(NB_CALL_HOOK | NB_CALL_REWRITTEN));
	if (!k.rax)
		r->arg[1] = call->saved[1];
	answer(call, r, (long)k.rax);
}

static void signal_enter(struct nb_call *call, struct nb_regs *r)
{
	uint32_t flags;

	dispatch(call, r);
	flags = atomic_load_explicit(&call->flags, memory_order_relaxed);
	if (r->rax == SYS_rt_sigprocmask && flags & NB_CALL_LAZY &&
	    flags & (NB_CALL_HOOK | NB_CALL_REWRITTEN))
		change_mask_here(call, r);
}

const struct nb_guard_hook nb_guard_signal = {signal_enter, signal_leave};

/**
 * nb_signal_start() - take over what was set before us
 *
 * Our own handler is in its place already.
 *
 * Context: start only, when all sites are guarded.
 * Return: 0 or -errno.
 */
int nb_signal_start(void)
{
	struct nb_ksigaction act, old;
	int err;

	err = nb_altstack_init(getauxval(AT_MINSIGSTKSZ));
	if (err)
		return err;
	nb_sigchain_on_wait(before_it_waits);
	nb_sigchain_on_handler(nb_guard_process_handler_begin,
			       nb_guard_process_handler_end);
	for (int sig = 1; sig <= NB_NR_SIGNALS; sig++) {
		if (sig == SIGSEGV || raw_action(sig, NULL, &act))
			continue;
		if (act.mask & SEGV || act.handler > (uint64_t)SIG_IGN)
			change_action(sig, &act, &old);
		else
			note_ignored(sig, act.handler);
	}
	nb_sigchain_every_mask(true);
	return 0;
}

/**
 * nb_signal_shared_child() - a call of a process that runs in our memory
 * @r: its registers.
 *
 * Its actions are its own; only what it has from us it must not see.
 *
 * Context: that process; the call does not come by again.
 */
void nb_signal_shared_child(struct nb_regs *r)
{
	const void *from = (const void *)r->arg[1];
	struct nb_ksigaction act, old;
	int sig = (int)r->arg[0];

	if (r->rax == SYS_rt_sigaction && sig == SIGSEGV && from)
		nb_signal_action_set_by = (pid_t)nb_sys_getpid();
	if (r->rax != SYS_rt_sigaction || r->arg[3] != MASK_BYTES ||
	    (from && nb_guard_copy(&act, from, sizeof(act))))
		return;
	/* It may come by our locks. */
	if (from && sig > 0 && sig <= NB_NR_SIGNALS)
		nb_signals_set_ignored(NB_SIG_BIT(sig), false);
	if (!r->arg[2] || !is_ours(sig, NULL) ||
	    raw_action(sig, from ? &act : NULL, &old))
		return;
	view_action(sig, &old, NULL);
	if (!nb_guard_copy((void *)r->arg[2], &old, sizeof(old)))
		r->rax = SYS_sched_yield; /* success, whatever the arguments */
}
