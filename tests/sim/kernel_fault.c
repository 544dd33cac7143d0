/* SPDX-License-Identifier: MIT */
/*
 * The kernel's hint fault: should the page move (G1-G9), and what is noted of
 * it (C1-C3, F7, T1-T8).  All of it costs the thread that faulted.
 */
#include "kernel.h"

#include <assert.h>
#include <stdlib.h>

#define FAULT_NS 900.0 /* measured, without migration */
#define EARLY_PASSES 4
#define ACTIVE_FRACTION 3

static uint32_t cpupid_of(int thread, int cpu)
{
	return (uint32_t)(1 + (cpu << 8 | (thread & 0xff)));
}

static bool same_pid(uint32_t cpupid, int thread)
{
	return ((cpupid - 1) & 0xff) == ((uint32_t)thread & 0xff);
}

static int cpupid_nid(const struct kernel *k, uint32_t cpupid)
{
	return k->s->m.cpu_nid[(cpupid - 1) >> 8];
}

/* G8, G9: memory follows the group's CPU time, with some hysteresis. */
static bool group_wants(const struct k_group *g, int src, int dst)
{
	if (k_group_cpu(g, dst) > ACTIVE_FRACTION * k_group_cpu(g, src))
		return true;
	return k_group_cpu(g, dst) * k_group_faults(g, src) * 3 >
	       k_group_cpu(g, src) * k_group_faults(g, dst) * 4;
}

/* should_numa_migrate_memory(); notes the new user. */
static bool should_migrate(struct kernel *k, const struct sim_fault *f,
			   uint32_t *last)
{
	struct k_page *pg = &k->page[f->page];
	const struct k_task *t = &k->task[f->thread];
	int src = k->s->page_nid[f->page], dst = f->nid;

	*last = 0;
	if (!k->s->m.mem_4k[dst])
		return false;
	if (k->tiering && !k_top_tier(k, src))
		return k_promote(k, f->page, dst);
	*last = pg->cpupid;
	pg->cpupid = cpupid_of(f->thread, f->cpu);
	if (src == dst)
		return false;
	if ((t->preferred == NB_NO_NODE || t->scan_seq <= EARLY_PASSES) &&
	    (!*last || same_pid(*last, f->thread)))
		return true;
	if (*last && cpupid_nid(k, *last) != dst)
		return false;
	if (*last && same_pid(*last, f->thread))
		return true;
	if (t->group < 0)
		return true;
	return group_wants(&k->group[t->group], src, dst);
}

/* T4: pages in use on several nodes are where they should be on any. */
static bool counts_as_local(const struct kernel *k, const struct k_task *t,
			    int cpu_nid, int mem_nid)
{
	const struct k_group *g;

	if (t->group < 0)
		return false;
	g = &k->group[t->group];
	return g->active_nodes > 1 &&
	       ACTIVE_FRACTION * k_group_cpu(g, cpu_nid) > g->max_faults_cpu &&
	       ACTIVE_FRACTION * k_group_cpu(g, mem_nid) > g->max_faults_cpu;
}

/* task_numa_fault() */
static void account(struct kernel *k, const struct sim_fault *f, uint32_t last,
		    bool local, bool failed)
{
	struct k_task *t = &k->task[f->thread];
	int mem_nid = k->s->page_nid[f->page];
	uint32_t pages = sim_region_of(k->s, f->page)->page_4k;
	bool priv;

	/* Z7 */
	if (k->tiering && !k_top_tier(k, mem_nid))
		return;
	if (!t->f) {
		t->f = calloc(K_NR_STATS, sizeof(*t->f));
		assert(t->f);
	}
	priv = !last || same_pid(last, f->thread);
	if (!priv)
		k_join(k, f->thread, last, &priv);
	if (!priv && !local && counts_as_local(k, t, f->nid, mem_nid))
		local = true;
	if (k->s->now_ns > t->retry_ns) {
		k_placement(k, f->thread);
		k_migrate_preferred(k, f->thread);
	}
	if (failed)
		t->locality[K_FAILED] += pages;
	t->f[K_MEMBUF][mem_nid][priv] += pages;
	t->f[K_CPUBUF][f->nid][priv] += pages;
	t->locality[local ? K_LOCAL : K_REMOTE] += pages;
}

/**
 * k_hint_fault() - a thread touched a page that was marked
 * @ctx: the kernel
 * @f: the fault, which may stand for one on each of several small pages
 */
void k_hint_fault(void *ctx, const struct sim_fault *f)
{
	struct kernel *k = ctx;
	const struct sim_region *r = sim_region_of(k->s, f->page);
	bool local = k->s->page_nid[f->page] == f->nid;
	bool failed = false;
	uint32_t last;

	sim_charge(k->s, f->thread, FAULT_NS * f->times, SIM_FAULT);
	/* V12 */
	k->vma[k->s->seg[k->s->page_seg[f->page]].region].pids[1] |=
		1ULL << (((uint32_t)f->thread * 0x61c88647U) >> 26);
	if (should_migrate(k, f, &last)) {
		/* M3, M4: exactly there, and not if it gets too full. */
		failed = !k_has_room(k, f->nid, r->page_4k) ||
			 !sim_migrate(k->s, f->thread, f->page, 1, f->nid);
		if (failed && k->tiering)
			k->kswapd[f->nid] = true;
		local = local || !failed;
	}
	account(k, f, last, local, failed);
}
