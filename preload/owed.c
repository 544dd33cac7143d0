/* SPDX-License-Identifier: MIT */
/*
 * What a call that starts a program has raised is lowered when it returns.  A
 * handler of the program may leave it by a jump, and nobody sees that: each
 * thread keeps what it owes, with the frame of the wrapper.  A frame is gone
 * when a wrapper is called by one that is not further in, or when one further
 * out returns.
 *
 * The new program inherits what the thread has: where that is not what the
 * program believes (SIGSEGV blocked or ignored), it is set in truth.  Nothing
 * is armed any more.
 *
 * Signals are blocked while this changes.  A child that runs in our memory
 * keeps nothing: its thread's owner is suspended, and goes on with its own.
 *
 * Owns the calling thread's list; called by process.c, by the other wrappers
 * through nb_active(), and when a thread ends.
 */
#include "preload.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* system(3) by a handler that has interrupted system(3), and so on. */
#define MAX_OWED 8

#define TLS __attribute__((tls_model("initial-exec")))
__thread int nb_nr_owed TLS;
static __thread struct nb_owed owed[MAX_OWED] TLS;

static void hold(sigset_t *old)
{
	sigset_t all;

	sigfillset(&all);
	real(sigprocmask)(SIG_SETMASK, &all, old);
}

static void let_go(const sigset_t *old)
{
	real(sigprocmask)(SIG_SETMASK, old, NULL);
}

static bool on_alternate_stack(void)
{
	stack_t ss = {.ss_flags = 0};

	real(syscall)(SYS_sigaltstack, NULL, &ss);
	return ss.ss_flags & SS_ONSTACK;
}

/* @mask: what the thread is about to have blocked. */
static void lower(const struct nb_owed *o, sigset_t *mask)
{
	if (o->ignored)
		nb_hook_sigsegv_ignore(false);
	if (o->blocked)
		sigdelset(mask, SIGSEGV);
	if (o->exec)
		nb_hook_exec_end();
	else
		nb_hook_spawn_end();
}

/* An alternate stack is left for good once a call is made off it. */
static bool is_gone(const struct nb_owed *o, uintptr_t frame, bool alternate)
{
	return o->alternate == alternate ? o->frame <= frame : o->alternate;
}

static void settle(uintptr_t frame, bool alternate, sigset_t *mask)
{
	while (nb_nr_owed && is_gone(&owed[nb_nr_owed - 1], frame, alternate))
		lower(&owed[--nb_nr_owed], mask);
}

/* Of a wrapper that was called with that frame, and of all further in. */
static void pay(const struct nb_owed *o, sigset_t *mask)
{
	int i = nb_nr_owed;

	while (i && (owed[i - 1].frame != o->frame ||
		     owed[i - 1].alternate != o->alternate))
		i--;
	while (i && nb_nr_owed >= i)
		lower(&owed[--nb_nr_owed], mask);
}

/* A wrapper is about to start a program. */
void nb_owe_begin(struct nb_owed *o, const void *frame, bool exec)
{
	int saved = errno;
	sigset_t mask;

	hold(&mask);
	memset(o, 0, sizeof(*o));
	o->frame = (uintptr_t)frame;
	o->alternate = on_alternate_stack();
	o->exec = exec;
	o->here = nb_is_shared_child();
	if (!o->here)
		settle(o->frame, o->alternate, &mask);
	if (exec) {
		nb_hook_exec_begin();
		o->ignored = nb_hook_sigsegv_ignore(true);
		o->blocked = nb_hook_sigmask(SIG_BLOCK, NULL, NULL);
		if (o->blocked)
			sigaddset(&mask, SIGSEGV);
	} else {
		nb_hook_spawn_begin();
	}
	if (!o->here && nb_nr_owed < MAX_OWED)
		owed[nb_nr_owed++] = *o;
	else if (!o->here)
		nb_hook_async_io("calls nested too deeply");
	let_go(&mask);
	errno = saved;
}

/* It has not, or has done so. */
void nb_owe_end(const struct nb_owed *o)
{
	int saved = errno;
	sigset_t mask;

	hold(&mask);
	if (o->here)
		lower(o, &mask);
	else
		pay(o, &mask);
	let_go(&mask);
	errno = saved;
}

/* A wrapper has been called; NULL: the thread ends. */
void nb_owe_settle(const void *frame)
{
	int saved = errno;
	sigset_t mask;

	if (nb_is_shared_child())
		return;
	hold(&mask);
	if (frame)
		settle((uintptr_t)frame, on_alternate_stack(), &mask);
	else
		while (nb_nr_owed)
			lower(&owed[--nb_nr_owed], &mask);
	let_go(&mask);
	errno = saved;
}
