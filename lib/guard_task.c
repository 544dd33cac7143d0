/* SPDX-License-Identifier: MIT */
/*
 * What the program sees of its threads' CPUs and memory policy, at the site of
 * the system call; and the memory that the kernel writes to later without
 * being asked again: rseq areas, robust lists, words of thread ids, the blocks
 * of thread-local storage that they are in.  That is never armed.
 *
 * Memory of the program is read and written by nb_guard_copy() alone: what is
 * not there gives the program the EFAULT that the kernel would have given.
 *
 * Called by the guard with vector state saved.
 */
#include "guard_task.h"

#include "base/mutant.h"
#include "guard_mm.h"
#include "hooks.h"
#include "mech/arm.h"
#include "mech/sigchain.h"
#include "nb.h"
#include "plat/raw_thread.h"

#include <errno.h>
#include <linux/futex.h>
#include <linux/sched.h>
#include <string.h>
#include <sys/syscall.h>

#ifndef SYS_rseq
#define SYS_rseq 334
#endif

#define ARCH_SET_FS 0x1002
#define RSEQ_BYTES 32 /* the first version's */
#define RSEQ_MAX 4096
/*
 * Static thread-local storage at least; libc's descriptor of a thread, which
 * has its rseq area at the end (glibc 2.35 to 2.40).  No more: behind it is
 * the program's memory.
 */
#define TLS_BELOW_MIN (64 * 1024UL)
#define TLS_ABOVE 2368UL
#define MAX_ROBUST 2048 /* Linux: ROBUST_LIST_LIMIT */
#define MUTEX_MAX 256	/* node and futex word are in one, usually */

static uint64_t tls_below; /* (I) after start */

/**
 * nb_guard_keep_open() - keep more memory open during a call
 * @call: the call
 * @start: where
 * @len: bytes
 *
 * Context: a hook's enter().
 */
void nb_guard_keep_open(struct nb_call *call, uint64_t start, uint64_t len)
{
	if (!len || start + len < start)
		return;
	nb_call_publish(call, start, len);
	/* Published first: what is armed from now on leaves it out. */
	atomic_signal_fence(memory_order_seq_cst);
	if (nb_disarm_for_call(nb.sys, start, start + len) < 0)
		nb_standdown("the kernel refused to give memory back");
}

/* ---- CPUs ---------------------------------------------------------------- */

/*
 * The kernel reads and writes at most its own number of CPUs.  Kernels with
 * more of them than fit here are left to themselves.
 */
static void setaffinity_enter(struct nb_call *call, const struct nb_regs *r)
{
	size_t size = nb_min(r->arg[1], (uint64_t)sizeof(struct nb_cpumask));
	struct nb_cpumask mask;
	int ret;

	if (!nb_is_active() ||
	    nb_guard_copy(&mask, (const void *)r->arg[2], size))
		return;
	ret = nb_hook_setaffinity((pid_t)r->arg[0], size, &mask);
	if (ret != 1)
		nb_call_emulate(call, ret);
}

static void getaffinity_enter(struct nb_call *call, const struct nb_regs *r)
{
	size_t size = nb_min(r->arg[1], (uint64_t)sizeof(struct nb_cpumask));
	struct nb_cpumask mask;
	int ret;

	/* The kernel has a word about sizes that are no whole longs. */
	if (!nb_is_active() || r->arg[1] % sizeof(long))
		return;
	ret = nb_hook_getaffinity((pid_t)r->arg[0], size, &mask);
	if (ret == 1)
		return;
	if (ret > 0 && nb_guard_copy((void *)r->arg[2], &mask, (uint64_t)ret))
		ret = -EFAULT;
	nb_call_emulate(call, ret);
}

/* ---- memory policy ------------------------------------------------------- */

enum { AUX_MODE }; /* in call->aux: where get_mempolicy() puts the mode */

