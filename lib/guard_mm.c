/* SPDX-License-Identifier: MIT */
/*
 * The calls that change the address space, at their sites: they keep the table
 * of regions true, whoever makes them: the program, malloc(3) inside of libc,
 * the dynamic linker.
 *
 * Invariants (A1-A6):
 * 1. A range is disarmed and out of the table, or not armable any more, before
 *    the call that changes it is made; no lock is held over the call.
 * 2. What a call has made enters the table after it, with its age.
 * 3. After a call that failed the kernel is asked what is there now: nothing
 *    is assumed of a call that may have done a part.
 * 4. Nobody removes anything after a call has succeeded: another thread may
 *    have been given the address already.
 */
#include "guard_mm.h"

#include "base/mutant.h"
#include "guard_hooks.h"
#include "guard_task.h"
#include "latency.h"
#include "mech/altstack.h"
#include "mech/arm.h"
#include "mech/slot.h"
#include "nb.h"
#include "plat/arena.h"
#include "plat/maps.h"
#include "regions.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <sys/syscall.h>

#ifndef SYS_mseal
#define SYS_mseal 462
#endif
#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0x100000
#endif
#ifndef MREMAP_DONTUNMAP
#define MREMAP_DONTUNMAP 4
#endif

#define RW ((uint32_t)(PROT_READ | PROT_WRITE))
/* What the conservative tier may arm as well. */
#define LARGE_BYTES (4 * NB_MIB)

static uint64_t brk_start, brk_end; /* (L:as) page bounds of the heap */

static bool failed(uint64_t ret)
{
	return ret > -4096ULL;
}

static struct nb_range pages_of(uint64_t addr, uint64_t len)
{
	struct nb_range r = {
		nb_align_down(addr, nb.page_bytes),
		nb_align_up(addr + len, nb.page_bytes),
	};

	if (r.end < r.start)
		r.end = 1ULL << NB_VA_BITS;
	return r;
}

static uint64_t min_bytes(void)
{
	return nb.cfg.min_region_kb * 1024ULL;
}

/* ---- the table ----------------------------------------------------------- */

/**
 * nb_mm_disarm() - give back all of a range, or all there is
 * @r: the range.
 *
 * Context: as lock held.
 * Return: false: the kernel refused; nb_mm_must() is to follow.
 */
bool nb_mm_disarm(const struct nb_range *r)
{
	return !nb_disarm_range(nb.sys, r->start, r->end) || !nb_disarm_all();
}

/**
 * nb_mm_must() - what cannot go on without
 * @ok: did it work?
 *
 * Context: any thread, no lock held.
 */
void nb_mm_must(bool ok)
{
	if (!ok)
		nb_standdown("the kernel refused to give memory back");
}

/* Invariant 1. */
static void untrack(uint64_t addr, uint64_t len)
{
	struct nb_range r = pages_of(addr, len);
	struct nb_sigstate ss;
	bool ok;

	if (!len || !nb_regions_may_overlap(r.start, r.end))
		return;
	nb_lock(&nb.as_lock, &ss);
	ok = nb_mm_disarm(&r);
	nb_regions_remove(r.start, r.end);
	nb_forget_range(r.start, r.end, true);
	nb_unlock(&nb.as_lock, &ss);
	nb_mm_must(ok);
}

static uint32_t flags_of(uint64_t bytes, int map_flags, uint32_t prot)
{
	uint32_t flags = 0;

	if (map_flags & MAP_LOCKED || atomic_load(&nb.all_locked))
		flags |= NB_VMA_LOCKED;
	if (map_flags & (MAP_STACK | MAP_GROWSDOWN))
		flags |= NB_REGION_NEVER;
	if (bytes >= LARGE_BYTES && prot == RW)
		flags |= NB_REGION_LARGE;
	return flags;
}

