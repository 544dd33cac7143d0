/* SPDX-License-Identifier: MIT */
/*
 * numabald must not show: it stands aside for what only a process with one
 * thread may do, and is made anew by a thread that has got other rights.
 *
 * 1. unshare(2) and setns(2) of some namespaces fail with a second thread.  So
 *    numabald ends before them, and another one is made after.  What is armed
 *    stays so meanwhile: the handler gives it back.
 * 2. setuid(2) and its like are a thread's own business to the kernel; libc
 *    has all threads that it knows make the call.  It does not know numabald,
 *    which would keep the rights that the program wants to be rid of.
 *
 * Owns nothing; called by guard_step.c.
 */
#include "guard_hooks.h"
#include "nb.h"
#include "plat/taskinfo.h"

#include <sched.h>
#include <sys/syscall.h>

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x80
#endif
/* What a process with several threads is refused. */
#define UNSHARE_ALONE                                                          \
	((uint64_t)(CLONE_NEWUSER | CLONE_VM | CLONE_SIGHAND | CLONE_THREAD))
#define SETNS_ALONE ((uint64_t)(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWTIME))
#define GONE_TRIES 1000

static bool has_numabald(void)
{
	return nb_is_active() && atomic_load(&nb.thread_started) &&
	       nb_sys_getpid() == atomic_load(&nb.pid);
}

/**
 * nb_alone_enter() - before a call that may be one of those
 * @call: the call
 * @r: its registers
 *
 * Context: a hook's enter().
 */
void nb_alone_enter(struct nb_call *call, const struct nb_regs *r)
{
	uint64_t flags;

	if (!has_numabald())
		return;
	switch (r->rax) {
	case SYS_unshare:
		flags = r->arg[0] & UNSHARE_ALONE;
		break;
	case SYS_setns: /* 0: whatever the descriptor is of */
		flags = r->arg[1] ? r->arg[1] & SETNS_ALONE : SETNS_ALONE;
		break;
	case SYS_setuid:
	case SYS_setgid:
	case SYS_setreuid:
	case SYS_setregid:
	case SYS_setgroups:
	case SYS_setresuid:
	case SYS_setresgid:
	case SYS_capset:
		/* Once is enough, of all threads that make it. */
		if (nb.thread_raw && nb_sys_gettid() == atomic_load(&nb.pid))
			nb_call_want_leave(call);
		return;
	default:
		return;
	}
	if (!flags || nb_nr_threads() != 2)
		return;
	nb_call_want_leave(call);
	nb_daemon_stop();
	/* The kernel counts it for a moment longer. */
	for (int i = 0; i < GONE_TRIES && nb_nr_threads() > 1; i++)
		nb_sys_sched_yield();
}

/**
 * nb_alone_leave() - after it, when nb_alone_enter() wanted to know
 *
 * Context: a hook's leave().
 */
void nb_alone_leave(void)
{
	if (!nb_daemon_stop()) {
		nb_standdown("the balancer thread has not ended in time");
		return;
	}
	atomic_store(&nb.stop, false);
	nb_maybe_start_daemon();
}
