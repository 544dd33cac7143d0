/* SPDX-License-Identifier: MIT */
/*
 * Signals: the program has a SIGSEGV of its own to set, block and ask for,
 * while the kernel keeps the library's handler and never has SIGSEGV blocked.
 *
 * Calls that set SIGSEGV's action end in the library.  Masks lose SIGSEGV on
 * their way to the kernel; for the thread's mask the library remembers what
 * the program believes, for the mask of another signal's handler a flag here
 * does, so that asking returns what was set.
 *
 * A child that runs in our memory (vfork) must not change what the library
 * remembers for its parent: its exec resets all handlers anyway.
 *
 * sigwait(3) and its kin and signalfd(2) need nothing: a hint fault is never
 * pending.  sigpause(3) takes its mask from the kernel's.
 */
#include "preload.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef SA_RESTORER
#define SA_RESTORER 0x04000000
#endif

/* Old functions, which old programs call. */
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

#define SEGV_BIT (1UL << (SIGSEGV - 1))

/* The program put SIGSEGV into the mask of this signal's handler. */
static _Atomic bool segv_masked[_NSIG];
static _Atomic bool segv_interrupts; /* siginterrupt(SIGSEGV, 1) */

static bool has_segv(const sigset_t *set)
{
	return sigismember(set, SIGSEGV) == 1;
}

/* A mask for the kernel: @set, or a copy of it in @room without SIGSEGV. */
static const sigset_t *strip(const sigset_t *set, sigset_t *room)
{
	if (!set)
		return NULL;
	nb_hook_touch(set, _NSIG / 8);
	if (!has_segv(set))
		return set;
	nb_hook_strip(set, room);
	return room;
}

/* sigaction(SIGSEGV): false when the library does not have it. */
static bool segv_action(const struct sigaction *act, struct sigaction *old)
{
	struct sigaction was;

	if (act && nb_is_shared_child())
		act = NULL;
	if (!nb_hook_sigsegv_action(act, &was))
		return false;
	if (old)
		*old = was;
	return true;
}

/* What was set, after a sigaction() of another signal that succeeded. */
static void note_mask(int sig, bool set, bool masked, sigset_t *old)
{
	if (old &&
	    atomic_load_explicit(&segv_masked[sig], memory_order_relaxed))
		sigaddset(old, SIGSEGV);
	if (set && !nb_is_shared_child())
		atomic_store_explicit(&segv_masked[sig], masked,
				      memory_order_relaxed);
}

static bool noted(int sig)
{
	return sig > 0 && sig < _NSIG &&
	       atomic_load_explicit(&segv_masked[sig], memory_order_relaxed);
}

NB_EXPORT int sigaction(int sig, const struct sigaction *act,
			struct sigaction *old)
{
	struct sigaction stripped;
	bool masked;
	int r;

	if (sig == SIGSEGV && segv_action(act, old))
		return 0;
	masked = act && has_segv(&act->sa_mask) && nb_active();
	if (!masked && !noted(sig))
		return real(sigaction)(sig, act, old);
	if (masked) {
		stripped = *act;
		nb_hook_strip(&act->sa_mask, &stripped.sa_mask);
	}
	r = real(sigaction)(sig, masked ? &stripped : act, old);
	if (!r)
		note_mask(sig, act, masked, old ? &old->sa_mask : NULL);
	return r;
}

NB_EXPORT int __sigaction(int sig, const struct sigaction *act,
			  struct sigaction *old)
{
	return sigaction(sig, act, old);
}

/* Handlers that were there before us: their masks, too. */
void nb_signals_start(void)
{
	struct sigaction sa;

	for (int sig = 1; sig < _NSIG; sig++)
		if (sig != SIGSEGV && !real(sigaction)(sig, NULL, &sa) &&
		    has_segv(&sa.sa_mask))
			sigaction(sig, &sa, NULL);
}

/* signal() and its kin, as sigaction() with fixed flags. */
static __sighandler_t set_segv(__sighandler_t handler, int flags, bool self)
{
	struct sigaction act = {.sa_flags = flags}, old;

	if (handler == SIG_ERR) {
		errno = EINVAL;
		return SIG_ERR;
	}
	act.sa_handler = handler;
	sigemptyset(&act.sa_mask);
	if (self)
		sigaddset(&act.sa_mask, SIGSEGV);
	return sigaction(SIGSEGV, &act, &old) ? SIG_ERR : old.sa_handler;
}

/* True when SIGSEGV is the library's; clears another signal's note. */
static bool is_virtual(int sig)
{
	if (sig == SIGSEGV)
		return nb_hook_sigsegv_action(NULL, NULL);
	if (noted(sig))
		note_mask(sig, true, false, NULL);
	return false;
}

