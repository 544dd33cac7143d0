/* SPDX-License-Identifier: MIT */
/*
 * Events of a recorded run: each is checked, whatever the file is, and kept for
 * the decisions.  Nothing that policy is given is out of the bounds that the
 * library keeps.
 */
#include "replay.h"

#include "../../lib/base/parse.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define V(t, field) (ev->v[NB_RECORD_##t##_##field])
#define MAX_MBPS (1 << 20) /* lib/option.h */

/* One line about what cannot be; the first one stays. */
int replay_wrong(struct replay *r, const char *fmt, ...)
{
	va_list ap;

	if (!r->err[0]) {
		va_start(ap, fmt);
		vsnprintf(r->err, sizeof(r->err), fmt, ap);
		va_end(ap);
	}
	return -EINVAL;
}

static bool in(int64_t v, int64_t lo, int64_t hi)
{
	return v >= lo && v <= hi;
}

static bool is_nid(int64_t v)
{
	return in(v, NB_NO_NODE, NB_MAX_NODES - 1);
}

static void take_text(char *out, size_t size, const struct nb_record_event *ev)
{
	size_t n = nb_min(ev->text_len, size - 1);

	memcpy(out, ev->text, n);
	out[n] = '\0';
	for (size_t i = 0; i < n; i++)
		if (out[i] < 0x20 || out[i] > 0x7e)
			out[i] = '?';
}

static int process(struct replay *r, const struct nb_record_event *ev)
{
	take_text(r->comm, sizeof(r->comm), ev);
	r->pid = V(PROCESS, pid);
	r->version[0] = V(PROCESS, major);
	r->version[1] = V(PROCESS, minor);
	r->version[2] = V(PROCESS, patch);
	if (!r->start_ns)
		r->start_ns = (uint64_t)V(PROCESS, time_ns);
	return 0;
}

static int why(struct replay *r, const struct nb_record_event *ev)
{
	int64_t code = V(WHY, code);

	if (!in(code, 0, 255))
		return replay_wrong(r, "a reason has number %lld",
				    (long long)code);
	take_text(r->why_name[code], sizeof(r->why_name[code]), ev);
	r->why_of[code] = -1;
	for (int i = 0; i < NB_NR_WHY; i++)
		if (!strcmp(r->why_name[code], replay_why_name((enum nb_why)i)))
			r->why_of[code] = i;
	return 0;
}

/* A reason that was introduced. */
static bool is_why(const struct replay *r, int64_t v)
{
	return in(v, 0, 255) && r->why_name[v][0];
}

static int cpus(struct replay *r, struct nb_cpumask *mask,
		const struct nb_record_event *ev)
{
	char *text = malloc(ev->text_len + 1);
	int err = -ENOMEM;

	memset(mask, 0, sizeof(*mask));
	if (!text)
		return -ENOMEM;
	memcpy(text, ev->text, ev->text_len);
	text[ev->text_len] = '\0';
	err = *text ? nb_parse_cpulist(text, mask) : 0;
	free(text);
	return err ? replay_wrong(r, "a list of CPUs is none") : 0;
}

static int machine(struct replay *r, const struct nb_record_event *ev)
{
	struct nb_topology *t = &r->topo;
	int64_t page = V(MACHINE, page_bytes);

	if (!in(V(MACHINE, nr_nids), 1, NB_MAX_NODES) ||
	    !in(V(MACHINE, nr_cpus), 1, NB_MAX_CPUS) ||
	    !in(V(MACHINE, topology_type), 0, NB_TOPOLOGY_BACKPLANE) ||
	    !in(page, 4096, 1 << 20) || (page & (page - 1)))
		return replay_wrong(r, "the machine cannot be");
	memset(t, 0, sizeof(*t));
	t->nr_nids = (int)V(MACHINE, nr_nids);
	t->nr_cpus = (int)V(MACHINE, nr_cpus);
	t->type = (enum nb_topology_type)V(MACHINE, topology_type);
	r->page_bytes = (uint32_t)page;
	for (int i = 0; i < NB_MAX_CPUS; i++)
		t->cpu_to_nid[i] = NB_NO_NODE;
	r->has_machine = true;
	return cpus(r, &t->cpus_allowed, ev);
}

