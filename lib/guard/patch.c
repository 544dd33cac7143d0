/* SPDX-License-Identifier: MIT */
/*
 * The modules of this process and their guarded sites: adds modules, tells
 * what an address in a stub stands for, checks that nobody else has changed
 * what was written.
 *
 * Owns the table of modules.  Changes are made under patch_lock, by start and
 * by the hooks of mmap and munmap; readers take no lock.
 *
 * Invariant: stubs and records stay when their module goes, and are used again
 * only by a module that is mapped where the old one was: by then nobody can be
 * in them.
 */
#include "patch.h"

#include "../plat/arena.h"
#include "../plat/lock.h"
#include "../plat/sys.h"
#include "area.h"
#include "guard.h"
#include "install.h"
#include "record.h"
#include "stub.h"
#include "xsave.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#define MAX_MODULES 4096

/* The highest rank: taken with others held, calls nothing that locks. */
static struct nb_lock patch_lock = NB_LOCK_INIT(NB_LOCK_SEGV + 1);

static struct nb_module modules[MAX_MODULES];
static struct nb_place places[MAX_MODULES]; /* of each module */
static _Atomic int nr_modules;		    /* (A) written under the lock */

static bool supported(void)
{
#if defined(__x86_64__) && defined(__LP64__)
	return true;
#else
	return false;
#endif
}

/**
 * nb_patch_init() - before the first module
 *
 * Context: start only.
 * Return: 0; -ENOSYS: not on this kind of machine.
 */
int nb_patch_init(void)
{
	if (!supported())
		return -ENOSYS;
	nb_xsave_init();
	return 0;
}

/**
 * nb_patch_after_fork() - a thread that is not here may have held the lock
 *
 * Context: a forked child, before it makes threads.
 */
void nb_patch_after_fork(void)
{
	nb_lock_reinit(&patch_lock);
}

/*
 * An entry for the module: that of the one that was here before, one that can
 * be spared, or a new one.
 */
static int find_entry(uint64_t start, uint64_t end)
{
	int nr = atomic_load_explicit(&nr_modules, memory_order_relaxed);
	int spare = nr;

	for (int i = 0; i < nr; i++) {
		const struct nb_module *m = &modules[i];

		if (m->gone && m->start == start && m->end == end)
			return i;
		if (m->gone && !places[i].sites)
			spare = i;
	}
	return spare < MAX_MODULES ? spare : -ENOSPC;
}

static bool is_known(uint64_t start, uint64_t end)
{
	int nr = atomic_load_explicit(&nr_modules, memory_order_relaxed);

	for (int i = 0; i < nr; i++)
		if (!modules[i].gone && modules[i].start < end &&
		    modules[i].end > start)
			return true;
	return false;
}

static void set_name(struct nb_module *m, const char *name)
{
	size_t len = 0;

	for (const char *p = name; *p; p++)
		if (*p == '/')
			name = p + 1;
	while (len < sizeof(m->name) - 1 && name[len]) {
		m->name[len] = name[len];
		len++;
	}
	m->name[len] = '\0';
}

static int add_module(struct nb_job *j, uint64_t bias, const char *name)
{
	uint64_t start = j->im->vaddr + bias, end = start + j->im->len;
	int i, ret;

	if (is_known(start, end))
		return 0;
	i = find_entry(start, end);
	if (i < 0)
		return i;
	j->m = &modules[i];
	j->place = &places[i];
	*j->m = (struct nb_module){
		.start = start,
		.end = end,
		.bias = bias,
		.first_patched = j->m->first_patched,
		.gone = true,
	};
	set_name(j->m, name);
	ret = nb_install(j);
	j->m->gone = false;
	/* Pairs with the load in nb_patch_nr_modules(). */
	if (i == atomic_load_explicit(&nr_modules, memory_order_relaxed))
		atomic_store_explicit(&nr_modules, i + 1, memory_order_release);
	return ret;
}

/**
 * nb_patch_image() - guard the sites of a segment
 * @im: the segment; its text is what the process has in memory, or should
 * have
 * @bias: address in memory - link-time address
 * @name: path of the module, for reports
 *
 * A segment that is guarded already is left alone.
 *
 * Context: start, or a hook that has just mapped the segment; the decoder is
 * open.  No thread executes the segment.
 * Return: 0 or -errno: nothing of it is guarded.  Sites that cannot be
 * guarded are no failure: they are in the module's counts.
 */
int nb_patch_image(const struct nb_image *im, uint64_t bias, const char *name)
{
	struct nb_sigstate old;
	struct nb_job *j;
	int ret = -ENOMEM;

	if (!supported())
		return -ENOSYS;
	j = nb_arena_map(sizeof(*j));
	if (!j)
		return -ENOMEM;
	j->im = im;
	j->sites = nb_arena_map(NB_MODULE_SITES_MAX * sizeof(*j->sites));
	if (j->sites) {
		nb_lock(&patch_lock, &old);
		ret = add_module(j, bias, name);
		nb_unlock(&patch_lock, &old);
	}
	nb_arena_unmap(j->sites, NB_MODULE_SITES_MAX * sizeof(*j->sites));
	nb_arena_unmap(j, sizeof(*j));
	return ret;
}

/**
 * nb_patch_forget() - a range is about to be unmapped
 * @start: of the range
 * @end: of the range
 *
 * Context: any thread, before the call; waits for a check that is under way.
 */
void nb_patch_forget(uint64_t start, uint64_t end)
{
	int nr = nb_patch_nr_modules();
	struct nb_sigstate old;

	for (int i = 0; i < nr; i++) {
		struct nb_module *m = &modules[i];

		if (m->start >= end || m->end <= start)
			continue;
		nb_lock(&patch_lock, &old);
		if (m->start < end && m->end > start)
			m->gone = true;
		nb_unlock(&patch_lock, &old);
	}
}

