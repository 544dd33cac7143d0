/* SPDX-License-Identifier: MIT */
/*
 * Is SIGSEGV blocked in a thread?  The kernel must never have it so while
 * pages may be armed: the next hint fault would kill.  What the application
 * believes is kept here.
 *
 * Owns one flag per thread, and a SIGSEGV that waits where masks that libc
 * changes itself are not seen.  Called by sigchain.c, and by the hooks and
 * interposers of mask calls.
 *
 * Invariants:
 * 1. The kernel never has SIGSEGV blocked in a thread whose mask calls come
 *    by us, in the frame of a signal neither, as long as pages may be armed.
 * 2. Where that is so for every thread, a SIGSEGV that is sent while it is
 *    blocked ends all arming; from then on masks are the kernel's own, and the
 *    kernel keeps the signal for whoever may have it.
 */
#include "sigmask.h"

#include "../plat/sys.h"
#include "sigchain.h"
#include "sigframe.h"

#include <stdatomic.h>
#include <string.h>
#include <sys/syscall.h>

#pragma GCC poison malloc free calloc realloc printf fprintf pthread_mutex_lock

static void (*on_wait)(void);
static void (*on_begin)(const ucontext_t *uc);
static void (*on_end)(ucontext_t *uc);
static _Atomic bool real; /* nothing will be armed any more; invariant 2 */

#define TLS __attribute__((tls_model("initial-exec")))
static __thread bool blocked TLS; /* as the application believes */
/* A call has another mask for its time: 1 + what a signal's return puts back */
static __thread uint8_t put_back TLS;
static __thread bool pending TLS; /* came while blocked */
static __thread siginfo_t pending_info TLS;

/**
 * nb_sigchain_deliver_pending() - a SIGSEGV that was sent while it was blocked
 *
 * Context: any thread, with nothing held.
 */
void nb_sigchain_deliver_pending(void)
{
	siginfo_t info;

	if (blocked || !nb_sigchain_take_pending(&info))
		return;
	nb_syscall6(SYS_rt_tgsigqueueinfo, nb_sys_getpid(), nb_sys_gettid(),
		    SIGSEGV, (long)&info, 0, 0);
}

/**
 * nb_sigchain_set_blocked() - the application's mask has SIGSEGV, or not
 * @now_blocked: what it wants for the calling thread.
 *
 * What came meanwhile stays pending.
 *
 * Context: any thread, signal handler.
 * Return: whether it was blocked, as the application sees it.
 */
bool nb_sigchain_set_blocked(bool now_blocked)
{
	bool was = blocked;

	blocked = now_blocked;
	put_back = 0;
	return was;
}

/**
 * nb_sigchain_block() - the application blocks or unblocks SIGSEGV
 * @now_blocked: what it wants for the calling thread.
 *
 * Unblocking delivers a SIGSEGV that somebody sent meanwhile.
 *
 * Context: any thread.
 * Return: whether it was blocked, as the application sees it.
 */
bool nb_sigchain_block(bool now_blocked)
{
	bool was = nb_sigchain_set_blocked(now_blocked);

	nb_sigchain_deliver_pending();
	return was;
}

/**
 * nb_sigchain_wait_begin() - a call has another mask for its time
 * @now_blocked: SIGSEGV is in it.
 *
 * Context: any thread.
 * Return: whether it was blocked, for nb_sigchain_wait_end().
 */
bool nb_sigchain_wait_begin(bool now_blocked)
{
	bool was = nb_sigchain_set_blocked(now_blocked);

	put_back = 1 + was;
	return was;
}

/**
 * nb_sigchain_wait_end() - the call has returned
 * @was: what nb_sigchain_wait_begin() returned.
 *
 * Context: the same thread.
 */
void nb_sigchain_wait_end(bool was)
{
	put_back = 0;
	nb_sigchain_set_blocked(was);
}

/**
 * nb_sigchain_pending() - was a SIGSEGV sent while it was blocked?
 *
 * Context: any thread.
 * Return: true if one waits in the calling thread.
 */
bool nb_sigchain_pending(void)
{
	return pending;
}

/**
 * nb_sigchain_take_pending() - receive it otherwise than by a handler
 * @info: out.
 *
 * Context: any thread.
 * Return: true if there was one.
 */
bool nb_sigchain_take_pending(siginfo_t *info)
{
	if (!pending)
		return false;
	*info = pending_info; /* while pending, the handler leaves it alone */
	pending = false;
	return true;
}

/**
 * nb_sigchain_inherit() - a thread is about to be made
 * @tls: its thread pointer.
 * @where: out: what to write before it runs.
 *
 * It inherits the mask, and SIGSEGV may be sent to it before its first call.
 *
 * Context: the thread that makes it.
 * Return: what to write there.
 */
bool nb_sigchain_inherit(uint64_t tls, uint64_t *where)
{
	*where = tls +
		 ((uint64_t)&blocked - (uint64_t)__builtin_thread_pointer());
	return blocked;
}

/**
 * nb_sigchain_blocked() - does the calling thread believe SIGSEGV blocked?
 *
 * Context: any thread, signal handler.
 * Return: true if so.
 */
bool nb_sigchain_blocked(void)
{
	return blocked;
}

/**
 * nb_sigchain_on_wait() - what to do before SIGSEGV may really be blocked
 * @fn: gives all memory back for good; async-signal-safe.
 *
 * Context: start only.
 */
