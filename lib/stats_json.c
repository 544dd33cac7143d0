/* SPDX-License-Identifier: MIT */
/*
 * The JSON object of schema numabal.stats/1, and the one-screen summary.
 *
 * Formatting only: no allocation, no stdio; called when the balancer has
 * stopped, or from numabald.
 */
#include "stats.h"

#include "detect.h"
#include "guard/patch.h"
#include "guard_hooks.h"
#include "mech/hint_fault.h"
#include "mech/protect.h"
#include "nb.h"
#include "plat/topology.h"
#include "regions.h"
#include "tasks.h"

#include <string.h>

static const char *const state_names[] = {
	[NB_OFF] = "idle",
	[NB_IDLE] = "idle",
	[NB_RUNNING] = "running",
	[NB_PAUSED] = "paused",
	[NB_STOOD_DOWN] = "stood-down",
};

/**
 * nb_state_name() - a state as the statistics spell it
 *
 * Context: any thread; see hooks.h.
 * Return: the name.
 */
const char *nb_state_name(int state)
{
	return state_names[state];
}

/* A string between quotes. */
static void add_string(struct nb_text *t, const char *s)
{
	nb_text_add(t, "\"");
	for (; *s; s++) {
		unsigned char c = (unsigned char)*s;

		if (c == '"' || c == '\\')
			nb_text_add(t, "\\%c", c);
		else if (c < 0x20 || c == 0x7f)
			nb_text_add(t, "\\u%04x", c);
		else if (c >= 0x80)
			nb_text_add(t, "\\u%04x", c); /* as Latin-1 */
		else
			nb_text_add(t, "%c", c);
	}
	nb_text_add(t, "\"");
}

static void add_topology(struct nb_text *t)
{
	const struct nb_topology *topo = &nb.topo;
	const char *sep = "";
	int nid, to;

	nb_text_add(t, "\"topology\":{\"nodes\":[");
	nb_for_each_nid (nid, &topo->online) {
		uint64_t free_bytes = 0;

		nb.sys->node_free_bytes(nid, &free_bytes);
		nb_text_add(t, "%s{\"nid\":%d,\"cpus\":\"", sep, nid);
		nb_text_add_cpulist(t, &topo->node_cpus[nid]);
		nb_text_add(t, "\",\"mem_total_kb\":%llu,\"mem_free_kb\":%llu}",
			    (unsigned long long)topo->mem_total_kb[nid],
			    (unsigned long long)free_bytes / 1024);
		sep = ",";
	}
	nb_text_add(t, "],\"distances\":[");
	sep = "";
	nb_for_each_nid (nid, &topo->online) {
		const char *sep2 = "";

		nb_text_add(t, "%s[", sep);
		nb_for_each_nid (to, &topo->online) {
			nb_text_add(t, "%s%u", sep2, topo->distance[nid][to]);
			sep2 = ",";
		}
		nb_text_add(t, "]");
		sep = ",";
	}
	nb_text_add(t, "],\"type\":\"%s\"}", nb_topology_type_name(topo->type));
}

static void add_counters(struct nb_text *t)
{
	struct numabal_stats st = {.sz = sizeof(st)};
	const char *sep = "";

	nb_stats_collect(&st);
	nb_text_add(t, "\"counters\":{");
#define ADD(name, doc)                                                         \
	nb_text_add(t, "%s\"" #name "\":%llu", sep,                            \
		    (unsigned long long)st.name);                              \
	sep = ",";
	NUMABAL_STATS(ADD)
#undef ADD
	nb_text_add(t, "}");
}

/* Hundredths of a percent. */
static uint64_t ratio_bp(uint64_t part, uint64_t whole)
{
	return whole ? part * 10000 / whole : 0;
}

static uint64_t overhead_bp(void)
{
	return ratio_bp(nb_cost_ns(), nb_process_cpu_ns());
}

static void add_overhead(struct nb_text *t)
{
	uint64_t pct = overhead_bp();

	nb_text_add(t,
		    "\"overhead\":{\"scan_us\":%llu,\"fault_us\":%llu,"
		    "\"migrate_us\":%llu,\"cpu_us\":%llu,\"pct\":%llu.%02llu,"
		    "\"max_fault_us\":%llu}",
		    (unsigned long long)atomic_load(&nb.scan_ns) / 1000,
		    (unsigned long long)atomic_load(&nb.fault_ns) / 1000,
		    (unsigned long long)atomic_load(&nb.migrate_ns) / 1000,
		    (unsigned long long)nb_cost_ns() / 1000,
		    (unsigned long long)pct / 100,
		    (unsigned long long)pct % 100,
		    (unsigned long long)atomic_load(&nb.max_fault_ns) / 1000);
}

