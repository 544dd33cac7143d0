/* SPDX-License-Identifier: MIT */
/*
 * The shared code of work_private, work_shared and work_phase: the work
 * and the measuring. See work.h for the model, workplace.c for placement and
 * workopts.c for the options.
 *
 * It needs neither libnuma nor numabal, so that its numbers are a second
 * opinion: where pages are comes from move_pages(2) without target, where
 * threads are from getcpu(2) by the threads themselves. Placement leaves no
 * memory policy and (but for --pin) no affinity behind: a page is put on a
 * node by touching it from there.
 *
 * Each cache line of a buffer belongs to one lane, that is to one member of
 * the team, who alone adds 1 to its words; everybody reads them. So the value
 * of each word is known from how often its unit was done, and one lost or
 * stray write, or one page copied at the wrong moment, is found.
 */
#define _GNU_SOURCE
#include "work_int.h"

#include <errno.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define LINE_WORDS ((size_t)8)
#define UNIT_LINES (WORK_UNIT_BYTES / (LINE_WORDS * sizeof(uint64_t)))
/* Pages looked at per buffer and check: 0.5 ms, and 2 % at 95 % certainty. */
#define MAX_SAMPLES 2048
#define CHECKS_IN_A_ROW 3

/* What one check saw. */
struct sample {
	double time, pct;
	uint64_t units, node_moves;
	uint64_t pages[WORK_MAX_NODES];
};

const char *work_prog;

void work_warn(const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	fprintf(stderr, "%s: %s\n", work_prog, text);
}

static double now_s(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec + ts.tv_nsec / 1e9;
}

static void sleep_s(double s)
{
	struct timespec ts = {.tv_sec = (time_t)s};

	ts.tv_nsec = (long)((s - (double)ts.tv_sec) * 1e9);
	if (s > 0)
		nanosleep(&ts, NULL);
}

/* ---- the work ---- */

static int buf_of_team(const struct work *w, int team, int phase)
{
	return (team + phase) % w->nr_teams;
}

static void report_corrupt(struct work *w, const struct work_buf *b,
			   size_t word, uint64_t found, uint64_t expected)
{
	if (!atomic_exchange(&w->corrupt, true))
		work_warn(
			"CORRUPT: buffer %d, byte offset %zu (%p): found %#lx, "
			"expected %#lx",
			(int)(b - w->bufs), word * sizeof(uint64_t),
			(void *)&b->mem[word], found, expected);
}

/*
 * Read all lines of a unit and rewrite those of our lane. Relaxed atomics,
 * since members read lines that their owner is writing.
 */
static uint64_t do_unit(struct work_thread *t, struct work_buf *b, size_t unit)
{
	int nr_lanes = t->w->nr_lanes;
	int lane = (int)(unit * UNIT_LINES % nr_lanes);
	uint32_t *pass = &b->pass[t->member * t->w->nr_units + unit];
	uint64_t *line = b->mem + unit * UNIT_LINES * LINE_WORDS;
	uint64_t sum = 0, v, expected;

	for (size_t l = 0; l < UNIT_LINES; l++, line += LINE_WORDS) {
		bool mine = lane == t->member;

		v = __atomic_load_n(line, __ATOMIC_RELAXED);
		expected = work_first_value(t->w, b, line - b->mem) + *pass;
		if (mine && v != expected)
			report_corrupt(t->w, b, line - b->mem, v, expected);
		for (size_t i = 0; i < LINE_WORDS; i++) {
			v = __atomic_load_n(&line[i], __ATOMIC_RELAXED);
			sum += v;
			if (mine)
				__atomic_store_n(&line[i], v + 1,
						 __ATOMIC_RELAXED);
		}
		lane = lane + 1 == nr_lanes ? 0 : lane + 1;
	}
	++*pass;
	return sum;
}

/* Look at every word of our lanes; lanes without a member are shared out. */
static void verify_buf(struct work_thread *t, const struct work_buf *b)
{
	struct work *w = t->w;
	int nr_members =
		(w->opts.nr_threads - t->team + w->nr_teams - 1) / w->nr_teams;

	for (size_t l = 0; l < w->nr_units * UNIT_LINES; l++) {
		int lane = (int)(l % w->nr_lanes);
		uint32_t pass = b->pass[lane * w->nr_units + l / UNIT_LINES];

		if (lane % nr_members != t->member)
			continue;
		for (size_t i = l * LINE_WORDS; i < (l + 1) * LINE_WORDS; i++)
			if (b->mem[i] != work_first_value(w, b, i) + pass)
				report_corrupt(w, b, i, b->mem[i],
					       work_first_value(w, b, i) +
						       pass);
	}
}