static __sighandler_t bsd_segv(__sighandler_t handler)
{
	return set_segv(handler, segv_interrupts ? 0 : SA_RESTART, true);
}

NB_EXPORT __sighandler_t signal(int sig, __sighandler_t handler)
{
	return is_virtual(sig) ? bsd_segv(handler) : real(signal)(sig, handler);
}

NB_EXPORT __sighandler_t ssignal(int sig, __sighandler_t handler)
{
	return is_virtual(sig) ? bsd_segv(handler) : real(signal)(sig, handler);
}

NB_EXPORT __sighandler_t bsd_signal(int sig, __sighandler_t handler)
{
	return is_virtual(sig) ? bsd_segv(handler) : real(signal)(sig, handler);
}

NB_EXPORT __sighandler_t __sysv_signal(int sig, __sighandler_t handler)
{
	if (!is_virtual(sig))
		return real(__sysv_signal)(sig, handler);
	return set_segv(handler, (int)(SA_RESETHAND | SA_NODEFER), false);
}

NB_EXPORT __sighandler_t sysv_signal(int sig, __sighandler_t handler)
{
	return __sysv_signal(sig, handler);
}

NB_EXPORT int siginterrupt(int sig, int interrupt)
{
	struct sigaction act;

	if (!is_virtual(sig))
		return real(siginterrupt)(sig, interrupt);
	segv_interrupts = interrupt;
	sigaction(SIGSEGV, NULL, &act);
	act.sa_flags &= ~SA_RESTART;
	if (!interrupt)
		act.sa_flags |= SA_RESTART;
	return sigaction(SIGSEGV, &act, NULL);
}

/* Change the thread's mask by SIGSEGV alone; whether it was in. */
static bool block_segv(int how)
{
	sigset_t set, old;

	sigemptyset(&set);
	sigaddset(&set, SIGSEGV);
	sigprocmask(how, &set, &old);
	return has_segv(&old);
}

NB_EXPORT __sighandler_t sigset(int sig, __sighandler_t handler)
{
	struct sigaction act;
	__sighandler_t old;

	if (!is_virtual(sig))
		return real(sigset)(sig, handler);
	if (handler == SIG_HOLD) {
		sigaction(SIGSEGV, NULL, &act);
		return block_segv(SIG_BLOCK) ? SIG_HOLD : act.sa_handler;
	}
	old = set_segv(handler, 0, false);
	if (old == SIG_ERR)
		return old;
	return block_segv(SIG_UNBLOCK) ? SIG_HOLD : old;
}

NB_EXPORT int sighold(int sig)
{
	if (!is_virtual(sig))
		return real(sighold)(sig);
	block_segv(SIG_BLOCK);
	return 0;
}

NB_EXPORT int sigrelse(int sig)
{
	if (!is_virtual(sig))
		return real(sigrelse)(sig);
	block_segv(SIG_UNBLOCK);
	return 0;
}

NB_EXPORT int sigignore(int sig)
{
	if (!is_virtual(sig))
		return real(sigignore)(sig);
	return set_segv(SIG_IGN, 0, false) == SIG_ERR ? -1 : 0;
}

static bool valid_how(int how)
{
	return how == SIG_BLOCK || how == SIG_UNBLOCK || how == SIG_SETMASK;
}

/*
 * Tell the library what becomes of the thread's mask, and make of it what the
 * kernel is told.  Returns whether SIGSEGV was in, as the program sees it.
 */
static bool filter_mask(int how, const sigset_t *set, sigset_t *filtered)
{
	bool was = nb_hook_sigmask(SIG_BLOCK, NULL, NULL);
	bool in = has_segv(set);
	bool want = how == SIG_SETMASK ? in
		    : how == SIG_BLOCK ? was || in
				       : was && !in;

	*filtered = *set;
	/* The flag of a vfork child's thread is its parent's. */
	if (want != was && nb_is_shared_child())
		nb_hook_strip(set, filtered);
	else
		nb_hook_sigmask(how, set, filtered);
	return was;
}

/* sigprocmask() and pthread_sigmask(), which report errors differently. */
static int change_mask(bool libc_thread, int how, const sigset_t *set,
		       sigset_t *old)
{
	sigset_t filtered;
	bool was;
	int r;

	if (nb_active()) {
		/* libc does not touch them itself. */
		nb_hook_touch(set, _NSIG / 8);
		nb_hook_touch(old, _NSIG / 8);
	}
	/* The library's flag must not follow a call that fails. */
	if (set && valid_how(how)) {
		was = filter_mask(how, set, &filtered);
		set = &filtered;
	} else {
		was = nb_hook_sigmask(SIG_BLOCK, NULL, NULL);
	}
	r = libc_thread ? real(pthread_sigmask)(how, set, old)
			: real(sigprocmask)(how, set, old);
	if (!r && old)
		nb_hook_sigmask_old(was, old);
	return r;
}

