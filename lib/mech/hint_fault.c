/* SPDX-License-Identifier: MIT */
/*
 * The hint fault: finds the chunk, gives the access back, leaves a record in
 * the thread's ring.  Everything else is numabald's work.
 *
 * Runs in a SIGSEGV handler in any thread of the application, at any
 * instruction, with any lock of the application or of libc held.
 *
 * Invariants:
 * 1. No lock, no allocation, no libc: raw system calls and our own memory.
 * 2. A fault that is not ours is not touched: nb_hint_fault() returns false
 *    and the signal goes to whoever would have had it.
 * 3. An address in memory that we track, but accessible by our books, was
 *    either given back a moment ago by another thread (then the access works
 *    when it is tried again) or is the application's own fault.  Trying again
 *    a few times is harmless; then the kernel is asked which it is.
 * 4. A fault that is not ours inside the guard's copy is not the program's
 *    either: the copy goes on where it reports the failure.
 * 5. A signal that was sent is never ours, whatever its address says.
 */
#include "hint_fault.h"

#include "../plat/cycles.h"
#include "../plat/maps.h"
#include "arm.h"
#include "fault_ring.h"
#include "keep.h"

#include <errno.h>
#include <sys/syscall.h>
#include <time.h>

#pragma GCC poison malloc free calloc realloc printf fprintf pthread_mutex_lock

/* Lost races at one place in a row before the kernel is asked. */
#define SAME_FAULT_MAX 3
/* Tries before a waiting thread sleeps instead of yielding. */
#define YIELDS_MAX 16
/* Signal frames are smaller, with AVX-512 and AMX state, too. */
#define FRAME_BYTES 16384ULL

struct nb_fault_totals nb_fault_totals;

static const struct nb_sys *sys;
static uint32_t *wake; /* numabald sleeps on it */
static uint64_t copy_begin, copy_end, copy_fault;

/**
 * nb_hint_fault_init() - where the handler finds what it needs
 * @s: system calls.
 * @wake_word: futex that numabald waits on while it is 0.
 *
 * Context: start only, before anything is armed.
 */
void nb_hint_fault_init(const struct nb_sys *s, uint32_t *wake_word)
{
	sys = s;
	wake = wake_word;
}

/**
 * nb_hint_fault_set_copy() - the code that may touch any address
 * @begin: its first byte.
 * @end: one past its last.
 * @fault: where it goes on after a fault.
 *
 * Context: start only, before anything is armed.
 */
void nb_hint_fault_set_copy(const void *begin, const void *end,
			    const void *fault)
{
	copy_begin = (uint64_t)begin;
	copy_end = (uint64_t)end;
	copy_fault = (uint64_t)fault;
}

#if defined(__x86_64__)
#define CONTEXT_IP(uc) ((uc)->uc_mcontext.gregs[REG_RIP])
#define CONTEXT_SP(uc) ((uc)->uc_mcontext.gregs[REG_RSP])

/* Of the page-fault error code.  Others: a shadow stack, an enclave. */
#define ERR_WRITE 2
#define ERR_EXEC 16
#define ERR_USUAL (1 | ERR_WRITE | 4 | ERR_EXEC)

static uint16_t fault_flags(const ucontext_t *uc)
{
	unsigned int err = (unsigned int)uc->uc_mcontext.gregs[REG_ERR];

	return (uint16_t)((err & ERR_WRITE ? NB_HF_WRITE : 0U) |
			  (err & ERR_EXEC ? NB_HF_EXEC : 0U) |
			  (err & ~(unsigned int)ERR_USUAL ? NB_HF_OTHER : 0U));
}
#else
#if defined(__aarch64__)
#define CONTEXT_IP(uc) ((uc)->uc_mcontext.pc)
#define CONTEXT_SP(uc) ((uc)->uc_mcontext.sp)
#else
static unsigned long no_register;
#define CONTEXT_IP(uc) (*((void)(uc), &no_register))
#define CONTEXT_SP(uc) (*((void)(uc), &no_register))
#endif

