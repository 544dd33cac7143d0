/* SPDX-License-Identifier: MIT */
/*
 * numabal as a brain: its objects, its hint fault, and numabald's pass as in
 * lib/numabald.c, with its budget and with the default options.
 *
 * Costs are the design's measurements: SIGSEGV and mprotect(2) take 5 us for a
 * chunk, and 75 ns more for each further small page in it.
 */
#include "brains.h"
#include "numabal.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define FAULT_NS 5000.0
#define FAULT_4K_NS 75.0
#define DRAIN_NS 1000.0 /* of numabald's time, for each fault */

/* include/numabal.h, the defaults */
#define SCAN_DELAY_MS 1000
#define MAX_OVERHEAD_PCT 2
#define SCAN_SIZE_MB 256
#define MIN_RSS_MB 64

/* lib/numabald.c */
#define POLL_MIN_NS (10 * NB_NSEC_PER_MSEC)
#define POLL_MAX_NS (500 * NB_NSEC_PER_MSEC)

#define COST_BURST_NS (100 * NB_NSEC_PER_MSEC)
#define UNSETTLED_PASSES 4
#define UNSETTLED_FACTOR 5

static void *numabal_init(struct sim *s)
{
	struct n_brain *b = calloc(1, sizeof(*b));

	assert(b);
	b->s = s;
	for (int i = 0; i < SIM_MAX_PROCS; i++) {
		struct n_proc *p = &b->proc[i];

		p->b = b;
		p->proc = i;
		p->scan_opts = (struct nb_scan_opts){SCAN_SIZE_MB, N_PAGE_BYTES,
						     4 * N_BLOCK_BYTES};
		p->period_opts =
			(struct nb_scan_period_opts){1000, 60000, SCAN_SIZE_MB};
		p->unsettled = UNSETTLED_PASSES;
		p->free_ns = COST_BURST_NS;
		p->poll_ns = POLL_MAX_NS;
		p->placed_nid = NB_NO_NODE;
		nb_scan_period_start(&p->period, &p->period_opts, 0);
		nb_rate_limit_init(&p->rate, 0, 0);
	}
	return b;
}

static void numabal_fini(void *ctx)
{
	struct n_brain *b = ctx;

	for (int i = 0; i < b->nr_tasks; i++) {
		if (b->task[i]) {
			free(b->task[i]->nf);
			free(b->task[i]->partners);
		}
		free(b->task[i]);
	}
	for (int i = 0; i < SIM_MAX_PROCS; i++) {
		free(b->proc[i].groups.g);
		free(b->proc[i].members);
		free(b->proc[i].scratch);
	}
	free(b->task);
	free(b->va);
	free(b->vmas);
	free(b->history);
	free(b->tier_chunk);
	for (int i = 0; i < SIM_MAX_PROCS; i++)
		free(b->proc[i].tiering);
	free(b);
}

/* lib/start.c, check_machine() */
static void start(struct n_proc *p)
{
	const struct sim *s = p->b->s;
	const struct sim_limits *l = &s->limits[p->proc];

	if (p->started)
		return;
	p->started = true;
	sim_machine_topology(&s->m, &p->topo);
	p->topo.cpus_allowed = l->cpus;
	p->topo.mems_allowed.bits &= l->mems.bits;
	p->nodes = l->nodes.bits ? l->nodes : l->mems;
	p->nodes.bits &= p->topo.mems_allowed.bits;
	p->off = nb_nodes_weight(&p->nodes) < 2;
	n_tiering_init(p);
}

static int thread_place(void *ctx, int thread, int creator)
{
	struct n_brain *b = ctx;

	return n_start_place(&b->proc[b->s->thread[thread].proc], creator);
}

static void thread_start(void *ctx, int thread)
{
	struct n_brain *b = ctx;
	struct n_task *t = calloc(1, sizeof(*t));

	if (thread >= b->cap_tasks) {
		b->cap_tasks = thread * 2 + 16;
		b->task = realloc(b->task,
				  (size_t)b->cap_tasks * sizeof(*b->task));
	}
	assert(t && b->task);
	t->current_nid = NB_NO_NODE;
	t->pinned_nid = NB_NO_NODE;
	t->group_index = -1;
	b->task[thread] = t;
	b->nr_tasks = thread + 1;
	start(&b->proc[b->s->thread[thread].proc]);
	n_start_begin(&b->proc[b->s->thread[thread].proc], thread);
}

static void thread_exit(void *ctx, int thread)
{
	struct n_brain *b = ctx;

	b->proc[b->s->thread[thread].proc].exited_ns +=
		b->s->thread[thread].run_ns;
	n_start_end(&b->proc[b->s->thread[thread].proc], thread);
	free(b->task[thread]->nf);
	free(b->task[thread]->partners);
	free(b->task[thread]);
	b->task[thread] = NULL;
}

void n_pay(struct n_proc *p, double ns, enum sim_cost what)
{
	sim_charge(p->b->s, SIM_PROC(p->proc), ns, what);
	p->daemon_ns += (uint64_t)ns;
	p->late_ns += ns;
}

