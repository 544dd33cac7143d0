/* SPDX-License-Identifier: MIT */
/*
 * The guard's core: what happens to every system call before it is made and
 * after it has returned.  Called by entry.S from the stubs, in any thread of
 * the program, at any depth of signal handlers, on any stack.
 *
 * nb_guard_enter() and nb_guard_leave() are the fast path: no vector register
 * is touched, nothing of libc is called.  They say whether the slow half has
 * to follow, for which entry.S saves the vector state.
 *
 * Invariants (G1-G8):
 * 1. A range is published before it is looked at, and stays until the call
 *    has returned: also when nothing is armed.
 * 2. What is published is accessible when enter returns.
 * 3. A child that shares our memory (vfork) uses nothing of its parent's
 *    slot: while one may exist, nothing is armed.
 * 4. A forked child is told from such a one by its memory alone: a page of
 *    ours is empty there.  It may come back on another stack, where nothing
 *    is known of the call that made it.
 * 5. Memory of the program is read by nb_guard_copy() only.
 * 6. A call that owes something does so only while the thread does nothing
 *    else (guard_process.c): where another call begins or ends it is over.
 */
#include "guard.h"

#include "../base/mutant.h"
#include "../mech/arm.h"
#include "../mech/keep.h"
#include "../mech/slot.h"
#include "../plat/arena.h"
#include "patch.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#pragma GCC poison malloc free calloc realloc printf fprintf pthread_mutex_lock

/* As entry.S has it. */
#define SLOT_AT(field, at)                                                     \
	_Static_assert(offsetof(struct nb_slot, field) == (at), "entry.S")
SLOT_AT(stack_lo, 16);
SLOT_AT(stack_hi, 24);
SLOT_AT(calls.depth, 64);
SLOT_AT(calls.overflow, 72);
SLOT_AT(calls.call[0].sp, 80);
SLOT_AT(calls.call[0].flags, 88);
SLOT_AT(calls.call[0].nr_ranges, 92);
SLOT_AT(calls.call[0].range[0].start, 96);
SLOT_AT(calls.call[0].range[0].end, 104);
SLOT_AT(calls.call[0].nr, 224);
SLOT_AT(calls.call[0].hook, 228);
_Static_assert(sizeof(struct nb_call) == 272 && NB_HOOK_NONE == 0, "entry.S");

/* What only the slow half of leave can do. */
#define SLOW_END (NB_CALL_HOOK | NB_CALL_REWRITTEN | NB_CALL_EMULATED)
_Static_assert(SLOW_END == 4 + 8 + 16, "entry.S");

#define NEW_STACK (1ULL << 63) /* in nb_regs.site, between the two halves */
#define ABANDONED (1ULL << 62) /* likewise: the slow half pushes */
#define SITE_BITS (~(NEW_STACK | ABANDONED))
/* What the guard needs of a stack, vector state included. */
#define STACK_BYTES 32768ULL
#define PAGE_BYTES 4096ULL

__thread struct nb_regs *nb_guard_active_regs
	__attribute__((tls_model("initial-exec")));

_Atomic uint32_t nb_guard_shared_children;

/* Bit NR: a call for the quick way in of entry.S, while the guard is on. */
_Atomic uint64_t nb_guard_quick;

static const struct nb_sys *sys;
static const struct nb_guard_ops *ops;
static _Atomic bool on;
static _Atomic bool quiet;    /* the kernel may punish a system call of ours */
static _Atomic bool watching; /* each call is told of */
static _Atomic int owner_pid;
static _Atomic uint32_t *not_forked; /* (I) invariant 4: 0 in a forked child */

/* Where the kernel has no such pages, forks come back on their own stack. */
static void map_not_forked(void)
{
	const size_t bytes = 4096;
	void *page = nb_arena_map(bytes);

	if (page && nb_syscall6(SYS_madvise, (long)page, (long)bytes,
				MADV_WIPEONFORK, 0, 0, 0)) {
		nb_arena_unmap(page, bytes);
		page = NULL;
	}
	not_forked = page;
}

