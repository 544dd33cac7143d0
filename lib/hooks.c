/* SPDX-License-Identifier: MIT */
/*
 * What the interposers call at the start, at the end and for memory.  See
 * hooks.h for the contract; hooks_task.c has threads and signals, fork.c the
 * forks.
 *
 * Every hook that changes the region table does so before the program's call,
 * under the as lock, which numabald holds while it arms.
 */
#include "hooks.h"

#include "guard_hooks.h"
#include "latency.h"
#include "mech/affinity.h"
#include "mech/arm.h"
#include "mech/sigchain.h"
#include "nb.h"
#include "plat/cycles.h"
#include "plat/log.h"
#include "regions.h"
#include "tasks.h"

#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <link.h>
#include <linux/mempolicy.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

/*
 * Until system calls are guarded, what is armed must be memory that libc and
 * small allocators never hand to the kernel: large mappings of the program.
 */
#define MIN_REGION_BYTES (4 * NB_MIB)

/* The module that has malloc: what it maps is heap. */
static uint64_t allocator_start, allocator_end;

/* ---- life --------------------------------------------------------------- */

static int find_allocator(struct dl_phdr_info *info, size_t size, void *arg)
{
	uint64_t malloc_addr = (uint64_t)arg;

	(void)size;
	for (int i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *ph = &info->dlpi_phdr[i];
		uint64_t start = info->dlpi_addr + ph->p_vaddr;

		if (ph->p_type != PT_LOAD || !(ph->p_flags & PF_X) ||
		    malloc_addr < start || malloc_addr >= start + ph->p_memsz)
			continue;
		allocator_start = start;
		allocator_end = start + ph->p_memsz;
		return 1;
	}
	return 0;
}

static _Atomic bool filtered;

/* NUMABAL_FOLLOW other than exec: programs started from here are on their own.
 */
static void leave_environment(void)
{
	static const char lib[] = "libnumabal-preload.so";
	char *v = (char *)nb_config_getenv(environ, "LD_PRELOAD"), *out = v;

	while (v && *v) {
		size_t len = strcspn(v, " :");
		size_t with_sep = len + (v[len] != '\0');

		if (!memmem(v, len, lib, sizeof(lib) - 1)) {
			memmove(out, v, with_sep);
			out += with_sep;
		}
		v += with_sep;
	}
	if (out)
		*out = '\0';
}

/**
 * nb_hook_start() - see hooks.h for what it does
 *
 * Context: any thread; see hooks.h.
 */
void nb_hook_start(void)
{
	void *sym = dlsym(RTLD_DEFAULT, "malloc");
	int err = nb_start(NULL, true);

	if (!err && nb.cfg.follow != NB_FOLLOW_EXEC)
		leave_environment();
	if (err || !nb_is_active())
		return;
	dl_iterate_phdr(find_allocator, sym);
	/* Perhaps the program has all its memory already: its .bss. */
	nb_maybe_start_daemon();
}

/**
 * nb_hook_filtered() - see hooks.h for what it does
 *
 * Context: any thread; see hooks.h.
 * Return: true after nb_hook_filter().
 */
bool nb_hook_filtered(void)
{
	return atomic_load_explicit(&filtered, memory_order_relaxed);
}

/**
 * nb_hook_exit() - see hooks.h for what it does
 *
 * Context: any thread; see hooks.h.
 */
void nb_hook_exit(void)
{
	if (!nb_hook_filtered())
		nb_finish();
}

/**
 * nb_hook_active() - see hooks.h for what it does
 *
 * Context: any thread; see hooks.h.
 * Return: true if memory may be armed here, and system calls do not pass the
 * guard.
 */
bool nb_hook_active(void)
{
	return nb_is_active() && !nb_guarded();
}

/**
 * nb_hook_balanced() - see hooks.h for what it does
 *
 * Context: any thread; see hooks.h.
 * Return: true if memory may be armed here.
 */
bool nb_hook_balanced(void)
{
	return nb_is_active();
}

/* ---- memory ------------------------------------------------------------- */

/* Page bounds of a range; false if it cannot be ours. */
static bool bounds(const void *addr, size_t len, struct nb_range *r)
{
	r->start = nb_align_down((uint64_t)addr, nb.page_bytes);
	r->end = nb_align_up((uint64_t)addr + len, nb.page_bytes);
	return nb_is_active() && len && r->end > r->start &&
	       nb_regions_may_overlap(r->start, r->end);
}

/* Disarm a range; what cannot be disarmed ends everything. */
static void disarm_locked(const struct nb_range *r, const char **fatal)
{
	/* Where there is no room for another mapping, give all back. */
	if (nb_disarm_range(nb.sys, r->start, r->end) && nb_disarm_all())
		*fatal = "the kernel refused to give memory back";
}

