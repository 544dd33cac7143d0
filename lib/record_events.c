/* SPDX-License-Identifier: MIT */
/*
 * What is in the file of NUMABAL_RECORD: for every decision of policy all that
 * it was made from, and what it was.
 *
 * The hooks are called where the decisions are made, one call each, and do
 * nothing when no run is recorded.  They take down what comes from outside
 * (hint faults, where pages are, what threads did, how busy nodes are), not
 * what policy keeps between decisions: that a replay builds up itself, also
 * with another policy.
 *
 * Owns the list of regions that the file has.  Runs in numabald only.
 */
#include "record.h"

#include "nb.h"
#include "plat/arena.h"
#include "plat/cycles.h"
#include "regions.h"
#include "tasks.h"

#include <string.h>
#include <sys/syscall.h>
#include <time.h>

/* Reasons and their like: no longer than this. */
#define MAX_TEXT 256

static struct nb_vma *known; /* NB_MAX_REGIONS of them */
static int nr_known;
static uint64_t told[NB_NR_WHY]; /* decisions that the file has */

/* [NB_RECORD_TYPE_field] = value */
#define SET(t, field, value) [NB_RECORD_##t##_##field] = (int64_t)(value)
#define EVENT(t, ...)                                                          \
	(struct nb_record_event)                                               \
	{                                                                      \
		.type = NB_RECORD_##t, .nr = NB_RECORD_##t##_NR,               \
		.v = { __VA_ARGS__ }                                           \
	}

static void add_text(struct nb_record_event *ev, const char *text, size_t max)
{
	ev->text = text;
	ev->text_len = strnlen(text, max);
	nb_record_add(ev);
}

static uint64_t wall_ns(void)
{
	struct timespec ts = {0};

	nb_syscall6(SYS_clock_gettime, CLOCK_REALTIME, (long)&ts, 0, 0, 0, 0);
	return (uint64_t)ts.tv_sec * NB_NSEC_PER_SEC + (uint64_t)ts.tv_nsec;
}

static void add_process(void)
{
	struct nb_record_event ev =
		EVENT(PROCESS, SET(PROCESS, pid, atomic_load(&nb.pid)),
		      SET(PROCESS, time_ns, nb_clock_ns()),
		      SET(PROCESS, wall_ns, wall_ns()),
		      SET(PROCESS, major, NUMABAL_VERSION_MAJOR),
		      SET(PROCESS, minor, NUMABAL_VERSION_MINOR),
		      SET(PROCESS, patch, NUMABAL_VERSION_PATCH));

	add_text(&ev, nb.comm, sizeof(nb.comm));
}

/* The numbers of reasons are those of this version. */
static void add_reasons(void)
{
	static const char *const names[] = {
#define NAME(name, text, yes) #name,
		NB_WHY_LIST(NAME)
#undef NAME
	};

	for (int i = 0; i < NB_NR_WHY; i++) {
		struct nb_record_event ev =
			EVENT(WHY, SET(WHY, code, i),
			      SET(WHY, yes, nb_why_is_yes((enum nb_why)i)));

		add_text(&ev, names[i], MAX_TEXT);
	}
}

static void add_cpus(struct nb_record_event *ev, const struct nb_cpumask *cpus)
{
	struct nb_text t;
	size_t size;
	char *buf;

	if (!nb_record_on())
		return;
	buf = nb_record_scratch(&size);
	nb_text_init(&t, buf, size);
	nb_text_add_cpulist(&t, cpus);
	add_text(ev, buf, size);
}

static void add_machine(void)
{
	const struct nb_topology *t = &nb.topo;
	struct nb_record_event ev =
		EVENT(MACHINE, SET(MACHINE, nr_nids, t->nr_nids),
		      SET(MACHINE, nr_cpus, t->nr_cpus),
		      SET(MACHINE, topology_type, t->type),
		      SET(MACHINE, page_bytes, nb.page_bytes));
	int nid, to;

	add_cpus(&ev, &t->cpus_allowed);
	nb_for_each_nid (nid, &t->online) {
		ev = EVENT(NODE, SET(NODE, nid, nid),
			   SET(NODE, has_cpu, nb_node_isset(&t->has_cpu, nid)),
			   SET(NODE, has_memory,
			       nb_node_isset(&t->has_memory, nid)),
			   SET(NODE, mems_allowed,
			       nb_node_isset(&t->mems_allowed, nid)),
			   SET(NODE, mem_total_kb, t->mem_total_kb[nid]));
		add_cpus(&ev, &t->node_cpus[nid]);
	}
	nb_for_each_nid (nid, &t->online) {
		nb_for_each_nid (to, &t->online) {
			ev = EVENT(
				DISTANCE, SET(DISTANCE, from, nid),
				SET(DISTANCE, to, to),
				SET(DISTANCE, distance, t->distance[nid][to]));
			nb_record_add(&ev);
		}
	}
}