static int node(struct replay *r, const struct nb_record_event *ev)
{
	struct nb_topology *t = &r->topo;
	int nid = (int)V(NODE, nid);
	int cpu, err;

	if (!r->has_machine || !in(V(NODE, nid), 0, t->nr_nids - 1))
		return replay_wrong(r, "a node is not of the machine");
	nb_node_set(&t->online, nid);
	if (V(NODE, has_cpu))
		nb_node_set(&t->has_cpu, nid);
	if (V(NODE, has_memory))
		nb_node_set(&t->has_memory, nid);
	if (V(NODE, mems_allowed))
		nb_node_set(&t->mems_allowed, nid);
	t->mem_total_kb[nid] = (uint64_t)V(NODE, mem_total_kb);
	err = cpus(r, &t->node_cpus[nid], ev);
	nb_for_each_cpu (cpu, &t->node_cpus[nid])
		t->cpu_to_nid[cpu] = (int16_t)nid;
	return err;
}

static int distance(struct replay *r, const struct nb_record_event *ev)
{
	int64_t from = V(DISTANCE, from), to = V(DISTANCE, to);

	if (!in(from, 0, NB_MAX_NODES - 1) || !in(to, 0, NB_MAX_NODES - 1) ||
	    !in(V(DISTANCE, distance), 0, UINT16_MAX))
		return replay_wrong(r, "a distance cannot be");
	r->topo.distance[from][to] = (uint16_t)V(DISTANCE, distance);
	return 0;
}

static int options(struct replay *r, const struct nb_record_event *ev)
{
	int64_t mbps = V(OPTIONS, migrate_rate_mbps);

	if (!in(mbps, 0, MAX_MBPS))
		return replay_wrong(r, "the migration rate cannot be");
	r->nodes.bits = (uint64_t)V(OPTIONS, nodes);
	r->rate.bytes_per_sec = (uint64_t)mbps * NB_MIB;
	r->has_options = true;
	return 0;
}

static int start(struct replay *r, const struct nb_record_event *ev)
{
	if (!r->has_machine || !r->has_options)
		return replay_wrong(r, "it starts without a machine");
	r->last_ns = (uint64_t)V(START, time_ns);
	nb_rate_limit_init(&r->rate, r->rate.bytes_per_sec, r->last_ns);
	r->started = true;
	return 0;
}

static int task(struct replay *r, const struct nb_record_event *ev)
{
	if (!in(V(TASK, slot), 0, REPLAY_MAX_SLOTS - 1) ||
	    !in(V(TASK, id), 1, UINT32_MAX) || !in(V(TASK, tid), 0, INT32_MAX))
		return replay_wrong(r, "a task cannot be");
	replay_task_begin(r, (int)V(TASK, slot), (uint32_t)V(TASK, id),
			  (int32_t)V(TASK, tid));
	r->nr_tasks++;
	return 0;
}

static int task_end(struct replay *r, const struct nb_record_event *ev)
{
	if (!in(V(TASK_END, slot), 0, REPLAY_MAX_SLOTS - 1))
		return replay_wrong(r, "a task cannot be");
	replay_task_begin(r, (int)V(TASK_END, slot), 0, 0);
	return 0;
}

static bool is_task(const struct replay *r, int64_t slot)
{
	return in(slot, 0, REPLAY_MAX_SLOTS - 1) && r->task[slot].id;
}

static int batch(struct replay *r, const struct nb_record_event *ev)
{
	int64_t nr = V(BATCH, nr_samples);

	if (!r->started || !in(nr, 0, REPLAY_MAX_BATCH))
		return replay_wrong(r, "%lld samples cannot come at once",
				    (long long)nr);
	r->want_sample = (uint32_t)nr;
	r->batch_ns = r->last_ns = (uint64_t)V(BATCH, time_ns);
	r->tasks_off = V(BATCH, tasks_off);
	return 0;
}

