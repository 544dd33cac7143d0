/* SPDX-License-Identifier: MIT */
/*
 * Processes and threads at the level of system calls: clone, fork, vfork,
 * exec and exit, whoever makes them (posix_spawn(3), raw code, libc itself).
 *
 * Invariants:
 * 1. While a child may share our memory, nothing is armed: it has neither our
 *    handler nor a slot of its own.
 * 2. A fork copies the memory while numabald is held off; in the child all is
 *    accessible before the program goes on.  No lock is held where the parent
 *    is suspended for as long as the child likes: its other threads go on.
 * 3. What a call has raised is lowered while a handler of the program runs,
 *    which may leave it by a jump, and when it returns; else when the thread
 *    makes or ends another call.
 * 4. Before exec the thread has the mask, the policy and the signals that the
 *    program believes in.
 */
#include "guard/patch.h"
#include "guard_hooks.h"
#include "guard_signal.h"
#include "guard_task.h"
#include "hooks.h"
#include "mech/affinity.h"
#include "mech/fault_ring.h"
#include "mech/slot.h"
#include "nb.h"
#include "start_room.h"

#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>

/* What leave() has to undo; kept in aux[0], with its state behind it. */
enum {
	NOTHING,
	FORKED,
	COPIED, /* and suspended, until the child runs another program */
	SHARED,
	EXECUTING,
};

_Static_assert(sizeof(struct nb_exec_signals) <= sizeof(uint64_t),
	       "fits into one word of aux");

#define PUT_OFF_BY 2 /* in aux: the context of that handler */

static struct nb_exec_signals *saved_signals(struct nb_call *call)
{
	return (struct nb_exec_signals *)&call->aux[1];
}

static uint64_t clone_flags(const struct nb_regs *r)
{
	uint64_t flags;

	switch (r->rax) {
	case SYS_fork:
		return 0;
	case SYS_vfork:
		return CLONE_VM | CLONE_VFORK;
	case SYS_clone3:
		/* The first word of its structure; else it will fail. */
		if (nb_guard_copy(&flags, (void *)r->arg[0], sizeof(flags)))
			return CLONE_THREAD;
		return flags;
	}
	return r->arg[0];
}

/* Invariant 3: no handler, which might jump, in between.  Signals blocked. */
static void raise_all(struct nb_call *call, struct nb_slot *slot,
		      uint64_t *mask)
{
	if (call->aux[0] == EXECUTING)
		nb_hook_exec_begin();
	else
		nb_hook_spawn_begin();
	if (call->aux[0] == SHARED)
		atomic_fetch_add(&nb_guard_shared_children, 1);
	nb_call_owe(&slot->calls, call, true);
	if (call->aux[0] == EXECUTING)
		nb_signal_exec_begin(saved_signals(call), mask);
	else if (call->aux[0] == SHARED)
		nb_signal_vfork_begin(saved_signals(call), mask);
}

static void raise_for(struct nb_call *call, const struct nb_regs *r,
		      uint64_t what)
{
	struct nb_slot *slot = nb_slot_for_sp(r->sp, NULL);
	struct nb_sigstate ss;

	if (!slot)
		return; /* the guard has just become quiet */
	memset(saved_signals(call), 0, sizeof(struct nb_exec_signals));
	call->aux[0] = what;
	nb_signals_block(&ss);
	raise_all(call, slot, &ss.mask);
	nb_signals_restore(&ss);
	nb_call_want_leave(call);
}

/* Likewise.  A handler may have come before, and this be done. */
static void lower(struct nb_call *call, struct nb_slot *slot)
{
	struct nb_sigstate ss;

	nb_signals_block(&ss);
	if (atomic_load(&call->flags) & NB_CALL_OWES) {
		nb_signal_exec_end(saved_signals(call), &ss.mask);
		if (call->aux[0] == SHARED)
			atomic_fetch_sub(&nb_guard_shared_children, 1);
		if (call->aux[0] == EXECUTING)
			nb_hook_exec_end();
		else
			nb_hook_spawn_end();
		nb_call_owe(&slot->calls, call, false);
	}
	nb_signals_restore(&ss);
}