/**
 * nb_guard_init() - before the first site is patched
 * @s: system calls.
 * @o: what the glue wants to know; constant from now on.
 *
 * Context: start only.
 * Return: 0.
 */
int nb_guard_init(const struct nb_sys *s, const struct nb_guard_ops *o)
{
	sys = s;
	ops = o;
	if (!not_forked)
		map_not_forked();
	nb_guard_note_fork();
	return 0;
}

/**
 * nb_guard_note_fork() - this process owns its memory from now on
 *
 * Context: start, forked child.
 */
void nb_guard_note_fork(void)
{
	atomic_store(&owner_pid, (int)nb_sys_getpid());
	atomic_store(&nb_guard_shared_children, 0);
	if (not_forked)
		atomic_store(not_forked, 1);
}

/* arg[1], as many bytes as arg[2] says, and nothing else. */
static bool is_quick(const struct nb_sysclass *k)
{
	const struct nb_arg *a = &k->arg[0];

	return k->hook == NB_HOOK_NONE && a->kind == NB_ARG_BUF &&
	       a->ptr == 1 && a->len == 2 && !a->size &&
	       k->arg[1].kind == NB_ARG_END;
}

static bool is_watching(void)
{
	return nb_unlikely(
		atomic_load_explicit(&watching, memory_order_relaxed));
}

static void set_quick(void)
{
	bool yes = atomic_load(&on) && !is_watching();
	uint64_t quick = 0;

	for (uint64_t nr = 0; yes && nr < 64; nr++)
		if (is_quick(nb_sysclass(nr)))
			quick |= 1ULL << nr;
	atomic_store(&nb_guard_quick, quick);
}

/**
 * nb_guard_on() - publish ranges and keep them accessible, or no longer
 * @yes: false only when nothing will be armed any more.
 *
 * Context: any thread.
 */
void nb_guard_on(bool yes)
{
	atomic_store(&on, yes);
	set_quick();
}

/**
 * nb_guard_watch() - have ops->called run at each call that hands memory over
 * @yes: from now on; else no longer.
 *
 * For a short time: none of these calls is quick then.
 *
 * Context: any thread.
 */
void nb_guard_watch(bool yes)
{
	atomic_store(&watching, yes);
	set_quick();
}

static bool is_quiet(void)
{
	return nb_unlikely(atomic_load_explicit(&quiet, memory_order_relaxed));
}

/**
 * nb_guard_quiet() - nothing of ours happens at system calls any more
 *
 * Those that are being made are finished as they began.
 *
 * Context: any thread; nothing is armed, nor will be.
 */
void nb_guard_quiet(void)
{
	nb_guard_on(false);
	atomic_store(&quiet, true);
}

/**
 * nb_guard_is_on() - are ranges published?
 *
 * Context: any thread, signal handler.
 * Return: true if so.
 */
bool nb_guard_is_on(void)
{
	return atomic_load_explicit(&on, memory_order_relaxed);
}

/* Invariant 4: before the child has been set right. */
static bool forked_child(void)
{
	return not_forked &&
	       !atomic_load_explicit(not_forked, memory_order_relaxed) &&
	       !is_quiet();
}

/* Invariant 3. */
static bool shared_child(void)
{
	return nb_unlikely(atomic_load_explicit(&nb_guard_shared_children,
						memory_order_relaxed)) &&
	       !is_quiet() &&
	       (int)nb_sys_getpid() !=
		       atomic_load_explicit(&owner_pid, memory_order_relaxed) &&
	       !forked_child();
}

static void disarm_one(struct nb_range_sink *to, uint64_t start, uint64_t len)
{
	(void)to;
	nb_disarm_for_call(sys, start,
			   start + len < start ? UINT64_MAX : start + len);
}

/* A hull: what lies between the ranges is not the kernel's to touch. */
static void disarm_each(const struct nb_sysclass *k, const struct nb_regs *r)
{
	struct nb_range_sink to = {disarm_one};

	nb_syscall_each_range(k, r, &to);
}