static void set_mempolicy_enter(struct nb_call *call, struct nb_regs *r)
{
	int mode = (int)r->arg[0];
	int instead = nb_hook_set_mempolicy(mode);

	if (instead != mode)
		nb_call_rewrite(call, r, 0, (uint64_t)instead);
}

static void get_mempolicy_enter(struct nb_call *call, const struct nb_regs *r)
{
	/* With flags it is about an address, or not about the mode. */
	if (!r->arg[0] || r->arg[4])
		return;
	call->aux[AUX_MODE] = r->arg[0];
	nb_call_want_leave(call);
}

static void get_mempolicy_leave(const struct nb_call *call,
				const struct nb_regs *r)
{
	void *at = (void *)call->aux[AUX_MODE];
	int mode, view;

	if (r->rax || nb_guard_copy(&mode, at, sizeof(mode)))
		return;
	view = nb_hook_mempolicy_view(mode);
	if (view != mode)
		nb_guard_copy(at, &view, sizeof(view));
}

/* ---- memory that the kernel writes to ------------------------------------ */

static void never(uint64_t start, uint64_t len)
{
	if (start && len && start + len > start)
		nb_mm_never(start, len);
}

/**
 * nb_guard_never_tls() - never arm what is around a thread pointer
 * @pointer: the pointer
 *
 * Above it is libc's descriptor of the thread, with areas that the kernel
 * writes to; below it static thread-local storage, which our handler uses.
 *
 * Context: any thread, no lock held.
 */
void nb_guard_never_tls(uint64_t pointer)
{
	if (!tls_below)
		tls_below = nb_max(nb_static_tls_bytes(), TLS_BELOW_MIN);
	if (pointer > tls_below)
		never(pointer - tls_below, tls_below + TLS_ABOVE);
}

static void task_enter(struct nb_call *call, struct nb_regs *r)
{
	switch (r->rax) {
	case SYS_sched_setaffinity:
		setaffinity_enter(call, r);
		break;
	case SYS_sched_getaffinity:
		getaffinity_enter(call, r);
		break;
	case SYS_set_mempolicy:
		set_mempolicy_enter(call, r);
		break;
	case SYS_get_mempolicy:
		get_mempolicy_enter(call, r);
		break;
	case SYS_rseq:
		never(r->arg[0],
		      nb_clamp((uint32_t)r->arg[1], (uint32_t)RSEQ_BYTES,
			       (uint32_t)RSEQ_MAX));
		break;
	case SYS_set_robust_list:
		never(r->arg[0], sizeof(struct robust_list_head));
		break;
	case SYS_set_tid_address:
		never(r->arg[0], sizeof(int));
		break;
#ifdef SYS_arch_prctl
	case SYS_arch_prctl:
		if (r->arg[0] == ARCH_SET_FS)
			nb_guard_never_tls(r->arg[1]);
		break;
#endif
	}
}

static void task_leave(struct nb_call *call, struct nb_regs *r)
{
	if (call->nr == SYS_get_mempolicy)
		get_mempolicy_leave(call, r);
}

const struct nb_guard_hook nb_guard_task = {task_enter, task_leave};

/* What clone(2) and clone3(2) have in common. */
struct areas {
	uint64_t flags, parent_tid, child_tid, tls;
	uint64_t stack, stack_bytes; /* clone3(2) */
	uint64_t stack_top;	     /* clone(2): how large is not said */
};

static bool clone_areas(const struct nb_regs *r, struct areas *a)
{
	struct clone_args args;
	uint64_t size = nb_min(r->arg[1], (uint64_t)sizeof(args));

	memset(a, 0, sizeof(*a));
	if (r->rax == SYS_clone) {
		a->flags = r->arg[0];
		a->stack_top = r->arg[1];
		a->parent_tid = r->arg[2];
#ifdef __x86_64__
		a->child_tid = r->arg[3];
		a->tls = r->arg[4];
#else
		a->tls = r->arg[3];
		a->child_tid = r->arg[4];
#endif
		return true;
	}
	memset(&args, 0, sizeof(args));
	if (nb_guard_copy(&args, (const void *)r->arg[0], size))
		return false;
	a->flags = args.flags;
	a->parent_tid = args.parent_tid;
	a->child_tid = args.child_tid;
	a->tls = args.tls;
	a->stack = args.stack;
	a->stack_bytes = args.stack_size;
	return true;
}