/* What a call makes is kept accessible for a thread that needs that. */
static uint32_t kept_for(const struct nb_regs *r, uint32_t flags)
{
	uint32_t keeper = nb_latency_region_flags(nb_slot_for_sp(r->sp, NULL));

	return keeper ? (flags & ~(uint32_t)NB_REGION_KEEPER) | keeper : flags;
}

/* Invariant 2.  Marks of an unseen munmap are forgotten. */
static void track(uint64_t addr, uint64_t len, uint32_t prot, uint32_t flags)
{
	struct nb_range r = pages_of(addr, len);
	struct nb_region region = {r.start, r.end, flags, prot, nb_clock_ns()};
	struct nb_sigstate ss;

	nb_lock(&nb.as_lock, &ss);
	nb_regions_remove(r.start, r.end);
	nb_forget_range(r.start, r.end, true);
	nb_slots_forget_stacks(r.start, r.end);
	nb_regions_add_prot(&region);
	nb_unlock(&nb.as_lock, &ss);
	if (prot == RW)
		nb_maybe_start_daemon();
}

static bool may_track(const struct nb_vma *vma)
{
	const uint32_t never = NB_VMA_SHARED | NB_VMA_FILE | NB_VMA_STACK |
			       NB_VMA_SPECIAL | NB_VMA_IO_URING | NB_VMA_EXEC;

	return (NB_NO_KINDS || !(vma->flags & never)) &&
	       vma->end - vma->start >= min_bytes() &&
	       !nb_arena_overlaps(vma->start, vma->end);
}

static uint32_t prot_of(const struct nb_vma *vma)
{
	return (vma->flags & NB_VMA_READ ? PROT_READ : 0U) |
	       (vma->flags & NB_VMA_WRITE ? PROT_WRITE : 0U);
}

static int reread_one(const struct nb_vma *vma, const char *name, void *arg)
{
	const struct nb_range *r = arg;
	struct nb_vma part = *vma;

	(void)name;
	if (vma->end <= r->start || vma->start >= r->end || !may_track(vma))
		return 0;
	part.start = nb_max(part.start, r->start);
	part.end = nb_min(part.end, r->end);
	/* What it was is not known any more: careful. */
	track(part.start, part.end - part.start, prot_of(&part),
	      part.flags & NB_VMA_HEAP ? NB_REGION_BRK : 0U);
	return 0;
}

/* Invariant 3.  First of all nothing of it is armed, else that would be read.
 */
static void reread(uint64_t addr, uint64_t len)
{
	struct nb_range r = pages_of(addr, len);

	untrack(addr, len);
	if (len)
		nb.sys->walk_maps(r.start, r.end, reread_one, &r);
}

/**
 * nb_mm_never() - the kernel writes here by itself: never arm it
 * @start: first byte.
 * @len: bytes.
 *
 * Holds until it is unmapped.
 *
 * Context: any thread, no lock held.
 */
void nb_mm_never(uint64_t start, uint64_t len)
{
	struct nb_range r = pages_of(start, len);
	struct nb_sigstate ss;
	bool ok;

	if (!len || !nb_regions_may_overlap(r.start, r.end))
		return;
	nb_lock(&nb.as_lock, &ss);
	ok = nb_mm_disarm(&r);
	nb_regions_never(r.start, r.end);
	nb_unlock(&nb.as_lock, &ss);
	nb_mm_must(ok);
}

/* ---- the calls ----------------------------------------------------------- */

/* call->aux between enter and leave: of mremap. */
enum {
	AUX_FLAGS,
	AUX_PROT,
	AUX_TRACKED,

};

static bool replaces(uint64_t flags)
{
	return (flags & MAP_FIXED) && !(flags & MAP_FIXED_NOREPLACE);
}

/*
 * What was here went without being seen.  If it was armed, or is by now, the
 * new mapping gets the protection that it was made with.
 */
