/* SPDX-License-Identifier: MIT */
/*
 * See fake_sys.h.  Linked into every unit test; not thread-safe: tests with
 * threads use the real kernel.
 */
#include "fake_sys.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#define HUGE_PAGES 512

struct fake fake;

/* ---- failures and the log ------------------------------------------------ */

/* True if this call is to fail, with fake.fault.err. */
static bool injected(enum fake_kind kind)
{
	struct fake_fault *f = &fake.fault;

	fake.calls[kind]++;
	if (!f->nth || (f->kind != FAKE_ANY && f->kind != kind))
		return false;
	f->seen++;
	if (f->seen < f->nth || f->fired == f->count)
		return false;
	f->fired++;
	return true;
}

static long logged(const struct fake_call *c, long ret)
{
	if (fake.nr_log < FAKE_LOG) {
		fake.log[fake.nr_log] = *c;
		fake.log[fake.nr_log].ret = ret;
	}
	fake.nr_log++;
	return ret;
}

void fake_fail(enum fake_kind kind, unsigned int nth, int err)
{
	fake.fault = (struct fake_fault){
		.kind = kind, .nth = nth, .count = 1, .err = err};
}

void fake_fail_from(enum fake_kind kind, unsigned int nth, int err)
{
	fake_fail(kind, nth, err);
	fake.fault.count = ~0U;
}

unsigned int fake_fail_end(void)
{
	unsigned int fired = fake.fault.fired;

	memset(&fake.fault, 0, sizeof(fake.fault));
	return fired;
}

void fake_log_clear(void)
{
	fake.nr_log = 0;
	memset(fake.calls, 0, sizeof(fake.calls));
}

const struct fake_call *fake_logged(enum fake_kind kind, unsigned int nth)
{
	for (unsigned int i = 0; i < fake.nr_log && i < FAKE_LOG; i++)
		if (fake.log[i].kind == kind && nth-- == 0)
			return &fake.log[i];
	return NULL;
}

/* ---- memory -------------------------------------------------------------- */

static bool inside(uint64_t addr)
{
	return addr >= FAKE_BASE && addr < FAKE_END;
}

struct fake_page *fake_page(uint64_t addr)
{
	return inside(addr) ? &fake.page[(addr - FAKE_BASE) / FAKE_PAGE] : NULL;
}

static bool mapped(uint64_t addr)
{
	return inside(addr) && fake_page(addr)->mapped;
}

/* Does a mapping start at page @i? */
static bool vma_starts(unsigned int i)
{
	return i < FAKE_NR_PAGES && fake.page[i].mapped &&
	       (i == 0 || !fake.page[i - 1].mapped ||
		fake.page[i - 1].prot != fake.page[i].prot);
}

static void count_vmas(void)
{
	fake.nr_vmas = 0;
	for (unsigned int i = 0; i < FAKE_NR_PAGES; i++)
		fake.nr_vmas += vma_starts(i);
}

static void set_prot(unsigned int i, unsigned int end, int prot)
{
	for (; i < end; i++)
		fake.page[i].prot = prot;
}

/* [i, end) lies in one mapping: change it, or -ENOMEM for a split too many. */
static long protect_run(unsigned int i, unsigned int end, int prot)
{
	int old = fake.page[i].prot, before, after;

	if (old == prot)
		return 0;
	before = vma_starts(i) + vma_starts(end);
	set_prot(i, end, prot);
	after = vma_starts(i) + vma_starts(end);
	if (after > before && fake.max_vmas &&
	    fake.nr_vmas + (unsigned int)(after - before) > fake.max_vmas) {
		set_prot(i, end, old);
		return -ENOMEM;
	}
	fake.nr_vmas += (unsigned int)(after - before);
	return 0;
}

/* As the kernel: mapping by mapping, what was changed before stays changed. */
static long protect(uint64_t addr, uint64_t len, int prot)
{
	unsigned int i, end;

	if (addr % FAKE_PAGE)
		return -EINVAL;
	if (!inside(addr) || len > FAKE_END - addr)
		return -ENOMEM;
	i = (unsigned int)((addr - FAKE_BASE) / FAKE_PAGE);
	end = i + (unsigned int)nb_div_round_up(len, FAKE_PAGE);
	while (i < end) {
		unsigned int run = i + 1;
		long err;

		if (!fake.page[i].mapped)
			return -ENOMEM;
		while (run < end && fake.page[run].mapped && !vma_starts(run))
			run++;
		err = protect_run(i, run, prot);
		if (err)
			return err;
		i = run;
	}
	return 0;
}

