/* SPDX-License-Identifier: MIT */
/*
 * What a brain may ask the engine, and what it may do.
 *
 * Costs are the design's measurements on a virtual machine with 4 KiB pages:
 * moving a page inside a hint fault takes a few microseconds (copy, reverse
 * mapping, TLB flush), a huge page as long as copying 2 MiB at 8 GB/s, and a
 * batch of move_pages(2) 30 us and half as much per small page.  A thread that
 * changes node or cache finds its cache empty: 1 MiB at the speed of memory.
 */
#include "engine.h"

#include "rand.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define MIGRATE_4K_NS 3000.0
#define MIGRATE_BATCH_4K_NS 1500.0
#define MIGRATE_BATCH_NS 30000.0
#define MIGRATE_HUGE_NS 260000.0
#define MOVE_NODE_NS 250000.0
#define MOVE_LLC_NS 60000.0

int sim_nid(const struct sim *s, int thread)
{
	return s->m.cpu_nid[s->thread[thread].cpu];
}

uint64_t sim_free_4k(const struct sim *s, int nid)
{
	return s->m.mem_4k[nid] - s->used_4k[nid];
}

const struct sim_region *sim_region_of(const struct sim *s, uint32_t page)
{
	return &s->region[s->seg[s->page_seg[page]].region];
}

/**
 * sim_charge() - make somebody pay with time
 * @s: the simulation
 * @payer: a thread, or SIM_PROC(): a helper of that process
 * @ns: how long
 * @what: for what
 *
 * A helper costs its process nothing while there is an idle CPU.
 */
void sim_charge(struct sim *s, int payer, double ns, enum sim_cost what)
{
	int proc = -1 - payer, nr = 0;

	if (payer >= 0) {
		s->thread[payer].debt_ns += ns;
		s->total.cost_ns[what] += ns;
		return;
	}
	for (int cpu = 0; cpu < s->m.nr_cpus; cpu++) {
		if (!s->nr_running[cpu]) {
			s->total.background_ns += ns;
			return;
		}
	}
	s->total.cost_ns[what] += ns;
	for (int i = 0; i < s->nr_threads; i++)
		nr += s->thread[i].alive && s->thread[i].proc == proc;
	for (int i = 0; i < s->nr_threads; i++)
		if (s->thread[i].alive && s->thread[i].proc == proc)
			s->thread[i].debt_ns += ns / nr;
}

static void add_unit(struct sim_seg *g, const struct sim_unit *u)
{
	if (g->nr_units == g->cap_units) {
		g->cap_units = g->cap_units ? g->cap_units * 2 : 64;
		g->unit = realloc(g->unit, g->cap_units * sizeof(*u));
		assert(g->unit);
	}
	g->unit[g->nr_units++] = *u;
	g->max_unit = nb_max(g->max_unit, u->nr);
}

/**
 * sim_arm() - take the access away from some pages of one region
 * @s: the simulation
 * @start: the first page
 * @nr: how many, that one hint fault gives back
 *
 * Return: how many pages were armed: @nr, or 0 if one is armed already or if
 * none is there.
 */
uint32_t sim_arm(struct sim *s, uint32_t start, uint32_t nr)
{
	struct sim_unit u = {start, nr, ++s->next_seq};
	uint32_t last_seg = UINT32_MAX;
	bool there = false;

	for (uint32_t p = start; p < start + nr; p++) {
		if (s->arm_seq[p])
			return 0;
		there |= s->page_nid[p] != SIM_NOWHERE;
	}
	if (!there)
		return 0;
	for (uint32_t p = start; p < start + nr; p++) {
		s->arm_seq[p] = u.seq;
		if (s->page_seg[p] == last_seg)
			continue;
		last_seg = s->page_seg[p];
		add_unit(&s->seg[last_seg], &u);
	}
	s->total.armed += nr * (uint64_t)sim_region_of(s, start)->page_4k;
	return nr;
}

