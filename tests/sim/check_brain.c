/* SPDX-License-Identifier: MIT */
/*
 * numabal, watched: after each tick,
 *
 * (a) every thread is where its process and its program let it be; no mask was
 *     set for a thread that the program has bound, and each that was set is
 *     one node of those that numabal may use, or all that the thread had;
 * (b) pages were moved only to nodes with memory that numabal may use, and
 *     each of them has kept its reserve;
 * (c) what balancing has cost each process is within the ceiling: see
 *     check_budget();
 * (d) what numabal holds on the heap is within limit_bytes().
 */
#include "check_brain.h"

#include "brains.h"

#include <assert.h>
#include <malloc.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define inner_brain sim_brain_numabal

/* brain_numabal.c, numabal_sample.c */
#define RESERVE_PCT 3
#define MAX_OVERHEAD_PCT 2
#define UNSETTLED_PCT 10
#define BURST_NS 100e6
/* For 4 KiB: to move it, and what else may come of it when it is armed. */
#define MIGRATE_NS (1500.0 + 30000.0 / 512)
#define CHUNK_4K 16 /* the smallest chunk */
#define ARMED_NS (MIGRATE_NS + 75.0 + (5000.0 + 1000.0) / CHUNK_4K)

__attribute__((format(printf, 2, 3))) static void bad(struct check *c,
						      const char *format, ...)
{
	va_list ap;
	int len;

	if (c->bad[0])
		return;
	len = snprintf(c->bad, sizeof(c->bad),
		       "at %.2f s: ", (double)c->s->now_ns / 1e9);
	va_start(ap, format);
	vsnprintf(c->bad + len, sizeof(c->bad) - (size_t)len, format, ap);
	va_end(ap);
}

/* Bytes on the heap, or 0 where that is not told. */
static uint64_t heap(void)
{
#if defined(__GLIBC__) && __GLIBC_PREREQ(2, 33) && !defined(NB_SANITIZED)
	struct mallinfo2 m = mallinfo2();

	return m.uordblks + m.hblkhd;
#else
	return 0;
#endif
}

/* The engine's, which grow when numabal arms. */
static uint64_t engine_bytes(const struct sim *s)
{
	uint64_t sum = 0;

	for (int i = 0; i < s->nr_segs; i++)
		sum += s->seg[i].cap_units * sizeof(struct sim_unit);
	return sum;
}

/*
 * (d) A task for each thread alive, with statistics by node and partners; room
 * for groups of as many as there have been at once; a few words for
 * each thread that ever was, and for each mapping and page, as the engine does
 * not use their numbers again; arrays that double have a half to spare.
 */
static uint64_t limit_bytes(struct check *c)
{
	const struct sim *s = c->s;
	uint64_t alive = 0;

	for (int i = 0; i < s->nr_threads; i++)
		alive += s->thread[i].alive;
	c->most_alive = nb_max(c->most_alive, alive);
	return sizeof(struct n_brain) + 32 * 1024 +
	       alive * (sizeof(struct n_task) + 64 +
			sizeof(struct nb_partners) +
			nb_numa_faults_size(s->m.nr_nodes)) +
	       c->most_alive * (2 * sizeof(struct nb_group_task) +
				sizeof(struct nb_numa_group) +
				nb_group_scratch_bytes(2)) +
	       (uint64_t)s->nr_threads * 2 * sizeof(void *) +
	       (uint64_t)s->nr_regions * 2 *
		       (sizeof(uint64_t) + sizeof(struct nb_vma)) +
	       (uint64_t)s->nr_procs * sizeof(struct n_tiering) +
	       (uint64_t)s->nr_pages * (sizeof(struct nb_page_history) +
					sizeof(struct nb_tier_chunk));
}