/**
 * nb_guard_process_abandoned() - a call that will never come back
 * @slot: the calling thread's.
 * @call: the entry of a call of this file, which owes something.
 *
 * Context: the thread itself, at its next call.
 */
void nb_guard_process_abandoned(struct nb_slot *slot, struct nb_call *call)
{
	lower(call, slot);
}

/* One that has its copy of our memory is set right when its call returns. */
static bool in_other_process(void)
{
	return nb_sys_getpid() != atomic_load(&nb.pid);
}

static struct nb_call_stack *own_calls(struct nb_slot **slot)
{
	if (!nb_slot_self_existing())
		return NULL;
	*slot = nb_slot_for_sp((uint64_t)__builtin_frame_address(0), NULL);
	return *slot ? &(*slot)->calls : NULL;
}

/**
 * nb_guard_process_handler_begin() - a handler of the program is to be called
 * @uc: the context that it gets.
 *
 * It may have interrupted a call that owes something, anywhere between its
 * hooks, and nobody knows whether it will return.
 *
 * Context: signal handler, before the program's.
 */
void nb_guard_process_handler_begin(const ucontext_t *uc)
{
	struct nb_slot *slot;
	struct nb_call_stack *s = own_calls(&slot);

	for (uint32_t i = s ? atomic_load(&s->depth) : 0; i--;) {
		struct nb_call *call = &s->call[i];
		uint32_t flags = atomic_load(&call->flags);

		/* Of one that was here before and has jumped away. */
		if (flags & NB_CALL_PUT_OFF &&
		    call->aux[PUT_OFF_BY] == (uint64_t)uc)
			atomic_fetch_and(&call->flags, ~NB_CALL_PUT_OFF);
		if (!(flags & NB_CALL_OWES) || in_other_process())
			continue;
		lower(call, slot);
		call->aux[PUT_OFF_BY] = (uint64_t)uc;
		atomic_fetch_or(&call->flags, NB_CALL_PUT_OFF);
	}
}

/* All signals stay blocked until the kernel has @uc. */
static void raise_again(struct nb_call *call, struct nb_slot *slot,
			ucontext_t *uc)
{
	struct nb_sigstate ss;
	uint64_t mask;

	memcpy(&mask, &uc->uc_sigmask, sizeof(mask));
	nb_signals_block(&ss);
	raise_all(call, slot, &mask);
	memcpy(&uc->uc_sigmask, &mask, sizeof(mask));
	nb_signals_hold(false);
}

/**
 * nb_guard_process_handler_end() - a handler of the program has returned
 * @uc: the context that it had, which is about to be the thread's again.
 *
 * Context: signal handler, the last that is done.
 */
void nb_guard_process_handler_end(ucontext_t *uc)
{
	struct nb_slot *slot;
	struct nb_call_stack *s = own_calls(&slot);

	for (uint32_t i = s ? atomic_load(&s->depth) : 0; i--;) {
		struct nb_call *call = &s->call[i];

		if (!(atomic_load(&call->flags) & NB_CALL_PUT_OFF) ||
		    call->aux[PUT_OFF_BY] != (uint64_t)uc)
			continue;
		atomic_fetch_and(&call->flags, ~NB_CALL_PUT_OFF);
		if (!in_other_process())
			raise_again(call, slot, uc);
	}
}