static int sample(struct replay *r, const struct nb_record_event *ev)
{
	struct replay_sample *s;
	int64_t shift = V(SAMPLE, chunk_shift);

	if (r->nr_sample >= r->want_sample)
		return replay_wrong(r, "a sample is not of a batch");
	if (!is_task(r, V(SAMPLE, slot)))
		return replay_wrong(r, "a sample has no task");
	if (!in(shift, 12, 30) || 1LL << shift < r->page_bytes ||
	    !is_nid(V(SAMPLE, cpu_nid)) || !is_nid(V(SAMPLE, page_nid)) ||
	    !is_nid(V(SAMPLE, dst_nid)) || !is_why(r, V(SAMPLE, why)) ||
	    !is_why(r, V(SAMPLE, not_movable)) ||
	    !is_why(r, V(SAMPLE, result)) || !is_why(r, V(SAMPLE, tier_why)) ||
	    !in(V(SAMPLE, nr_moved), 0, UINT32_MAX) ||
	    !in(V(SAMPLE, nr_failed), 0, UINT32_MAX))
		return replay_wrong(r, "a sample cannot be");
	s = &r->sample[r->nr_sample++];
	*s = (struct replay_sample){
		.slot = (int)V(SAMPLE, slot),
		.addr = (uint64_t)V(SAMPLE, addr),
		.bytes = (uint64_t)V(SAMPLE, bytes),
		.chunk_shift = (unsigned int)shift,
		.cpu_nid = (int)V(SAMPLE, cpu_nid),
		.page_nid = (int)V(SAMPLE, page_nid),
		.no_history = V(SAMPLE, no_history),
		.waits = r->why_of[V(SAMPLE, why)] == NB_WHY_PAGE_WAITS,
		.why = (int)V(SAMPLE, why),
		.dst_nid = (int)V(SAMPLE, dst_nid),
		.nr_moved = (uint32_t)V(SAMPLE, nr_moved),
		.nr_failed = (uint32_t)V(SAMPLE, nr_failed),
		.result = r->why_of[V(SAMPLE, result)],
	};
	/* A reason that this version has not: it moves nothing either. */
	s->not_movable = (enum nb_why)r->why_of[V(SAMPLE, not_movable)];
	if (r->why_of[V(SAMPLE, not_movable)] < 0)
		s->not_movable = NB_WHY_PAGE_OFF;
	if (r->why_of[V(SAMPLE, tier_why)] > 0)
		s->tier_why = (enum nb_why)r->why_of[V(SAMPLE, tier_why)];
	return r->nr_sample == r->want_sample ? replay_batch(r) : 0;
}

static int round_begin(struct replay *r, const struct nb_record_event *ev)
{
	if (!r->started || !in(V(ROUND, nr_loads), 0, NB_MAX_NODES) ||
	    !in(V(ROUND, nr_uses), 0, REPLAY_MAX_SLOTS))
		return replay_wrong(r, "a round cannot be");
	r->want_load = (uint32_t)V(ROUND, nr_loads);
	r->want_use = (uint32_t)V(ROUND, nr_uses);
	r->round_ns = r->last_ns = (uint64_t)V(ROUND, time_ns);
	memset(&r->place, 0, sizeof(r->place));
	r->place.topo = &r->topo;
	r->place.nodes = r->nodes;
	r->place.turn = V(ROUND, turn);
	return r->want_load || r->want_use ? 0 : replay_round(r);
}

static int load(struct replay *r, const struct nb_record_event *ev)
{
	bool ok = r->want_load && in(V(LOAD, nid), 0, NB_MAX_NODES - 1);

	for (int i = NB_RECORD_LOAD_nr_cpus; i <= NB_RECORD_LOAD_nr_running;
	     i++)
		ok = ok && in(ev->v[i], 0, NB_MAX_CPUS);
	if (!ok || !in(V(LOAD, own_milli), 0, UINT32_MAX) ||
	    !in(V(LOAD, busy_milli), 0, UINT32_MAX))
		return replay_wrong(r, "the load of a node cannot be");
	r->place.load[V(LOAD, nid)] = (struct nb_node_load){
		.nr_cpus = (uint32_t)V(LOAD, nr_cpus),
		.nr_idle = (uint32_t)V(LOAD, nr_idle),
		.nr_running = (uint32_t)V(LOAD, nr_running),
		.run_ns = (uint64_t)V(LOAD, run_ns),
		.wait_ns = (uint64_t)V(LOAD, wait_ns),
		.own_milli = (uint32_t)V(LOAD, own_milli),
		.busy_milli = (uint32_t)V(LOAD, busy_milli),
	};
	r->want_load--;
	return r->want_load || r->want_use ? 0 : replay_round(r);
}