NB_EXPORT int sigprocmask(int how, const sigset_t *set, sigset_t *old)
{
	return change_mask(false, how, set, old);
}

NB_EXPORT int pthread_sigmask(int how, const sigset_t *set, sigset_t *old)
{
	return change_mask(true, how, set, old);
}

static int int_mask(int how, int bits)
{
	sigset_t set, old;
	int was = 0;

	sigemptyset(&set);
	for (int sig = 1; sig <= 32; sig++)
		if ((unsigned int)bits & (1U << (sig - 1)))
			sigaddset(&set, sig);
	if (sigprocmask(how, &set, &old))
		return -1;
	for (int sig = 1; sig <= 32; sig++)
		if (sigismember(&old, sig) == 1)
			was |= (int)(1U << (sig - 1));
	return was;
}

NB_EXPORT int sigblock(int bits)
{
	return int_mask(SIG_BLOCK, bits);
}

NB_EXPORT int sigsetmask(int bits)
{
	return int_mask(SIG_SETMASK, bits);
}

/* Calls that wait with a mask of their own. */

NB_EXPORT int sigsuspend(const sigset_t *set)
{
	sigset_t room;

	return real(sigsuspend)(strip(set, &room));
}

NB_EXPORT int ppoll(struct pollfd *fds, nfds_t n,
		    const struct timespec *timeout, const sigset_t *mask)
{
	sigset_t room;

	nb_hook_touch(fds, n * sizeof(*fds));
	return real(ppoll)(fds, n, timeout, strip(mask, &room));
}

NB_EXPORT int __ppoll_chk(struct pollfd *fds, nfds_t n,
			  const struct timespec *timeout, const sigset_t *mask,
			  size_t size)
{
	sigset_t room;

	nb_hook_touch(fds, n * sizeof(*fds));
	return real(__ppoll_chk)(fds, n, timeout, strip(mask, &room), size);
}

NB_EXPORT int pselect(int n, fd_set *r, fd_set *w, fd_set *x,
		      const struct timespec *timeout, const sigset_t *mask)
{
	size_t bytes = n > 0 ? ((size_t)n + 63) / 64 * 8 : 0;
	sigset_t room;

	nb_hook_touch(r, bytes);
	nb_hook_touch(w, bytes);
	nb_hook_touch(x, bytes);
	return real(pselect)(n, r, w, x, timeout, strip(mask, &room));
}

NB_EXPORT int epoll_pwait(int fd, struct epoll_event *events, int n,
			  int timeout, const sigset_t *mask)
{
	sigset_t room;

	nb_hook_touch(events, n > 0 ? (size_t)n * sizeof(*events) : 0);
	return real(epoll_pwait)(fd, events, n, timeout, strip(mask, &room));
}

NB_EXPORT int epoll_pwait2(int fd, struct epoll_event *events, int n,
			   const struct timespec *timeout, const sigset_t *mask)
{
	sigset_t room;

	nb_hook_touch(events, n > 0 ? (size_t)n * sizeof(*events) : 0);
	nb_hook_touch(timeout, sizeof(*timeout));
	return real(epoll_pwait2)(fd, events, n, timeout, strip(mask, &room));
}

NB_EXPORT int sigaltstack(const stack_t *ss, stack_t *old)
{
	if (nb_active()) {
		nb_hook_touch(ss, sizeof(*ss));
		nb_hook_touch(old, sizeof(*old));
		/* The kernel writes frames there at any time. */
		if (ss && !(ss->ss_flags & SS_DISABLE))
			nb_hook_touch(ss->ss_sp, ss->ss_size);
	}
	return real(sigaltstack)(ss, old);
}

/* ---- syscall(2) --------------------------------------------------------- */

/* struct sigaction as the kernel has it; asm/signal.h cannot be included. */
struct kernel_sigaction {
	void (*handler)(int);
	unsigned long flags;
#ifdef __x86_64__
	void (*restorer)(void);
#endif
	unsigned long mask;
};

static void from_kernel(const struct kernel_sigaction *k, struct sigaction *sa)
{
	memset(sa, 0, sizeof(*sa));
	sa->sa_handler = k->handler;
	sa->sa_flags = (int)(k->flags & ~(unsigned long)SA_RESTORER);
	memcpy(&sa->sa_mask, &k->mask, sizeof(k->mask));
}