static void clone_enter(struct nb_call *call, struct nb_regs *r)
{
	uint64_t flags = clone_flags(r);

	nb_task_clone_never(r);
	if (flags & CLONE_THREAD) {
		if (!(flags & CLONE_SETTLS))
			nb_slot_share_tls();
		return;
	}
	if (atomic_load(&call->flags) & NB_CALL_LAZY) {
		/* Neither parent nor child would come by here again. */
		nb_standdown("a process is made by code without a way back");
		return;
	}
	if (!(flags & (CLONE_VM | CLONE_VFORK))) {
		nb_hook_fork_prepare();
		call->aux[0] = FORKED;
	} else if (flags & CLONE_VFORK) {
		raise_for(call, r, flags & CLONE_VM ? SHARED : COPIED);
		return;
	} else {
		/* Nothing tells when it is gone. */
		nb_standdown("the program shares its memory with a process");
		return;
	}
	nb_call_want_leave(call);
}

/* numabal_finish() at the end, as an interposed _exit(3) does it. */
static void exit_enter(struct nb_call *call, const struct nb_regs *r)
{
	if (r->rax == SYS_exit)
		nb_task_exit_robust(call);
	else
		nb_hook_exit();
}

static void process_enter(struct nb_call *call, struct nb_regs *r)
{
	call->aux[0] = NOTHING;
	switch (r->rax) {
	case SYS_clone:
	case SYS_clone3:
	case SYS_fork:
	case SYS_vfork:
		clone_enter(call, r);
		break;
	case SYS_execve:
	case SYS_execveat:
		raise_for(call, r, EXECUTING);
		break;
	case SYS_exit:
	case SYS_exit_group:
		exit_enter(call, r);
		break;
	}
}

/**
 * nb_guard_process_forked() - set a forked child right
 *
 * Context: its only thread, before it goes on, whatever stack it is on.
 */
void nb_guard_process_forked(void)
{
	nb_guard_note_fork();
	nb_patch_after_fork();
	nb_signal_after_fork();
	nb_hook_fork_child();
}

static void process_leave(struct nb_call *call, struct nb_regs *r)
{
	struct nb_slot *slot;

	switch (call->aux[0]) {
	case FORKED:
		if (r->rax)
			nb_hook_fork_parent();
		else
			nb_guard_process_forked();
		break;
	case COPIED:
		if (!r->rax) {
			nb_guard_process_forked();
			break;
		}
		/* fall through */
	case SHARED: /* the parent: the child never comes this far */
	case EXECUTING:
		slot = nb_slot_for_sp(r->sp, NULL);
		if (slot)
			lower(call, slot);
		break;
	}
}

const struct nb_guard_hook nb_guard_process = {process_enter, process_leave};

/**
 * nb_guard_process_shared() - a call by a child that shares our memory
 * @r: its registers.
 *
 * Context: a vfork(2) or posix_spawn(3) child, vector state saved.
 */
void nb_guard_process_shared(struct nb_regs *r)
{
	if (r->rax != SYS_execve && r->rax != SYS_execveat) {
		nb_signal_shared_child(r);
		return;
	}
	nb_hook_exec_begin();
	nb_signal_exec_shared();
}

/**
 * nb_guard_process_leaving() - a thread ends here: the next may have its slot
 * @slot: the calling thread's.
 * @call: its exit(2).
 *
 * Unless something has to stay published until the kernel is done with it, or
 * numabald has not looked at all yet.
 *
 * Context: the thread itself; the last of our code that it runs.
 */
void nb_guard_process_leaving(struct nb_slot *slot, const struct nb_call *call)
{
	const stack_t none = {.ss_flags = SS_DISABLE};

	/* The head of the list of robust mutexes is never armed. */
	if (atomic_load(&call->nr_ranges) > 1 ||
	    atomic_load(&call->flags) & NB_CALL_OPAQUE ||
	    nb_fault_ring_fill(&slot->ring))
		return;
	/* Its alternate stack goes with the slot. */
	if (nb_syscall6(SYS_sigaltstack, (long)&none, 0, 0, 0, 0, 0))
		return;
	nb_start_end((int)(slot - nb_slot_at(0)));
	nb_affinity_forget((int)(slot - nb_slot_at(0)));
	nb_slot_give_up(slot);
}
