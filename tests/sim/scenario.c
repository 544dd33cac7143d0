/* SPDX-License-Identifier: MIT */
/*
 * The scenarios.  Where nothing else is said there are as many threads as
 * CPUs, and a main thread on node 0 has used all memory first.
 */
#include "scenario.h"

#include <assert.h>
#include <stdlib.h>

#define SLICE ((uint64_t)sim_slice_mb * NB_MIB)

bool sim_huge_pages;
uint32_t sim_slice_mb = 32;

/* A mapping of one segment, first used from @nid. */
static int buffer(struct sim *s, int proc, uint64_t bytes, int nid)
{
	int seg =
		sim_add_seg(s, sim_add_region(s, proc, sim_huge_pages), bytes);

	if (nid != NB_NO_NODE)
		sim_touch(s, seg, nid);
	return seg;
}

static void use(struct sim *s, int thread, int seg, double weight,
		uint8_t write_pct)
{
	struct sim_use u = {seg, weight, write_pct, true};

	sim_use(s, thread, &u);
}

/* All over it, not from end to end. */
static void use_random(struct sim *s, int thread, int seg, double weight,
		       uint8_t write_pct)
{
	struct sim_use u = {seg, weight, write_pct, false};

	sim_use(s, thread, &u);
}

/* The next node that has CPUs. */
static int next_node(const struct sim *s, int nid)
{
	do
		nid = (nid + 1) % s->m.nr_nodes;
	while (!s->m.node_cpus[nid]);
	return nid;
}

static void private_main(struct sim *s)
{
	for (int i = 0; i < s->m.nr_cpus; i++)
		use(s, sim_add_thread(s, 0, NB_NO_NODE), buffer(s, 0, SLICE, 0),
		    1, 50);
}

static void private_local(struct sim *s)
{
	for (int i = 0; i < s->m.nr_cpus; i++) {
		int t = sim_add_thread(s, 0, NB_NO_NODE);

		use(s, t, buffer(s, 0, SLICE, sim_nid(s, t)), 1, 50);
	}
}

static void private_next(struct sim *s)
{
	for (int i = 0; i < s->m.nr_cpus; i++) {
		int t = sim_add_thread(s, 0, NB_NO_NODE);

		use(s, t, buffer(s, 0, SLICE, next_node(s, sim_nid(s, t))), 1,
		    50);
	}
}

static void bound(struct sim *s)
{
	private_next(s);
	for (int i = 0; i < s->nr_threads; i++) {
		struct nb_nodemask own = {1ULL << sim_nid(s, i)};

		sim_bind(s, i, own);
	}
}

static void locked(struct sim *s)
{
	private_next(s);
	for (int i = 0; i < s->nr_regions; i++)
		s->region[i].locked = true;
}

/* autonumabench: two processes, each with a buffer for all its threads. */
static void numa01(struct sim *s)
{
	int half = s->m.nr_cpus / 2;

	for (int p = 0; p < 2; p++) {
		int seg = buffer(s, p, (uint64_t)half * SLICE, 0);

		for (int i = 0; i < half; i++)
			use(s, sim_add_thread(s, p, NB_NO_NODE), seg, 1, 100);
	}
}

/* ... and the same with a slice of it for each thread. */
static void slices(struct sim *s, int proc, int nr)
{
	int region = sim_add_region(s, proc, sim_huge_pages);

	for (int i = 0; i < nr; i++) {
		int seg = sim_add_seg(s, region, SLICE);

		sim_touch(s, seg, 0);
		use(s, sim_add_thread(s, proc, NB_NO_NODE), seg, 1, 100);
	}
}

static void numa01_local(struct sim *s)
{
	slices(s, 0, s->m.nr_cpus / 2);
	slices(s, 1, s->m.nr_cpus / 2);
}

static void numa02(struct sim *s)
{
	slices(s, 0, s->m.nr_cpus);
}

static void numa02_smt(struct sim *s)
{
	slices(s, 0, s->m.nr_cpus / 2);
}