static long fake_mprotect(uint64_t addr, uint64_t len, int prot)
{
	struct fake_call c = {FAKE_MPROTECT, addr, len, prot, 0};
	void (*meanwhile)(void) = fake.meanwhile;

	fake.meanwhile = NULL;
	if (meanwhile)
		meanwhile();
	if (!injected(FAKE_MPROTECT))
		return logged(&c, protect(addr, len, prot));
	if (fake.fault.partial)
		protect(addr, nb_align_down(len / 2, FAKE_PAGE), prot);
	return logged(&c, -fake.fault.err);
}

static long fake_mincore(uint64_t addr, uint64_t len, unsigned char *vec)
{
	struct fake_call c = {FAKE_MINCORE, addr, len, 0, 0};

	if (injected(FAKE_MINCORE))
		return logged(&c, -fake.fault.err);
	for (uint64_t a = addr; a < addr + len; a += FAKE_PAGE) {
		if (!mapped(a))
			return logged(&c, -ENOMEM);
		vec[(a - addr) / FAKE_PAGE] = fake_page(a)->resident;
	}
	return logged(&c, 0);
}

static long fake_membarrier(void)
{
	struct fake_call c = {FAKE_MEMBARRIER, 0, 0, 0, 0};
	void (*meanwhile)(void) = fake.at_membarrier;

	fake.at_membarrier = NULL;
	if (meanwhile)
		meanwhile();
	return logged(&c, injected(FAKE_MEMBARRIER) ? -fake.fault.err : 0);
}

static long fake_get_vma_policy(uint64_t addr, int *mode)
{
	struct fake_call c = {FAKE_POLICY, addr, 0, 0, 0};

	if (injected(FAKE_POLICY))
		return logged(&c, -fake.fault.err);
	if (!mapped(addr))
		return logged(&c, -EFAULT);
	*mode = fake_page(addr)->policy;
	return logged(&c, 0);
}

void fake_map(uint64_t addr, uint64_t len, int nid)
{
	for (uint64_t a = addr; a < addr + len; a += FAKE_PAGE)
		*fake_page(a) = (struct fake_page){
			.mapped = true,
			.resident = true,
			.prot = PROT_READ | PROT_WRITE,
			.nid = nid,
		};
	count_vmas();
}

void fake_unmap(uint64_t addr, uint64_t len)
{
	for (uint64_t a = addr; a < addr + len; a += FAKE_PAGE)
		memset(fake_page(a), 0, sizeof(struct fake_page));
	count_vmas();
}

/* ---- moving -------------------------------------------------------------- */

static int page_status(const void *p)
{
	struct fake_page *page = fake_page((uint64_t)p);

	if (!page || !page->mapped)
		return -EFAULT;
	return page->resident ? page->nid : -ENOENT;
}

/* Move a page, and all of its huge page; false: it stays. */
static bool migrate(struct fake_page *page, int nid)
{
	unsigned int i = (unsigned int)(page - fake.page), nr = 1;

	if (page->refuses)
		return false;
	if (page->huge) {
		i -= i % HUGE_PAGES;
		nr = HUGE_PAGES;
	}
	if (fake.free_bytes[nid] < nr * FAKE_PAGE)
		return false;
	fake.free_bytes[nid] -= nr * FAKE_PAGE;
	fake.free_bytes[page->nid] += nr * FAKE_PAGE;
	for (; nr; nr--, i++)
		fake.page[i].nid = nid;
	return true;
}

/*
 * Linux: do_pages_move().  Isolated pages gather until one cannot be taken or
 * is there already, then they are moved; if one of them stays behind, the
 * rest of the call is given up and its status left as it was.
 */
struct gathered {
	void **pages;
	int *status;
	unsigned int from, end; /* since the last flush */
	unsigned int total;
	int nid;
};

