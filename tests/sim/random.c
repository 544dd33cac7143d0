/* SPDX-License-Identifier: MIT */
/*
 * Programs by chance: one to three processes, each of a few groups of threads
 * that use memory by one pattern.  Some patterns change while they run.
 */
#include "random.h"

#include "rand.h"

#include <assert.h>
#include <stdlib.h>

const char *const sim_pattern_names[SIM_NR_PATTERNS] = {
#define SIM_PATTERN_NAME(name) #name,
	SIM_PATTERNS(SIM_PATTERN_NAME)
#undef SIM_PATTERN_NAME
};

/* A group of threads, as it is made. */
struct group {
	struct sim *s;
	struct sim_random *r;
	enum sim_pattern what;
	int proc, nr;
	uint64_t bytes; /* of a thread */
	bool thp;
	uint32_t where; /* memory is first used: main's, own, any node */
	int main_nid;
};

static uint32_t between(struct sim_random *r, uint32_t from, uint32_t to)
{
	return from + sim_rand_below(&r->rng, to - from + 1);
}

static bool one_in(struct sim_random *r, uint32_t n)
{
	return sim_rand_below(&r->rng, n) == 0;
}

static struct sim_random *random_of(const struct sim *s)
{
	return s->scenario;
}

/* Half of the room that is left at most, or -1: a page does not fit. */
static int buffer(struct sim *s, int proc, bool thp, uint64_t bytes, int nid)
{
	uint32_t page_4k = thp ? 512 : s->grain_4k;
	uint64_t room = sim_room_4k(s, proc, page_4k) / 2 * 4096;
	int seg;

	bytes = nb_min(bytes, room);
	if (bytes < page_4k * 4096ULL)
		return -1;
	/* Not rounded up. */
	bytes -= bytes % (page_4k * 4096ULL);
	seg = sim_add_seg(s, sim_add_region(s, proc, thp), bytes);
	sim_touch(s, seg, nid);
	return seg;
}

static int group_buffer(struct group *g, uint64_t bytes, int thread)
{
	int nid = g->main_nid;

	if (g->where == 1 && thread >= 0)
		nid = sim_nid(g->s, thread);
	if (g->where == 2)
		nid = (int)between(g->r, 0, (uint32_t)g->s->m.nr_nodes - 1);
	return buffer(g->s, g->proc, g->thp, bytes, nid);
}

/* A thread for which no memory is left has nothing to do. */
static void use(struct sim *s, int thread, int seg, double weight,
		uint32_t write_pct)
{
	struct sim_random *r = random_of(s);
	struct sim_use u = {seg, weight, (uint8_t)write_pct, one_in(r, 2)};

	if (seg >= 0)
		sim_use(s, thread, &u);
	else
		s->thread[thread].duty_pct = 0;
}

static int new_thread(struct group *g)
{
	int nid = one_in(g->r, 8) ? g->main_nid : NB_NO_NODE;

	return sim_add_thread(g->s, g->proc, nid);
}

static struct sim_slot *new_slot(struct group *g, int thread, int seg)
{
	struct sim_slot *sl;

	if (g->r->nr_slots == SIM_MAX_SLOTS)
		return NULL;
	sl = &g->r->slot[g->r->nr_slots++];
	*sl = (struct sim_slot){
		.what = g->what,
		.proc = g->proc,
		.thread = thread,
		.seg = seg,
		.pool = -1,
		.bytes = g->bytes,
		.period = between(g->r, 50, 1500),
	};
	sl->at = between(g->r, 1, sl->period);
	return sl;
}

static int private_thread(struct group *g, struct sim_slot **sl)
{
	int t = new_thread(g), seg = group_buffer(g, g->bytes, t);

	use(g->s, t, seg, 1, 50);
	*sl = seg >= 0 && g->what >= SIM_FIRST_CHANGING ? new_slot(g, t, seg)
							: NULL;
	return t;
}

/* Own memory; the same that changes, or whose threads are bound. */
static void make_private(struct group *g)
{
	uint64_t all = UINT64_MAX;

	for (int i = 0; i < g->nr; i++) {
		struct sim_slot *sl;
		int t = private_thread(g, &sl);

		if (g->what == SIM_P_imbalance)
			g->s->thread[t].duty_pct = between(g->r, 0, 100);
		if (g->what == SIM_P_bound)
			sim_bind(g->s, t,
				 (struct nb_nodemask){all &
						      sim_rand(&g->r->rng)});
		if (g->what == SIM_P_locked && g->s->nr_regions)
			g->s->region[g->s->nr_regions - 1].locked = true;
	}
}