void nb_sigchain_on_wait(void (*fn)(void))
{
	on_wait = fn;
}

/**
 * nb_sigchain_on_handler() - what to do around handlers of the application
 * @begin: before one is called that gets this context.
 * @end: it has returned, the thread goes on with the context next; not called
 *	when it is left by a jump.
 *
 * Context: start only.
 */
void nb_sigchain_on_handler(void (*begin)(const ucontext_t *uc),
			    void (*end)(ucontext_t *uc))
{
	on_begin = begin;
	on_end = end;
}

/**
 * nb_sigchain_real() - may the kernel have SIGSEGV blocked by now?
 *
 * Context: any thread, signal handler.
 * Return: true: masks need not be stripped; it is so for good.
 */
bool nb_sigchain_real(void)
{
	return atomic_load(&real);
}

/* The bit of SIGSEGV in the mask of a frame. */
static void set_in_frame(ucontext_t *uc, bool on)
{
	uint64_t mask;

	memcpy(&mask, &uc->uc_sigmask, sizeof(mask));
	if (on)
		mask |= NB_SIG_BIT(SIGSEGV);
	else
		mask &= ~NB_SIG_BIT(SIGSEGV);
	memcpy(&uc->uc_sigmask, &mask, sizeof(mask));
}

/**
 * nb_sigmask_show() - the mask in a frame, as the application believes it
 * @uc: the context that a handler of the application's will get.
 *
 * Context: signal handler, once for each frame.
 */
void nb_sigmask_show(ucontext_t *uc)
{
	bool was = put_back ? put_back - 1 : blocked;

	put_back = 0;
	if (was)
		set_in_frame(uc, true);
}

/**
 * nb_sigmask_handler_begin() - the application's handler of a SIGSEGV is next
 * @uc: the context that it will get.
 *
 * Context: signal handler, once for each frame.
 */
void nb_sigmask_handler_begin(const ucontext_t *uc)
{
	if (on_begin)
		on_begin(uc);
}

/**
 * nb_sigchain_handler_begin() - a handler of another signal is to be called
 * @uc: its context: gets the mask that the application believes in.
 * @segv: while it runs SIGSEGV is blocked, as the application believes.
 *
 * nb_sigsegv_return() must follow.
 *
 * Context: signal handler, with the handler's mask.
 */
void nb_sigchain_handler_begin(ucontext_t *uc, bool segv)
{
	nb_sigmask_handler_begin(uc);
	nb_sigmask_show(uc);
	blocked |= segv;
}

/**
 * nb_sigmask_forget() - nothing waits any more
 *
 * Context: any thread.
 */
void nb_sigmask_forget(void)
{
	pending = false;
}

/**
 * nb_sigmask_keep() - a SIGSEGV was sent while it is blocked: it waits
 * @info: it; for the thread alone, if it was sent to that.
 * @uc: the interrupted context.
 *
 * Context: signal handler, all signals blocked.
 */
void nb_sigmask_keep(const siginfo_t *info, ucontext_t *uc)
{
	if (!on_wait) {
		if (!pending)
			pending_info = *info;
		pending = true;
		return;
	}
	if (!atomic_load(&real)) {
		on_wait();
		atomic_store(&real, true);
	}
	set_in_frame(uc, true);
	if (info->si_code == SI_TKILL)
		nb_syscall6(SYS_rt_tgsigqueueinfo, nb_sys_getpid(),
			    nb_sys_gettid(), SIGSEGV, (long)info, 0, 0);
	/* Who sent it is only taken from the first thread: then it was us. */
	else if (nb_syscall6(SYS_rt_sigqueueinfo, nb_sys_getpid(), SIGSEGV,
			     (long)info, 0, 0, 0))
		nb_syscall6(SYS_kill, nb_sys_getpid(), SIGSEGV, 0, 0, 0, 0);
}

/**
 * nb_sigsegv_return() - the application's handler has returned
 * @uc: the context that it had, which is about to be the thread's again.
 *
 * Context: signal handler, with the handler's mask.
 */
void nb_sigsegv_return(ucontext_t *uc)
{
	uint64_t mask;
	bool segv;

	memcpy(&mask, &uc->uc_sigmask, sizeof(mask));
	segv = mask & NB_SIG_BIT(SIGSEGV);
	/* Invariant 1 */
	if (!atomic_load(&real))
		set_in_frame(uc, false);
	nb_sigchain_block(segv);
	if (on_end)
		on_end(uc);
}

/**
 * nb_sigmove_no_room() - the interrupted stack has no room for a frame
 * @uc: the context that it would have had.
 *
 * The signal is lost, and there is a SIGSEGV as the kernel raises it then.
 *
 * Context: signal handler, with the handler's mask; @uc goes on next.
 */
void nb_sigmove_no_room(ucontext_t *uc)
{
	uint64_t segv = NB_SIG_BIT(SIGSEGV);
	siginfo_t info;

	memset(&info, 0, sizeof(info));
	info.si_signo = SIGSEGV;
	info.si_code = SI_KERNEL;
	/* Not before it is where it was interrupted. */
	set_in_frame(uc, false);
	nb_syscall6(SYS_rt_sigprocmask, SIG_BLOCK, (long)&segv, 0, sizeof(segv),
		    0, 0);
	nb_syscall6(SYS_rt_tgsigqueueinfo, nb_sys_getpid(), nb_sys_gettid(),
		    SIGSEGV, (long)&info, 0, 0);
}
