/* SPDX-License-Identifier: MIT */
/*
 * The guard: every system call of the process passes here before and after.
 */
#ifndef NB_GUARD_GUARD_H
#define NB_GUARD_GUARD_H

#include "syscall.h"

struct nb_slot;
struct nb_sys;

enum nb_tier {
	NB_TIER_OFF,	      /* nothing is armed */
	NB_TIER_CONSERVATIVE, /* large mappings, by interposed functions */
	NB_TIER_BRACKET,      /* every site is guarded */
};

/*
 * What the glue does at certain calls.  enter() may change @r and keep what it
 * needs in call->aux; it sets NB_CALL_HOOK to have leave() called, too, which
 * may change r->rax.  Vector registers are saved.  Never with a lock held.
 */
struct nb_guard_hook {
	void (*enter)(struct nb_call *call, struct nb_regs *r);
	void (*leave)(struct nb_call *call, struct nb_regs *r);
};

struct nb_guard_ops {
	struct nb_guard_hook hook[NB_NR_HOOKS];
	/* Something was armed where the kernel answered EFAULT. */
	void (*hole)(const struct nb_call *call, uint64_t site);
	/* An opaque call is about to be made: give all memory back. */
	void (*opaque)(void);
	/* A thread of this process found no slot. */
	void (*no_slot)(void);
	/* A call that a hook had to see found no room among those in flight. */
	void (*no_room)(void);
	/* A call that owes something will never come back. */
	void (*abandoned)(struct nb_slot *slot, struct nb_call *call);
	/* exit(2) is all that the thread will do: the last look at its slot. */
	void (*leaving)(struct nb_slot *slot, const struct nb_call *call);
	/* The thread is new, or runs on a stack that is: @sp is in it. */
	void (*stack)(struct nb_slot *slot, uint64_t sp);
	/* While nb_guard_watch(): a call is about to be made. */
	void (*called)(void);
	/* A forked child has come back on a stack of its own. */
	void (*forked)(void);
	/* A call of hook PROCESS or SIGNAL by a child that shares our memory.
	 */
	void (*shared_child)(struct nb_regs *r);
};

/* Of the thread, while one of the four below runs: for nb_guard_signal. */
extern __thread struct nb_regs *nb_guard_active_regs
	__attribute__((tls_model("initial-exec")));
/* Children that may share our memory: counted by guard_process.c. */
extern _Atomic uint32_t nb_guard_shared_children;
extern _Atomic uint64_t nb_guard_quick; /* read by entry.S */

int nb_guard_init(const struct nb_sys *sys, const struct nb_guard_ops *ops);
void nb_guard_on(bool on); /* ranges are published and disarmed */
void nb_guard_watch(bool on);
void nb_guard_quiet(void);
bool nb_guard_is_on(void);
void nb_guard_note_fork(void);
bool nb_guard_shared_child(void);

/* Called by entry.S; true: call the _slow one, with vector state saved. */
bool nb_guard_enter(struct nb_regs *r);
void nb_guard_enter_slow(struct nb_regs *r);
bool nb_guard_leave(struct nb_regs *r);
void nb_guard_leave_slow(struct nb_regs *r);

bool nb_call_has_armed(const struct nb_call *call); /* hole.c */

/* entry.S: where stubs call to */
void nb_guard_enter_entry(void);
void nb_guard_leave_entry(void);
void nb_guard_enter_call_entry(void);
extern uint64_t nb_guard_xsave_mask;

/* Hooks that have run the call themselves: the program sees @ret. */
static inline void nb_call_emulate(struct nb_call *call, int64_t ret)
{
	call->ret = ret;
	atomic_fetch_or_explicit(&call->flags, NB_CALL_EMULATED,
				 memory_order_relaxed);
}

static inline void nb_call_want_leave(struct nb_call *call)
{
	atomic_fetch_or_explicit(&call->flags, NB_CALL_HOOK,
				 memory_order_relaxed);
}

/* Change an argument for the kernel; the program gets its own back. */
static inline void nb_call_rewrite(struct nb_call *call, struct nb_regs *r,
				   int i, uint64_t value)
{
	r->arg[i] = value;
	atomic_fetch_or_explicit(&call->flags, NB_CALL_REWRITTEN,
				 memory_order_relaxed);
}

#endif /* NB_GUARD_GUARD_H */