/* A team for each node, dealt out over all of them, with a common buffer. */
static void teams(struct sim *s)
{
	for (int n = 0; n < s->m.nr_nodes; n++) {
		int nr = s->m.node_cpus[n], common;

		if (!nr)
			continue;
		common = buffer(s, 0, (uint64_t)nr * SLICE / 2, 0);
		for (int i = 0; i < nr; i++) {
			int t = sim_add_thread(s, 0, NB_NO_NODE);

			use(s, t, common, 0.7, 30);
			use(s, t, buffer(s, 0, SLICE / 4, sim_nid(s, t)), 0.3,
			    50);
		}
	}
}

/* Teams of half a node's CPUs: two of them fit, three do not. */
static void small_teams(struct sim *s)
{
	int size = nb_max(s->m.node_cpus[0] / 2, 2), common = 0;

	for (int i = 0; i < s->m.nr_cpus; i++) {
		if (i % size == 0)
			common = buffer(s, 0, (uint64_t)size * SLICE, 0);
		use(s, sim_add_thread(s, 0, NB_NO_NODE), common, 1, 30);
	}
}

static void read_all(struct sim *s)
{
	int seg = buffer(s, 0, (uint64_t)s->m.nr_cpus * SLICE, 0);

	for (int i = 0; i < s->m.nr_cpus; i++)
		use(s, sim_add_thread(s, 0, NB_NO_NODE), seg, 1, 2);
}

static void write_all(struct sim *s)
{
	int seg = buffer(s, 0, (uint64_t)s->m.nr_cpus * SLICE / 2, 0);

	for (int i = 0; i < s->m.nr_cpus; i++) {
		int t = sim_add_thread(s, 0, NB_NO_NODE);

		use_random(s, t, seg, 0.7, 50);
		use(s, t, buffer(s, 0, SLICE / 2, sim_nid(s, t)), 0.3, 50);
	}
}

/* Pairs: one fills a queue, the other empties it; both have other work. */
static void prodcons(struct sim *s)
{
	int queue = 0;

	for (int i = 0; i < s->m.nr_cpus; i++) {
		int t = sim_add_thread(s, 0, NB_NO_NODE);

		if (i % 2 == 0)
			queue = buffer(s, 0, SLICE / 2, sim_nid(s, t));
		use(s, t, queue, 0.6, i % 2 ? 5 : 95);
		use(s, t, buffer(s, 0, SLICE / 2, sim_nid(s, t)), 0.4, 50);
	}
}

/* Every 20 s each thread goes on with another one's slice. */
static void phase_step(struct sim *s)
{
	uint64_t every = 20 * SIM_TICKS_PER_SEC;
	int by = s->m.node_cpus[0] + 1;

	if (!s->tick || s->tick % every)
		return;
	for (int i = 0; i < s->nr_threads; i++) {
		struct sim_use u = s->thread[i].use[0];

		sim_use_nothing(s, i);
		u.seg = (u.seg + by) % s->nr_segs;
		sim_use(s, i, &u);
	}
	sim_changed(s);
}

/* Every other second each thread takes new memory; all of it is local. */
static void stream_step(struct sim *s)
{
	int nr = s->m.nr_cpus, period = 2 * SIM_TICKS_PER_SEC;

	for (int i = 0; i < nr; i++) {
		struct sim_use u;

		if ((s->tick + (uint64_t)(i * period / nr)) % (uint64_t)period)
			continue;
		u = s->thread[i].use[0];
		sim_use_nothing(s, i);
		sim_drop_region(s, s->seg[u.seg].region);
		u.seg = buffer(s, 0, SLICE, sim_nid(s, i));
		sim_use(s, i, &u);
	}
}

/* A tenth of each thread's memory has nine tenths of its accesses. */
static void hotcold(struct sim *s)
{
	uint64_t cold = 0, all = 0;
	int nr = s->m.nr_cpus, hot;

	for (int n = 0; n < s->m.nr_nodes; n++)
		all += s->m.mem_4k[n] * 4096;
	/* Half of the machine's memory, and more than that of fast nodes. */
	cold = nb_min(all / 2 / (uint64_t)nr, 8 * SLICE);
	for (int i = 0; i < nr; i++) {
		int t = sim_add_thread(s, 0, NB_NO_NODE);

		use(s, t, buffer(s, 0, cold, 0), 0.1, 10);
		hot = buffer(s, 0, cold / 10, 0);
		use_random(s, t, hot, 0.9, 30);
	}
}

