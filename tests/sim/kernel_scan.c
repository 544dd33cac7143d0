/* SPDX-License-Identifier: MIT */
/*
 * The kernel's scan: which thread does it and when (S1-S16), which mappings
 * it looks at (V11-V17) and which of their pages it marks (P1, P5, P6).
 */
#include "kernel.h"

#define SCAN_DELAY_MS 1000
#define PERIOD_MIN_MS 1000
#define PERIOD_MAX_MS 60000
#define FLOOR_MS 100	/* S13: 1000 / (2560 MiB / scan size) */
#define WINDOW_4K 65536 /* scan size: 256 MiB */
#define SCAN_4K_NS 60.0 /* measured, for a page */
#define SCAN_HUGE_NS 500.0
#define VMA_RESET_NS (4 * SCAN_DELAY_MS * NB_NSEC_PER_MSEC)

static uint64_t rss_4k(const struct kernel *k, int proc)
{
	uint64_t nr = 0;

	for (int i = 0; i < k->s->nr_regions; i++) {
		const struct sim_region *r = &k->s->region[i];

		if (r->alive && r->proc == proc)
			nr += r->nr * (uint64_t)r->page_4k;
	}
	return nr;
}

static uint64_t nr_windows(const struct kernel *k, int task)
{
	uint64_t rss = rss_4k(k, k->s->thread[task].proc);

	return nb_max(nb_div_round_up(rss, WINDOW_4K), 1ULL);
}

uint32_t k_period_min(const struct kernel *k, int task)
{
	uint64_t min = PERIOD_MIN_MS / nr_windows(k, task);

	return (uint32_t)nb_max(min, FLOOR_MS + 0ULL);
}

/* S15, S16: longer for those who share with many. */
static uint64_t scaled(const struct kernel *k, int task, uint64_t period)
{
	const struct k_group *g;
	int64_t priv = 0, shared = 0;

	if (k->task[task].group < 0)
		return period;
	g = &k->group[k->task[task].group];
	for (int n = 0; n < k->s->m.nr_nodes; n++) {
		priv += g->f[K_MEM][n][1];
		shared += g->f[K_MEM][n][0];
	}
	period *= (uint64_t)g->nr_tasks;
	period *= (uint64_t)shared + 1;
	return period / ((uint64_t)(priv + shared) + 1);
}

uint32_t k_period_start(const struct kernel *k, int task)
{
	uint64_t min = k_period_min(k, task);

	return (uint32_t)nb_max(min, scaled(k, task, min));
}

uint32_t k_period_max(const struct kernel *k, int task)
{
	uint64_t max = PERIOD_MAX_MS / nr_windows(k, task);

	max = nb_max(max, scaled(k, task, max));
	return (uint32_t)nb_max(max, k_period_min(k, task));
}

static bool single_threaded(const struct kernel *k, int proc)
{
	int nr = 0;

	for (int i = 0; i < k->s->nr_threads; i++)
		nr += k->s->thread[i].alive && k->s->thread[i].proc == proc;
	return nr == 1;
}

struct k_scan {
	int task, proc;
	bool single;
	int64_t pages, virtpages;
	double ns;
	bool skipped, forced;
};

/* V11-V16: is a mapping looked at in this pass by this thread? */
static bool wanted(struct kernel *k, struct k_scan *sc, int i)
{
	struct k_vma *v = &k->vma[i];
	uint32_t seq = k->mm[sc->proc].scan_seq;
	uint64_t bit = 1ULL << (((uint32_t)sc->task * 0x61c88647U) >> 26);

	if (!v->known) {
		v->known = true;
		v->start_seq = seq;
		v->prev_seq = (int64_t)seq - 1;
		v->next_scan_ns =
			k->s->now_ns + SCAN_DELAY_MS * NB_NSEC_PER_MSEC;
		v->reset_ns = v->next_scan_ns + VMA_RESET_NS;
		v->pids[0] = v->pids[1] = 0;
	}
	if (seq && k->s->now_ns < v->next_scan_ns)
		return false;
	if (seq && k->s->now_ns > v->reset_ns) {
		v->reset_ns += VMA_RESET_NS;
		v->pids[0] = v->pids[1];
		v->pids[1] = 0;
	}
	if (v->prev_seq == (int64_t)seq)
		return false;
	if (seq - v->start_seq < 2 || (v->pids[0] | v->pids[1]) & bit ||
	    k->mm[sc->proc].offset > k->s->region[i].first ||
	    (int64_t)seq > v->prev_seq + k->s->nr_threads)
		return true;
	sc->skipped = true;
	return sc->forced;
}

