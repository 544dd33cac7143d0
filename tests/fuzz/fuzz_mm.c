/* SPDX-License-Identifier: MIT */
/*
 * The table of regions against a model: arbitrary calls of the mmap family
 * pass by the hooks of guard_mm.c on a small address space of pages, which
 * does what the kernel would do, while scans arm it and faults give parts of it
 * back.  After each step every page has the protection that the program has
 * set, but for memory to read and write that is armed; nothing else ever is.
 *
 * Sources: all
 */
#include "../../lib/guard_hooks.h"
#include "../../lib/guard_mm.h"
#include "../../lib/mech/arm.h"
#include "../../lib/mech/protect.h"
#include "../../lib/nb.h"
#include "../../lib/regions.h"
#include "../../lib/tasks.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#define PAGES 192U
#define PAGE 4096ULL
#define BASE 0x480040000000ULL /* nothing is there */
#define AT(i) (BASE + (uint64_t)(i)*PAGE)
#define RW (PROT_READ | PROT_WRITE)
#define NOW (100 * NB_NSEC_PER_SEC)

#define CHECK(cond)                                                            \
	do {                                                                   \
		if (!(cond))                                                   \
			abort();                                               \
	} while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* As the program has made it. */
struct model {
	bool mapped;
	bool never; /* may not be armed any more */
	int prot;
};

static struct model model[PAGES];

/* As the kernel has it: -1: not mapped. */
static int kernel[PAGES];
static const uint8_t *in;
static size_t left;

static unsigned int next(unsigned int n)
{
	unsigned int v = 0;

	if (left) {
		v = *in++;
		left--;
	}
	return v % n;
}

static void set(unsigned int i, unsigned int nr, struct model m)
{
	for (; nr; nr--, i++)
		model[i] = m;
}

static bool all_mapped(unsigned int i, unsigned int nr)
{
	for (; nr; nr--, i++)
		if (!model[i].mapped)
			return false;
	return true;
}

static long protect(uint64_t addr, uint64_t len, int prot)
{
	for (; len; len -= PAGE, addr += PAGE) {
		unsigned int i = (unsigned int)((addr - BASE) / PAGE);

		CHECK(i < PAGES);
		if (kernel[i] < 0)
			return -ENOMEM;
		kernel[i] = prot;
	}
	return 0;
}

static long in_core(uint64_t addr, uint64_t len, unsigned char *vec)
{
	(void)addr;
	memset(vec, 1, len / PAGE);
	return 0;
}

static long barrier(void)
{
	return 0;
}

static long no_policy(uint64_t addr, int *mode)
{
	(void)addr;
	*mode = 0;
	return 0;
}

static int walk(uint64_t start, uint64_t end, nb_vma_fn *fn, void *arg)
{
	int ret = 0;

	for (unsigned int i = 0, k; !ret && i < PAGES; i = k) {
		struct nb_vma vma = {.start = AT(i)};

		for (k = i; k < PAGES && kernel[k] == kernel[i]; k++)
			;
		vma.end = AT(k);
		if (kernel[i] < 0 || vma.start >= end || vma.end <= start)
			continue;
		vma.flags = (kernel[i] & PROT_READ ? NB_VMA_READ : 0U) |
			    (kernel[i] & PROT_WRITE ? NB_VMA_WRITE : 0U);
		ret = fn(&vma, "", arg);
	}
	return ret;
}

static const struct nb_sys small_kernel = {
	.mprotect = protect,
	.mincore = in_core,
	.membarrier = barrier,
	.get_vma_policy = no_policy,
	.walk_maps = walk,
};

/* The call as its site sees it: returns between the two halves. */
static struct nb_call call;
static struct nb_regs regs;

static void enter(long nr, uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
	memset(&call, 0, sizeof(call));
	memset(&regs, 0, sizeof(regs));
	regs.rax = (uint64_t)nr;
	regs.arg[0] = a;
	regs.arg[1] = b;
	regs.arg[2] = c;
	regs.arg[3] = d;
	memcpy(call.saved, regs.arg, sizeof(call.saved));
	call.nr = (uint32_t)nr;
	call.hook = NB_HOOK_MM;
	nb_guard_mm.enter(&call, &regs);
}

static void leave(int64_t ret)
{
	regs.rax = (uint64_t)ret;
	/* Some sites have no way back. */
	if (next(16))
		nb_guard_mm.leave(&call, &regs);
}

static void kernel_map(unsigned int i, unsigned int nr, int prot)
{
	for (; nr; nr--, i++)
		kernel[i] = prot;
}

static void do_mmap(unsigned int i, unsigned int nr)
{
	static const int prots[] = {RW, RW, PROT_READ, PROT_NONE};
	struct model m = {.mapped = true, .prot = prots[next(4)]};
	bool filed = !next(4);
	int flags = MAP_PRIVATE | MAP_FIXED | (filed ? 0 : MAP_ANONYMOUS) |
		    (next(8) ? 0 : MAP_STACK);

	m.never = filed || flags & MAP_STACK;
	enter(SYS_mmap, AT(i), nr * PAGE, (uint64_t)m.prot, (uint64_t)flags);
	kernel_map(i, nr, m.prot);
	set(i, nr, m);
	leave((int64_t)AT(i));
}

static void do_munmap(unsigned int i, unsigned int nr)
{
	enter(SYS_munmap, AT(i), nr * PAGE, 0, 0);
	if (!next(8)) {
		leave(-ENOMEM);
		return;
	}
	kernel_map(i, nr, -1);
	set(i, nr, (struct model){.mapped = false});
	leave(0);
}