/* vDSO, not a system call: no cost, and none that a balancer would add. */
static void note_node(struct work_thread *t)
{
	unsigned int nid = 0;

	getcpu(NULL, &nid);
	if ((int)nid == atomic_load_explicit(&t->nid, memory_order_relaxed))
		return;
	atomic_store_explicit(&t->nid, (int)nid, memory_order_relaxed);
	atomic_fetch_add_explicit(&t->node_moves, 1, memory_order_relaxed);
}

static size_t next_unit(struct work_thread *t, size_t unit)
{
	if (!t->w->opts.random)
		return unit + 1 < t->w->nr_units ? unit + 1 : 0;
	t->rng ^= t->rng << 13;
	t->rng ^= t->rng >> 7;
	t->rng ^= t->rng << 17;
	return t->rng % t->w->nr_units;
}

/* Work until told to stop; return the buffer that we had last. */
static struct work_buf *work_loop(struct work_thread *t)
{
	struct work *w = t->w;
	struct work_buf *b = &w->bufs[t->team];
	size_t unit = t->member * w->nr_units / w->nr_lanes;
	int phase = 0;

	for (;;) {
		/*
		 * stop before phase: main sets them the other way round, so
		 * that who sees stop has also seen the last phase, and nobody
		 * waits at the barrier in vain.
		 */
		bool stop = atomic_load(&w->stop);
		int cur = atomic_load(&w->phase);

		if (cur != phase) {
			phase = cur;
			b = &w->bufs[buf_of_team(w, t->team, phase)];
			pthread_barrier_wait(&w->phase_barrier);
			atomic_store(&w->phase_begun, phase);
		}
		if (stop)
			return b;
		atomic_fetch_add_explicit(&t->sum, do_unit(t, b, unit),
					  memory_order_relaxed);
		note_node(t);
		atomic_fetch_add_explicit(&t->units, 1, memory_order_relaxed);
		unit = next_unit(t, unit);
	}
}

static void *thread_main(void *arg)
{
	struct work_thread *t = arg;
	struct work *w = t->w;
	bool pins = t->start_nid != WORK_NID_ANY;

	if (pins)
		work_use_node(w, t->start_nid);
	if (t->member == 0)
		work_place_buf(w, &w->bufs[t->team]);
	if (pins)
		work_use_node(w, t->start_nid);
	note_node(t);
	atomic_store(&t->node_moves, 0);
	pthread_barrier_wait(&w->start_barrier); /* all is in place */
	pthread_barrier_wait(&w->start_barrier); /* main has looked at it */
	if (w->opts.pin == WORK_PIN_NONE)
		work_use_cpus(&w->allowed);
	verify_buf(t, work_loop(t));
	return NULL;
}

/* ---- measuring ---- */

/*
 * Ask where every k-th page of a buffer is and add to nr[], by node. Returns
 * how many were asked and found; those not there or on the move are left out.
 */
static size_t query_buf(const struct work *w, const struct work_buf *b,
			uint64_t *nr)
{
	static bool warned;
	static void *pages[MAX_SAMPLES];
	static int status[MAX_SAMPLES];
	size_t page = sysconf(_SC_PAGESIZE), nr_pages = w->buf_bytes / page;
	size_t step = (nr_pages + MAX_SAMPLES - 1) / MAX_SAMPLES;
	size_t asked = 0, found = 0;

	for (size_t i = 0; i < nr_pages; i += step)
		pages[asked++] = (char *)b->mem + i * page;
	if (syscall(SYS_move_pages, 0, asked, pages, NULL, status, 0)) {
		if (errno == ENOSYS && !w->max_nid) {
			nr[0] += asked;
			return asked;
		}
		if (!warned)
			work_warn("local_pages_pct is unknown: move_pages: %m");
		warned = true;
		return 0;
	}
	for (size_t i = 0; i < asked; i++) {
		if (status[i] < 0 || status[i] >= WORK_MAX_NODES)
			continue;
		nr[status[i]]++;
		found++;
	}
	return found;
}

