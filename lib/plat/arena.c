/* SPDX-License-Identifier: MIT */
/*
 * The library's own memory.
 *
 * All of it comes from mmap, so that nothing of ours is in the program's
 * malloc: it can neither be armed (nb_arena_owns() tells who must not) nor be
 * damaged by the program's own heap errors, and is there in a forked child.
 *
 * Owns the table of mappings.  Entries are claimed and released by
 * compare-and-swap, so mapping is safe from any thread; looking an address up
 * takes no lock and is safe in the signal handler.  What nb_arena_alloc() gives
 * out is one addition away.
 *
 * Invariants:
 *  1. Memory that is not in the table is not handed out.
 *  2. An entry's end is valid whenever its start is below CLAIMED and has not
 *     changed while the end was read.
 */
#include "arena.h"

#include "sys.h"

#include <errno.h>
#include <stdatomic.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#ifndef PR_SET_VMA
#define PR_SET_VMA 0x53564d41
#define PR_SET_VMA_ANON_NAME 0
#endif

/* Enough for a ring of each of some thousand threads. */
#define MAX_MAPPINGS 4096
/* The unit of nb_arena_alloc(); larger requests get a mapping each. */
#define SLAB_BYTES NB_MIB
#define OWN_MAPPING_BYTES (SLAB_BYTES / 4)
#define ALLOC_ALIGN 16
#define SLAB_HEAD ALLOC_ALIGN

/* An entry's start while its end is being written. */
#define CLAIMED UINT64_MAX

struct mapping {
	_Atomic uint64_t start; /* (A) 0: free */
	_Atomic uint64_t end;	/* (A) */
};

static struct mapping mappings[MAX_MAPPINGS];
static _Atomic unsigned int nr_used; /* (A) no entry at or after was used */
static _Atomic uint64_t mapped_bytes;

static uint64_t round_to_pages(uint64_t bytes)
{
	return nb_align_up(bytes, getauxval(AT_PAGESZ));
}

static void note_used(unsigned int nr)
{
	unsigned int seen =
		atomic_load_explicit(&nr_used, memory_order_relaxed);

	/* Pairs with the load in nb_arena_overlaps(). */
	while (seen < nr && !atomic_compare_exchange_weak_explicit(
				    &nr_used, &seen, nr, memory_order_release,
				    memory_order_relaxed))
		;
}

static int table_insert(uint64_t start, uint64_t end)
{
	for (unsigned int i = 0; i < MAX_MAPPINGS; i++) {
		struct mapping *m = &mappings[i];
		uint64_t empty = 0;

		if (!atomic_compare_exchange_strong_explicit(
			    &m->start, &empty, CLAIMED, memory_order_acquire,
			    memory_order_relaxed))
			continue;
		note_used(i + 1);
		atomic_store_explicit(&m->end, end, memory_order_relaxed);
		/* Pairs with the first load in mapping_read(). */
		atomic_store_explicit(&m->start, start, memory_order_release);
		return 0;
	}
	return -ENOMEM;
}

static void table_remove(uint64_t start)
{
	unsigned int nr = atomic_load_explicit(&nr_used, memory_order_acquire);

	for (unsigned int i = 0; i < nr; i++) {
		uint64_t seen = start;

		if (atomic_compare_exchange_strong_explicit(
			    &mappings[i].start, &seen, 0, memory_order_release,
			    memory_order_relaxed))
			return;
	}
}

/* Read an entry as it was at one moment; false: none. */
static bool mapping_read(struct mapping *m, uint64_t *start, uint64_t *end)
{
	*start = atomic_load_explicit(&m->start, memory_order_acquire);
	if (!*start || *start == CLAIMED)
		return false;
	*end = atomic_load_explicit(&m->end, memory_order_acquire);
	return atomic_load_explicit(&m->start, memory_order_relaxed) == *start;
}

/**
 * nb_arena_map() - map memory of the library's own
 * @bytes: how much; rounded up to pages
 *
 * Zeroed, not reserved (a table may be sized for the worst case), never huge
 * pages, and named "numabal" in /proc/PID/maps where the kernel does that.  A
 * forked child has a copy.
 *
 * Context: Any thread; async-signal-safe.
 * Return: the memory, or NULL.
 */
