/* SPDX-License-Identifier: MIT */
/*
 * What the interposers call for threads, affinity and policy, programs that
 * are started, and signals.  See hooks.h for the contract; hooks.c has memory,
 * fork.c the forks.
 */
#include "hooks.h"

#include "guard_hooks.h"
#include "mech/affinity.h"
#include "mech/arm.h"
#include "mech/hint_fault.h"
#include "mech/sigchain.h"
#include "nb.h"
#include "regions.h"
#include "start_room.h"
#include "tasks.h"

#include <errno.h>
#include <linux/mempolicy.h>
#include <string.h>
#include <sys/syscall.h>

/* ---- threads, affinity, policy ------------------------------------------ */

static int slot_index(const struct nb_slot *s)
{
	return s ? (int)(s - nb_slot_at(0)) : -1;
}

/**
 * nb_hook_thread_token() - see hooks.h for what it does
 *
 * Context: any thread; see hooks.h.
 * Return: the token, or -1.
 */
int nb_hook_thread_token(void)
{
	if (!nb_is_active() || nb_creating_daemon)
		return -1;
	return slot_index(nb_slot_self());
}

/* A thread's stack must never be armed, wherever it came from. */
static void exclude_own_stack(void)
{
	uint64_t here = (uint64_t)__builtin_frame_address(0);
	struct nb_range r = {0, 0};
	struct nb_sigstate ss;

	if (!nb_regions_may_overlap(here, here + 1))
		return;
	nb_lock(&nb.as_lock, &ss);
	if (nb_regions_find(here)) {
		r.start = nb_regions_find(here)->start;
		r.end = nb_regions_find(here)->end;
	}
	nb_unlock(&nb.as_lock, &ss);
	if (r.end)
		nb_hook_unmap_begin((void *)r.start, r.end - r.start);
}

/**
 * nb_hook_thread_begin() - see hooks.h for what it does
 *
 * Context: any thread; see hooks.h.
 */
void nb_hook_thread_begin(int token)
{
	int slot;

	if (!nb_is_active() || token < 0)
		return;
	if (!nb_guarded())
		exclude_own_stack();
	slot = slot_index(nb_slot_self());
	if (slot < 0 || slot == token)
		return;
	/* It got its creator's pin from the kernel. */
	nb_affinity_inherit(slot, token);
	nb_start_begin(slot, token);
	nb_task_set_explicit_policy(
		slot, atomic_load(&nb_task_at(token)->explicit_policy));
}

/**
 * nb_hook_thread_end() - see hooks.h for what it does
 *
 * Context: any thread; see hooks.h.
 */
void nb_hook_thread_end(void)
{
	struct nb_slot *s = nb_slot_self_existing();

	if (!s)
		return;
	nb_start_end(slot_index(s));
	atomic_store(&s->gone, 1);
}

static int slot_of(pid_t tid)
{
	if (!tid || tid == nb_sys_gettid())
		return slot_index(nb_slot_self());
	return nb_slot_find(tid);
}

/**
 * nb_hook_setaffinity() - see hooks.h for what it does
 *
 * Context: any thread; see hooks.h.
 * Return: see hooks.h.
 */
int nb_hook_setaffinity(pid_t tid, size_t size, const void *mask)
{
	struct nb_cpumask m;
	int slot;

	if (!nb_is_active() || size > sizeof(m) || !mask)
		return 1;
	slot = slot_of(tid);
	if (slot < 0)
		return 1;
	memset(&m, 0, sizeof(m));
	memcpy(&m, mask, size);
	return nb_affinity_set_wish(slot, tid ? tid : (pid_t)nb_sys_gettid(),
				    &m);
}

/**
 * nb_hook_getaffinity() - see hooks.h for what it does
 *
 * Context: any thread; see hooks.h.
 * Return: see hooks.h.
 */
