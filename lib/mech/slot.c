/* SPDX-License-Identifier: MIT */
/*
 * The table of slots: found by a thread through one TLS pointer, taken at its
 * first hint fault, its first guarded call or when it is created, given back
 * by numabald when the thread is gone.
 *
 * The TLS pointer is only a guess where calls are guarded: a thread of a bare
 * clone(2) may share its creator's TLS block, and so does a child process
 * that shares our memory.  Such have stacks of their own, so the pointer
 * counts while the stack pointer is where it was before; elsewhere the kernel
 * is asked who we are.
 *
 * Invariants:
 * 1. A slot with tid > 0 is written only by that thread (its ring's head, its
 *    counters, its calls) until numabald has seen that the thread does not
 *    exist.
 * 2. A slot is given back only by numabald, by its thread as the last thing
 *    that it does, or by a forked child for the threads that it does not have:
 *    see slot_end.c; at once by who has just taken it.
 * 3. Taking a slot needs no lock: handler code does it.
 * 4. [stack_lo, stack_hi) of a slot holds no stack of another thread that
 *    shares the TLS block.
 */
#include "slot.h"

#include "../plat/sys.h"

#pragma GCC poison malloc free calloc realloc printf fprintf pthread_mutex_lock

/* Slots that are searched twice for each thread, once a second. */
#define SEARCH_MAX 256

static struct nb_slot *slots; /* (I) NB_MAX_SLOTS of them */
/*
 * Whose each slot is.  0: free; > 0: taken by that thread; < 0: numabald found
 * a thread of that id, which has not come by itself yet.  Side by side: each
 * new thread searches them.
 */
static _Atomic int32_t tids[NB_MAX_SLOTS]; /* (A) */
static _Atomic int nr_used;		   /* (A) slots ever used */
static _Atomic uint32_t next_task = 1;	   /* (A) */

/* How much around a stack pointer is taken for the same stack. */
#define STACK_BYTES (1ULL << 20)

static _Atomic bool trusted; /* (A) see nb_slots_trust_pointers() */
static _Atomic bool quiet;
static _Atomic pid_t owner; /* (A) the process whose threads these are; or 0 */

/* Where a thread id was put last: a guess that saves a search. */
static _Atomic uint16_t guess[NB_MAX_SLOTS]; /* (A) index + 1 */

/* (T) who we probably are; see above. */
__thread struct nb_slot *nb_slot_guess
	__attribute__((tls_model("initial-exec")));

/**
 * nb_slots_init() - use @table for all slots
 * @table: NB_MAX_SLOTS zeroed slots in memory that is never armed.
 *
 * Context: start only.
 */
void nb_slots_init(struct nb_slot *table)
{
	slots = table;
	for (int i = 0; i < NB_MAX_SLOTS; i++)
		atomic_store_explicit(&tids[i], 0, memory_order_relaxed);
}

/**
 * nb_slot_tid_word() - whose a slot is
 * @index: which.
 *
 * Context: any thread, signal handler.
 * Return: 0: nobody's; > 0: that thread's; < 0: a thread's of that id that has
 * not come by itself yet.
 */
_Atomic int32_t *nb_slot_tid_word(int index)
{
	return &tids[index];
}

/**
 * nb_slot_tid() - the thread of a slot
 * @s: the slot.
 *
 * Context: any thread, signal handler.
 * Return: its id; 0: the slot is free.
 */
int nb_slot_tid(const struct nb_slot *s)
{
	int tid = atomic_load_explicit(&tids[s - slots], memory_order_acquire);

	return tid < 0 ? -tid : tid;
}

/**
 * nb_slot_at() - the slot of an index below nb_slots_used()
 * @index: which.
 *
 * Context: any thread, signal handler.
 * Return: the slot, perhaps a free one.
 */
struct nb_slot *nb_slot_at(int index)
{
	return &slots[index];
}

/**
 * nb_slots_used() - how many slots have ever been used
 *
 * Context: any thread, signal handler.
 * Return: a number that never shrinks.
 */
int nb_slots_used(void)
{
	return atomic_load_explicit(&nr_used, memory_order_acquire);
}