static void check_heap(struct check *c, uint64_t before, uint64_t engine)
{
	uint64_t now = heap(), limit = limit_bytes(c);

	if (!now)
		return;
	c->heap_bytes += now - before - (engine_bytes(c->s) - engine);
	c->fullest = nb_max(c->fullest, (double)c->heap_bytes / (double)limit);
	if (c->heap_bytes > limit)
		bad(c, "%llu bytes on the heap, limit %llu",
		    (unsigned long long)c->heap_bytes,
		    (unsigned long long)limit);
}

static uint64_t usable(const struct sim *s, int proc)
{
	const struct sim_limits *l = &s->limits[proc];

	return l->mems.bits & (l->nodes.bits ? l->nodes.bits : UINT64_MAX);
}

static void note_masks(struct check *c)
{
	const struct sim *s = c->s;

	if (s->nr_threads > c->nr_masks) {
		c->nr_masks = s->nr_threads * 2;
		c->masks = realloc(c->masks, (size_t)c->nr_masks * 4);
		assert(c->masks);
	}
	for (int i = 0; i < s->nr_threads; i++)
		c->masks[i] = s->thread[i].nr_masks;
}

static void check_thread(struct check *c, int i)
{
	const struct sim *s = c->s;
	const struct sim_thread *t = &s->thread[i];
	uint64_t all = c->proc[t->proc].cpu_nodes;
	bool set = t->nr_masks != c->masks[i];

	if (!sim_may_run(s, i, t->cpu))
		bad(c, "thread %d is on CPU %d", i, t->cpu);
	if (!t->allowed.bits || t->allowed.bits & ~t->own.bits ||
	    t->own.bits & ~all)
		bad(c, "thread %d has mask %llx, %llx are its own of %llx", i,
		    (unsigned long long)t->allowed.bits,
		    (unsigned long long)t->own.bits, (unsigned long long)all);
	if (set && t->bound)
		bad(c, "a mask was set for thread %d, which is bound", i);
	if (set && t->allowed.bits != t->own.bits &&
	    (nb_nodes_weight(&t->allowed) != 1 ||
	     t->allowed.bits & ~usable(s, t->proc)))
		bad(c, "thread %d was pinned to %llx, usable are %llx", i,
		    (unsigned long long)t->allowed.bits,
		    (unsigned long long)usable(s, t->proc));
}

static void check_pages(struct check *c)
{
	const struct sim *s = c->s;

	for (int n = 0; n < s->m.nr_nodes; n++) {
		for (int p = 0; p < s->nr_procs; p++)
			if (s->moved_in[p][n] &&
			    (!(usable(s, p) >> n & 1) || !s->m.mem_4k[n]))
				bad(c, "process %d moved pages to node %d", p,
				    n);
		if (s->least_free_4k[n] < s->m.mem_4k[n] / 100 * RESERVE_PCT)
			bad(c, "a move left %llu pages free on node %d of %llu",
			    (unsigned long long)s->least_free_4k[n], n,
			    (unsigned long long)s->m.mem_4k[n]);
	}
}

/* Pages of 4 KiB that a process has. */
static double pages_of(const struct sim *s, int proc)
{
	double pages = 0;

	for (int i = 0; i < s->nr_regions; i++)
		if (s->region[i].alive && s->region[i].proc == proc)
			pages += s->region[i].nr * (double)s->region[i].page_4k;
	return pages;
}

static uint64_t cpu_of(const struct sim *s, int proc)
{
	uint64_t ns = 0;

	for (int i = 0; i < s->nr_threads; i++)
		if (s->thread[i].proc == proc)
			ns += s->thread[i].run_ns;
	return ns;
}

/*
 * (c) The cost (its helper's time and the handler's) is at most 2 % of the
 * process's CPU time, 10 % while memory is being put in its place, the burst,
 * and one migration of all memory.  Who has reached that arms nothing; what is
 * armed may still cost something.
 */