static void untrack(const struct nb_range *r)
{
	struct nb_sigstate ss;
	const char *fatal = NULL;

	nb_lock(&nb.as_lock, &ss);
	disarm_locked(r, &fatal);
	nb_regions_remove(r->start, r->end);
	nb_forget_range(r->start, r->end, true);
	nb_unlock(&nb.as_lock, &ss);
	if (fatal)
		nb_standdown(fatal);
}

/**
 * nb_hook_unmap_begin() - see hooks.h for what it does
 *
 * Context: any thread; see hooks.h.
 */
void nb_hook_unmap_begin(const void *addr, size_t len)
{
	struct nb_range r;

	if (bounds(addr, len, &r))
		untrack(&r);
}

/* Marks only: the memory is another's already, its protection is right. */
static void forget(const struct nb_range *r)
{
	struct nb_sigstate ss;

	nb_lock(&nb.as_lock, &ss);
	nb_regions_remove(r->start, r->end);
	nb_forget_range(r->start, r->end, true);
	nb_unlock(&nb.as_lock, &ss);
}

static void track(const void *addr, size_t len, uint32_t flags)
{
	struct nb_sigstate ss;

	nb_lock(&nb.as_lock, &ss);
	nb_regions_add((uint64_t)addr,
		       nb_align_up((uint64_t)addr + len, nb.page_bytes),
		       flags | NB_REGION_LARGE, nb_clock_ns());
	nb_unlock(&nb.as_lock, &ss);
	nb_maybe_start_daemon();
}

static bool wanted_size(size_t len)
{
	return len >= nb_max(nb.cfg.min_region_kb * 1024ULL, MIN_REGION_BYTES);
}

/**
 * nb_hook_mapped() - see hooks.h for what it does
 *
 * Context: any thread; see hooks.h.
 */
void nb_hook_mapped(const void *addr, size_t len, int prot, int flags,
		    const void *caller)
{
	const int never = MAP_GROWSDOWN | MAP_STACK | MAP_HUGETLB;
	uint64_t from = (uint64_t)caller;
	struct nb_range r;

	/* An munmap that no interposer saw: what was here is gone. */
	if (bounds(addr, len, &r))
		forget(&r);
	if (!nb_is_active() || !wanted_size(len) ||
	    prot != (PROT_READ | PROT_WRITE) || !(flags & MAP_PRIVATE) ||
	    !(flags & MAP_ANONYMOUS) || flags & never)
		return;
	if (from >= allocator_start && from < allocator_end)
		return;
	track(addr, len,
	      (flags & MAP_LOCKED ? NB_VMA_LOCKED : 0U) |
		      nb_latency_region_flags(nb_slot_self_existing()));
}

/**
 * nb_hook_mremap_begin() - see hooks.h for what it does
 *
 * Context: any thread; see hooks.h.
 * Return: true if all of it was tracked.
 */
bool nb_hook_mremap_begin(const void *addr, size_t len)
{
	struct nb_range r;
	struct nb_sigstate ss;
	bool tracked;

	if (!bounds(addr, len, &r))
		return false;
	nb_lock(&nb.as_lock, &ss);
	tracked = nb_regions_cover(r.start, r.end);
	nb_unlock(&nb.as_lock, &ss);
	untrack(&r);
	return tracked;
}

/**
 * nb_hook_mremap_end() - see hooks.h for what it does
 *
 * Context: any thread; see hooks.h.
 */
void nb_hook_mremap_end(const void *addr, size_t len, bool tracked)
{
	if (tracked && nb_is_active() && wanted_size(len))
		track(addr, len, 0);
}

/**
 * nb_hook_mprotect_begin() - see hooks.h for what it does
 *
 * Context: any thread; see hooks.h.
 */
void nb_hook_mprotect_begin(const void *addr, size_t len, int prot)
{
	struct nb_range r;
	struct nb_sigstate ss;
	const char *fatal = NULL;

	if (!bounds(addr, len, &r))
		return;
	if (prot != (PROT_READ | PROT_WRITE)) {
		untrack(&r);
		return;
	}
	nb_lock(&nb.as_lock, &ss);
	disarm_locked(&r, &fatal);
	nb_unlock(&nb.as_lock, &ss);
	if (fatal)
		nb_standdown(fatal);
}

/**
 * nb_hook_madvise_begin() - see hooks.h for what it does
 *
 * Context: any thread; see hooks.h.
 */