static void add_faults(struct nb_text *t, const struct nb_task *task,
		       const char *name, enum nb_numa_faults_stats s, bool priv)
{
	nb_text_add(t, "\"%s\":[", name);
	for (int nid = 0; nid < nb.topo.nr_nids; nid++) {
		uint64_t v = 0;

		if (task->nf)
			v = task->nf->faults[nb_numa_faults_idx(task->nf, s,
								nid, priv)];
		nb_text_add(t, "%s%llu", nid ? "," : "", (unsigned long long)v);
	}
	nb_text_add(t, "]");
}

static void add_task(struct nb_text *t, const struct nb_task *task)
{
	nb_text_add(t, "{\"tid\":%d,\"name\":", task->tid);
	add_string(t, task->comm);
	nb_text_add(t,
		    ",\"numa_preferred_nid\":%d,\"current_nid\":%d,"
		    "\"numa_group_id\":%u,\"scan_period_ms\":%u,"
		    "\"moves\":%u,\"numa_faults\":{",
		    task->nf ? task->nf->numa_preferred_nid : NB_NO_NODE,
		    task->current_nid, task->group_index < 0 ? 0 : task->group,
		    atomic_load(&nb.scan_period_ms), task->moves);
	add_faults(t, task, "mem_private", NB_NUMA_MEM, true);
	nb_text_add(t, ",");
	add_faults(t, task, "mem_shared", NB_NUMA_MEM, false);
	nb_text_add(t, ",");
	add_faults(t, task, "cpu_private", NB_NUMA_CPU, true);
	nb_text_add(t, ",");
	add_faults(t, task, "cpu_shared", NB_NUMA_CPU, false);
	nb_text_add(t, "}}");
}

static bool has_tasks(void)
{
	int state = atomic_load(&nb.state);

	return state == NB_RUNNING || state == NB_PAUSED ||
	       state == NB_STOOD_DOWN;
}

static void add_tasks(struct nb_text *t)
{
	const char *sep = "";
	struct nb_task *task;
	int i;

	nb_text_add(t, "\"tasks\":[");
	if (has_tasks())
		nb_for_each_task (task, i) {
			nb_text_add(t, "%s", sep);
			add_task(t, task);
			sep = ",";
		}
	nb_text_add(t, "],\"ended_tasks\":[");
	sep = "";
	for (unsigned int n = 0; nb_ended_task_at(n); n++) {
		const struct nb_ended_task *e = nb_ended_task_at(n);

		nb_text_add(t, "%s{\"tid\":%d,\"name\":", sep, e->tid);
		add_string(t, e->comm);
		nb_text_add(t,
			    ",\"numa_preferred_nid\":%d,\"current_nid\":%d,"
			    "\"moves\":%u,\"total_numa_faults\":%llu}",
			    e->numa_preferred_nid, e->current_nid, e->moves,
			    (unsigned long long)e->total_numa_faults);
		sep = ",";
	}
	nb_text_add(t, "]");
}

static void add_nodes(struct nb_text *t, const char *name, const uint64_t *v)
{
	nb_text_add(t, "\"%s\":[", name);
	for (int nid = 0; nid < nb.topo.nr_nids; nid++)
		nb_text_add(t, "%s%llu", nid ? "," : "",
			    (unsigned long long)v[nid]);
	nb_text_add(t, "]");
}

static void add_groups(struct nb_text *t)
{
	int nr = has_tasks() ? nb_place_nr_groups() : 0;

	nb_text_add(t, ",\"groups\":[");
	for (int i = 0; i < nr; i++) {
		const struct nb_numa_group *g = nb_place_group(i);

		nb_text_add(t,
			    "%s{\"gid\":%u,\"nr_tasks\":%u,\"nid\":%d,"
			    "\"active_nodes\":%d,",
			    i ? "," : "", g->id, g->nr_tasks, g->nid,
			    nb_nodes_weight(&g->active_nodes));
		add_nodes(t, "faults", g->mem);
		nb_text_add(t, ",");
		add_nodes(t, "faults_cpu", g->cpu);
		nb_text_add(t, "}");
	}
	nb_text_add(t, "]");
}

static void add_pages(struct nb_text *t, const struct nb_stats_pages *p)
{
	uint32_t local = atomic_load(&nb.local_permille);

	nb_text_add(t, "\"pages\":{\"resident\":[");
	for (int nid = 0; nid < nb.topo.nr_nids; nid++)
		nb_text_add(t, "%s%llu", nid ? "," : "",
			    (unsigned long long)p->resident[nid]);
	nb_text_add(t, "],\"local_pct\":%u.%u}", local / 10, local % 10);
}

static void add_guard(struct nb_text *t)
{
	uint32_t sites = 0, bracketed = 0, unguarded = 0;

	for (int i = 0; i < nb_patch_nr_modules(); i++) {
		const struct nb_site_counts *c = &nb_patch_module(i)->counts;

		sites += c->candidates - c->false_hits;
		bracketed += c->kind[NB_SITE_BRACKET];
		unguarded += c->kind[NB_SITE_UNGUARDED];
	}
	nb_text_add(
		t,
		"\"guard\":{\"tier\":\"%s\",\"protection\":\"%s\","
		"\"sites\":%u,"
		"\"bracketed\":%u,\"unguarded\":%u,"
		"\"efault_holes\":%llu,\"lost_signals\":%llu},",
		nb_is_active() ? nb_tier_name(nb_guard_tier()) : "off",
		nb_protection->name, sites, bracketed, unguarded,
		(unsigned long long)nb_guard_holes(),
		(unsigned long long)atomic_load(&nb_fault_totals.frame_lost));
}