static int use(struct replay *r, const struct nb_record_event *ev)
{
	struct replay_use *u;

	if (r->want_load || r->nr_use >= r->want_use)
		return replay_wrong(r, "what a task did is not of a round");
	if (!is_task(r, V(USE, slot)) || !is_nid(V(USE, current_nid)) ||
	    !is_nid(V(USE, pinned_nid)) ||
	    !is_nid(V(USE, numa_preferred_nid)) || !is_why(r, V(USE, why)))
		return replay_wrong(r, "what a task did cannot be");
	u = &r->use[r->nr_use++];
	*u = (struct replay_use){
		.slot = (int)V(USE, slot),
		.d_ns = (uint64_t)V(USE, time_ns),
		.d_run_ns = (uint64_t)V(USE, run_ns),
		.view = {.current_nid = (int)V(USE, current_nid),
			 .pinned_nid = (int)V(USE, pinned_nid),
			 .running = V(USE, running),
			 .bound = V(USE, bound)},
		.off = r->why_of[V(USE, why)] == NB_WHY_TASK_OFF,
		.preferred_nid = (int)V(USE, numa_preferred_nid),
		.why = (int)V(USE, why),
	};
	return r->nr_use == r->want_use ? replay_round(r) : 0;
}

static int other(struct replay *r, const struct nb_record_event *ev)
{
	if (!is_why(r, V(OTHER, why)) || !in(V(OTHER, nr), 0, INT64_MAX))
		return replay_wrong(r, "a decision cannot be");
	r->other[V(OTHER, why)] += (uint64_t)V(OTHER, nr);
	return 0;
}

/* Nothing but samples comes before the last one of a batch; so with rounds. */
static bool expected(const struct replay *r, uint32_t type)
{
	if (r->want_sample)
		return type == NB_RECORD_SAMPLE;
	if (r->want_load || r->want_use)
		return type == NB_RECORD_LOAD || type == NB_RECORD_USE;
	return true;
}

int replay_event(struct replay *r, const struct nb_record_event *ev)
{
	static int (*const take[])(struct replay *,
				   const struct nb_record_event *) = {
		[NB_RECORD_PROCESS] = process,
		[NB_RECORD_WHY] = why,
		[NB_RECORD_MACHINE] = machine,
		[NB_RECORD_NODE] = node,
		[NB_RECORD_DISTANCE] = distance,
		[NB_RECORD_OPTIONS] = options,
		[NB_RECORD_START] = start,
		[NB_RECORD_TASK] = task,
		[NB_RECORD_TASK_END] = task_end,
		[NB_RECORD_BATCH] = batch,
		[NB_RECORD_SAMPLE] = sample,
		[NB_RECORD_ROUND] = round_begin,
		[NB_RECORD_LOAD] = load,
		[NB_RECORD_USE] = use,
		[NB_RECORD_OTHER] = other,
	};

	if (!nb_record_type_info(ev->type))
		return 0; /* of a later version */
	if (!expected(r, ev->type) && ev->type != NB_RECORD_LIMIT)
		return replay_wrong(r, "an event is not where it belongs");
	r->end = REPLAY_CUT;
	if (ev->type == NB_RECORD_STOP)
		r->end = REPLAY_STOP;
	if (ev->type == NB_RECORD_LIMIT)
		r->end = REPLAY_LIMIT;
	if (ev->type == NB_RECORD_SCAN)
		r->nr_scans++;
	if (ev->type >= nb_array_size(take) || !take[ev->type])
		return 0;
	return take[ev->type](r, ev);
}