int nb_hook_getaffinity(pid_t tid, size_t size, void *mask)
{
	struct nb_cpumask m;
	long n;
	int slot;

	if (!nb_is_active())
		return 1;
	slot = slot_of(tid);
	if (slot < 0 || !nb_affinity_get_wish(slot, &m))
		return 1;
	nb_hook_touch(mask, size);
	n = nb_syscall6(SYS_sched_getaffinity, tid, (long)size, (long)mask, 0,
			0, 0);
	if (n > 0)
		memcpy(mask, &m, nb_min((size_t)n, sizeof(m)));
	return (int)n;
}

/**
 * nb_hook_set_mempolicy() - see hooks.h for what it does
 *
 * Context: any thread; see hooks.h.
 * Return: see hooks.h.
 */
int nb_hook_set_mempolicy(int mode)
{
	int plain = mode & ~MPOL_MODE_FLAGS;

	if (!nb_is_active())
		return mode;
	nb_task_set_explicit_policy(slot_index(nb_slot_self()),
				    plain != MPOL_DEFAULT &&
					    plain != MPOL_LOCAL);
	return nb.mpol_local && mode == MPOL_DEFAULT ? MPOL_LOCAL : mode;
}

/**
 * nb_hook_mempolicy_view() - see hooks.h for what it does
 *
 * Context: any thread; see hooks.h.
 * Return: see hooks.h.
 */
int nb_hook_mempolicy_view(int mode)
{
	return nb.mpol_local && mode == MPOL_LOCAL ? MPOL_DEFAULT : mode;
}

/* ---- programs ----------------------------------------------------------- */

/* How long arguments for a vfork child's exec stay readable. */
#define VFORK_INHIBIT_NS (200 * NB_NSEC_PER_MSEC)

static void disarm_everything(void)
{
	struct nb_sigstate ss;
	int err;

	nb_lock(&nb.as_lock, &ss);
	err = nb_disarm_all();
	nb_unlock(&nb.as_lock, &ss);
	if (err)
		nb_standdown("the kernel refused to give memory back");
}

/**
 * nb_hook_spawn_begin() - see hooks.h for what it does
 *
 * Context: any thread; see hooks.h.
 */
void nb_hook_spawn_begin(void)
{
	if (!nb_is_active())
		return;
	atomic_fetch_add(&nb.inhibit, 1);
	disarm_everything();
}

/**
 * nb_hook_spawn_end() - see hooks.h for what it does
 *
 * Context: any thread; see hooks.h.
 */
void nb_hook_spawn_end(void)
{
	if (nb_is_active() && atomic_load(&nb.inhibit))
		atomic_fetch_sub(&nb.inhibit, 1);
}

static bool in_vfork_child(void)
{
	return nb_sys_getpid() != atomic_load(&nb.pid);
}

/**
 * nb_hook_exec_begin() - see hooks.h for what it does
 *
 * Context: any thread; see hooks.h.
 */
void nb_hook_exec_begin(void)
{
	bool child = in_vfork_child();
	int slot;

	if (!nb_is_active())
		return;
	if (!child)
		atomic_fetch_add(&nb.inhibit, 1);
	else if (!nb_guarded())
		/* Nobody would count down after a successful exec. */
		atomic_store(&nb.inhibit_until_ns,
			     nb_clock_ns() + VFORK_INHIBIT_NS);
	/*
	 * Guarded, nothing is armed while there is such a child; and one that
	 * is killed must not take a lock with it that is its parent's, too.
	 */
	if (!child || !nb_guarded())
		disarm_everything();
	slot = slot_index(nb_slot_self_existing());
	if (slot >= 0)
		nb_affinity_apply_wish(slot);
	if (nb.mpol_local)
		nb_syscall6(SYS_set_mempolicy, MPOL_DEFAULT, 0, 0, 0, 0, 0);
}

/**
 * nb_hook_exec_end() - see hooks.h for what it does
 *
 * Context: any thread; see hooks.h.
 */