struct churn {
	int pool;
	int thread[NB_MAX_CPUS], seg[NB_MAX_CPUS];
};

/* Threads live for 4 s; the main thread prepares what they work on. */
static void churn_start(struct sim *s, int i)
{
	struct churn *c = s->scenario;
	int nr = s->m.nr_cpus, creator = c->thread[(i + 1) % nr];

	c->thread[i] = s->nr_threads < nr ? sim_add_thread(s, 0, NB_NO_NODE)
					  : sim_add_child(s, creator);
	c->seg[i] = buffer(s, 0, SLICE / 2, 0);
	use(s, c->thread[i], c->seg[i], 0.8, 50);
	use(s, c->thread[i], c->pool, 0.2, 10);
}

static void churn(struct sim *s)
{
	struct churn *c = calloc(1, sizeof(*c));

	assert(c);
	s->scenario = c;
	c->pool = buffer(s, 0, 4 * SLICE, 0);
	for (int i = 0; i < s->m.nr_cpus; i++)
		churn_start(s, i);
}

static void churn_step(struct sim *s)
{
	struct churn *c = s->scenario;
	int nr = s->m.nr_cpus, period = 4 * SIM_TICKS_PER_SEC;

	for (int i = 0; i < nr; i++) {
		if ((s->tick + (uint64_t)(i * period / nr)) %
			    (uint64_t)period ||
		    !s->tick)
			continue;
		sim_exit_thread(s, c->thread[i]);
		sim_drop_region(s, s->seg[c->seg[i]].region);
		churn_start(s, i);
		s->patterns_changed = true;
	}
}

struct helpers {
	int leader[NB_MAX_NODES], thread[NB_MAX_CPUS], seg[NB_MAX_CPUS];
	int pool[NB_MAX_NODES];
	int nr_leaders, per_leader;
};

/* It works on what its leader has, and on memory that it gets itself. */
static void helper_start(struct sim *s, int i)
{
	struct helpers *h = s->scenario;
	int leader = i / h->per_leader, t;

	t = sim_add_child(s, h->leader[leader]);
	h->thread[i] = t;
	h->seg[i] = buffer(s, 0, SLICE / 4, sim_nid(s, t));
	use(s, t, h->seg[i], 0.5, 50);
	use(s, t, h->pool[leader], 0.5, 10);
}

/* One thread on each node, with helpers that live for 2 s. */
static void helpers(struct sim *s)
{
	struct helpers *h = calloc(1, sizeof(*h));

	assert(h);
	s->scenario = h;
	h->per_leader = nb_max(s->m.nr_cpus / s->m.nr_nodes / 2 - 1, 1);
	for (int n = 0; n < s->m.nr_nodes; n++) {
		int i = h->nr_leaders;

		if (!s->m.node_cpus[n])
			continue;
		h->nr_leaders++;
		h->leader[i] = sim_add_thread(s, 0, n);
		h->pool[i] = buffer(s, 0, SLICE, n);
		use(s, h->leader[i], h->pool[i], 1, 50);
	}
	for (int i = 0; i < h->nr_leaders * h->per_leader; i++)
		helper_start(s, i);
}

static void helpers_step(struct sim *s)
{
	struct helpers *h = s->scenario;
	int nr = h->nr_leaders * h->per_leader, period = 2 * SIM_TICKS_PER_SEC;

	for (int i = 0; i < nr; i++) {
		/* All of a leader's end and begin together. */
		int at = i / h->per_leader * period / h->nr_leaders;

		if ((s->tick + (uint64_t)at) % (uint64_t)period || !s->tick)
			continue;
		sim_exit_thread(s, h->thread[i]);
		sim_drop_region(s, s->seg[h->seg[i]].region);
		helper_start(s, i);
		s->patterns_changed = true;
	}
}