static void add_options(void)
{
	struct nb_record_event ev = EVENT(
		OPTIONS, SET(OPTIONS, nodes, nb.cfg.nodes.bits),
		SET(OPTIONS, mode, nb.cfg.mode),
		SET(OPTIONS, move_pages, nb.cfg.move_pages),
		SET(OPTIONS, move_tasks, nb.cfg.move_tasks),
		SET(OPTIONS, migrate_rate_mbps, nb.cfg.migrate_rate_mbps));
	size_t size;
	char *buf;

	if (!nb_record_on())
		return;
	buf = nb_record_scratch(&size);
	nb_config_display(&nb.cfg, buf, size);
	add_text(&ev, buf, size);
}

/**
 * nb_record_start() - numabald begins
 * @now_ns: the time with which its rate limit began.
 * @own_descriptors: it has a table of descriptors of its own.
 *
 * Context: numabald, first of all.
 */
void nb_record_start(uint64_t now_ns, bool own_descriptors)
{
	struct nb_record_event ev;

	if (nb_record_open(own_descriptors)) {
		nr_known = 0;
		memset(told, 0, sizeof(told));
	}
	if (!nb_record_on())
		return;
	if (!known)
		known = nb_arena_map(NB_MAX_REGIONS * sizeof(*known));
	add_process();
	add_reasons();
	add_machine();
	add_options();
	ev = EVENT(START, SET(START, time_ns, now_ns),
		   SET(START, cycles, nb_cycles()));
	nb_record_add(&ev);
}

/*
 * Some are made elsewhere, by threads that start as well: the file has how many
 * there were.
 */
static void add_others(uint64_t now_ns)
{
	for (int i = 0; i < NB_NR_WHY; i++) {
		uint64_t all = atomic_load(&nb.why_count[i]);
		struct nb_record_event ev = EVENT(OTHER, SET(OTHER, why, i),
						  SET(OTHER, nr, all - told[i]),
						  SET(OTHER, time_ns, now_ns));

		if (all <= told[i])
			continue;
		nb_record_add(&ev);
		told[i] = all;
	}
}

/**
 * nb_record_stop() - numabald ends
 *
 * Context: numabald, last of all.
 */
void nb_record_stop(void)
{
	struct nb_record_event ev =
		EVENT(STOP, SET(STOP, time_ns, nb_clock_ns()),
		      SET(STOP, state, atomic_load(&nb.state)));
	const char *why = atomic_load(&nb.why);

	if (nb_record_on())
		add_others(nb_clock_ns());
	add_text(&ev, why ? why : "", MAX_TEXT);
	nb_record_close();
}

static int slot_of(const struct nb_task *t)
{
	return (int)(t - nb_task_at(0));
}

/**
 * nb_record_task() - a task that is new
 * @t: the task.
 *
 * Context: numabald.
 */
void nb_record_task(const struct nb_task *t)
{
	struct nb_record_event ev =
		EVENT(TASK, SET(TASK, slot, slot_of(t)), SET(TASK, id, t->id),
		      SET(TASK, tid, t->tid));

	add_text(&ev, t->comm, sizeof(t->comm));
}

/**
 * nb_record_task_end() - a task that is gone
 * @t: the task, as it was.
 *
 * Context: numabald.
 */
void nb_record_task_end(const struct nb_task *t)
{
	struct nb_record_event ev =
		EVENT(TASK_END, SET(TASK_END, slot, slot_of(t)),
		      SET(TASK_END, id, t->id));

	nb_record_add(&ev);
}

static void add_region(const struct nb_vma *v, bool there)
{
	struct nb_record_event ev = EVENT(REGION, SET(REGION, there, there),
					  SET(REGION, start, v->start),
					  SET(REGION, bytes, v->end - v->start),
					  SET(REGION, flags, v->flags));

	nb_record_add(&ev);
}

static bool same(const struct nb_vma *a, const struct nb_vma *b)
{
	return a->start == b->start && a->end == b->end && a->flags == b->flags;
}

/* Both lists are in the order of addresses. */
static void add_regions(const struct nb_vma *vmas, int nr)
{
	int i = 0, k = 0;

	if (!known)
		return;
	while (i < nr || k < nr_known) {
		if (i < nr && k < nr_known && same(&vmas[i], &known[k])) {
			i++;
			k++;
		} else if (k < nr_known &&
			   (i == nr || known[k].start <= vmas[i].start)) {
			add_region(&known[k++], false);
		} else {
			add_region(&vmas[i++], true);
		}
	}
	if (nr)
		memcpy(known, vmas, (size_t)nr * sizeof(*known));
	nr_known = nr;
}

/**
 * nb_record_scan() - a scan has ended
 * @now_ns: when it began.
 * @vmas: the memory that may be armed, in the order of addresses.
 * @nr: how many mappings that is.
 * @pages_armed: pages in what was armed.
 *
 * Context: numabald.
 */
void nb_record_scan(uint64_t now_ns, const struct nb_vma *vmas, int nr,
		    uint64_t pages_armed)
{
	struct nb_record_event ev;

	if (!nb_record_on())
		return;
	add_regions(vmas, nr);
	ev = EVENT(SCAN, SET(SCAN, time_ns, now_ns),
		   SET(SCAN, scan_seq, nb.scan.scan_seq),
		   SET(SCAN, pages_armed, pages_armed),
		   SET(SCAN, rss_bytes, nb.rss_bytes),
		   SET(SCAN, scan_period_ms, nb.period.scan_period_ms));
	nb_record_add(&ev);
}