/**
 * nb_patch_covers() - is a range of memory in one segment that is guarded?
 * @start: of the range
 * @end: of the range
 *
 * Context: Anywhere.
 * Return: true if so, as far as whole pages.
 */
bool nb_patch_covers(uint64_t start, uint64_t end)
{
	int nr = nb_patch_nr_modules();

	for (int i = 0; i < nr; i++)
		if (!modules[i].gone &&
		    nb_align_down(modules[i].start, 4096) <= start &&
		    end <= nb_align_up(modules[i].end, 4096))
			return true;
	return false;
}

/* Sites that are compared by one system call. */
#define CHECK_SITES 64

/*
 * Are the windows of some sites as we wrote them?  Read by the kernel: their
 * memory may be gone, and signals are blocked.  Where that is refused, nothing
 * can be said.
 */
static bool are_intact(uint32_t first, uint32_t nr)
{
	uint8_t want[CHECK_SITES][NB_SITE_SPAN_MAX];
	uint8_t now[CHECK_SITES][NB_SITE_SPAN_MAX];
	struct iovec from[CHECK_SITES], to[CHECK_SITES];
	long bytes = 0, ret;

	for (uint32_t i = 0; i < nr; i++) {
		const struct nb_patched *p = nb_record(first + i);

		nb_stub_jumps(p, want[i]);
		from[i].iov_base = (void *)nb_site_start(p);
		to[i].iov_base = now[i];
		from[i].iov_len = to[i].iov_len = nb_site_span(p);
		bytes += nb_site_span(p);
	}
	ret = nb_syscall6(SYS_process_vm_readv, nb_sys_getpid(), (long)to,
			  (long)nr, (long)from, (long)nr, 0);
	if (ret != bytes)
		return ret < 0 && ret != -EFAULT;
	for (uint32_t i = 0; i < nr; i++)
		if (memcmp(now[i], want[i], to[i].iov_len) != 0)
			return false;
	return true;
}

/**
 * nb_patch_intact() - has anybody else changed what we wrote?
 *
 * Context: numabald, before it arms anything; perhaps with the lock of the
 * address space held.
 * Return: false if any window is not ours any more.
 */
bool nb_patch_intact(void)
{
	struct nb_sigstate old;
	bool intact = true;

	nb_lock(&patch_lock, &old);
	for (int i = 0; intact && i < nb_patch_nr_modules(); i++) {
		const struct nb_module *m = &modules[i];

		for (uint32_t k = 0; intact && k < m->nr_patched && !m->gone;
		     k += CHECK_SITES)
			intact = are_intact(m->first_patched + k,
					    nb_min(m->nr_patched - k,
						   (uint32_t)CHECK_SITES));
	}
	nb_unlock(&patch_lock, &old);
	return intact;
}

/**
 * nb_patch_nr_modules() - modules known, those that are gone included
 *
 * Context: Anywhere.
 * Return: how many.
 */
int nb_patch_nr_modules(void)
{
	/* Pairs with the store in add_module(). */
	return atomic_load_explicit(&nr_modules, memory_order_acquire);
}

/**
 * nb_patch_module() - look at a module
 * @i: its index, below nb_patch_nr_modules()
 *
 * Context: Anywhere.
 * Return: the module; NULL: there is no such one.
 */
const struct nb_module *nb_patch_module(int i)
{
	return i >= 0 && i < nb_patch_nr_modules() ? &modules[i] : NULL;
}

/* The site with @addr in its stubs: those of a module ascend. */
static const struct nb_patched *site_of_stub(const struct nb_module *m,
					     uint64_t addr)
{
	uint32_t lo = 0, hi = m->nr_patched;

	while (hi - lo > 1) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (nb_record(m->first_patched + mid)->pre_stub <= addr)
			lo = mid;
		else
			hi = mid;
	}
	return hi ? nb_record(m->first_patched + lo) : NULL;
}

static uint64_t look_up(uint64_t addr, const struct nb_patched **site,
			unsigned int *skew)
{
	*skew = 0;
	if (!nb_area_of(addr))
		return 0;
	for (int i = 0; i < nb_patch_nr_modules(); i++) {
		if (addr < places[i].start || addr >= places[i].end)
			continue;
		*site = site_of_stub(&modules[i], addr);
		return *site ? nb_stub_original(*site, addr, skew) : 0;
	}
	return 0;
}

/**
 * nb_patch_original() - which address of the program a stub's stands for
 * @addr: an address
 * @original: out: the address in the program's text
 * @site: out: the site
 *
 * Context: Anywhere, including signal handlers.
 * Return: true; false: @addr is in no stub.
 */
bool nb_patch_original(uint64_t addr, uint64_t *original,
		       const struct nb_patched **site)
{
	unsigned int skew;

	*original = look_up(addr, site, &skew);
	return *original != 0;
}

/**
 * nb_patch_skew() - how much lower the stack pointer is in a stub
 * @addr: an address in it
 *
 * Context: Anywhere, including signal handlers.
 * Return: bytes to add to rsp, to get that of the address in the program.
 */
unsigned int nb_patch_skew(uint64_t addr)
{
	const struct nb_patched *site;
	unsigned int skew;

	look_up(addr, &site, &skew);
	return skew;
}

/**
 * nb_patch_owns() - is there a stub, or room for one?
 * @addr: an address
 *
 * Context: Anywhere, including signal handlers.
 * Return: true if so.
 */
bool nb_patch_owns(uint64_t addr)
{
	return nb_area_of(addr) != NULL;
}