static void to_kernel(const struct sigaction *sa, struct kernel_sigaction *k)
{
	memset(k, 0, sizeof(*k));
	k->handler = sa->sa_handler;
	k->flags = (unsigned int)sa->sa_flags;
	memcpy(&k->mask, &sa->sa_mask, sizeof(k->mask));
}

static long raw_sigaction(const long *a)
{
	const struct kernel_sigaction *act = (void *)a[1];
	struct kernel_sigaction copy, *old = (void *)a[2];
	int sig = (int)a[0];
	struct sigaction sa, was;
	bool masked;
	long r;

	nb_hook_touch(act, sizeof(*act));
	nb_hook_touch(old, sizeof(*old));
	if (a[3] != sizeof(act->mask))
		return real(syscall)(SYS_rt_sigaction, sig, act, old, a[3]);
	if (act) {
		copy = *act;
		from_kernel(&copy, &sa);
	}
	if (sig == SIGSEGV && segv_action(act ? &sa : NULL, &was)) {
		if (old)
			to_kernel(&was, old);
		return 0;
	}
	masked = act && (copy.mask & SEGV_BIT) && nb_active();
	if (masked)
		copy.mask &= ~SEGV_BIT;
	r = real(syscall)(SYS_rt_sigaction, sig, act ? &copy : NULL, old, a[3]);
	if (r || sig <= 0 || sig >= _NSIG)
		return r;
	if (old && noted(sig))
		old->mask |= SEGV_BIT;
	note_mask(sig, act, masked, NULL);
	return 0;
}

static long raw_sigprocmask(const long *a)
{
	const unsigned long *set = (void *)a[1];
	unsigned long *old = (void *)a[2];
	unsigned long bits;
	sigset_t in, filtered;
	int how = (int)a[0];
	bool was;
	long r;

	nb_hook_touch(set, sizeof(*set));
	nb_hook_touch(old, sizeof(*old));
	/* A bad @how is how some programs ask whether @set can be read. */
	if (a[3] != sizeof(*set) || !valid_how(how))
		return real(syscall)(SYS_rt_sigprocmask, how, set, old, a[3]);
	if (set) {
		sigemptyset(&in);
		memcpy(&in, set, sizeof(*set));
		was = filter_mask(how, &in, &filtered);
		memcpy(&bits, &filtered, sizeof(bits));
		set = &bits;
	} else {
		was = nb_hook_sigmask(SIG_BLOCK, NULL, NULL);
	}
	r = real(syscall)(SYS_rt_sigprocmask, how, set, old, a[3]);
	if (!r && old && was)
		*old |= SEGV_BIT;
	return r;
}

/* A system call whose argument @i is a mask of the kernel's size. */
static long with_mask(long nr, const long *a, int i)
{
	unsigned long mask;
	long b[6];

	memcpy(b, a, sizeof(b));
	if (b[i]) {
		nb_hook_touch((void *)b[i], sizeof(mask));
		mask = *(unsigned long *)b[i];
		if (nb_hook_sigsegv_action(NULL, NULL))
			mask &= ~SEGV_BIT;
		b[i] = (long)&mask;
	}
	return real(syscall)(nr, b[0], b[1], b[2], b[3], b[4], b[5]);
}

static long raw_pselect(const long *a)
{
	struct {
		const unsigned long *mask;
		size_t size;
	} arg;
	unsigned long mask;

	if (!a[5])
		return real(syscall)(SYS_pselect6, a[0], a[1], a[2], a[3], a[4],
				     a[5]);
	nb_hook_touch((void *)a[5], sizeof(arg));
	memcpy(&arg, (void *)a[5], sizeof(arg));
	if (arg.mask) {
		nb_hook_touch(arg.mask, sizeof(mask));
		mask = *arg.mask;
		if (nb_hook_sigsegv_action(NULL, NULL))
			mask &= ~SEGV_BIT;
		arg.mask = &mask;
	}
	return real(syscall)(SYS_pselect6, a[0], a[1], a[2], a[3], a[4], &arg);
}

/* syscall(2) of one of the above; other arguments are touched already. */
long nb_syscall_signal(long nr, const long *a)
{
	switch (nr) {
	case SYS_rt_sigaction:
		return raw_sigaction(a);
	case SYS_rt_sigprocmask:
		return raw_sigprocmask(a);
	case SYS_rt_sigsuspend:
		return with_mask(nr, a, 0);
	case SYS_ppoll:
		return with_mask(nr, a, 3);
	case SYS_epoll_pwait:
#ifdef SYS_epoll_pwait2
	case SYS_epoll_pwait2:
#endif
		return with_mask(nr, a, 4);
	case SYS_pselect6:
		return raw_pselect(a);
	}
	return sigaltstack((void *)a[0], (void *)a[1]);
}