/* The handler: give the chunk back, leave a note; a full ring drops it. */
static void numabal_fault(void *ctx, const struct sim_fault *f)
{
	struct n_brain *b = ctx;
	const struct sim_region *r = sim_region_of(b->s, f->page);
	struct n_task *t = b->task[f->thread];
	struct n_proc *p = &b->proc[r->proc];
	double ns = FAULT_NS;

	if (!r->thp)
		ns += FAULT_4K_NS * f->nr * r->page_4k;
	sim_charge(b->s, f->thread, ns, SIM_FAULT);
	p->fault_ns += (uint64_t)ns;
	/* A ring that is half full wakes numabald, if it has time. */
	if (t->nr_ring == N_RING_SIZE && p->late_ns < SIM_TICK_NS)
		n_pay(p, DRAIN_NS * n_fault_drain(p), SIM_FAULT);
	if (t->nr_ring == N_RING_SIZE)
		p->nr_dropped++;
	else {
		t->ring_ns[t->nr_ring] = b->s->now_ns;
		t->ring[t->nr_ring++] = *f;
	}
}

static uint64_t cost_ns(const struct n_proc *p)
{
	return p->daemon_ns + p->fault_ns;
}

static uint64_t process_cpu_ns(const struct n_proc *p)
{
	uint64_t ns = p->exited_ns + p->daemon_ns;
	struct n_task *t;
	int i;

	n_for_each_task(t, i, p) ns += p->b->s->thread[i].run_ns;
	return ns;
}

static uint64_t rss_bytes(const struct n_proc *p)
{
	const struct sim *s = p->b->s;
	uint64_t pages = 0;

	for (int i = 0; i < s->nr_regions; i++)
		if (s->region[i].alive && s->region[i].proc == p->proc)
			pages += s->region[i].nr *
				 (uint64_t)s->region[i].page_4k;
	return pages * N_PAGE_BYTES;
}

static uint32_t ceiling_pct(const struct n_proc *p)
{
	return MAX_OVERHEAD_PCT * (p->unsettled ? UNSETTLED_FACTOR : 1);
}

static int64_t cost_to_earn(const struct n_proc *p)
{
	return (int64_t)(cost_ns(p) - p->base_cost_ns - p->placing_ns) -
	       p->free_ns;
}

/* lib/numabald.c, budget_delay() */
static uint64_t budget_delay(const struct n_proc *p, uint64_t cpu)
{
	int64_t cost = cost_to_earn(p);

	if (cost <= 0)
		return 0;
	return nb_scan_budget_delay((uint64_t)cost, cpu - p->base_cpu_ns,
				    ceiling_pct(p));
}

/* lib/numabald.c, carry_costs() */
static void carry_costs(struct n_proc *p)
{
	uint64_t cpu = process_cpu_ns(p);
	int64_t left = (int64_t)((cpu - p->base_cpu_ns) / 100 * ceiling_pct(p));

	left -= cost_to_earn(p);
	p->free_ns = nb_min(left, (int64_t)COST_BURST_NS);
	p->base_cost_ns = cost_ns(p);
	p->base_cpu_ns = cpu;
	p->placing_ns = 0;
}

/* lib/numabald.c, note_settling() */
static void note_settling(struct n_proc *p, uint32_t local_before)
{
	uint32_t local = p->local_permille;
	uint32_t passes = p->unsettled;

	if (local + 200 < local_before)
		passes = UNSETTLED_PASSES;
	else if (local < 900 && local > local_before + 50)
		passes = nb_max(passes, 2U);
	else if (passes)
		passes--;
	if (!passes != !p->unsettled)
		carry_costs(p);
	p->unsettled = passes;
	p->period.quick = passes;
}

/* lib/numabald.c, note_phase_change() */
static void note_phase_change(struct n_proc *p)
{
	if (!nb_scan_phase_changed(&p->window, &p->pass, p->local_permille))
		return;
	if (!p->unsettled)
		carry_costs(p);
	p->unsettled = UNSETTLED_PASSES;
	nb_scan_period_start(&p->period, &p->period_opts, p->rss_bytes);
}

/* lib/numabald.c, size_windows() */
static void size_windows(struct n_proc *p)
{
	uint32_t mb = nb_scan_size_mb(p->rss_bytes, SCAN_SIZE_MB);
	uint64_t ms = p->period.scan_period_ms;

	ms = ms * mb / nb_max(p->period_opts.scan_size_mb, 1U);
	p->period.scan_period_ms = (uint32_t)nb_max(ms, 1ULL);
	p->period_opts.scan_size_mb = mb;
	p->scan_opts.scan_size_mb = mb;
}

/* lib/numabald.c, cpu_to_go() */
static uint64_t cpu_to_go(const struct n_proc *p, uint64_t cpu)
{
	uint64_t period_ns = p->period.scan_period_ms * NB_NSEC_PER_MSEC;
	uint64_t ran = cpu - p->scan_cpu_ns;

	if (p->scan_cpu_ns && ran < period_ns)
		return period_ns - ran;
	return budget_delay(p, cpu);
}