static void raise_used(int index)
{
	int used = atomic_load_explicit(&nr_used, memory_order_relaxed);

	while (used <= index &&
	       !atomic_compare_exchange_weak_explicit(
		       &nr_used, &used, index + 1, memory_order_release,
		       memory_order_relaxed))
		;
}

static _Atomic uint16_t *guess_of(int tid)
{
	return &guess[(unsigned int)(tid < 0 ? -tid : tid) % NB_MAX_SLOTS];
}

/* A free slot becomes @tid's; returns its index or -1. */
static int take_free(int tid)
{
	for (int i = 0; i < NB_MAX_SLOTS; i++) {
		int zero = 0;

		if (atomic_load_explicit(&tids[i], memory_order_relaxed))
			continue;
		/* acq_rel: pairs with the release in nb_slot_release() */
		if (!atomic_compare_exchange_strong(&tids[i], &zero, tid))
			continue;
		atomic_store(&slots[i].task, atomic_fetch_add(&next_task, 1));
		atomic_store_explicit(guess_of(tid), (uint16_t)(i + 1),
				      memory_order_relaxed);
		raise_used(i);
		return i;
	}
	return -1;
}

/* Where @tid or -@tid probably is, or -1. */
static int guessed(int tid)
{
	return atomic_load_explicit(guess_of(tid), memory_order_relaxed) - 1;
}

/* The slot of @tid, or of -@tid, or -1. */
static int find(int tid)
{
	int i = guessed(tid), used = nb_slots_used();

	if (i >= 0 &&
	    atomic_load_explicit(&tids[i], memory_order_acquire) == tid)
		return i;
	for (i = 0; i < used; i++)
		if (atomic_load_explicit(&tids[i], memory_order_acquire) == tid)
			return i;
	return -1;
}

/**
 * nb_slot_forget_calls() - the slot's last thread has no calls, stacks, marks
 * @s: the slot.
 *
 * Context: its thread; numabald, when that is gone.
 */
void nb_slot_forget_calls(struct nb_slot *s)
{
	atomic_store(&s->calls.depth, 0);
	atomic_store(&s->calls.owing, 0);
	atomic_store(&s->calls.overflow, 0);
	s->tls_shared = 0;
	s->stack_lo = 0;
	s->stack_hi = 0;
	s->stack_noted = 0;
	atomic_store(&s->alt_start, 0);
	atomic_store(&s->alt_end, 0);
	atomic_store(&s->sp_seen, 0);
	atomic_store(&s->keeper, 0);
}

/* A slot for @tid, which has none; or the one that a handler took meanwhile. */
static int take_once(int tid)
{
	int i = find(-tid), used, expected = -tid;

	if (i < 0 || !atomic_compare_exchange_strong(&tids[i], &expected, tid))
		i = take_free(tid);
	used = nb_slots_used();
	for (int k = 0; i >= 0 && k < used; k++) {
		if (k == i || atomic_load(&tids[k]) != tid)
			continue;
		atomic_store(&tids[i], 0); /* nobody has used it */
		atomic_store_explicit(guess_of(tid), (uint16_t)(k + 1),
				      memory_order_relaxed);
		return k;
	}
	return i;
}

/**
 * nb_slots_quiet() - make no system call for a slot any more
 *
 * Those who have none yet get none.
 *
 * Context: any thread.
 */
void nb_slots_quiet(void)
{
	atomic_store(&quiet, true);
}

/**
 * nb_slot_self() - the calling thread's slot, taken now if need be
 *
 * Context: any thread, signal handler.
 * Return: the slot; NULL before start or when all are taken.
 */
struct nb_slot *nb_slot_self(void)
{
	int tid, i;

	if (nb_likely(nb_slot_guess))
		return nb_slot_guess;
	if (!slots || atomic_load_explicit(&quiet, memory_order_relaxed))
		return NULL;
	tid = (int)nb_sys_gettid();
	i = find(tid);
	if (i >= 0) {
		/* A thread that is gone had our id: ours is another life. */
		atomic_store(&slots[i].gone, 0);
		atomic_store(&slots[i].task, atomic_fetch_add(&next_task, 1));
		nb_slot_forget_calls(&slots[i]);
	} else {
		i = take_once(tid);
	}
	if (i < 0)
		return NULL;
	nb_slot_guess = &slots[i];
	return nb_slot_guess;
}