static void disarm_range(const struct nb_slot *slot,
			 const struct nb_call_range *at)
{
	uint64_t start = atomic_load_explicit(&at->start, memory_order_relaxed);
	uint64_t end = atomic_load_explicit(&at->end, memory_order_relaxed);
	uint8_t keeper;

	if (nb_likely(nb_disarm_for_call(sys, start, end) <= 0))
		return;
	keeper = atomic_load_explicit(&slot->keeper, memory_order_relaxed);
	if (nb_unlikely(keeper))
		nb_keep_range(sys, start, end, keeper);
}

/* Invariant 2, after invariant 1. */
static void disarm_published(const struct nb_sysclass *k,
			     const struct nb_regs *r,
			     const struct nb_slot *slot, struct nb_call *call)
{
	uint32_t nr =
		atomic_load_explicit(&call->nr_ranges, memory_order_relaxed);

	/* Pairs with the membarrier(2) of nb_arm_flush(). */
	atomic_signal_fence(memory_order_seq_cst);
	if (nb_likely(
		    !atomic_load_explicit(&nb_nr_armed, memory_order_relaxed)))
		return;
	if (nb_unlikely(
		    atomic_load_explicit(&call->flags, memory_order_relaxed) &
		    NB_CALL_HULL)) {
		disarm_each(k, r);
		return;
	}
	for (uint32_t i = 0; i < nr; i++)
		disarm_range(slot, &call->range[i]);
}

static bool shut(uint64_t addr)
{
	struct nb_block *b = nb_block_find(addr);

	return b &&
	       !nb_chunk_open(atomic_load(&b->state[nb_chunk_index(b, addr)]));
}

/* Invariant 5. */
static void open_stack(uint64_t sp)
{
	uint64_t start = sp - nb_min(sp, STACK_BYTES);
	char byte;

	if (nb_likely(!nb_block_next(start, sp)))
		return;
	for (; sp > start; sp -= nb_min(sp, PAGE_BYTES))
		do {
			if (nb_guard_copy(&byte, (const void *)sp, 1))
				return;
			/* Marked before we published: shut any moment. */
		} while (shut(sp) && !nb_sys_sched_yield());
}

static struct nb_call *push(struct nb_slot *slot, const struct nb_regs *r)
{
	return nb_call_push(
		&slot->calls, r->sp,
		atomic_load_explicit(&slot->alt_start, memory_order_relaxed),
		atomic_load_explicit(&slot->alt_end, memory_order_relaxed));
}

/* Invariant 6. */
static void settle(struct nb_slot *slot, const struct nb_call *but)
{
	struct nb_call *call;

	while ((call = nb_call_owing(&slot->calls, but)))
		ops->abandoned(slot, call);
}

static bool enter(struct nb_regs *r, const struct nb_sysclass *k)
{
	bool new_stack = false, opaque = false;
	struct nb_slot *slot;
	struct nb_call *call;

	if (shared_child())
		return k->hook == NB_HOOK_PROCESS || k->hook == NB_HOOK_SIGNAL;
	slot = nb_slot_usual(r->sp);
	if (nb_unlikely(!slot))
		slot = nb_slot_for_sp(r->sp, &new_stack);
	if (nb_unlikely(!slot))
		return nb_guard_is_on();
	if (nb_unlikely(new_stack))
		r->site |= NEW_STACK;
	if (nb_unlikely(nb_call_owing(&slot->calls, NULL))) {
		r->site |= ABANDONED;
		return true;
	}
	call = push(slot, r);
	if (nb_unlikely(!call))
		return true;
	call->nr = (uint32_t)r->rax;
	call->hook = k->hook;
	if (nb_guard_is_on()) {
		if (nb_unlikely(new_stack)) {
			nb_call_publish(call, r->sp - STACK_BYTES, STACK_BYTES);
			open_stack(r->sp);
		}
		opaque = nb_syscall_ranges(k, r, call);
		disarm_published(k, r, slot, call);
		if (NB_NO_PUBLISH)
			atomic_store(&call->nr_ranges, 0);
	}
	return opaque || k->hook != NB_HOOK_NONE || new_stack || is_watching();
}