static void forget_stale(const struct nb_range *r, int prot)
{
	struct nb_sigstate ss;

	nb_lock(&nb.as_lock, &ss);
	if (nb_range_armed(r->start, r->end))
		nb.sys->mprotect(r->start, r->end - r->start, prot);
	nb_regions_remove(r->start, r->end);
	nb_forget_range(r->start, r->end, true);
	nb_unlock(&nb.as_lock, &ss);
}

static bool plain_memory(uint64_t flags)
{
	return NB_NO_KINDS || ((flags & MAP_TYPE) == MAP_PRIVATE &&
			       flags & MAP_ANONYMOUS && !(flags & MAP_HUGETLB));
}

static void mmap_leave(const struct nb_call *call, const struct nb_regs *r)
{
	const uint64_t *a = call->saved;
	struct nb_range at;

	if (failed(r->rax)) {
		if (replaces(a[3]))
			reread(a[0], a[1]);
		return;
	}
	at = pages_of(r->rax, a[1]);
	if (nb_regions_may_overlap(at.start, at.end))
		forget_stale(&at, (int)a[2]);
	if (a[2] & PROT_EXEC)
		nb_guard_exec_mapped(r->rax, a[1],
				     a[3] & MAP_ANONYMOUS ? -1 : (int)a[4],
				     a[3] & MAP_ANONYMOUS ? 0 : a[5],
				     (a[3] & MAP_TYPE) == MAP_PRIVATE &&
					     !(a[2] & PROT_WRITE));
	else if (plain_memory(a[3]) && a[1] >= min_bytes())
		track(r->rax, a[1], (uint32_t)a[2],
		      kept_for(r, flags_of(a[1], (int)a[3], (uint32_t)a[2])));
}

static void keep_altstack(const struct nb_regs *r, const struct nb_range *at)
{
	struct nb_slot *slot = nb_slot_for_sp(r->sp, NULL);

	if (slot)
		nb_altstack_unmap(slot, at->start, at->end);
}

static void unmap_enter(const struct nb_regs *r)
{
	struct nb_range at = pages_of(r->arg[0], r->arg[1]);

	keep_altstack(r, &at);
	nb_guard_exec_unmapped(at.start, at.end);
	untrack(r->arg[0], r->arg[1]);
}

static void mremap_enter(struct nb_call *call, const struct nb_regs *r)
{
	struct nb_range from = pages_of(r->arg[0], r->arg[1]);
	const struct nb_region *old;
	struct nb_sigstate ss;

	keep_altstack(r, &from);
	nb_lock(&nb.as_lock, &ss);
	old = nb_regions_find(r->arg[0]);
	call->aux[AUX_TRACKED] = !!old;
	if (old) {
		call->aux[AUX_FLAGS] = old->flags;
		call->aux[AUX_PROT] = old->prot;
		/* Of several kinds: what it will be, nobody knows. */
		if (from.end > old->end || old->flags & NB_REGION_BRK)
			call->aux[AUX_FLAGS] |= NB_REGION_NEVER;
	}
	nb_unlock(&nb.as_lock, &ss);
	untrack(r->arg[0], r->arg[1]);
	if (r->arg[3] & MREMAP_FIXED)
		untrack(r->arg[4], r->arg[2]);
}

static void mremap_leave(const struct nb_call *call, const struct nb_regs *r)
{
	const uint64_t *a = call->saved;

	if (failed(r->rax)) {
		if (call->aux[AUX_TRACKED])
			reread(a[0], a[1]);
		if (a[3] & MREMAP_FIXED)
			reread(a[4], a[2]);
		return;
	}
	if (call->aux[AUX_TRACKED] && a[2] >= min_bytes())
		track(r->rax, a[2], (uint32_t)call->aux[AUX_PROT],
		      kept_for(r, (uint32_t)call->aux[AUX_FLAGS]));
}