void *nb_arena_map(size_t bytes)
{
	uint64_t len = round_to_pages(bytes);
	long addr;

	if (!len || len < bytes)
		return NULL;
	addr = nb_syscall6(SYS_mmap, 0, (long)len, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (addr < 0 && addr >= -4095)
		return NULL;
	if (table_insert((uint64_t)addr, (uint64_t)addr + len)) {
		nb_syscall6(SYS_munmap, addr, (long)len, 0, 0, 0, 0);
		return NULL;
	}
	/* Neither matters when the kernel does not have it. */
	nb_syscall6(SYS_madvise, addr, (long)len, MADV_NOHUGEPAGE, 0, 0, 0);
	nb_syscall6(SYS_prctl, PR_SET_VMA, PR_SET_VMA_ANON_NAME, addr,
		    (long)len, (long)"numabal", 0);
	/*
	 * Pairs with nb_arena_unmap(): the kernel hands out an address again
	 * only after it was given back, which TSan cannot know.
	 */
	atomic_fetch_add_explicit(&mapped_bytes, len, memory_order_acquire);
	return (void *)addr;
}

/**
 * nb_arena_unmap() - give back a mapping of nb_arena_map()
 * @p: what it returned; NULL: nothing happens
 * @bytes: what it was asked for
 *
 * Context: Any thread; nobody may use the memory any more.
 */
void nb_arena_unmap(void *p, size_t bytes)
{
	uint64_t len = round_to_pages(bytes);

	if (!p)
		return;
	/* First out of the table: the address may be the program's next. */
	table_remove((uint64_t)(uintptr_t)p);
	/* Pairs with nb_arena_map(). */
	atomic_fetch_sub_explicit(&mapped_bytes, len, memory_order_release);
	nb_syscall6(SYS_munmap, (long)p, (long)len, 0, 0, 0, 0);
}

/* A slab, and behind this what it gives out. */
struct slab {
	_Atomic uint64_t used; /* (A) bytes, these included; or more */
};

static _Atomic(struct slab *) slab; /* (A) the one that is given out */

/**
 * nb_arena_alloc() - get a piece of memory for good
 * @bytes: how much
 *
 * Zeroed, aligned to 16 bytes, never given back: for what is made once, or
 * kept on a list and used again.
 *
 * Context: Any thread.
 * Return: the memory, or NULL.
 */
void *nb_arena_alloc(size_t bytes)
{
	struct slab *s, *fresh;
	uint64_t at;

	if (!bytes || bytes >= OWN_MAPPING_BYTES)
		return bytes ? nb_arena_map(bytes) : NULL;
	bytes = nb_align_up(bytes, ALLOC_ALIGN);
	for (;;) {
		/* Pairs with the exchange below. */
		s = atomic_load_explicit(&slab, memory_order_acquire);
		at = s ? atomic_fetch_add_explicit(&s->used, bytes,
						   memory_order_relaxed)
		       : SLAB_BYTES;
		if (at + bytes <= SLAB_BYTES)
			return (char *)s + at;
		fresh = nb_arena_map(SLAB_BYTES);
		if (!fresh)
			return NULL;
		atomic_store_explicit(&fresh->used, SLAB_HEAD,
				      memory_order_relaxed);
		/* Another thread was faster? */
		if (!atomic_compare_exchange_strong_explicit(
			    &slab, &s, fresh, memory_order_release,
			    memory_order_relaxed))
			nb_arena_unmap(fresh, SLAB_BYTES);
	}
}

/**
 * nb_arena_mapped_bytes() - size of the library's own memory
 *
 * Context: Anywhere.
 * Return: bytes of address space; pages never touched cost nothing.
 */
uint64_t nb_arena_mapped_bytes(void)
{
	return atomic_load_explicit(&mapped_bytes, memory_order_relaxed);
}

/**
 * nb_arena_overlaps() - does a range contain memory of the library's own?
 * @start: first byte
 * @end: first byte after
 *
 * The kernel may merge a mapping of ours with one of the program's, so a line
 * of /proc/PID/maps has to be asked about as a whole.
 *
 * Context: Anywhere, including the signal handler.
 * Return: true if any byte of it is ours.
 */
bool nb_arena_overlaps(uint64_t start, uint64_t end)
{
	unsigned int nr = atomic_load_explicit(&nr_used, memory_order_acquire);
	uint64_t s, e;

	for (unsigned int i = 0; i < nr; i++)
		if (mapping_read(&mappings[i], &s, &e) && s < end && e > start)
			return true;
	return false;
}

/**
 * nb_arena_owns() - is this address the library's own?
 * @addr: the address
 *
 * Context: Anywhere, including the signal handler.
 * Return: true if it is.
 */
bool nb_arena_owns(uint64_t addr)
{
	return addr != UINT64_MAX && nb_arena_overlaps(addr, addr + 1);
}