static void make_slices(struct group *g)
{
	int region = sim_add_region(g->s, g->proc, g->thp);
	uint32_t page_4k = g->s->region[region].page_4k;
	uint64_t page = page_4k * 4096ULL;

	for (int i = 0; i < g->nr; i++) {
		int t = new_thread(g), seg = -1;
		uint64_t room = sim_room_4k(g->s, g->proc, page_4k) / 2 * 4096;
		uint64_t bytes = nb_min(g->bytes, room) / page * page;

		/* A thread that starts makes no memory: it is still the last */
		if (bytes) {
			seg = sim_add_seg(g->s, region, bytes);
			sim_touch(g->s, seg,
				  g->where == 1 ? sim_nid(g->s, t)
						: g->main_nid);
		}
		use(g->s, t, seg, 1, 100);
	}
}

/* Some threads share a buffer, and have other memory. */
static void make_team(struct group *g)
{
	int size = (int)between(g->r, 2, 8), common = -1;

	for (int i = 0; i < g->nr; i++) {
		int t = new_thread(g);

		if (i % size == 0)
			common = group_buffer(g, g->bytes * (uint32_t)size / 2,
					      -1);
		use(g->s, t, common, 0.7, between(g->r, 0, 50));
		use(g->s, t, group_buffer(g, g->bytes / 2, t), 0.3, 50);
	}
}

static void make_all(struct group *g)
{
	int seg = group_buffer(g, g->bytes * (uint32_t)g->nr / 2, -1);
	uint32_t write_pct = g->what == SIM_P_read_all ? 2 : 50;
	bool own = one_in(g->r, 2);

	for (int i = 0; i < g->nr; i++) {
		int t = new_thread(g);

		use(g->s, t, seg, own ? 0.7 : 1, write_pct);
		if (own)
			use(g->s, t, group_buffer(g, g->bytes / 2, t), 0.3, 50);
	}
}

static void make_prodcons(struct group *g)
{
	int queue = -1;

	for (int i = 0; i < g->nr; i++) {
		int t = new_thread(g);

		if (i % 2 == 0)
			queue = group_buffer(g, g->bytes / 2, t);
		use(g->s, t, queue, 0.6, i % 2 ? 5 : 95);
		use(g->s, t, group_buffer(g, g->bytes / 2, t), 0.4, 50);
	}
}

static void make_hotcold(struct group *g)
{
	for (int i = 0; i < g->nr; i++) {
		int t = new_thread(g);

		use(g->s, t, group_buffer(g, g->bytes * 2, t), 0.1, 10);
		use(g->s, t, group_buffer(g, g->bytes / 8, t), 0.9, 30);
	}
}

static void churn_start(struct sim *s, struct sim_slot *sl)
{
	sl->thread = sim_add_thread(s, sl->proc, NB_NO_NODE);
	sl->seg = buffer(s, sl->proc, false, sl->bytes, 0);
	use(s, sl->thread, sl->seg, 0.8, 50);
	use(s, sl->thread, sl->pool, 0.2, 10);
}

static void make_churn(struct group *g)
{
	int pool = group_buffer(g, 2 * g->bytes, -1);

	for (int i = 0; i < g->nr; i++) {
		struct sim_slot *sl = new_slot(g, -1, -1);

		if (!sl)
			return;
		sl->pool = pool;
		churn_start(g->s, sl);
	}
}

static void make(struct group *g)
{
	switch (g->what) {
	case SIM_P_slices:
		return make_slices(g);
	case SIM_P_team:
		return make_team(g);
	case SIM_P_read_all:
	case SIM_P_write_all:
		return make_all(g);
	case SIM_P_prodcons:
		return make_prodcons(g);
	case SIM_P_hotcold:
		return make_hotcold(g);
	case SIM_P_churn:
		return make_churn(g);
	default:
		return make_private(g);
	}
}

static void step_churn(struct sim *s, struct sim_slot *sl)
{
	sim_exit_thread(s, sl->thread);
	if (sl->seg >= 0)
		sim_drop_region(s, s->seg[sl->seg].region);
	churn_start(s, sl);
}

static void step_stream(struct sim *s, struct sim_slot *sl)
{
	bool thp = s->region[s->seg[sl->seg].region].thp;
	int seg;

	sim_use_nothing(s, sl->thread);
	sim_drop_region(s, s->seg[sl->seg].region);
	seg = buffer(s, sl->proc, thp, sl->bytes, sim_nid(s, sl->thread));
	use(s, sl->thread, seg, 1, 50);
	if (seg < 0)
		sl->what = SIM_NR_PATTERNS; /* there is no more memory */
	sl->seg = seg;
}

