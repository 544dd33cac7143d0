/* SPDX-License-Identifier: MIT */
/*
 * A tick of time: threads run, memory serves them, armed pages that they touch
 * become hint faults, and the brain has its turn.
 *
 * An access is a cache line from memory.  At a distance of 10 it takes 16 ns,
 * which is 4 GB/s for a thread that does nothing else; at other distances, and
 * where memory or a link on the way is asked for more than it can give, as
 * much more.  So the cost of an access is distance / 10 x crowding.
 */
#include "engine.h"

#include "rand.h"

#define LINE_BYTES 64.0
#define FULL 0.95 /* of its bandwidth: what memory can give at most */

/* Of @touches expected: the chance that there is one.  1 - exp(-x), about. */
static double chance(double touches)
{
	if (touches >= 3)
		return 1;
	return touches / (1 + touches / 2 + touches * touches / 12);
}

/* Share out a CPU's tick among its threads, from @first on. */
static void share_cpu(struct sim *s, int cpu, int first)
{
	struct sim_thread *t;
	double left = 1;
	int nr = 0, open;

	for (int i = first; i >= 0; i = s->thread[i].next)
		nr++;
	/* Who wants less than an equal part leaves the rest to others. */
	for (int round = 0; round < 4 && nr && left > 1e-6; round++) {
		double part = left / nr;

		open = 0;
		for (int i = first; i >= 0; i = t->next) {
			double want, got;

			t = &s->thread[i];
			want = t->duty_pct / 100.0 - t->share;
			got = nb_min(want, part);
			t->share += got;
			left -= got;
			open += want > part;
		}
		nr = open;
	}
	s->busy_ns[cpu] += (1 - left) * SIM_TICK_NS;
}

static void share_cpus(struct sim *s)
{
	static int first[NB_MAX_CPUS];

	for (int cpu = 0; cpu < s->m.nr_cpus; cpu++)
		first[cpu] = -1;
	for (int i = s->nr_threads - 1; i >= 0; i--) {
		struct sim_thread *t = &s->thread[i];

		t->share = 0;
		t->accesses = 0;
		if (!t->alive || !t->duty_pct)
			continue;
		t->next = first[t->cpu];
		first[t->cpu] = i;
	}
	for (int cpu = 0; cpu < s->m.nr_cpus; cpu++)
		share_cpu(s, cpu, first[cpu]);
}

/* What an access of a thread on @nid to a segment costs, on average. */
static double price_of(const struct sim *s, const struct sim_seg *g, int nid)
{
	double sum = 0;

	if (g->one_nid != NB_NO_NODE)
		return s->price[nid][g->one_nid];
	for (int n = 0; n < s->m.nr_nodes; n++)
		sum += g->nr_on[n] * s->price[nid][n];
	return sum / g->nr;
}

static void serve(struct sim *s, struct sim_window *w, int nid,
		  const struct sim_use *u, double accesses)
{
	const struct sim_seg *g = &s->seg[u->seg];
	double bytes = accesses * LINE_BYTES * (1 + u->write_pct / 100.0);

	w->local += accesses * g->nr_on[nid] / g->nr;
	if (g->one_nid != NB_NO_NODE) {
		s->bytes[nid][g->one_nid] += bytes;
		return;
	}
	for (int n = 0; n < s->m.nr_nodes; n++)
		s->bytes[nid][n] += bytes * g->nr_on[n] / g->nr;
}

static void run_thread(struct sim *s, struct sim_window *w, int i)
{
	struct sim_thread *t = &s->thread[i];
	double ns = t->share * SIM_TICK_NS, paid = nb_min(t->debt_ns, ns);
	double wanted = t->duty_pct / 100.0 * SIM_TICK_NS, price = 0;
	int nid = sim_nid(s, i);

	t->run_ns += (uint64_t)ns;
	t->wait_ns += (uint64_t)(wanted - ns);
	t->debt_ns -= paid;
	ns -= paid;
	w->cost_ns += paid;
	for (uint32_t k = 0; k < t->nr_uses; k++)
		price += t->use[k].weight *
			 price_of(s, &s->seg[t->use[k].seg], nid);
	if (!t->nr_uses)
		return;
	t->accesses = ns / (SIM_ACCESS_NS * price);
	w->acc += t->accesses;
	w->wanted_ns += wanted;
	w->price_ns += wanted * price;
	w->needed_ns += wanted * price * wanted / (t->share * SIM_TICK_NS);
	for (uint32_t k = 0; k < t->nr_uses; k++)
		serve(s, w, nid, &t->use[k], t->accesses * t->use[k].weight);
}

/* How often each page of a segment was touched, up to each of its users. */
static void add_touches(struct sim *s, struct sim_seg *g)
{
	double lines = s->region[g->region].page_4k * 4096.0 / LINE_BYTES;
	double cum = 0;

	for (uint32_t k = 0; k < g->nr_users; k++) {
		struct sim_user *user = &g->user[k];
		const struct sim_thread *t = &s->thread[user->thread];
		const struct sim_use *u = &t->use[user->use];
		double touches = t->accesses * u->weight / g->nr;

		cum += u->sweep ? touches / lines : touches;
		user->cum = cum;
	}
}

static void run_threads(struct sim *s, struct sim_window *w)
{
	share_cpus(s);
	for (int i = 0; i < s->nr_threads; i++)
		if (s->thread[i].alive && s->thread[i].duty_pct)
			run_thread(s, w, i);
	for (int i = 0; i < s->nr_segs; i++)
		if (s->seg[i].nr_users)
			add_touches(s, &s->seg[i]);
}