static void check_budget(struct check *c, int proc)
{
	const struct sim *s = c->s;
	const struct n_proc *p = &((struct n_brain *)c->inner)->proc[proc];
	struct check_proc *cp = &c->proc[proc];
	uint64_t cost = p->daemon_ns + p->fault_ns,
		 cpu = cpu_of(s, proc) + p->daemon_ns;
	double allowed;

	if (p->off && cost)
		bad(c, "process %d has one node only, and is balanced", proc);
	if (s->tick % 16 == 0) {
		cp->pages = nb_max(cp->pages, pages_of(s, proc));
		cp->cpu_nodes = sim_cpu_nodes(s, proc).bits;
	}
	cp->share_ns += (double)(cpu - cp->cpu_ns) / 100 *
			(p->unsettled ? UNSETTLED_PCT : MAX_OVERHEAD_PCT);
	cp->cpu_ns = cpu;
	allowed = cp->share_ns + BURST_NS + cp->pages * MIGRATE_NS;
	if (p->base_cost_ns != cp->base_cost_ns)
		cp->flips++;
	cp->base_cost_ns = p->base_cost_ns;
	/* What had been paid before this tick. */
	if (p->scan_cpu_ns != cp->scan_cpu_ns) {
		cp->worst = nb_max(cp->worst, (double)cp->cost_ns / allowed);
		if ((double)cp->cost_ns > allowed)
			bad(c,
			    "process %d arms memory, has paid %.0f ms, %.0f ms "
			    "are allowed",
			    proc, (double)cp->cost_ns / 1e6, allowed / 1e6);
	}
	cp->scan_cpu_ns = p->scan_cpu_ns;
	cp->cost_ns = cost;
	if ((double)cost > allowed + cp->pages * ARMED_NS)
		bad(c, "process %d has paid %.0f ms, %.0f ms are allowed", proc,
		    (double)cost / 1e6, allowed / 1e6);
}

static void *check_init(struct sim *s)
{
	struct check *c = calloc(1, sizeof(*c));
	uint64_t before = heap();

	assert(c);
	c->s = s;
	c->inner = inner_brain.init(s);
	c->heap_bytes = heap() - before;
	return c;
}

static void check_fini(void *ctx)
{
	struct check *c = ctx;

	inner_brain.fini(c->inner);
	free(c->masks);
	free(c);
}

static void thread_start(void *ctx, int thread)
{
	struct check *c = ctx;
	uint64_t before = heap();

	inner_brain.thread_start(c->inner, thread);
	c->heap_bytes += heap() - before;
}

static void thread_exit(void *ctx, int thread)
{
	struct check *c = ctx;
	uint64_t before = heap();

	inner_brain.thread_exit(c->inner, thread);
	c->heap_bytes += heap() - before;
}

static void hint_fault(void *ctx, const struct sim_fault *f)
{
	struct check *c = ctx;
	struct n_task *t = ((struct n_brain *)c->inner)->task[f->thread];
	/* It may make room in the ring: only then it needs memory. */
	bool full = t->nr_ring == N_RING_SIZE;
	uint64_t before = full ? heap() : 0;

	inner_brain.hint_fault(c->inner, f);
	if (full)
		c->heap_bytes += heap() - before;
}

static void check_tick(void *ctx)
{
	struct check *c = ctx;
	struct sim *s = c->s;
	uint64_t before, engine = engine_bytes(s);

	note_masks(c);
	before = heap();
	inner_brain.tick(c->inner);
	check_heap(c, before, engine);
	for (int p = 0; p < s->nr_procs; p++)
		check_budget(c, p);
	for (int i = 0; i < s->nr_threads; i++)
		if (s->thread[i].alive)
			check_thread(c, i);
	if (s->total.refused)
		bad(c, "a mask had no CPU that is allowed");
	check_pages(c);
}

const struct sim_brain check_brain = {
	.name = "check",
	.doc = "numabal, watched",
	.init = check_init,
	.fini = check_fini,
	.thread_start = thread_start,
	.thread_exit = thread_exit,
	.hint_fault = hint_fault,
	.tick = check_tick,
};