/* Half as many threads again as CPUs, of which some want little. */
static void oversub(struct sim *s)
{
	for (int i = 0; i < s->m.nr_cpus * 3 / 2; i++) {
		int t = sim_add_thread(s, 0, NB_NO_NODE);

		if (i % 3 == 0)
			s->thread[t].duty_pct = 30;
		use(s, t, buffer(s, 0, SLICE * 3 / 4, 0), 1, 50);
	}
}

/* Memory of the nodes with CPUs is nearly full, and on the wrong ones. */
static void full(struct sim *s)
{
	for (int n = 0; n < s->m.nr_nodes; n++) {
		int cpus = s->m.node_cpus[n], on = next_node(s, n);
		uint64_t bytes;

		if (!cpus)
			continue;
		bytes = s->m.mem_4k[on] * 4096 / 100 * 90;
		for (int i = 0; i < cpus; i++)
			use(s, sim_add_thread(s, 0, n),
			    buffer(s, 0, bytes / (uint64_t)cpus, on), 1, 50);
	}
}

/* A database: all use the hot tables, each has memory of its own. */
static void database(struct sim *s)
{
	int nr = s->m.nr_cpus;
	int hot = buffer(s, 0, 4 * SLICE, 0);
	int warm = buffer(s, 0, (uint64_t)nr * SLICE / 2, 0);

	for (int i = 0; i < nr; i++) {
		int t = sim_add_thread(s, 0, NB_NO_NODE);

		use_random(s, t, hot, 0.3, 20);
		use_random(s, t, warm, 0.2, 5);
		use(s, t, buffer(s, 0, SLICE / 2, 0), 0.5, 50);
	}
}

/* A quarter of the CPUs would do, and all memory is on the last node. */
static void few(struct sim *s)
{
	int last = 0;

	for (int n = 0; n < s->m.nr_nodes; n++)
		if (s->m.node_cpus[n])
			last = n;
	for (int i = 0; i < nb_max(s->m.nr_cpus / 8, 1); i++)
		use(s, sim_add_thread(s, 0, NB_NO_NODE),
		    buffer(s, 0, 2 * SLICE, last), 1, 50);
}

const struct sim_scenario sim_scenarios[] = {
	{"private", "own memory, all on node 0", false, 60, private_main, NULL},
	{"local", "own memory, in its place", false, 60, private_local, NULL},
	{"next", "own memory, on the next node", false, 60, private_next, NULL},
	{"bound", "the same, threads bound by the program", false, 60, bound,
	 NULL},
	{"locked", "the same, memory cannot move", false, 60, locked, NULL},
	{"few", "few threads, their memory on one node", false, 60, few, NULL},
	{"numa01", "two processes, each shares a buffer", false, 60, numa01,
	 NULL},
	{"numa01-local", "the same, a slice for each thread", false, 60,
	 numa01_local, NULL},
	{"numa02", "slices of one buffer, first used by one", false, 60, numa02,
	 NULL},
	{"numa02-smt", "the same, half as many threads", false, 60, numa02_smt,
	 NULL},
	{"teams", "a team for each node, mixed up", false, 60, teams, NULL},
	{"small-teams", "two teams for each node, mixed up", false, 60,
	 small_teams, NULL},
	{"read-all", "one buffer that all read", false, 60, read_all, NULL},
	{"write-all", "one buffer that all write, own memory", false, 60,
	 write_all, NULL},
	{"prodcons", "pairs with a queue", false, 60, prodcons, NULL},
	{"database", "hot and warm tables for all, own memory", false, 60,
	 database, NULL},
	{"hotcold", "a hot tenth in much cold memory", false, 60, hotcold,
	 NULL},
	{"oversub", "more threads than CPUs, unequal", false, 60, oversub,
	 NULL},
	{"full", "90 % of memory, all on the next node", false, 60, full, NULL},
	{"phase", "every 20 s all slices change hands", true, 60, private_main,
	 phase_step},
	{"stream", "new local memory every 2 s", true, 60, private_local,
	 stream_step},
	{"churn", "threads live 4 s, memory from main", true, 60, churn,
	 churn_step},
	{"helpers", "threads live 2 s, made by one on each node", true, 60,
	 helpers, helpers_step},
};

const unsigned int sim_nr_scenarios = nb_array_size(sim_scenarios);