static void take_sample(const struct work *w, struct sample *s, double time)
{
	size_t nr_pages = w->buf_bytes / sysconf(_SC_PAGESIZE);
	double local = 0, total = 0;
	int phase = atomic_load(&w->phase);

	memset(s, 0, sizeof(*s));
	s->time = time;
	for (int team = 0; team < w->nr_teams; team++) {
		const struct work_buf *b =
			&w->bufs[buf_of_team(w, team, phase)];
		uint64_t nr[WORK_MAX_NODES] = {0};
		size_t found = query_buf(w, b, nr);

		for (int i = team; i < w->opts.nr_threads; i += w->nr_teams) {
			local += nr[atomic_load(&w->threads[i].nid)];
			total += found;
		}
		for (int nid = 0; found && nid <= w->max_nid; nid++)
			s->pages[nid] += nr[nid] * nr_pages / found;
	}
	for (int i = 0; i < w->opts.nr_threads; i++) {
		s->units += atomic_load(&w->threads[i].units);
		s->node_moves += atomic_load(&w->threads[i].node_moves);
	}
	s->pct = total > 0 ? 100 * local / total : -1;
}

static void print_pages(const struct work *w, const uint64_t *pages)
{
	printf("[");
	for (int nid = 0; nid <= w->max_nid; nid++)
		printf("%s%lu", nid ? "," : "", pages[nid]);
	printf("]");
}

static double mb_of(double units)
{
	return units * WORK_UNIT_BYTES / (1 << 20);
}

static void print_progress(const struct work *w, const struct sample *s,
			   const struct sample *prev)
{
	double dt = s->time > prev->time ? s->time - prev->time : 1;
	double ops = (s->units - prev->units) / dt;

	printf("time=%.1f ops_per_s=%.1f mb_per_s=%.1f local_pages_pct=%.1f "
	       "task_node_moves=%lu pages=",
	       s->time, ops, mb_of(ops), s->pct,
	       s->node_moves - prev->node_moves);
	print_pages(w, s->pages);
	printf(" phase=%d\n", atomic_load(&w->phase));
}

static void print_map(const struct work *w, const char *when)
{
	size_t nr_pages = w->buf_bytes / sysconf(_SC_PAGESIZE);

	for (int i = 0; i < w->opts.nr_threads; i++) {
		const struct work_thread *t = &w->threads[i];
		int buf = buf_of_team(w, t->team, atomic_load(&w->phase));
		uint64_t nr[WORK_MAX_NODES] = {0};
		size_t found = query_buf(w, &w->bufs[buf], nr);

		for (int nid = 0; found && nid <= w->max_nid; nid++)
			nr[nid] = nr[nid] * nr_pages / found;
		printf("MAP when=%s thread=%d team=%d node=%d buffer=%d pages=",
		       when, i, t->team, atomic_load(&t->nid), buf);
		print_pages(w, nr);
		printf("\n");
	}
}

static void print_result(const struct work *w, const struct sample *first,
			 const struct sample *s, double time_to_95, bool json)
{
	double ops = s->time > 0 ? s->units / s->time : 0;

	printf(json ? "{\"local_pages_pct\":%.1f,\"mb_per_s\":%.1f,"
		      "\"seconds\":%.1f,\"time_to_95\":%.1f,"
		      "\"start_pct\":%.1f,\"ops_per_s\":%.1f,"
		      "\"task_node_moves\":%lu,\"threads\":%d,"
		      "\"teams\":%d,\"phase\":%d,\"corrupt\":%d,"
		      "\"program\":\"%s\",\"pages\":"
		    : "RESULT local_pages_pct=%.1f mb_per_s=%.1f "
		      "seconds=%.1f time_to_95=%.1f start_pct=%.1f "
		      "ops_per_s=%.1f task_node_moves=%lu threads=%d teams=%d "
		      "phase=%d corrupt=%d program=%s pages=",
	       s->pct, mb_of(ops), s->time, time_to_95, first->pct, ops,
	       s->node_moves, w->opts.nr_threads, w->nr_teams,
	       atomic_load(&w->phase), atomic_load(&w->corrupt), work_prog);
	print_pages(w, s->pages);
	printf(json ? "}\n" : "\n");
}

/* Say so when the kernel had to put a buffer elsewhere. */
static void check_placement(const struct work *w)
{
	for (int i = 0; i < w->nr_teams; i++) {
		const struct work_buf *b = &w->bufs[i];
		uint64_t nr[WORK_MAX_NODES] = {0};
		size_t found = query_buf(w, b, nr);

		if (b->nid >= 0 && nr[b->nid] < found * 9 / 10)
			work_warn("buffer %d: only %lu %% of it is on node %d, "
				  "which has %ld MiB free",
				  i, nr[b->nid] * 100 / found, b->nid,
				  work_node_free_mb(b->nid));
	}
}