static void add_why(struct nb_text *t)
{
	static const char *const names[] = {
#define NAME(name, text, yes) #name,
		NB_WHY_LIST(NAME)
#undef NAME
	};
	const char *sep = "";

	nb_text_add(t, "\"decisions\":{");
	for (int i = 1; i < NB_NR_WHY; i++) {
		uint64_t n = atomic_load(&nb.why_count[i]);

		if (!n)
			continue;
		nb_text_add(t, "%s\"%s\":%llu", sep, names[i],
			    (unsigned long long)n);
		sep = ",";
	}
	nb_text_add(t, "}");
}

/* A process in which nothing was ever armed was idle, whatever it could. */
static int told_state(void)
{
	int state = atomic_load(&nb.state);

	if (state == NB_RUNNING && atomic_load(&nb.why) &&
	    !atomic_load(&nb.count.numa_pte_updates))
		return NB_IDLE;
	return state;
}

/**
 * nb_stats_json() - the whole object, one line
 * @t: where.
 * @pages: resident pages per node.
 *
 * Context: numabald, or when it has stopped.
 */
void nb_stats_json(struct nb_text *t, const struct nb_stats_pages *pages)
{
	int state = told_state();
	const char *why = atomic_load(&nb.why);

	nb_text_add(t, "{\"schema\":\"numabal.stats/1\",\"pid\":%d,\"comm\":",
		    atomic_load(&nb.pid));
	add_string(t, nb.comm);
	nb_text_add(t, ",\"version\":\"%d.%d.%d\",\"uptime_ms\":%llu,",
		    NUMABAL_VERSION_MAJOR, NUMABAL_VERSION_MINOR,
		    NUMABAL_VERSION_PATCH,
		    (unsigned long long)((nb_clock_ns() - nb.start_ns) /
					 NB_NSEC_PER_MSEC));
	nb_text_add(t, "\"state\":\"%s\",\"why\":", nb_state_name(state));
	add_string(t, why ? why : "");
	nb_text_add(t, ",");
	add_topology(t);
	nb_text_add(t, ",");
	add_counters(t);
	nb_text_add(t, ",");
	add_overhead(t);
	nb_text_add(t, ",");
	add_guard(t);
	add_tasks(t);
	add_groups(t);
	nb_text_add(t, ",");
	add_pages(t, pages);
	nb_text_add(t, ",\"kernel_balancing_kept_away\":%s,",
		    nb.mpol_local ? "true" : "false");
	add_why(t);
	nb_text_add(t, "}\n");
}

/**
 * nb_stats_text() - what a person wants to know, one screen
 * @t: where.
 * @pages: resident pages per node.
 *
 * Context: as nb_stats_json().
 */
void nb_stats_text(struct nb_text *t, const struct nb_stats_pages *pages)
{
	struct numabal_stats st = {.sz = sizeof(st)};
	const char *why = atomic_load(&nb.why);
	uint32_t local = atomic_load(&nb.local_permille);
	uint64_t pct = overhead_bp();

	nb_stats_collect(&st);
	nb_text_add(t, "numabal: %s (process %d): %s%s%s\n", nb.comm,
		    atomic_load(&nb.pid), nb_state_name(told_state()),
		    why ? ": " : "", why ? why : "");
	if (!st.numa_pte_updates && !has_tasks())
		return;
	nb_text_add(t, "  local accesses     %u.%u %% in the last pass\n",
		    local / 10, local % 10);
	nb_text_add(t, "  pages per node    ");
	for (int nid = 0; nid < nb.topo.nr_nids; nid++)
		nb_text_add(t, " %llu",
			    (unsigned long long)pages->resident[nid]);
	nb_text_add(t, "\n  pages moved        %llu (%llu refused)\n",
		    (unsigned long long)st.numa_pages_migrated,
		    (unsigned long long)st.numa_pages_migrate_fail);
	nb_text_add(t, "  threads re-pinned  %llu\n",
		    (unsigned long long)st.numa_task_migrated);
	nb_text_add(t, "  hint faults        %llu, longest %llu us\n",
		    (unsigned long long)st.numa_hint_faults,
		    (unsigned long long)atomic_load(&nb.max_fault_ns) / 1000);
	nb_text_add(t, "  cost               %llu us of CPU, %llu.%02llu %%\n",
		    (unsigned long long)nb_cost_ns() / 1000,
		    (unsigned long long)pct / 100,
		    (unsigned long long)pct % 100);
}