static void do_mprotect(unsigned int i, unsigned int nr)
{
	static const int prots[] = {RW, RW, PROT_READ, PROT_NONE};
	int prot = prots[next(4)];
	int64_t ret = 0;

	enter(SYS_mprotect, AT(i), nr * PAGE, (uint64_t)prot, 0);
	for (; nr; nr--, i++) {
		if (!model[i].mapped) {
			ret = -ENOMEM;
			break;
		}
		kernel[i] = prot;
		model[i].prot = prot;
	}
	leave(ret);
}

static void do_mremap(unsigned int i, unsigned int nr)
{
	unsigned int to = next(PAGES), more = 1 + next(16);
	struct model m = model[i];

	/* One mapping only; none that overlaps. */
	for (unsigned int k = i; k < i + nr; k++)
		if (!model[k].mapped || model[k].prot != m.prot ||
		    model[k].never != m.never)
			return;
	more = nb_min(more, PAGES - to);
	if (to + more > i && to < i + nr)
		return;
	memset(&regs, 0, sizeof(regs));
	enter(SYS_mremap, AT(i), nr * PAGE, more * PAGE,
	      MREMAP_MAYMOVE | MREMAP_FIXED);
	/* The fifth argument is known before, too. */
	regs.arg[4] = AT(to);
	call.saved[4] = AT(to);
	regs.rax = SYS_mremap;
	nb_guard_mm.enter(&call, &regs);
	kernel_map(i, nr, -1);
	set(i, nr, (struct model){.mapped = false});
	kernel_map(to, more, m.prot);
	set(to, more, m);
	leave((int64_t)AT(to));
}

static void do_advice(unsigned int i, unsigned int nr)
{
	static const int advice[] = {MADV_DONTFORK, MADV_DONTNEED,
				     MADV_HUGEPAGE, MADV_WIPEONFORK};
	int what = advice[next(4)];

	enter(SYS_madvise, AT(i), nr * PAGE, (uint64_t)what, 0);
	for (unsigned int k = i; k < i + nr; k++)
		model[k].never |=
			what == MADV_DONTFORK || what == MADV_WIPEONFORK;
	leave(all_mapped(i, nr) ? 0 : -ENOMEM);
}

static void do_never(unsigned int i, unsigned int nr)
{
	nb_mm_never(AT(i), nr * PAGE);
	for (unsigned int k = i; k < i + nr; k++)
		model[k].never = true;
}

/* Not by us: what is there is not ours any more. */
static void do_fault(unsigned int i)
{
	struct nb_block *b = nb_block_find(AT(i));

	if (b)
		nb_disarm_chunk(&small_kernel, b, nb_chunk_index(b, AT(i)));
}

static void check_all(void)
{
	for (unsigned int i = 0; i < PAGES; i++) {
		bool mapped = kernel[i] >= 0;
		struct nb_block *b = nb_block_find(AT(i));
		unsigned int at = b ? nb_chunk_index(b, AT(i)) : 0;
		bool armed = b && b->state[at] == NB_CHUNK_ARMED;

		CHECK(mapped == model[i].mapped);
		CHECK(!armed || (mapped && model[i].prot == RW));
		CHECK(!armed || !model[i].never);
		if (mapped)
			CHECK(kernel[i] == (armed ? PROT_NONE : model[i].prot));
	}
	CHECK(nb_verify_range(&(struct nb_range){BASE, AT(PAGES)}));
	CHECK(atomic_load(&nb.state) == NB_RUNNING);
}

static void reset(void)
{
	nb.sys = &small_kernel;
	nb.page_bytes = PAGE;
	nb.thp = NB_THP_NEVER;
	nb_config_defaults(&nb.cfg);
	nb.cfg.scan_delay_ms = 0;
	nb.cfg.min_region_kb = 4;
	nb.cfg.chunk_kb = 4;
	nb.cfg.min_rss_mb = 1U << 20; /* no thread of ours */
	nb.scan_opts = (struct nb_scan_opts){256, PAGE, 4 * NB_BLOCK_BYTES};
	atomic_store(&nb.state, NB_RUNNING);
	if (nb_chunk_table_init() || nb_regions_init() || nb_arming_init() ||
	    nb_tasks_init())
		abort();
	nb_regions_clear();
	nb_forget_range(BASE, AT(PAGES), true);
	kernel_map(0, PAGES, -1);
	memset(model, 0, sizeof(model));
	memset(&nb.scan, 0, sizeof(nb.scan));
	nb_protection_choose();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	void (*const ops[])(unsigned int, unsigned int) = {
		do_mmap,     do_mmap,	do_munmap, do_mprotect,
		do_mprotect, do_mremap, do_advice, do_never};

	in = data;
	left = nb_min(size, (size_t)400);
	reset();
	while (left > 3) {
		unsigned int what = next(16), i = next(PAGES),
			     nr = 1 + next(24);

		nr = nb_min(nr, PAGES - i);
		if (what < nb_array_size(ops))
			ops[what](i, nr);
		else if (what < 12)
			do_fault(i);
		else
			nb_scan_run(NOW);
		check_all();
	}
	nb_disarm_all();
	for (unsigned int i = 0; i < PAGES; i++)
		CHECK(!model[i].mapped || kernel[i] == model[i].prot);
	return 0;
}