/**
 * sim_disarm() - give the access back
 * @s: the simulation
 * @start: the first page
 * @nr: how many; all of a unit or none
 */
void sim_disarm(struct sim *s, uint32_t start, uint32_t nr)
{
	memset(&s->arm_seq[start], 0, nr * sizeof(*s->arm_seq));
}

/**
 * sim_accessed() - was a page used lately: its accessed bit
 * @s: the simulation
 * @page: the page
 * @ticks: since when
 *
 * Return: true if so; drawn anew with each call.
 */
bool sim_accessed(struct sim *s, uint32_t page, double ticks)
{
	const struct sim_seg *g = &s->seg[s->page_seg[page]];
	double touches;

	if (!g->nr_users)
		return false;
	touches = ticks * g->user[g->nr_users - 1].cum;
	return touches >= 3 || sim_rand_unit(&s->rng) < touches;
}

static bool move_page(struct sim *s, uint32_t page, int nid)
{
	struct sim_seg *g = &s->seg[s->page_seg[page]];
	const struct sim_region *r = &s->region[g->region];
	int from = s->page_nid[page];

	if (r->locked || sim_free_4k(s, nid) < r->page_4k) {
		s->total.failed += r->page_4k;
		return false;
	}
	s->page_nid[page] = (uint8_t)nid;
	s->used_4k[from] -= r->page_4k;
	s->used_4k[nid] += r->page_4k;
	g->nr_on[from]--;
	g->nr_on[nid]++;
	g->one_nid = g->nr_on[nid] == g->nr ? nid : NB_NO_NODE;
	s->total.moved += r->page_4k;
	s->moved_in[r->proc][nid] += r->page_4k;
	s->least_free_4k[nid] =
		nb_min(s->least_free_4k[nid], sim_free_4k(s, nid));
	s->bytes[nid][from] += r->page_4k * 4096.0;
	s->bytes[nid][nid] += r->page_4k * 4096.0;
	return true;
}

/**
 * sim_migrate() - move pages of one region
 * @s: the simulation
 * @payer: a thread, which waits for it, or SIM_PROC(): a helper, in a batch
 * @start: the first page
 * @nr: how many; those that are there already or nowhere are left out
 * @nid: where to
 *
 * Return: how many pages were moved; the rest of them failed.
 */
uint32_t sim_migrate(struct sim *s, int payer, uint32_t start, uint32_t nr,
		     int nid)
{
	const struct sim_region *r = sim_region_of(s, start);
	uint32_t moved = 0;
	double ns = payer >= 0 ? MIGRATE_4K_NS : MIGRATE_BATCH_4K_NS;

	for (uint32_t p = start; p < start + nr; p++)
		if (s->page_nid[p] != SIM_NOWHERE && s->page_nid[p] != nid)
			moved += move_page(s, p, nid);
	if (!moved)
		return 0;
	ns = moved * (r->thp ? MIGRATE_HUGE_NS : ns * r->page_4k);
	/* A batch is 512 pages; smaller ones come together to one call. */
	if (payer < 0)
		ns += MIGRATE_BATCH_NS * moved * r->page_4k / 512;
	sim_charge(s, payer, ns, SIM_MIGRATE);
	return moved;
}

/**
 * sim_relocate() - put all memory elsewhere at once, for nothing
 * @s: the simulation
 * @nids: the node of each page; ignored for those that are nowhere
 *
 * For who knows everything, and would have had it there from the start.
 */
void sim_relocate(struct sim *s, const uint8_t *nids)
{
	for (int i = 0; i < s->nr_segs; i++) {
		struct sim_seg *g = &s->seg[i];
		uint32_t nr_4k = s->region[g->region].page_4k;

		for (uint32_t p = g->first; p < g->first + g->nr; p++) {
			int from = s->page_nid[p];

			if (from == SIM_NOWHERE || from == nids[p])
				continue;
			g->nr_on[from]--;
			s->used_4k[from] -= nr_4k;
			g->nr_on[nids[p]]++;
			s->used_4k[nids[p]] += nr_4k;
			s->page_nid[p] = nids[p];
			g->one_nid = nids[p];
		}
		if (g->one_nid != NB_NO_NODE && g->nr_on[g->one_nid] != g->nr)
			g->one_nid = NB_NO_NODE;
	}
	for (int n = 0; n < s->m.nr_nodes; n++)
		assert(s->used_4k[n] <= s->m.mem_4k[n]);
}