/* The slot of thread @tid, which has come here with somebody else's pointer. */
static struct nb_slot *slot_by_tid(int tid)
{
	int i = find(tid);

	if (i < 0)
		i = take_once(tid);
	if (i < 0)
		return NULL;
	slots[i].tls_shared = 1;
	return &slots[i];
}

/*
 * The stack of @sp, told as new; it becomes what the quick way takes, unless
 * the pointer is shared: then it is told when it is another than the last.
 */
static bool note_stack(struct nb_slot *s, uint64_t sp)
{
	uint64_t mid = nb_align_down(sp, STACK_BYTES);
	bool fresh = s->stack_noted != (mid | 1);

	s->stack_noted = mid | 1;
	if (s->tls_shared)
		return fresh;
	nb_slot_set_stack(s, mid - STACK_BYTES, mid + 2 * STACK_BYTES);
	return true;
}

/**
 * nb_slot_set_stack() - which stack pointers are surely the slot's thread's
 * @slot: the calling thread's.
 * @lo: from here ...
 * @hi: ... to here, one past the last.
 *
 * Context: the thread itself.
 */
void nb_slot_set_stack(struct nb_slot *slot, uint64_t lo, uint64_t hi)
{
	if (slot->tls_shared)
		return;
	/* Between two stores the window is empty or the old one's part. */
	atomic_store_explicit(&slot->stack_hi, 0, memory_order_relaxed);
	atomic_signal_fence(memory_order_seq_cst);
	atomic_store_explicit(&slot->stack_lo, lo, memory_order_relaxed);
	atomic_signal_fence(memory_order_seq_cst);
	atomic_store_explicit(&slot->stack_hi, hi, memory_order_relaxed);
}

/**
 * nb_slots_forget_stacks() - memory is new: no stack is known there
 * @start: first byte.
 * @end: one past the last.
 *
 * Context: any thread; under the lock that nb_slot_set_stack() is called with
 * for memory that may be armed.
 */
void nb_slots_forget_stacks(uint64_t start, uint64_t end)
{
	int used = nb_slots_used();

	for (int i = 0; i < used; i++) {
		struct nb_slot *s = &slots[i];
		uint64_t hi = atomic_load_explicit(&s->stack_hi,
						   memory_order_relaxed);

		if (hi > start &&
		    atomic_load_explicit(&s->stack_lo, memory_order_relaxed) <
			    end)
			atomic_store_explicit(&s->stack_hi, 0,
					      memory_order_relaxed);
	}
}

static struct nb_slot *for_sp_slowly(uint64_t sp, bool *new_stack)
{
	struct nb_slot *s = nb_slot_guess;
	pid_t pid = atomic_load_explicit(&owner, memory_order_relaxed);
	int tid;

	if (s && !s->tls_shared &&
	    atomic_load_explicit(&trusted, memory_order_relaxed) &&
	    !atomic_load_explicit(&quiet, memory_order_relaxed)) {
		if (new_stack && !nb_slot_on_alt(s, sp))
			*new_stack = note_stack(s, sp);
		return s;
	}
	if (!slots || atomic_load_explicit(&quiet, memory_order_relaxed) ||
	    (pid && nb_sys_getpid() != pid))
		return NULL;
	tid = (int)nb_sys_gettid();
	if (!s)
		s = nb_slot_self();
	else if (atomic_load_explicit(&tids[s - slots], memory_order_relaxed) !=
		 tid)
		s = slot_by_tid(tid);
	if (s && new_stack && !nb_slot_on_alt(s, sp))
		*new_stack = note_stack(s, sp);
	return s;
}

/**
 * nb_slot_for_sp() - the calling thread's slot, by its stack pointer
 * @sp: the stack pointer.
 * @new_stack: out: this stack was not known to be the thread's; it is from
 *	now on.  NULL: only look.
 *
 * Right also for a thread that shares another's TLS block.  A child process
 * that shares our memory (vfork(2), posix_spawn(3)) is told from a thread when
 * it runs on a stack of its own; on its parent's, it gets its parent's slot,
 * whose thread is suspended.
 *
 * Context: any thread, signal handler; general registers only.
 * Return: the slot; NULL for a process that is not the owner, before start,
 * or when all are taken.
 */
