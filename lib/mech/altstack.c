/* SPDX-License-Identifier: MIT */
/*
 * Alternate signal stacks.  A hint fault must find room for its frame whatever
 * the interrupted stack is: used up, or memory that is armed itself.  So every
 * thread gets an alternate stack from here, unless the program has given it
 * one, and the program goes on seeing what it set itself.
 *
 * Owns a stack for each slot, made when the slot's first thread comes and kept
 * for the next one.  Who has which stack is the kernel's to say: a signal
 * handler's return puts back what was set when it was entered.
 *
 * Invariants:
 * 1. A stack of ours is the alternate stack of one living thread at most.
 * 2. What a program has set and is too small for a frame of ours within one
 *    of the program's is never the kernel's; it is remembered here.
 */
#include "altstack.h"

#include "../plat/arena.h"
#include "../plat/sys.h"
#include "slot.h"

#include <errno.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#pragma GCC poison malloc free calloc realloc printf fprintf pthread_mutex_lock

#ifndef SS_AUTODISARM
#define SS_AUTODISARM (1U << 31)
#endif

#define KERNEL_MIN 2048UL /* MINSIGSTKSZ of <signal.h> may be a call */
#define STACK_BYTES (256 * 1024UL)
#define SPARE_BYTES (64 * 1024UL) /* besides frames */
#define FRAMES 8		  /* nested in each other */
#define OUR_CODE_BYTES (8 * 1024UL)
#define GUARD_BYTES 4096UL
/* A mapping holds this many: there are fewer mappings than slots. */
#define PER_MAPPING 16

struct alt {
	_Atomic uint64_t base; /* 0: none yet */
	/* what the program believes it has; (T) */
	uint64_t sp, size; /* size 0: nothing */
	uint32_t flags;
};

static struct alt *alts;     /* NB_MAX_SLOTS of them */
static uint64_t stack_bytes; /* of each */
static uint64_t small;	     /* what is smaller is not used */
static uint64_t small_auto;  /* ... with SS_AUTODISARM: one may stay there */
static _Atomic uint64_t first_base, last_base; /* all are between */

static long sigaltstack_raw(const stack_t *ss, stack_t *old)
{
	return nb_syscall6(SYS_sigaltstack, (long)ss, (long)old, 0, 0, 0, 0);
}

/**
 * nb_altstack_init() - get ready to give threads a stack
 * @min_frame: room that a signal frame takes on this machine
 *	(AT_MINSIGSTKSZ); 0: not known.
 *
 * Context: start only.
 * Return: 0 or -ENOMEM.
 */
int nb_altstack_init(uint64_t min_frame)
{
	if (alts)
		return 0;
	min_frame = nb_max(min_frame, KERNEL_MIN);
	small = FRAMES * min_frame + OUR_CODE_BYTES;
	small_auto = min_frame + OUR_CODE_BYTES;
	stack_bytes = nb_align_up(
		nb_max(STACK_BYTES, FRAMES * min_frame + SPARE_BYTES),
		GUARD_BYTES);
	atomic_store(&first_base, UINT64_MAX);
	alts = nb_arena_map(NB_MAX_SLOTS * sizeof(*alts));
	return alts ? 0 : -ENOMEM;
}

static void widen(uint64_t base)
{
	uint64_t seen = atomic_load(&first_base);

	while (base < seen &&
	       !atomic_compare_exchange_weak(&first_base, &seen, base))
		;
	seen = atomic_load(&last_base);
	while (base > seen &&
	       !atomic_compare_exchange_weak(&last_base, &seen, base))
		;
}

/* Make stacks for the slots around @index that have none. */
static void make_stacks(int index)
{
	uint64_t stride = GUARD_BYTES + stack_bytes;
	int first = index - index % PER_MAPPING;
	uint64_t map = (uint64_t)nb_arena_map(PER_MAPPING * stride);

	/* Two at a time: one of the mappings stays unused, but for the rest. */
	for (int i = 0; map && i < PER_MAPPING; i++) {
		uint64_t none = 0, base = map + GUARD_BYTES;

		nb_syscall6(SYS_mprotect, (long)map, GUARD_BYTES, PROT_NONE, 0,
			    0, 0);
		widen(base);
		atomic_compare_exchange_strong(&alts[first + i].base, &none,
					       base);
		map += stride;
	}
}