static void change_cpu(struct sim *s, int thread, int cpu)
{
	struct sim_thread *t = &s->thread[thread];
	double ns = 0;

	if (s->m.cpu_nid[cpu] != s->m.cpu_nid[t->cpu])
		ns = MOVE_NODE_NS;
	else if (s->m.cpu_llc[cpu] != s->m.cpu_llc[t->cpu])
		ns = MOVE_LLC_NS;
	t->cpu = cpu;
	sim_charge(s, thread, ns, SIM_MOVE);
}

/**
 * sim_move() - run a thread on another CPU, and let it go on from there
 * @s: the simulation
 * @thread: the thread
 * @cpu: the CPU
 *
 * Return: false if it may not run there.
 */
bool sim_move(struct sim *s, int thread, int cpu)
{
	struct sim_thread *t = &s->thread[thread];
	int from = sim_nid(s, thread);

	if (!sim_may_run(s, thread, cpu))
		return false;
	if (t->duty_pct) {
		s->nr_running[t->cpu] -= s->nr_running[t->cpu] > 0;
		s->nr_running[cpu]++;
		s->load[t->cpu] -= t->duty_pct / 100.0;
		s->load[cpu] += t->duty_pct / 100.0;
	}
	change_cpu(s, thread, cpu);
	if (from == sim_nid(s, thread))
		return true;
	s->total.moves++;
	if (s->brain->thread_moved)
		s->brain->thread_moved(s->ctx, thread, from);
	return true;
}

/**
 * sim_swap() - let two threads change places
 * @s: the simulation
 * @a: one
 * @b: the other
 *
 * Return: false if one of them may not run where the other is.
 */
bool sim_swap(struct sim *s, int a, int b)
{
	int cpu_a = s->thread[a].cpu, cpu_b = s->thread[b].cpu;

	if (!sim_may_run(s, a, cpu_b) || !sim_may_run(s, b, cpu_a))
		return false;
	return sim_move(s, a, cpu_b) && sim_move(s, b, cpu_a);
}

/**
 * sim_set_affinity() - bind a thread to nodes: sched_setaffinity(2)
 * @s: the simulation
 * @thread: the thread
 * @nodes: the nodes; those that the program does not allow are left out
 *
 * A thread that is elsewhere is moved at once, to the CPU there that has the
 * least to do.
 *
 * Return: false if no node is left; then nothing has happened.
 */
bool sim_set_affinity(struct sim *s, int thread, struct nb_nodemask nodes)
{
	struct sim_thread *t = &s->thread[thread];
	int best = -1;

	t->nr_masks++;
	nodes.bits &= t->own.bits;
	if (!nodes.bits) {
		s->total.refused++;
		return false;
	}
	t->allowed = nodes;
	if (nb_node_isset(&nodes, sim_nid(s, thread)))
		return true;
	for (int cpu = 0; cpu < s->m.nr_cpus; cpu++)
		if (sim_may_run(s, thread, cpu) &&
		    (best < 0 || s->load[cpu] < s->load[best]))
			best = cpu;
	return sim_move(s, thread, best);
}

/**
 * sim_prefer() - ask the scheduler to leave a thread on a node if it can
 * @s: the simulation
 * @thread: the thread
 * @nid: the node, or NB_NO_NODE
 */
void sim_prefer(struct sim *s, int thread, int nid)
{
	s->thread[thread].soft_nid = nid;
	s->thread[thread].soft_failed = 0;
}