/**
 * nb_guard_shared_child() - are we a process that runs in our parent's memory?
 *
 * Context: any thread, signal handler.
 * Return: true if so.
 */
bool nb_guard_shared_child(void)
{
	return shared_child();
}

/**
 * nb_guard_enter() - a system call is about to be made
 * @r: the registers at the site.
 *
 * Context: any thread; no libc, no vector registers.
 * Return: true: nb_guard_enter_slow() must follow.
 */
bool nb_guard_enter(struct nb_regs *r)
{
	const struct nb_sysclass *k = nb_sysclass(r->rax);

	r->rax = (uint32_t)r->rax; /* hooks compare; the kernel looks no more */
	if (k->hook == NB_HOOK_NONE &&
	    (k->arg[0].kind == NB_ARG_END || !nb_guard_is_on()))
		return false;
	if (!nb_guard_is_on() && is_quiet())
		return false;
	return enter(r, k);
}

static void keep_args(struct nb_call *call, const struct nb_regs *r)
{
	for (int i = 0; i < 6; i++)
		call->saved[i] = r->arg[i];
}

static bool no_post_window(const struct nb_regs *r)
{
	const struct nb_patched *p = nb_patch_site(r->site);

	return p && p->kind == NB_SITE_PRE_ONLY;
}

static void run_enter_hook(struct nb_call *call, struct nb_regs *r)
{
	const struct nb_guard_hook *h = &ops->hook[call->hook];
	uint32_t flags;

	keep_args(call, r);
	if (no_post_window(r))
		atomic_fetch_or_explicit(&call->flags, NB_CALL_LAZY,
					 memory_order_relaxed);
	if (h->enter)
		h->enter(call, r);
	flags = atomic_load_explicit(&call->flags, memory_order_relaxed);
	/* Something that does nothing and cannot fail. */
	if (flags & NB_CALL_EMULATED)
		r->rax = SYS_getpid;
}

static void enter_shared_child(struct nb_regs *r)
{
	if (ops->shared_child)
		ops->shared_child(r);
}

static void new_thread_or_stack(struct nb_slot *slot, uint64_t sp)
{
	if (ops->stack)
		ops->stack(slot, sp);
}

static void no_slot(void)
{
	/* Else it is a process that shares our memory. */
	if ((int)nb_sys_getpid() ==
		    atomic_load_explicit(&owner_pid, memory_order_relaxed) &&
	    ops->no_slot)
		ops->no_slot();
}

/* As good as opaque, and nothing can be kept: hooks are left out. */
static void no_room(const struct nb_regs *r)
{
	if (nb_guard_is_on())
		ops->opaque();
	if (nb_sysclass(r->rax)->hook != NB_HOOK_NONE)
		ops->no_room();
}

/**
 * nb_guard_enter_slow() - the rest of nb_guard_enter()
 * @r: the registers at the site.
 *
 * Context: any thread, vector state saved.
 */
void nb_guard_enter_slow(struct nb_regs *r)
{
	bool new_stack = r->site & NEW_STACK, ignored;
	struct nb_regs *outer = nb_guard_active_regs;
	struct nb_slot *slot;
	struct nb_call *call;

	if (shared_child()) {
		r->site &= SITE_BITS;
		enter_shared_child(r);
		return;
	}
	slot = nb_slot_for_sp(r->sp, &ignored);
	if (!slot) {
		r->site &= SITE_BITS;
		no_slot();
		return;
	}
	nb_guard_active_regs = r;
	if (nb_unlikely(r->site & ABANDONED)) {
		r->site &= SITE_BITS;
		settle(slot, NULL);
		enter(r, nb_sysclass(r->rax));
	}
	r->site &= SITE_BITS;
	if (new_stack)
		new_thread_or_stack(slot, r->sp);
	if (is_watching() && ops->called)
		ops->called();
	call = nb_call_find(&slot->calls, r->sp);
	if (!call) {
		no_room(r);
	} else {
		if (atomic_load_explicit(&call->flags, memory_order_relaxed) &
		    NB_CALL_OPAQUE)
			ops->opaque();
		if (call->hook != NB_HOOK_NONE)
			run_enter_hook(call, r);
	}
	nb_guard_active_regs = outer;
	if (call && call->nr == SYS_exit && ops->leaving)
		ops->leaving(slot, call);
}