/* How a run stands: what main decides on. */
struct progress {
	double start, time_to_95;
	int in_a_row, nr_missed;
};

/* Account one check. Returns true when there is nothing to wait for. */
static bool check(struct work *w, struct progress *p, const struct sample *s)
{
	const struct work_opts *o = &w->opts;
	int phase = atomic_load(&w->phase);
	bool last = phase + 1 == o->nr_phases;
	bool due = s->time >= o->seconds * (phase + 1) / o->nr_phases;
	bool reached;

	if (s->pct < 95)
		p->time_to_95 = -1;
	else if (p->time_to_95 < 0)
		p->time_to_95 = s->time;
	p->in_a_row = s->pct >= o->until_local ? p->in_a_row + 1 : 0;
	reached = o->until_local > 0 && p->in_a_row >= CHECKS_IN_A_ROW;
	if (atomic_load(&w->corrupt) || (last && reached))
		return true;
	if (s->time >= o->seconds) {
		p->nr_missed++;
		return true;
	}
	if (!last && (due || reached)) {
		p->nr_missed += !reached;
		p->in_a_row = 0;
		atomic_store(&w->phase, phase + 1);
		while (atomic_load(&w->phase_begun) != phase + 1)
			sleep_s(0.001);
	}
	return false;
}

static int monitor(struct work *w)
{
	const struct work_opts *o = &w->opts;
	double period = o->interval > 0 ? o->interval : 1;
	struct progress p = {.time_to_95 = -1};
	struct sample first, s, prev;

	pthread_barrier_wait(&w->start_barrier);
	check_placement(w);
	for (int i = 0; i < o->nr_fills; i++)
		work_fill_node(&o->fill[i]);
	take_sample(w, &first, 0);
	s = first;
	if (first.pct >= 95)
		p.time_to_95 = 0;
	if (o->interval > 0)
		print_progress(w, &s, &s);
	if (o->map)
		print_map(w, "start");
	pthread_barrier_wait(&w->start_barrier);
	p.start = now_s();
	do {
		double end = o->seconds * (atomic_load(&w->phase) + 1) /
			     o->nr_phases;
		double next = s.time + period;

		prev = s;
		sleep_s((next < end ? next : end) + p.start - now_s());
		take_sample(w, &s, now_s() - p.start);
		if (o->interval > 0)
			print_progress(w, &s, &prev);
	} while (!check(w, &p, &s));
	if (o->map)
		print_map(w, "end");
	atomic_store(&w->stop, true);
	for (int i = 0; i < o->nr_threads; i++)
		pthread_join(w->threads[i].pthread, NULL);
	print_result(w, &first, &s, p.time_to_95, false);
	if (o->json)
		print_result(w, &first, &s, p.time_to_95, true);
	if (atomic_load(&w->corrupt))
		return WORK_CORRUPT;
	return o->until_local > 0 && p.nr_missed ? WORK_NOT_REACHED : WORK_OK;
}

int work_main(const struct work_kind *kind, int argc, char **argv)
{
	static struct work work;
	struct work *w = &work;
	struct work_opts *o = &w->opts;

	work_prog = kind->name;
	setvbuf(stdout, NULL, _IOLBF, 0);
	w->kind = kind;
	work_find_nodes(w);
	*o = (struct work_opts){.mb = 64, .seconds = 10, .interval = 1};
	o->nr_threads =
		CPU_COUNT_S(sizeof(w->allowed), (const cpu_set_t *)&w->allowed);
	o->place = kind->has_phases ? WORK_PLACE_RIGHT : WORK_PLACE_WRONG;
	work_parse_options(w, argc, argv);
	work_check_options(w);
	w->bufs = calloc(w->nr_teams, sizeof(*w->bufs));
	w->threads = aligned_alloc(_Alignof(struct work_thread),
				   o->nr_threads * sizeof(*w->threads));
	if (!w->bufs || !w->threads)
		work_die(WORK_SETUP, "no memory for %d threads", o->nr_threads);
	memset(w->threads, 0, o->nr_threads * sizeof(*w->threads));
	work_plan(w);
	pthread_barrier_init(&w->start_barrier, NULL, o->nr_threads + 1);
	pthread_barrier_init(&w->phase_barrier, NULL, o->nr_threads);
	for (int i = 0; i < o->nr_threads; i++) {
		errno = pthread_create(&w->threads[i].pthread, NULL,
				       thread_main, &w->threads[i]);
		if (errno)
			work_die(WORK_SETUP, "thread %d of %d: %m", i + 1,
				 o->nr_threads);
	}
	return monitor(w);
}