static uint64_t base_for(int index)
{
	if (!atomic_load(&alts[index].base))
		make_stacks(index);
	return atomic_load(&alts[index].base);
}

/* Which slot's stack starts at @base, or -1. */
static int find_base(uint64_t base)
{
	if (!alts || base < atomic_load(&first_base) ||
	    base > atomic_load(&last_base))
		return -1;
	for (int i = 0; i < NB_MAX_SLOTS; i++)
		if (atomic_load_explicit(&alts[i].base, memory_order_relaxed) ==
		    base)
			return i;
	return -1;
}

/**
 * nb_altstack_whose() - whose alternate stack does the kernel use?
 * @kernel: what the kernel says of the calling thread: sigaltstack(2), or the
 *	stack in the context of a signal.
 *
 * Context: any thread, signal handler.
 * Return: enum nb_altstack_whose.
 */
enum nb_altstack_whose nb_altstack_whose(const stack_t *kernel)
{
	int i;

	if ((kernel->ss_flags & SS_DISABLE) || !kernel->ss_size)
		return NB_ALTSTACK_NONE;
	i = find_base((uint64_t)kernel->ss_sp);
	if (i < 0)
		return NB_ALTSTACK_THEIRS;
	return alts[i].size ? NB_ALTSTACK_INSTEAD : NB_ALTSTACK_OURS;
}

static void note_in_use(struct nb_slot *slot, uint64_t start, uint64_t bytes)
{
	/* numabald may read between the two: a range too small harms none. */
	atomic_store(&slot->alt_end, 0);
	atomic_store(&slot->alt_start, start);
	atomic_store(&slot->alt_end, start + bytes);
}

static long use_ours(struct nb_slot *slot)
{
	stack_t ours = {.ss_size = stack_bytes};
	uint64_t base = base_for((int)(slot - nb_slot_at(0)));
	long err;

	if (!base)
		return -ENOMEM;
	ours.ss_sp = (void *)base;
	err = sigaltstack_raw(&ours, NULL);
	if (!err)
		note_in_use(slot, base, stack_bytes);
	return err;
}

/*
 * After a fork a thread has the stack of its slot in the parent: it becomes
 * that of its new slot, whose own goes to the other.
 */
static void adopt(int index, int holder)
{
	uint64_t held = atomic_load(&alts[holder].base);
	struct alt was = alts[index];

	if (index == holder)
		return;
	alts[index].sp = alts[holder].sp;
	alts[index].size = alts[holder].size;
	alts[index].flags = alts[holder].flags;
	atomic_store(&alts[holder].base, atomic_load(&was.base));
	alts[holder].size = 0;
	atomic_store(&alts[index].base, held);
}

/**
 * nb_altstack_install() - see that the calling thread has an alternate stack
 * @slot: its slot.
 *
 * One that the program has set stays.
 *
 * Context: the thread itself, once, and once more after a fork.
 * Return: what it has now.
 */
enum nb_altstack_whose nb_altstack_install(struct nb_slot *slot)
{
	int index = (int)(slot - nb_slot_at(0)), holder;
	stack_t now;

	if (!alts || sigaltstack_raw(NULL, &now))
		return NB_ALTSTACK_NONE;
	if (now.ss_flags & SS_DISABLE) {
		alts[index].size = 0; /* of the slot's last thread */
		return use_ours(slot) ? NB_ALTSTACK_NONE : NB_ALTSTACK_OURS;
	}
	note_in_use(slot, (uint64_t)now.ss_sp, now.ss_size);
	holder = find_base((uint64_t)now.ss_sp);
	if (holder < 0) {
		alts[index].size = 0;
		return NB_ALTSTACK_THEIRS;
	}
	adopt(index, holder);
	return nb_altstack_whose(&now);
}