static bool may_scan(struct n_proc *p)
{
	uint64_t cpu = process_cpu_ns(p), now = p->b->s->now_ns;
	uint64_t to_go = cpu_to_go(p, cpu);
	uint64_t wait = nb_scan_ask_delay(to_go, cpu - p->ask_cpu_ns,
					  now - p->ask_ns, p->poll_ns);

	p->ask_ns = now;
	p->ask_cpu_ns = cpu;
	if (!to_go)
		return true;
	p->next_scan_ns = nb_max(p->next_scan_ns, now + wait);
	return false;
}

/* lib/numabald.c, maybe_scan() */
static void maybe_scan(struct n_proc *p)
{
	uint64_t now = p->b->s->now_ns;

	if (now < p->next_scan_ns)
		return;
	p->next_scan_ns = now + p->period.scan_period_ms * NB_NSEC_PER_MSEC;
	p->rss_bytes = rss_bytes(p);
	if (p->scan.pass_ended) {
		uint32_t before = p->local_permille;

		n_place_round(p);
		note_settling(p, before);
		size_windows(p);
		p->scan.pass_ended = false;
		p->window = p->pass;
	} else {
		note_phase_change(p);
	}
	if (p->rss_bytes < MIN_RSS_MB * NB_MIB || !may_scan(p))
		return;
	if (!p->scan_cpu_ns) {
		size_windows(p);
		nb_scan_period_start(&p->period, &p->period_opts, p->rss_bytes);
	}
	p->scan_cpu_ns = process_cpu_ns(p);
	p->window = p->pass;
	n_scan_run(p);
	p->poll_ns = POLL_MIN_NS;
	p->next_scan_ns = now + p->period.scan_period_ms * NB_NSEC_PER_MSEC;
}

/* lib/numabald.c, numabald_pass() and wait_for_work() */
static void pass(struct n_proc *p)
{
	unsigned int nr;

	n_tiering_begin(p, process_cpu_ns(p));
	nr = n_fault_drain(p);
	n_tiering_run(p);
	n_pay(p, DRAIN_NS * nr, SIM_FAULT);
	n_start_publish(p);
	p->poll_ns = nr ? POLL_MIN_NS : nb_min(p->poll_ns * 2, POLL_MAX_NS);
	maybe_scan(p);
	p->next_pass_ns = nb_min(p->next_scan_ns, p->b->s->now_ns + p->poll_ns);
}

static void make_room(struct n_brain *b)
{
	const struct sim *s = b->s;

	if (s->nr_pages > b->nr_pages) {
		b->history =
			realloc(b->history, s->nr_pages * sizeof(*b->history));
		b->tier_chunk = realloc(b->tier_chunk,
					s->nr_pages * sizeof(*b->tier_chunk));
		assert(b->history && b->tier_chunk);
		memset(b->history + b->nr_pages, 0,
		       (s->nr_pages - b->nr_pages) * sizeof(*b->history));
		memset(b->tier_chunk + b->nr_pages, 0,
		       (s->nr_pages - b->nr_pages) * sizeof(*b->tier_chunk));
		b->nr_pages = s->nr_pages;
	}
	if (s->nr_regions > b->cap_regions) {
		b->cap_regions = s->nr_regions * 2;
		b->va = realloc(b->va, (size_t)b->cap_regions * sizeof(*b->va));
		b->vmas = realloc(b->vmas,
				  (size_t)b->cap_regions * sizeof(*b->vmas));
		assert(b->va && b->vmas);
	}
	/* One after the other, with holes, at multiples of a huge page. */
	for (; b->nr_regions < s->nr_regions; b->nr_regions++) {
		int i = b->nr_regions;
		uint64_t at = 1ULL << 32;

		if (i)
			at = b->va[i - 1] +
			     s->region[i - 1].nr *
				     (uint64_t)s->region[i - 1].page_4k *
				     N_PAGE_BYTES;
		b->va[i] = nb_align_up(at, N_BLOCK_BYTES) + N_BLOCK_BYTES;
	}
}

static void numabal_tick(void *ctx)
{
	struct n_brain *b = ctx;

	make_room(b);
	for (int i = 0; i < b->s->nr_procs; i++) {
		struct n_proc *p = &b->proc[i];

		if (!p->started || p->off)
			continue;
		if (!p->next_scan_ns)
			p->next_scan_ns =
				b->s->now_ns + SCAN_DELAY_MS * NB_NSEC_PER_MSEC;
		p->late_ns = nb_max(p->late_ns - SIM_TICK_NS, 0.0);
		if (b->s->now_ns >= p->next_pass_ns && p->late_ns <= 0)
			pass(p);
	}
}

static const uint64_t *why_count(void *ctx)
{
	return ((struct n_brain *)ctx)->why_count;
}

const struct sim_brain sim_brain_numabal = {
	.name = "numabal",
	.doc = "lib/policy as it is, with the default options",
	.init = numabal_init,
	.fini = numabal_fini,
	.thread_place = thread_place,
	.thread_start = thread_start,
	.thread_exit = thread_exit,
	.hint_fault = numabal_fault,
	.tick = numabal_tick,
	.why_count = why_count,
};