/* SIGSEGV may be sent to the thread before it has made a call. */
static void inherit_mask(uint64_t tls)
{
	uint64_t where;
	bool blocked = nb_sigchain_inherit(tls, &where);

	if (blocked)
		nb_guard_copy((void *)where, &blocked, sizeof(blocked));
}

/*
 * A hint fault of the new thread has its frame there, until the thread has an
 * alternate stack.
 */
static void clone_stack(const struct areas *a)
{
	if (NB_NO_CLONE_STACK)
		return;
	never(a->stack, a->stack_bytes);
	if (a->stack_top)
		nb_mm_stack(NULL, a->stack_top - 1);
}

/**
 * nb_task_clone_never() - never arm what a new thread's kernel side writes to
 * @r: registers before clone(2) or clone3(2)
 *
 * Context: a hook's enter().
 */
void nb_task_clone_never(const struct nb_regs *r)
{
	struct areas a;

	if (!clone_areas(r, &a))
		return;
	if (a.flags & CLONE_PARENT_SETTID)
		never(a.parent_tid, sizeof(int));
	if (!(a.flags & CLONE_VM))
		return; /* the rest is in the child's memory */
	if (a.flags & (CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID))
		never(a.child_tid, sizeof(int));
	if (a.flags & CLONE_SETTLS) {
		nb_guard_never_tls(a.tls);
		if (a.flags & CLONE_THREAD)
			inherit_mask(a.tls);
	}
	clone_stack(&a);
}

/* ---- robust mutexes ------------------------------------------------------ */

/* A node and its futex word, which is @offset bytes further on. */
static void publish_node(struct nb_call *call, uint64_t node, int64_t offset)
{
	uint64_t word = node + (uint64_t)offset;
	uint64_t start = nb_min(node, word);
	uint64_t end = nb_max(node, word) + sizeof(uint64_t);

	if (end - start <= MUTEX_MAX) {
		nb_guard_keep_open(call, start, end - start);
		return;
	}
	nb_guard_keep_open(call, node, sizeof(uint64_t));
	nb_guard_keep_open(call, word, sizeof(uint64_t));
}

/**
 * nb_task_exit_robust() - keep a thread's robust mutexes open for its end
 * @call: its exit(2); it is never popped while the thread is there
 *
 * When a thread ends, the kernel walks the list of the mutexes that it holds
 * and marks each.  What it cannot read or write it leaves out silently, and
 * whoever waits for that mutex waits for ever.
 *
 * Context: a hook's enter(), for the calling thread.
 */
void nb_task_exit_robust(struct nb_call *call)
{
	struct robust_list_head head, *at = NULL;
	uint64_t node, next;
	size_t len = 0;

	if (nb_syscall6(SYS_get_robust_list, 0, (long)&at, (long)&len, 0, 0,
			0) ||
	    !at || nb_guard_copy(&head, at, sizeof(head)))
		return;
	nb_guard_keep_open(call, (uint64_t)at, sizeof(head));
	/* The lowest bit of a pointer says what kind of mutex it is. */
	node = (uint64_t)head.list_op_pending & ~1UL;
	if (node)
		publish_node(call, node, head.futex_offset);
	node = (uint64_t)head.list.next & ~1UL;
	for (int i = 0; i < MAX_ROBUST && node != (uint64_t)at; i++) {
		publish_node(call, node, head.futex_offset);
		if (nb_guard_copy(&next, (const void *)node, sizeof(next)))
			return;
		node = next & ~1UL;
	}
}