/* Mark one step of at most 2 MiB. */
static uint32_t mark(struct kernel *k, struct k_scan *sc, uint32_t from,
		     uint32_t nr)
{
	const struct sim_region *r = sim_region_of(k->s, from);
	uint32_t marked = 0;

	for (uint32_t p = from; p < from + nr; p++) {
		if (sc->single && k->s->page_nid[p] == sim_nid(k->s, sc->task))
			continue;
		if (!sim_arm(k->s, p, 1))
			continue;
		marked += r->page_4k;
		k->page[p].scan_ms =
			(uint16_t)(k->s->now_ns / NB_NSEC_PER_MSEC);
	}
	sc->ns += r->thp ? SCAN_HUGE_NS * marked / 512 : SCAN_4K_NS * marked;
	return marked;
}

static void scan_vma(struct kernel *k, struct k_scan *sc, int i)
{
	const struct sim_region *r = &k->s->region[i];
	struct k_mm *mm = &k->mm[sc->proc];
	uint32_t step = nb_max(512 / r->page_4k, 1U);

	mm->offset = nb_max(mm->offset, r->first);
	while (mm->offset < r->first + r->nr && sc->pages > 0 &&
	       sc->virtpages > 0) {
		uint32_t in = (mm->offset - r->first) % step;
		uint32_t nr = nb_min(step - in, r->first + r->nr - mm->offset);

		if (mark(k, sc, mm->offset, nr))
			sc->pages -= nr * (int64_t)r->page_4k;
		sc->virtpages -= nr * (int64_t)r->page_4k;
		mm->offset += nr;
	}
	if (mm->offset >= r->first + r->nr)
		k->vma[i].prev_seq = mm->scan_seq;
}

/* S9-S11: from where the last scan ended until a budget is used up. */
static void scan(struct kernel *k, int task)
{
	struct k_scan sc = {
		.task = task,
		.proc = k->s->thread[task].proc,
		.pages = WINDOW_4K,
		.virtpages = 8 * WINDOW_4K,
	};
	struct k_mm *mm = &k->mm[sc.proc];
	bool any = false;
	int i;

	sc.single = single_threaded(k, sc.proc);
again:
	for (i = 0; i < k->s->nr_regions; i++) {
		const struct sim_region *r = &k->s->region[i];

		if (sc.pages <= 0 || sc.virtpages <= 0)
			break;
		if (!r->alive || r->proc != sc.proc ||
		    r->first + r->nr <= mm->offset || !r->nr ||
		    !wanted(k, &sc, i))
			continue;
		scan_vma(k, &sc, i);
		any = true;
		/* V17: one of those that nobody claims. */
		if (sc.forced)
			sc.pages = 0;
	}
	if (i == k->s->nr_regions && sc.pages > 0) {
		if (!any && sc.skipped && !sc.forced) {
			sc.forced = true;
			mm->offset = 0;
			goto again;
		}
		mm->offset = 0;
		mm->scan_seq++;
	}
	sim_charge(k->s, task, sc.ns, SIM_SCAN);
	/* S6 */
	k->task[task].node_stamp += (uint64_t)(32 * sc.ns);
}

/* S1-S3, S7 */
static void tick_task(struct kernel *k, int task)
{
	struct k_task *t = &k->task[task];
	struct k_mm *mm = &k->mm[k->s->thread[task].proc];
	uint64_t now = k->s->now_ns;
	uint64_t period_ns = t->period_ms * NB_NSEC_PER_MSEC;

	if (k->s->thread[task].run_ns <= t->node_stamp + period_ns)
		return;
	if (!t->scan_seq && !t->f)
		t->period_ms = k_period_start(k, task);
	t->node_stamp += period_ns;
	if (!mm->next_scan_ns)
		mm->next_scan_ns = now + SCAN_DELAY_MS * NB_NSEC_PER_MSEC;
	if (now < mm->next_scan_ns)
		return;
	mm->next_scan_ns = now + t->period_ms * NB_NSEC_PER_MSEC;
	scan(k, task);
}

/**
 * k_scan_tick() - the scheduler's tick on all CPUs
 * @k: the kernel
 */
void k_scan_tick(struct kernel *k)
{
	for (int i = 0; i < k->s->nr_threads; i++)
		if (k->s->thread[i].alive && k->s->thread[i].share > 0)
			tick_task(k, i);
}