static long flush(struct gathered *g)
{
	unsigned int stay = 0;

	for (unsigned int i = g->from; i < g->end; i++) {
		struct fake_page *p = fake_page((uint64_t)g->pages[i]);

		if (!p->huge || p->nid != g->nid)
			stay += !migrate(p, g->nid);
	}
	if (stay)
		return stay + (g->total - g->end);
	for (unsigned int i = g->from; i < g->end; i++)
		g->status[i] = g->nid;
	return 0;
}

/* Is the huge page of @page among those gathered already? */
static bool isolated(const struct gathered *g, const struct fake_page *page)
{
	for (unsigned int i = g->from; i < g->end && page->huge; i++)
		if ((fake_page((uint64_t)g->pages[i]) - fake.page) /
			    HUGE_PAGES ==
		    (page - fake.page) / HUGE_PAGES)
			return true;
	return false;
}

static long move_all(struct gathered *g, unsigned long count, const int *nodes)
{
	for (unsigned int i = 0; i < count; i++) {
		struct fake_page *p = fake_page((uint64_t)g->pages[i]);
		int st = page_status(g->pages[i]);
		long err;

		g->nid = nodes[i];
		if (g->nid < 0 || g->nid >= fake.nr_nids)
			return -ENODEV;
		if (st >= 0 && st != g->nid && p->refuses != EBUSY &&
		    p->refuses != EACCES && !isolated(g, p)) {
			g->end = i + 1;
			continue;
		}
		if (st >= 0 && st != g->nid)
			st = p->refuses ? -p->refuses : -EBUSY;
		g->status[i] = st;
		err = flush(g);
		if (err)
			return err - 1;
		g->from = g->end = i + 1;
	}
	return flush(g);
}

static long fake_move_pages(unsigned long count, void **pages, const int *nodes,
			    int *status)
{
	struct gathered g = {pages, status, 0, 0, (unsigned int)count, 0};
	struct fake_call c = {FAKE_MOVE_PAGES, (uint64_t)pages[0], count,
			      nodes ? nodes[0] : -1, 0};

	if (injected(FAKE_MOVE_PAGES))
		return logged(&c, -fake.fault.err);
	if (nodes)
		return logged(&c, move_all(&g, count, nodes));
	for (unsigned long i = 0; i < count; i++)
		status[i] = page_status(pages[i]);
	return logged(&c, 0);
}

static long fake_node_free_bytes(int nid, uint64_t *bytes)
{
	struct fake_call c = {FAKE_NODE_FREE, 0, 0, nid, 0};

	if (injected(FAKE_NODE_FREE))
		return logged(&c, -fake.fault.err);
	if (nid < 0 || nid >= fake.nr_nids)
		return logged(&c, -ENOENT);
	*bytes = fake.free_bytes[nid];
	return logged(&c, 0);
}

/* ---- threads ------------------------------------------------------------- */

struct nb_cpumask *fake_tid_mask(pid_t tid)
{
	if (!tid)
		tid = fake.self;
	for (int i = 0; i < FAKE_NR_TIDS; i++)
		if (fake.tid[i].tid == tid)
			return &fake.tid[i].mask;
	return NULL;
}

void fake_add_tid(pid_t tid, const struct nb_cpumask *mask)
{
	for (int i = 0; i < FAKE_NR_TIDS; i++)
		if (!fake.tid[i].tid) {
			fake.tid[i].tid = tid;
			fake.tid[i].mask = *mask;
			return;
		}
}

static long fake_setaffinity(pid_t tid, const struct nb_cpumask *mask)
{
	struct fake_call c = {FAKE_SETAFFINITY, 0, (uint64_t)tid, 0, 0};
	struct nb_cpumask usable;

	if (injected(FAKE_SETAFFINITY))
		return logged(&c, -fake.fault.err);
	if (!fake_tid_mask(tid))
		return logged(&c, -ESRCH);
	nb_cpus_and(&usable, mask, &fake.online);
	if (nb_cpus_empty(&usable))
		return logged(&c, -EINVAL);
	*fake_tid_mask(tid) = *mask;
	return logged(&c, 0);
}