struct nb_slot *nb_slot_for_sp(uint64_t sp, bool *new_stack)
{
	struct nb_slot *s = nb_slot_guess;

	if (new_stack)
		*new_stack = false;
	if (nb_unlikely(!s))
		return for_sp_slowly(sp, new_stack);
	if (nb_likely(nb_slot_knows_sp(s, sp)))
		return s;
	return for_sp_slowly(sp, new_stack);
}

/**
 * nb_slot_share_tls() - the calling thread's TLS block is about to be shared
 *
 * For clone(2) of a thread without CLONE_SETTLS: its stack may be close to
 * ours, so from now on the kernel is asked for each call.
 *
 * Context: the thread that clones; general registers only.
 */
void nb_slot_share_tls(void)
{
	struct nb_slot *s = nb_slot_guess;

	if (!s)
		return;
	s->tls_shared = 1;
	atomic_signal_fence(memory_order_seq_cst);
	s->stack_hi = 0;
}

/**
 * nb_slots_trust_pointers() - is it known who shares a TLS block?
 * @yes: every clone(2) comes by us; false: the kernel is asked who we are
 *	whenever a thread is on another stack.
 *
 * Context: any thread.
 */
void nb_slots_trust_pointers(bool yes)
{
	atomic_store(&trusted, yes);
}

/**
 * nb_slots_set_owner() - whose threads have slots
 * @pid: this process; 0: do not look.
 *
 * Context: start, forked child.
 */
void nb_slots_set_owner(pid_t pid)
{
	atomic_store(&owner, pid);
}

/**
 * nb_slot_self_existing() - the calling thread's slot, if it has come by
 *
 * Context: any thread, signal handler.
 * Return: the slot or NULL.
 */
struct nb_slot *nb_slot_self_existing(void)
{
	return nb_slot_guess;
}

/**
 * nb_slots_touching() - whose calls in flight may touch a range?
 * @start: first byte.
 * @end: one past the last; @start: only what may touch anything counts.
 * @who: out: the first of them.
 * @max: room there.
 *
 * Context: any thread.
 * Return: how many; @max + 1: more.
 */
int nb_slots_touching(uint64_t start, uint64_t end, uint16_t *who, int max)
{
	int used = nb_slots_used(), nr = 0;

	for (int i = 0; i < used && nr <= max; i++) {
		if (!nb_slot_touches(&slots[i], start, end))
			continue;
		if (nr < max)
			who[nr] = (uint16_t)i;
		nr++;
	}
	return nr;
}

/**
 * nb_slot_note_found() - make sure that a thread seen in /proc has a slot
 * @tid: the thread.
 *
 * Context: numabald, start.
 * Return: its index, or -1 when all slots are taken.
 */
int nb_slot_note_found(pid_t tid)
{
	int own = guessed(tid), noted;

	/*
	 * For every thread once a second: with many, no search.  A slot taken
	 * twice then stays so until the thread ends, which costs nothing else.
	 */
	if (nb_slots_used() > SEARCH_MAX && own >= 0 &&
	    nb_slot_tid(&slots[own]) == tid)
		return own;
	own = find(tid);
	noted = find(-tid);
	if (own >= 0 && noted >= 0)
		nb_slot_release(noted); /* it came by itself meanwhile */
	if (own >= 0)
		return own;
	return noted >= 0 ? noted : take_free(-tid);
}

/**
 * nb_slot_find() - the slot of a thread
 * @tid: the thread.
 *
 * Context: any thread.
 * Return: its index, or -1.
 */
int nb_slot_find(pid_t tid)
{
	int i = find(tid);

	return i >= 0 ? i : find(-tid);
}

/**
 * nb_slots_after_fork() - keep only the calling thread's slot, as new
 *
 * Context: forked child, the only thread there.
 */
void nb_slots_after_fork(void)
{
	int used = nb_slots_used();

	for (int i = 0; slots && i < used; i++)
		nb_slot_release(i);
	nb_slots_totals_reset();
	nb_slot_guess = NULL;
	atomic_store(&nr_used, 0);
}