/* Not armable before the call, whatever it makes of it. */
static void mprotect_enter(const struct nb_regs *r)
{
	struct nb_range at = pages_of(r->arg[0], r->arg[1]);
	struct nb_sigstate ss;
	bool ok;

	if (!(r->arg[2] & PROT_WRITE))
		keep_altstack(r, &at);
	if (!r->arg[1] || NB_NO_PROTECT ||
	    !nb_regions_may_overlap(at.start, at.end))
		return;
	nb_lock(&nb.as_lock, &ss);
	ok = nb_mm_disarm(&at);
	if (r->arg[2] != RW)
		nb_regions_protect(at.start, at.end, (uint32_t)r->arg[2]);
	nb_unlock(&nb.as_lock, &ss);
	nb_mm_must(ok);
}

/* Code that is made executable after it was written, or read from a file. */
static void made_executable(const struct nb_call *call)
{
	const uint64_t *a = call->saved;
	struct nb_vma vma;

	if (nb_maps_find(a[0], &vma))
		return;
	if (vma.flags & NB_VMA_FILE)
		nb_guard_exec_made(a[0], a[1],
				   !(vma.flags & NB_VMA_SHARED) &&
					   !(a[2] & PROT_WRITE));
	else
		nb_guard_exec_mapped(a[0], a[1], -1, 0, false);
}

static void mprotect_leave(const struct nb_call *call, const struct nb_regs *r)
{
	struct nb_range at = pages_of(call->saved[0], call->saved[1]);
	struct nb_sigstate ss;

	if (failed(r->rax)) {
		if (nb_regions_may_overlap(at.start, at.end))
			reread(call->saved[0], call->saved[1]);
		return;
	}
	if (call->saved[2] & PROT_EXEC)
		made_executable(call);
	if (call->saved[2] != RW || !nb_regions_may_overlap(at.start, at.end))
		return;
	nb_lock(&nb.as_lock, &ss);
	nb_regions_protect(at.start, at.end, RW);
	nb_unlock(&nb.as_lock, &ss);
	nb_maybe_start_daemon();
}

static void brk_enter(const struct nb_regs *r)
{
	uint64_t to = nb_align_up(r->arg[0], nb.page_bytes);

	if (r->arg[0] >= brk_start && to < brk_end)
		untrack(to, brk_end - to);
}

static void brk_leave(const struct nb_regs *r)
{
	uint64_t end = nb_align_up(r->rax, nb.page_bytes), old;
	struct nb_sigstate ss;

	nb_lock(&nb.as_lock, &ss);
	old = brk_end;
	brk_end = end;
	nb_unlock(&nb.as_lock, &ss);
	if (end > old && old)
		track(old, end - old, RW,
		      NB_REGION_BRK |
			      (atomic_load(&nb.all_locked) ? NB_VMA_LOCKED
							   : 0U));
	else if (end < old && r->rax != r->arg[0])
		reread(end, old - end);
}

static void shmat_enter(const struct nb_regs *r)
{
	struct shmid_ds ds;

	if (!r->arg[1] || !(r->arg[2] & SHM_REMAP))
		return;
	if (!nb_syscall6(SYS_shmctl, (long)r->arg[0], IPC_STAT, (long)&ds, 0, 0,
			 0))
		untrack(r->arg[1], ds.shm_segsz);
}

/* Code that nobody would look at: the call never comes by again. */
static bool makes_code_unseen(const struct nb_call *call,
			      const struct nb_regs *r)
{
	return atomic_load(&call->flags) & NB_CALL_LAZY &&
	       (r->rax == SYS_mmap || r->rax == SYS_mprotect ||
		r->rax == SYS_pkey_mprotect) &&
	       r->arg[2] & PROT_EXEC;
}