/* Linux: sched_getaffinity(), only CPUs that are active. */
static long fake_getaffinity(pid_t tid, struct nb_cpumask *mask)
{
	struct fake_call c = {FAKE_GETAFFINITY, 0, (uint64_t)tid, 0, 0};

	if (injected(FAKE_GETAFFINITY))
		return logged(&c, -fake.fault.err);
	if (!fake_tid_mask(tid))
		return logged(&c, -ESRCH);
	nb_cpus_and(mask, fake_tid_mask(tid), &fake.online);
	return logged(&c, sizeof(*mask));
}

static long fake_read_file(const char *path, char *buf, size_t size)
{
	struct fake_call c = {FAKE_READ_FILE, 0, 0, 0, 0};
	size_t len = 0;
	int cpu;

	if (injected(FAKE_READ_FILE))
		return logged(&c, -fake.fault.err);
	if (!strcmp(path, "/proc/sys/kernel/hostname"))
		return logged(&c, snprintf(buf, size, "fake/host\n"));
	if (strcmp(path, "/sys/devices/system/cpu/online"))
		return logged(&c, -ENOENT);
	nb_for_each_cpu (cpu, &fake.online)
		len += (size_t)snprintf(buf + len, size - len, "%s%d",
					len ? "," : "", cpu);
	len += (size_t)snprintf(buf + len, size - len, "\n");
	return logged(&c, (long)len);
}

/* ---- all together -------------------------------------------------------- */

void fake_reset(void)
{
	memset(&fake, 0, sizeof(fake));
	fake.nr_nids = 4;
	for (int nid = 0; nid < 4; nid++)
		fake.free_bytes[nid] = 512 * NB_MIB;
	for (int cpu = 0; cpu < 16; cpu++)
		nb_cpu_set(&fake.online, cpu);
}

void fake_topology(struct nb_topology *t, int nr_nids, int cpus_per_nid)
{
	memset(t, 0, sizeof(*t));
	t->nr_nids = nr_nids;
	t->nr_cpus = nr_nids * cpus_per_nid;
	for (int nid = 0; nid < nr_nids; nid++) {
		nb_node_set(&t->online, nid);
		for (int to = 0; to < nr_nids; to++)
			t->distance[nid][to] =
				nid == to ? NB_LOCAL_DISTANCE : 20;
		t->mem_total_kb[nid] = 1024 * 1024;
		for (int i = 0; i < cpus_per_nid; i++) {
			int cpu = nid * cpus_per_nid + i;

			t->cpu_to_nid[cpu] = (int16_t)nid;
			nb_cpu_set(&t->node_cpus[nid], cpu);
			nb_cpu_set(&t->cpus_allowed, cpu);
		}
	}
	t->has_cpu = t->has_memory = t->mems_allowed = t->online;
}

static int fake_walk_maps(uint64_t start, uint64_t end, nb_vma_fn *fn,
			  void *arg)
{
	int ret = 0;

	for (unsigned int i = 0; !ret && i < FAKE_NR_PAGES; i++) {
		struct nb_vma vma = {.start = FAKE_BASE + i * FAKE_PAGE};

		if (!vma_starts(i))
			continue;
		vma.flags =
			(fake.page[i].prot & PROT_READ ? NB_VMA_READ : 0U) |
			(fake.page[i].prot & PROT_WRITE ? NB_VMA_WRITE : 0U);
		while (i + 1 < FAKE_NR_PAGES && fake.page[i + 1].mapped &&
		       !vma_starts(i + 1))
			i++;
		vma.end = FAKE_BASE + (i + 1) * FAKE_PAGE;
		if (vma.start < end && vma.end > start)
			ret = fn(&vma, "", arg);
	}
	return ret;
}

const struct nb_sys fake_sys = {
	.mprotect = fake_mprotect,
	.move_pages = fake_move_pages,
	.mincore = fake_mincore,
	.membarrier = fake_membarrier,
	.walk_maps = fake_walk_maps,
	.get_vma_policy = fake_get_vma_policy,
	.sched_setaffinity = fake_setaffinity,
	.sched_getaffinity = fake_getaffinity,
	.read_file = fake_read_file,
	.node_free_bytes = fake_node_free_bytes,
};