static const struct sim_user *pick_user(struct sim *s, const struct sim_seg *g)
{
	double at = sim_rand_unit(&s->rng) * g->user[g->nr_users - 1].cum;
	uint32_t lo = 0, hi = g->nr_users - 1;

	while (lo < hi) {
		uint32_t mid = (lo + hi) / 2;

		if (g->user[mid].cum > at)
			hi = mid;
		else
			lo = mid + 1;
	}
	return &g->user[lo];
}

static void fire(struct sim *s, const struct sim_seg *g, struct sim_unit u)
{
	const struct sim_user *user = pick_user(s, g);
	const struct sim_use *use = &s->thread[user->thread].use[user->use];
	uint32_t from = nb_max(u.start, g->first);
	uint32_t to = nb_min(u.start + u.nr, g->first + g->nr);
	struct sim_fault f = {
		.thread = user->thread,
		.cpu = s->thread[user->thread].cpu,
		.nid = sim_nid(s, user->thread),
		.page = from + sim_rand_below(&s->rng, to - from),
		.start = u.start,
		.nr = u.nr,
		.write = sim_rand_below(&s->rng, 100) < use->write_pct,
		.times = 1,
	};

	if (s->brain->small_faults && !s->region[g->region].thp)
		f.times = u.nr * s->region[g->region].page_4k;
	sim_disarm(s, u.start, u.nr);
	s->total.faults += f.times;
	if (s->brain->hint_fault)
		s->brain->hint_fault(s->ctx, &f);
}

/* The pages of a unit that are in the segment; 0: disarmed since. */
static uint32_t part_of(const struct sim *s, const struct sim_seg *g,
			const struct sim_unit *u)
{
	uint32_t from = nb_max(u->start, g->first);

	if (s->arm_seq[u->start] != u->seq)
		return 0;
	return nb_min(u->start + u->nr, g->first + g->nr) - from;
}

/*
 * Instead of asking of each unit whether it was touched: so many are, which?
 * Those of less than the largest size have less of a chance.
 */
static void fault_in(struct sim *s, struct sim_seg *g)
{
	double touches = g->user[g->nr_users - 1].cum;
	double all = chance(touches * g->max_unit);
	uint32_t nr;

	if (touches <= 0)
		return;
	nr = (uint32_t)(g->nr_units * all + sim_rand_unit(&s->rng));
	for (; nr && g->nr_units; nr--) {
		uint32_t i = sim_rand_below(&s->rng, g->nr_units);
		struct sim_unit u = g->unit[i];
		uint32_t part = part_of(s, g, &u);

		if (part &&
		    sim_rand_unit(&s->rng) * all > chance(touches * part))
			continue;
		g->unit[i] = g->unit[--g->nr_units];
		if (part)
			fire(s, g, u);
	}
	if (!g->nr_units)
		g->max_unit = 0;
}

static double crowding(double before, double bytes, uint32_t mbps)
{
	double limit = mbps * 1e6 * FULL / SIM_TICKS_PER_SEC;
	double use = nb_clamp(bytes / limit, 0.5, 2.0);

	return nb_max(before * (1 + use) / 2, 1.0);
}

/**
 * sim_crowd() - let the traffic of this tick tell how crowded the next is
 * @s: the simulation
 */
void sim_crowd(struct sim *s)
{
	double link[NB_MAX_NODES][NB_MAX_NODES];
	int nr = s->m.nr_nodes;

	for (int a = 0; a < nr; a++)
		for (int b = 0; b < nr; b++)
			link[a][b] = 0;
	for (int m = 0; m < nr; m++) {
		double sum = 0;

		for (int n = 0; n < nr; n++) {
			sum += s->bytes[n][m];
			for (int a = m; a != n; a = s->m.hop[a][n])
				link[a][s->m.hop[a][n]] += s->bytes[n][m];
		}
		s->crowd_mem[m] =
			crowding(s->crowd_mem[m], sum, s->m.mem_mbps[m]);
	}
	for (int a = 0; a < nr; a++) {
		for (int b = 0; b < nr; b++) {
			s->bytes[a][b] = 0;
			if (s->m.link_mbps[a][b])
				s->crowd_link[a][b] = crowding(
					s->crowd_link[a][b], link[a][b],
					s->m.link_mbps[a][b]);
		}
	}
}

/**
 * sim_prices() - what an access from each node to each costs, from crowding
 * @s: the simulation
 */
void sim_prices(struct sim *s)
{
	for (int n = 0; n < s->m.nr_nodes; n++) {
		for (int m = 0; m < s->m.nr_nodes; m++) {
			double worst = s->crowd_mem[m];

			for (int a = m; a != n; a = s->m.hop[a][n])
				worst = nb_max(
					worst,
					s->crowd_link[a][s->m.hop[a][n]]);
			s->price[n][m] = s->m.distance[n][m] / 10.0 * worst;
		}
	}
}

/**
 * sim_tick() - 10 ms
 * @s: the simulation
 */
void sim_tick(struct sim *s)
{
	uint64_t at = s->tick / SIM_WINDOW_TICKS;
	struct sim_window *w = &s->window[nb_min(at, SIM_MAX_WINDOWS - 1ULL)];
	struct sim_totals before = s->total;

	if (s->patterns_changed && s->brain->patterns)
		s->brain->patterns(s->ctx);
	s->patterns_changed = false;
	sim_schedule(s);
	run_threads(s, w);
	for (int i = 0; i < s->nr_segs; i++)
		if (s->seg[i].nr_units && s->seg[i].nr_users)
			fault_in(s, &s->seg[i]);
	if (s->brain->tick)
		s->brain->tick(s->ctx);
	sim_crowd(s);
	sim_prices(s);
	w->moved += s->total.moved - before.moved;
	w->task_moves += s->total.moves - before.moves;
	w->faults += s->total.faults - before.faults;
	s->now_ns += SIM_TICK_NS;
	s->tick++;
}