static uint16_t fault_flags(const ucontext_t *uc)
{
	(void)uc;
	return NB_HF_NO_RW;
}
#endif

static uint64_t fault_ip(const ucontext_t *uc)
{
	return (uint64_t)CONTEXT_IP(uc);
}

static uint64_t fault_sp(const ucontext_t *uc)
{
	return (uint64_t)CONTEXT_SP(uc);
}

/* Invariant 4. */
static bool copy_failed(ucontext_t *uc)
{
	if (fault_ip(uc) - copy_begin >= copy_end - copy_begin)
		return false;
	CONTEXT_IP(uc) = (__typeof__(CONTEXT_IP(uc)))copy_fault;
	return true;
}

/* Tries at one place when the kernel does not answer. */
#define BLIND_MAX 64

static bool accessible_now(struct nb_slot *slot, uint64_t addr, uint16_t flags)
{
	struct timespec ts = {0, 100000};
	struct nb_vma vma;
	int err = nb_maps_find(addr, &vma);

	if (err == -ENOENT)
		return false;
	if (err) {
		/* No memory, no descriptor, no /proc: do not judge rashly. */
		if (!slot || slot->same_fault > BLIND_MAX)
			return false;
		nb_syscall6(SYS_nanosleep, (long)&ts, 0, 0, 0, 0, 0);
		return true;
	}
	if (slot)
		slot->same_fault = 0;
	if (flags & NB_HF_OTHER)
		return false;
	if (flags & NB_HF_EXEC)
		return vma.flags & NB_VMA_EXEC;
	if (flags & NB_HF_WRITE)
		return vma.flags & NB_VMA_WRITE;
	return vma.flags & NB_VMA_READ;
}

/* Invariant 3. */
static bool lost_race(struct nb_slot *slot, uint64_t ip, uint64_t addr,
		      uint16_t flags)
{
	if (!slot)
		return accessible_now(slot, addr, flags);
	if (slot->last_ip != ip || slot->last_addr != addr)
		slot->same_fault = 0;
	slot->last_ip = ip;
	slot->last_addr = addr;
	if (++slot->same_fault <= SAME_FAULT_MAX)
		return true;
	return accessible_now(slot, addr, flags);
}

static void wait_for_other(struct nb_slot *slot)
{
	struct timespec ts = {0, 20000};

	if (slot && slot->same_fault++ < YIELDS_MAX) {
		nb_sys_sched_yield();
		return;
	}
	if (slot)
		slot->same_fault = 0;
	/* The other side may have a lower priority than we. */
	nb_syscall6(SYS_nanosleep, (long)&ts, 0, 0, 0, 0, 0);
}

static void wake_numabald(void)
{
	if (__atomic_exchange_n(wake, 1, __ATOMIC_ACQ_REL) == 0)
		nb_futex_wake(wake, 1);
}

static void record(struct nb_slot *slot, uint64_t addr, uint16_t flags,
		   uint64_t start)
{
	struct nb_hint_fault f = {.addr = addr, .flags = flags};
	uint64_t took;
	int cpu = -1, nid = -1;

	if (nb_unlikely(!slot)) {
		atomic_fetch_add_explicit(&nb_fault_totals.unknown, 1,
					  memory_order_relaxed);
		return;
	}
	nb_sys_getcpu(&cpu, &nid);
	f.cpu = cpu;
	f.nid = (int16_t)nid;
	f.cycles = start;
	nb_fault_ring_push(&slot->ring, &f);
	if (nb_fault_ring_fill(&slot->ring) >= NB_RING_SIZE / 2)
		wake_numabald();
	slot->same_fault = 0;
	took = nb_cycles() - start;
	/* Own counters, read by numabald: plain adds are enough. */
	atomic_store_explicit(
		&slot->nr_faults,
		atomic_load_explicit(&slot->nr_faults, memory_order_relaxed) +
			1,
		memory_order_relaxed);
	atomic_store_explicit(&slot->fault_cycles,
			      atomic_load_explicit(&slot->fault_cycles,
						   memory_order_relaxed) +
				      took,
			      memory_order_relaxed);
	if (took >
	    atomic_load_explicit(&slot->max_cycles, memory_order_relaxed))
		atomic_store_explicit(&slot->max_cycles, took,
				      memory_order_relaxed);
}