void nb_hook_exec_end(void)
{
	int slot = slot_index(nb_slot_self_existing());

	if (!nb_is_active() || in_vfork_child())
		return;
	if (atomic_load(&nb.inhibit))
		atomic_fetch_sub(&nb.inhibit, 1);
	if (slot >= 0)
		nb_affinity_release(slot, (pid_t)nb_sys_gettid());
	if (nb.mpol_local)
		nb_syscall6(SYS_set_mempolicy, MPOL_LOCAL, 0, 0, 0, 0, 0);
}

/**
 * nb_hook_stack() - see hooks.h for what it does
 *
 * Context: any thread; see hooks.h.
 */
void nb_hook_stack(unsigned long sp)
{
	if (nb_is_active() && nb_guarded() && sp)
		nb_open_new_stack(nb_slot_self_existing(), sp);
}

/* ---- signals ------------------------------------------------------------ */

/**
 * nb_hook_sigsegv_action() - see hooks.h for what it does
 *
 * Context: any thread; see hooks.h.
 * Return: true if handled.
 */
bool nb_hook_sigsegv_action(const struct sigaction *act, struct sigaction *old)
{
	struct nb_ksigaction kact = {0}, kold;

	if (!nb_sigchain_installed() || nb_guarded())
		return false;
	if (act) {
		kact.handler = (uint64_t)act->sa_handler;
		kact.flags = (uint32_t)act->sa_flags;
		memcpy(&kact.mask, &act->sa_mask, sizeof(kact.mask));
	}
	nb_sigchain_action(act ? &kact : NULL, &kold);
	if (old) {
		memset(old, 0, sizeof(*old));
		old->sa_handler = (void (*)(int))kold.handler;
		old->sa_flags = (int)(uint32_t)kold.flags;
		memcpy(&old->sa_mask, &kold.mask, sizeof(kold.mask));
	}
	return true;
}

/**
 * nb_hook_sigsegv_ignore() - see hooks.h for what it does
 *
 * Context: any thread; see hooks.h.
 * Return: true if SIGSEGV is ignored now.
 */
bool nb_hook_sigsegv_ignore(bool on)
{
	struct nb_ksigaction act;

	nb_sigchain_get(&act);
	if (on && (!nb_sigchain_installed() || nb_guarded() ||
		   act.handler != (uint64_t)SIG_IGN))
		return false;
	/* Whose actions are its own. */
	if (in_vfork_child()) {
		nb_sigchain_ignore_here(on);
		return on;
	}
	return !nb_sigchain_ignore(on) && on;
}

/**
 * nb_hook_strip() - see hooks.h for what it does
 *
 * Context: any thread; see hooks.h.
 */
void nb_hook_strip(const sigset_t *set, sigset_t *filtered)
{
	*filtered = *set;
	if (nb_sigchain_installed() && !nb_guarded())
		sigdelset(filtered, SIGSEGV);
}

/**
 * nb_hook_sigmask() - see hooks.h for what it does
 *
 * Context: any thread; see hooks.h.
 * Return: whether SIGSEGV was blocked, as the program sees it.
 */
bool nb_hook_sigmask(int how, const sigset_t *set, sigset_t *filtered)
{
	bool in;

	if (!nb_sigchain_installed() || nb_guarded())
		return false;
	if (!set)
		return nb_sigchain_blocked();
	in = sigismember(set, SIGSEGV) == 1;
	*filtered = *set;
	if (how == SIG_UNBLOCK)
		return in ? nb_sigchain_block(false) : nb_sigchain_blocked();
	sigdelset(filtered, SIGSEGV);
	if (how == SIG_BLOCK)
		return in ? nb_sigchain_block(true) : nb_sigchain_blocked();
	return nb_sigchain_block(in);
}

/**
 * nb_hook_sigmask_old() - see hooks.h for what it does
 *
 * Context: any thread; see hooks.h.
 */
void nb_hook_sigmask_old(bool was, sigset_t *old)
{
	if (was && old && nb_sigchain_installed())
		sigaddset(old, SIGSEGV);
}