/**
 * nb_guard_leave() - a system call has returned
 * @r: the registers at the site; rax is the result.
 *
 * Context: any thread; no libc, no vector registers.
 * Return: true: nb_guard_leave_slow() must follow.
 */
bool nb_guard_leave(struct nb_regs *r)
{
	bool new_stack = false;
	struct nb_slot *slot;
	struct nb_call *call;
	uint32_t i;

	if (shared_child())
		return false;
	slot = nb_slot_usual(r->sp);
	if (nb_unlikely(!slot))
		slot = nb_slot_for_sp(r->sp, &new_stack);
	if (nb_unlikely(!slot))
		return forked_child();
	i = nb_call_index(&slot->calls, r->sp);
	if (!i) {
		/* A thread's first steps, in the middle of clone(2). */
		if (!new_stack)
			return forked_child();
		r->site |= NEW_STACK;
		return true;
	}
	call = &slot->calls.call[i - 1];
	if (nb_unlikely(r->rax == (uint64_t)-EFAULT) ||
	    (atomic_load_explicit(&call->flags, memory_order_relaxed) &
	     SLOW_END) ||
	    nb_unlikely(nb_call_owing(&slot->calls, call)))
		return true;
	nb_call_pop_index(&slot->calls, i);
	return false;
}

/* G5: EFAULT for memory that is armed now is our doing. */
static void check_hole(const struct nb_call *call, const struct nb_regs *r)
{
	if (r->rax == (uint64_t)-EFAULT && nb_guard_is_on() &&
	    nb_call_has_armed(call))
		ops->hole(call, r->site);
}

/**
 * nb_guard_leave_slow() - the rest of nb_guard_leave()
 * @r: the registers at the site.
 *
 * Context: any thread, vector state saved.
 */
void nb_guard_leave_slow(struct nb_regs *r)
{
	bool new_stack = r->site & NEW_STACK, ignored;
	struct nb_regs *outer = nb_guard_active_regs;
	struct nb_slot *slot;
	struct nb_call *call;
	uint32_t flags;

	r->site &= ~NEW_STACK;
	slot = nb_slot_for_sp(r->sp, &ignored);
	call = slot ? nb_call_find(&slot->calls, r->sp) : NULL;
	nb_guard_active_regs = r;
	if (!call && forked_child()) {
		ops->forked();
		slot = nb_slot_for_sp(r->sp, &new_stack);
	}
	if (slot && new_stack)
		new_thread_or_stack(slot, r->sp);
	if (!call)
		goto out;
	settle(slot, call);
	flags = atomic_load_explicit(&call->flags, memory_order_relaxed);
	check_hole(call, r);
	if ((flags & NB_CALL_HOOK) && ops->hook[call->hook].leave) {
		ops->hook[call->hook].leave(call, r);
		/* In a forked child the slots are new: nothing to take back. */
		slot = nb_slot_for_sp(r->sp, &new_stack);
		if (slot && new_stack)
			new_thread_or_stack(slot, r->sp);
		call = slot ? nb_call_find(&slot->calls, r->sp) : NULL;
		if (!call)
			goto out;
	}
	if (flags & NB_CALL_EMULATED)
		r->rax = (uint64_t)call->ret;
	if (flags & NB_CALL_REWRITTEN)
		for (int i = 0; i < 6; i++)
			r->arg[i] = call->saved[i];
	nb_call_pop(&slot->calls, r->sp);
out:
	nb_guard_active_regs = outer;
}