/**
 * nb_record_batch() - hint faults that were decided on together
 * @now_ns: when.
 * @nr: how many; nb_record_sample() follows for each, in order.
 *
 * Context: numabald.
 */
void nb_record_batch(uint64_t now_ns, unsigned int nr)
{
	struct nb_record_event ev;

	if (!nb_record_on())
		return;
	ev = EVENT(BATCH, SET(BATCH, nr_samples, nr),
		   SET(BATCH, time_ns, now_ns), SET(BATCH, cycles, nb_cycles()),
		   SET(BATCH, tasks_off, !nb_may_move_tasks()));
	nb_record_add(&ev);
}

/**
 * nb_record_sample() - a hint fault, and what became of it
 * @s: all of it.
 *
 * Context: numabald.
 */
void nb_record_sample(const struct nb_record_sample *s)
{
	const struct nb_hint_fault *f = s->fault;
	struct nb_record_event ev;

	if (!nb_record_on())
		return;
	told[s->why]++;
	ev = EVENT(SAMPLE, SET(SAMPLE, slot, slot_of(s->task)),
		   SET(SAMPLE, addr, f->addr),
		   SET(SAMPLE, before, f->addr - s->move->start),
		   SET(SAMPLE, bytes, s->move->end - s->move->start),
		   SET(SAMPLE, chunk_shift, s->chunk_shift),
		   SET(SAMPLE, age_cycles, nb_cycles() - f->cycles),
		   SET(SAMPLE, cpu, f->cpu), SET(SAMPLE, cpu_nid, f->nid),
		   SET(SAMPLE, page_nid, s->page_nid),
		   SET(SAMPLE, flags, f->flags),
		   SET(SAMPLE, region_flags, s->region_flags),
		   SET(SAMPLE, no_history, s->no_history),
		   SET(SAMPLE, not_movable, s->not_movable),
		   SET(SAMPLE, why, s->why),
		   SET(SAMPLE, dst_nid, s->move->dst_nid),
		   SET(SAMPLE, nr_moved, s->move->nr_moved),
		   SET(SAMPLE, nr_failed, s->move->nr_failed),
		   SET(SAMPLE, result, s->move->why),
		   SET(SAMPLE, tier_why, s->tier_why));
	nb_record_add(&ev);
}

static void add_load(int nid, const struct nb_node_load *l)
{
	struct nb_record_event ev = EVENT(
		LOAD, SET(LOAD, nid, nid), SET(LOAD, nr_cpus, l->nr_cpus),
		SET(LOAD, nr_idle, l->nr_idle),
		SET(LOAD, nr_running, l->nr_running),
		SET(LOAD, run_ns, l->run_ns), SET(LOAD, wait_ns, l->wait_ns),
		SET(LOAD, own_milli, l->own_milli),
		SET(LOAD, busy_milli, l->busy_milli));

	nb_record_add(&ev);
}

static void add_use(const struct nb_task *t)
{
	const struct nb_task_view *v = &t->view;
	struct nb_record_event ev = EVENT(
		USE, SET(USE, slot, slot_of(t)), SET(USE, time_ns, t->d_ns),
		SET(USE, run_ns, t->d_run_ns), SET(USE, wait_ns, t->d_wait_ns),
		SET(USE, current_nid, v->current_nid),
		SET(USE, pinned_nid, v->pinned_nid),
		SET(USE, running, v->running), SET(USE, bound, v->bound),
		SET(USE, numa_preferred_nid, v->numa_preferred_nid),
		SET(USE, why, t->place_why));

	told[t->place_why]++;
	nb_record_add(&ev);
}

static int nr_tasks(void)
{
	struct nb_task *t;
	int i, nr = 0;

	nb_for_each_task (t, i)
		nr++;
	return nr;
}

/**
 * nb_record_round() - the threads were placed
 * @now_ns: when.
 * @place: what it was done with; nb_task.view and .place_why have the rest.
 *
 * Context: numabald, before nb.pass begins anew.
 */
void nb_record_round(uint64_t now_ns, const struct nb_task_place *place)
{
	struct nb_record_event ev;
	struct nb_task *t;
	int i, nid;

	if (!nb_record_on())
		return;
	ev = EVENT(ROUND,
		   SET(ROUND, nr_loads, nb_nodes_weight(&nb.topo.online)),
		   SET(ROUND, nr_uses, nr_tasks()), SET(ROUND, time_ns, now_ns),
		   SET(ROUND, turn, place->turn),
		   SET(ROUND, rss_bytes, nb.rss_bytes),
		   SET(ROUND, scan_period_ms, nb.period.scan_period_ms),
		   SET(ROUND, local_pages, nb.pass.local),
		   SET(ROUND, remote_pages, nb.pass.remote));
	nb_record_add(&ev);
	nb_for_each_nid (nid, &nb.topo.online)
		add_load(nid, &place->load[nid]);
	nb_for_each_task (t, i)
		add_use(t);
	add_others(now_ns);
}