static void mm_enter(struct nb_call *call, struct nb_regs *r)
{
	if (!nb_is_active())
		return;
	if (makes_code_unseen(call, r)) {
		nb_standdown("code is mapped by code without a way back");
		return;
	}
	nb_call_want_leave(call);
	if (NB_NO_MM_HOOK)
		return;
	switch (r->rax) {
	case SYS_mmap:
		if (replaces(r->arg[3]))
			unmap_enter(r);
		break;
	case SYS_munmap:
		unmap_enter(r);
		break;
	case SYS_mremap:
		mremap_enter(call, r);
		break;
	case SYS_mprotect:
		mprotect_enter(r);
		break;
	case SYS_brk:
		brk_enter(r);
		break;
	case SYS_shmat:
		shmat_enter(r);
		break;
	case SYS_pkey_mprotect: /* giving back would lose the key */
	case SYS_mseal:		/* its protection can never change again */
		untrack(r->arg[0], r->arg[1]);
		break;
	default: /* remap_file_pages(2) is for shared mappings alone */
		nb_advice_enter(call, r);
	}
}

static void mm_leave(struct nb_call *call, struct nb_regs *r)
{
	switch (call->nr) {
	case SYS_mmap:
		mmap_leave(call, r);
		break;
	case SYS_munmap:
		if (failed(r->rax))
			reread(call->saved[0], call->saved[1]);
		break;
	case SYS_mremap:
		mremap_leave(call, r);
		break;
	case SYS_mprotect:
		mprotect_leave(call, r);
		break;
	case SYS_pkey_mprotect:
		if (!failed(r->rax) && call->saved[2] & PROT_EXEC)
			made_executable(call);
		break;
	case SYS_brk:
		brk_leave(r);
		break;
	default:
		nb_advice_leave(call, r);
	}
}

const struct nb_guard_hook nb_guard_mm = {mm_enter, mm_leave};

/* ---- start --------------------------------------------------------------- */

struct learning {
	bool system;  /* the file mapping that ended ... */
	uint64_t end; /* ... here is one of these: what follows is its .bss */
};

static bool system_library(const char *path)
{
	static const char *const names[] = {
		"/ld-linux", "/ld-2.",	    "/libc.so",
		"/libc-2.",  "/libnumabal", "/libpthread",
	};

	for (unsigned int i = 0; i < nb_array_size(names); i++)
		if (strstr(path, names[i]))
			return true;
	return false;
}

static bool contains(const struct nb_vma *vma, const void *p)
{
	return vma->start <= (uint64_t)p && (uint64_t)p < vma->end;
}

static int learn_one(const struct nb_vma *vma, const char *name, void *arg)
{
	struct learning *l = arg;
	bool heap = vma->flags & NB_VMA_HEAP;

	if (vma->flags & NB_VMA_FILE) {
		l->system = system_library(name);
		l->end = vma->end;
		return 0;
	}
	/* Our own variables, also where we are a part of the program. */
	if (contains(vma, &brk_end) || contains(vma, &nb))
		return 0;
	if (heap) {
		brk_start = vma->start;
		brk_end = vma->end;
	}
	if (!heap && (!may_track(vma) || prot_of(vma) != RW))
		return 0;
	if (vma->start == l->end && l->system)
		return 0;
	track(vma->start, vma->end - vma->start, prot_of(vma),
	      heap ? NB_REGION_BRK : 0U);
	return 0;
}

/**
 * nb_mm_learn() - what is mapped when numabal starts
 *
 * Context: start only.
 */
void nb_mm_learn(void)
{
	struct learning l = {.end = 0};
	uint64_t fs = 0;
	long now;

	nb_maps_for_each(learn_one, &l);
	if (!brk_end) {
		/* No heap yet: it will begin here. */
		now = nb_syscall6(SYS_brk, 0, 0, 0, 0, 0, 0);
		brk_start = nb_align_up((uint64_t)now, nb.page_bytes);
		brk_end = brk_start;
	}
	/* The thread's descriptor and storage: the kernel writes rseq there. */
	if (!nb_syscall6(SYS_arch_prctl, 0x1003 /* ARCH_GET_FS */, (long)&fs, 0,
			 0, 0, 0) &&
	    fs)
		nb_guard_never_tls(fs);
}