/* Two threads of a group change memory. */
static void step_phase(struct sim *s, struct sim_slot *sl)
{
	struct sim_random *r = random_of(s);
	struct sim_slot *other =
		&r->slot[sim_rand_below(&r->rng, (uint32_t)r->nr_slots)];
	int seg = sl->seg;

	if (other->what != sl->what || other->proc != sl->proc)
		return;
	sl->seg = other->seg;
	other->seg = seg;
	sim_use_nothing(s, sl->thread);
	sim_use_nothing(s, other->thread);
	use(s, sl->thread, sl->seg, 1, 50);
	if (other != sl)
		use(s, other->thread, other->seg, 1, 50);
}

static void step_slot(struct sim *s, struct sim_slot *sl)
{
	struct sim_random *r = random_of(s);
	struct nb_nodemask nodes = {UINT64_MAX};

	switch (sl->what) {
	case SIM_P_churn:
		return step_churn(s, sl);
	case SIM_P_stream:
		return step_stream(s, sl);
	case SIM_P_phase:
		return step_phase(s, sl);
	case SIM_P_rebind:
		if (one_in(r, 2))
			nodes.bits = sim_rand(&r->rng);
		return sim_bind(s, sl->thread, nodes);
	case SIM_P_sleepy:
		s->thread[sl->thread].duty_pct =
			one_in(r, 2) ? 0 : between(r, 1, 100);
		return;
	default:
		return;
	}
}

static void step(struct sim *s)
{
	struct sim_random *r = random_of(s);

	for (int i = 0; i < r->nr_slots; i++) {
		struct sim_slot *sl = &r->slot[i];

		if (s->tick % sl->period == sl->at % sl->period && s->tick) {
			step_slot(s, sl);
			sim_changed(s);
		}
	}
}

static enum sim_pattern draw(struct sim_random *r)
{
	uint32_t end = r->changes ? SIM_NR_PATTERNS : SIM_FIRST_CHANGING;
	uint32_t i;

	/* Of those wanted there may be none of the kind: then any of them. */
	if (!(r->wanted & ((1U << end) - 1)))
		end = SIM_NR_PATTERNS;
	do
		i = sim_rand_below(&r->rng, end);
	while (!(r->wanted >> i & 1));
	return (enum sim_pattern)i;
}

static void make_process(struct sim *s, int proc, int nr, uint64_t mib)
{
	struct sim_random *r = random_of(s);
	struct sim_limits l = sim_random_limits(&s->m, &r->rng);
	struct nb_nodemask nodes;
	int groups = (int)between(r, 1, 3);

	sim_limit(s, proc, &l);
	nodes = sim_cpu_nodes(s, proc);
	for (int i = 0; i < groups; i++) {
		struct group g = {
			.s = s,
			.r = r,
			.what = draw(r),
			.proc = proc,
			.nr = nb_max(nr / groups, 1),
			.bytes = mib * NB_MIB,
			.thp = one_in(r, 5),
			.where = between(r, 0, 2),
			.main_nid = nb_node_next(&nodes, 0),
		};

		r->patterns |= 1U << g.what;
		r->changes |= g.what >= SIM_FIRST_CHANGING;
		make(&g);
	}
}

static void setup(struct sim *s)
{
	struct sim_random *r = random_of(s);
	int procs = one_in(r, 2) ? 1 : (int)between(r, 1, 3);
	/* From a few threads to half as many again as CPUs. */
	int nr = s->m.nr_cpus * (int)between(r, 1, 6) / 4 / procs;

	for (int i = 0; i < procs; i++) {
		/* Little time for much memory: the ceiling is reached. */
		if (one_in(r, 6))
			make_process(s, i, (int)between(r, 1, 3),
				     between(r, 128, 1024));
		else
			make_process(s, i, nb_max(nr, 1), between(r, 4, 48));
	}
}

const struct sim_scenario sim_random_scenario = {
	.name = "random",
	.doc = "patterns by chance",
	.secs = 60,
	.setup = setup,
	.step = step,
};

/**
 * sim_random_new() - a machine and a program
 * @seed: of both
 * @wanted: the patterns to draw from, a bit each; 0: all
 *
 * Return: to be the scenario (s->scenario) of a simulation on its machine,
 * which frees it.
 */
struct sim_random *sim_random_new(uint64_t seed, uint32_t wanted)
{
	struct sim_random *r = calloc(1, sizeof(*r));

	assert(r);
	r->rng = sim_rand_seed(seed);
	r->wanted = wanted ? wanted : (1U << SIM_NR_PATTERNS) - 1;
	r->grain_4k = 4U << 2 * sim_rand_below(&r->rng, 2);
	r->scan_period_min_ms = one_in(r, 3) ? between(r, 1, 200) : 1000;
	sim_random_machine(&r->m, &r->rng);
	r->changes = one_in(r, 2);
	return r;
}