/* What the program is to see where the kernel has @now. */
static void view_of(const struct alt *a, const stack_t *now, stack_t *view)
{
	*view = *now;
	switch (nb_altstack_whose(now)) {
	case NB_ALTSTACK_OURS:
		*view = (stack_t){.ss_flags = SS_DISABLE};
		break;
	case NB_ALTSTACK_INSTEAD:
		view->ss_sp = (void *)a->sp;
		view->ss_size = a->size;
		view->ss_flags |= (int)a->flags;
		break;
	default:
		break;
	}
}

static void remember(struct alt *a, const stack_t *ss)
{
	a->sp = (uint64_t)ss->ss_sp;
	a->size = ss->ss_size;
	a->flags = (uint32_t)ss->ss_flags & SS_AUTODISARM;
}

/* The program's new stack: the kernel says whether it may be. */
static long change(struct nb_slot *slot, struct alt *a, const stack_t *ss,
		   const stack_t *now)
{
	unsigned int mode = (unsigned int)ss->ss_flags & ~SS_AUTODISARM;
	bool running = now->ss_flags & SS_ONSTACK, off = mode == SS_DISABLE;
	enum nb_altstack_whose whose = nb_altstack_whose(now);
	long err;

	/*
	 * On our stack, which the program does not know of: it is left when
	 * the handler returns, and what was set in it with it.
	 */
	if (running && whose == NB_ALTSTACK_OURS) {
		if (!off && mode && mode != SS_ONSTACK)
			return -EINVAL;
		if (!off && ss->ss_size < KERNEL_MIN)
			return -ENOMEM;
		if (!off)
			remember(a, ss);
		return 0;
	}
	if (off && !running) {
		a->size = 0;
		if (whose == NB_ALTSTACK_OURS || !use_ours(slot))
			return 0;
	}
	err = sigaltstack_raw(ss, NULL);
	if (err || off)
		return err;
	a->size = 0;
	note_in_use(slot, (uint64_t)ss->ss_sp, ss->ss_size);
	if (ss->ss_size <
		    (mode == (unsigned int)ss->ss_flags ? small : small_auto) &&
	    !use_ours(slot))
		remember(a, ss);
	return 0;
}

/**
 * nb_altstack_unmap() - memory is about to go; the alternate stack with it?
 * @slot: the calling thread's.
 * @start: first byte.
 * @end: one past the last.
 *
 * A program that is done with its own may forget to tell the kernel.  Without
 * signals that use it that is harmless to it, but a hint fault would find no
 * room for its frame.
 *
 * Context: the thread itself.
 */
void nb_altstack_unmap(struct nb_slot *slot, uint64_t start, uint64_t end)
{
	stack_t now;
	uint64_t sp;

	if (!alts || atomic_load(&slot->alt_start) >= end ||
	    atomic_load(&slot->alt_end) <= start ||
	    sigaltstack_raw(NULL, &now) || (now.ss_flags & SS_ONSTACK) ||
	    nb_altstack_whose(&now) != NB_ALTSTACK_THEIRS)
		return;
	sp = (uint64_t)now.ss_sp;
	if (sp < end && sp + now.ss_size > start && !use_ours(slot))
		remember(&alts[slot - nb_slot_at(0)], &now);
}

/**
 * nb_altstack_set() - sigaltstack(2) of the program
 * @slot: the calling thread's.
 * @ss: what it wants, or NULL.
 * @old: what it had, or NULL.
 *
 * Context: the thread itself.
 * Return: 0 or -errno.
 */
long nb_altstack_set(struct nb_slot *slot, const stack_t *ss, stack_t *old)
{
	struct alt *a;
	stack_t now;
	long err;

	if (!alts)
		return sigaltstack_raw(ss, old);
	a = &alts[slot - nb_slot_at(0)];
	err = sigaltstack_raw(NULL, &now);
	if (err)
		return err;
	if (old)
		view_of(a, &now, old);
	return ss ? change(slot, a, ss, &now) : 0;
}