/*
 * The kernel could not write a signal's frame below @sp, and says so without
 * an address: the signal is lost, the stack need not be.
 */
static bool frame_lost(uint64_t sp)
{
	if (nb_disarm_for_call(sys, sp - nb_min(sp, FRAME_BYTES), sp) <= 0)
		return false;
	atomic_fetch_add_explicit(&nb_fault_totals.frame_lost, 1,
				  memory_order_relaxed);
	return true;
}

/**
 * nb_open_new_stack() - a stack that the thread may not have come by on yet
 * @slot: the calling thread's, or NULL.
 * @sp: a stack pointer that it has, or is about to have.
 *
 * numabald is to put the stack into the table.  Until then it counts as
 * published, so that the next signal finds room for its frame.
 *
 * Context: the thread itself, signal handler.
 */
void nb_open_new_stack(struct nb_slot *slot, uint64_t sp)
{
	if (!slot || nb_slot_knows_sp(slot, sp))
		return;
	/* Pairs with nb_slots_may_touch(), as what a call publishes. */
	atomic_store(&slot->sp_seen, sp);
	nb_disarm_for_call(sys, sp - nb_min(sp, NB_STACK_OPEN), sp + 1);
}

/* Not a second time here, if the thread is to take none at all. */
static uint16_t keep(const struct nb_slot *slot, struct nb_block *b)
{
	uint8_t keeper = slot ? atomic_load(&slot->keeper) : 0;

	if (nb_likely(!keeper))
		return 0;
	nb_keep_block(sys, b, keeper);
	atomic_fetch_add_explicit(&nb_fault_totals.kept, 1,
				  memory_order_relaxed);
	return NB_HF_KEEP;
}

static bool resolve(uint64_t addr, const ucontext_t *uc)
{
	uint64_t start = nb_cycles();
	struct nb_block *b = nb_block_find(addr);
	uint16_t flags = fault_flags(uc);
	struct nb_slot *slot;
	enum nb_disarm st;

	if (!b)
		return false;
	slot = nb_slot_for_sp(fault_sp(uc), NULL);
	st = nb_disarm_chunk(sys, b, nb_chunk_index(b, addr));
	nb_open_new_stack(slot, fault_sp(uc));
	switch (st) {
	case NB_DISARM_DONE:
		flags |= keep(slot, b);
		record(slot, addr, flags, start);
		return true;
	case NB_DISARM_RACE:
		atomic_fetch_add_explicit(&nb_fault_totals.races, 1,
					  memory_order_relaxed);
		wait_for_other(slot);
		return true;
	case NB_DISARM_FAILED:
		/* numabald sees the count and stands down; we try again. */
		atomic_fetch_add_explicit(&nb_fault_totals.not_restored, 1,
					  memory_order_relaxed);
		wake_numabald();
		wait_for_other(NULL);
		return true;
	case NB_DISARM_NOT:
		break;
	}
	return lost_race(slot, fault_ip(uc), addr, flags);
}

/**
 * nb_hint_fault() - resolve a SIGSEGV if it is a hint fault
 * @info: as the handler got it.
 * @uc: the interrupted context; changed only if the guard's copy failed.
 *
 * Context: signal handler. Preserves errno (never sets it).
 * Return: true if the thread should go on with @uc; false if the signal is
 * the application's.
 */
bool nb_hint_fault(const siginfo_t *info, ucontext_t *uc)
{
	uint64_t addr = (uint64_t)info->si_addr;

	if (info->si_code <= 0)
		return false;
	if (info->si_code == SI_KERNEL && !addr && frame_lost(fault_sp(uc)))
		return true;
	if (info->si_code == SEGV_ACCERR && resolve(addr, uc))
		return true;
	return copy_failed(uc);
}