void nb_hook_madvise_begin(const void *addr, size_t len, int advice)
{
	struct nb_range r;
	struct nb_sigstate ss;

	if (!bounds(addr, len, &r))
		return;
	switch (advice) {
	case MADV_HUGEPAGE:
	case MADV_NOHUGEPAGE:
		nb_lock(&nb.as_lock, &ss);
		nb_regions_flag(r.start, r.end, NB_VMA_HUGE,
				advice == MADV_HUGEPAGE);
		nb_unlock(&nb.as_lock, &ss);
		break;
	case MADV_NORMAL:
	case MADV_RANDOM:
	case MADV_SEQUENTIAL:
	case MADV_WILLNEED:
	case MADV_DONTNEED:
	case MADV_FREE:
	case MADV_COLD:
	case MADV_PAGEOUT:
	case MADV_DODUMP:
	case MADV_DONTDUMP:
	case MADV_MERGEABLE:
	case MADV_UNMERGEABLE:
		break; /* as good on memory without access */
	default:
		/* populating, collapsing, not for children: not ours */
		untrack(&r);
	}
}

static void give_back(const struct nb_range *r, uint32_t set_flag)
{
	struct nb_sigstate ss;
	const char *fatal = NULL;

	nb_lock(&nb.as_lock, &ss);
	disarm_locked(r, &fatal);
	if (set_flag)
		nb_regions_flag(r->start, r->end, set_flag, true);
	nb_unlock(&nb.as_lock, &ss);
	if (fatal)
		nb_standdown(fatal);
}

/**
 * nb_hook_mlock_begin() - see hooks.h for what it does
 *
 * Context: any thread; see hooks.h.
 */
void nb_hook_mlock_begin(const void *addr, size_t len)
{
	struct nb_range r;

	/* The call itself would fail on memory without access. */
	if (bounds(addr, len, &r))
		give_back(&r, NB_VMA_LOCKED);
}

/**
 * nb_hook_mlockall_begin() - see hooks.h for what it does
 *
 * Context: any thread; see hooks.h.
 */
void nb_hook_mlockall_begin(int flags)
{
	struct nb_range all = {0, 1ULL << NB_VA_BITS};

	if (!nb_is_active())
		return;
	if (flags & MCL_FUTURE)
		atomic_store(&nb.all_locked, true);
	if (!(flags & MCL_CURRENT))
		return;
	give_back(&all, NB_VMA_LOCKED);
}

/**
 * nb_hook_mbind_begin() - see hooks.h for what it does
 *
 * Context: any thread; see hooks.h.
 */
void nb_hook_mbind_begin(const void *addr, size_t len)
{
	nb_hook_touch(addr, len);
}

/**
 * nb_hook_touch() - see hooks.h for what it does
 *
 * Context: any thread; see hooks.h.
 */
void nb_hook_touch(const void *p, size_t len)
{
	struct nb_range r;
	struct nb_sigstate ss;
	const struct nb_region *reg;
	int err = 0;

	/* NUMABAL_GUARD=off: the user knows that it never happens. */
	if (nb.cfg.guard == NB_GUARD_OFF || nb_guarded())
		return;
	if (!bounds(p, len, &r) || nb_range_excluded(r.start, r.end))
		return;
	nb_lock(&nb.as_lock, &ss);
	/* Region by region: chunk sizes differ, and the rest is not ours. */
	for (int i = 0; !err && i < nb_regions_count(); i++) {
		reg = nb_regions_at(i);
		if (reg->start >= r.end)
			break;
		if (reg->end > r.start)
			err = nb_exclude_region_part(reg, &r);
	}
	nb_unlock(&nb.as_lock, &ss);
	nb_count(numa_excluded_syscall, 1);
	if (err)
		nb_standdown("the kernel refused to give memory back");
}

/**
 * nb_hook_touch_str() - see hooks.h for what it does
 *
 * Context: any thread; see hooks.h.
 */
void nb_hook_touch_str(const char *s)
{
	struct nb_range r;

	if (s && bounds(s, PATH_MAX, &r))
		nb_hook_touch(s, strnlen(s, PATH_MAX) + 1);
}

/**
 * nb_hook_async_io() - see hooks.h for what it does
 *
 * Context: any thread; see hooks.h.
 */
void nb_hook_async_io(const char *what)
{
	static char why[64];
	struct nb_text t;

	if (!nb_is_active())
		return;
	nb_text_init(&t, why, sizeof(why));
	nb_text_add(&t, "the program uses %s", what);
	nb_standdown(why);
}

/**
 * nb_hook_filter() - see hooks.h for what it does
 *
 * Context: any thread; see hooks.h.
 */
void nb_hook_filter(void)
{
	if (nb_hook_filtered() || nb_sys_getpid() != atomic_load(&nb.pid))
		return;
	nb_standdown("the program filters its system calls");
	/* Also the last of numabald: a filter may be for all threads. */
	nb_finish();
	nb_guard_quiet();
	nb_slots_quiet();
	atomic_store(&filtered, true);
}

/**
 * nb_hook_no_cycles() - see hooks.h for what it does
 *
 * Context: any thread; see hooks.h.
 */
void nb_hook_no_cycles(void)
{
	/* First: the program's own faults go on passing through the handler. */
	atomic_store(&nb_cycles_refused, true);
	nb_standdown("the program forbids itself to read the CPU's clock");
}
