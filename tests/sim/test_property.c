/* SPDX-License-Identifier: MIT */
/*
 * What must hold for numabal's policy on every machine and for every program:
 * many of them, by chance (random.c), each watched in every tick (what
 * check_brain.c says) and at the end:
 *
 * - every page is on a node that its process may use;
 * - the same seed does the same twice;
 * - a program that always does the same comes to rest: in the last third, once
 *   its cost does not change any more, at most MOVES_PER_PAGE of its pages move
 *   in a minute, and MOVES_PER_THREAD threads (not asked with -e).
 *
 * A seed that fails is printed, and fails again with -s SEED -n 1.
 */
#include "check_brain.h"
#include "rand.h"
#include "random.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define MOVES_PER_PAGE 0.3
#define MOVES_PER_THREAD 0.5

static uint64_t first_seed = 1, count = 300;
static uint32_t secs = 60, jobs, wanted; /* jobs 0: one per CPU */
static bool rest = true, verbose;

static void usage(FILE *f)
{
	fprintf(f, "usage: test_property [options]\n"
		   "  -s SEED  the first seed (1)\n"
		   "  -n N     how many (300)\n"
		   "  -T SECS  simulated time (60)\n"
		   "  -p LIST  patterns, with commas (all)\n"
		   "  -e       programs need not come to rest\n"
		   "  -j N     processes (as many as CPUs, 8 at most)\n"
		   "  -v       a line for each seed\n");
}

static bool parse_patterns(char *list)
{
	for (char *p = strtok(list, ","); p; p = strtok(NULL, ",")) {
		int i = 0;

		while (i < SIM_NR_PATTERNS && strcmp(p, sim_pattern_names[i]))
			i++;
		if (i == SIM_NR_PATTERNS)
			return false;
		wanted |= 1U << i;
	}
	return true;
}

static void check_end(struct sim *s)
{
	struct check *c = check_of(s);

	for (uint32_t p = 0; p < s->nr_pages && !c->bad[0]; p++) {
		const struct sim_limits *l =
			&s->limits[sim_region_of(s, p)->proc];

		if (s->page_nid[p] != SIM_NOWHERE &&
		    !nb_node_isset(&l->mems, s->page_nid[p]))
			snprintf(c->bad, sizeof(c->bad),
				 "at the end: page %u is on node %d", p,
				 s->page_nid[p]);
	}
}

static void check_rest(struct sim *s, const struct sim_result *r)
{
	struct check *c = check_of(s);

	if (c->bad[0] || ((const struct sim_random *)s->scenario)->changes)
		return;
	if (r->moves_per_page > MOVES_PER_PAGE)
		snprintf(c->bad, sizeof(c->bad),
			 "no rest: %.2f moves per page and minute",
			 r->moves_per_page);
	else if (r->moves_per_thread > MOVES_PER_THREAD)
		snprintf(c->bad, sizeof(c->bad),
			 "no rest: %.2f moves per thread and minute",
			 r->moves_per_thread);
}

/* FNV-1a of where everything is. */
static uint64_t hash_of(const struct sim *s)
{
	uint64_t h = 0xcbf29ce484222325ULL;

	for (uint32_t p = 0; p < s->nr_pages; p++)
		h = (h ^ s->page_nid[p]) * 0x100000001b3ULL;
	for (int i = 0; i < s->nr_threads; i++)
		h = (h ^ (uint64_t)s->thread[i].cpu) * 0x100000001b3ULL;
	return h;
}

static void describe(FILE *f, uint64_t seed, const struct sim *s,
		     const struct sim_result *r)
{
	const struct sim_random *rnd = s->scenario;
	const struct check *c = check_of(s);
	double worst = c->proc[0].worst;
	uint32_t flips = 0;

	for (int i = 0; i < s->nr_procs; i++) {
		worst = nb_max(worst, c->proc[i].worst);
		flips += c->proc[i].flips;
	}
	fprintf(f,
		"seed %llu: %d nodes, %d CPUs, %d threads, %d processes, "
		"%llu MiB, cost %.3f %.3f, overhead %.2f %%, flips %u, of allowed "
		"%.2f, converged %.1f s, osc %.2f %.2f, heap %.2f:",
		(unsigned long long)seed, s->m.nr_nodes, s->m.nr_cpus,
		s->nr_threads, s->nr_procs,
		(unsigned long long)r->nr_pages_4k / 256, r->cost, r->end_cost,
		100 * r->overhead, flips, worst, r->converged_s,
		r->moves_per_page, r->moves_per_thread, c->fullest);
	for (int i = 0; i < SIM_NR_PATTERNS; i++)
		if (rnd->patterns >> i & 1)
			fprintf(f, " %s", sim_pattern_names[i]);
	fprintf(f, "\n");
}

static bool run_seed(uint64_t seed, uint64_t *hash, bool again)
{
	struct sim_random *rnd = sim_random_new(seed, wanted);
	struct sim *s = sim_new(&rnd->m, &check_brain, seed, rnd->grain_4k);
	struct sim_result r;
	bool ok;

	s->scenario = rnd;
	for (int i = 0; i < SIM_MAX_PROCS; i++)
		numabal_of(s)->proc[i].period_opts.scan_period_min_ms =
			rnd->scan_period_min_ms;
	r = sim_run(s, &sim_random_scenario, secs, NULL);
	check_end(s);
	if (rest)
		check_rest(s, &r);
	*hash = hash_of(s) ^ r.faults;
	ok = !check_of(s)->bad[0];
	if ((verbose || !ok) && !again)
		describe(ok ? stdout : stderr, seed, s, &r);
	if (!ok && !again)
		fprintf(stderr,
			"FAILED: test_property -s %llu -n 1 -T %u: "
			"%s\n",
			(unsigned long long)seed, secs, check_of(s)->bad);
	sim_free(s);
	return ok;
}

/* One in eight is run twice. */
static bool check_seed(uint64_t seed)
{
	uint64_t hash, again;
	bool ok = run_seed(seed, &hash, false);

	if (seed % 8 && count > 1)
		return ok;
	run_seed(seed, &again, true);
	if (hash == again)
		return ok;
	fprintf(stderr, "FAILED: seed %llu does something else again\n",
		(unsigned long long)seed);
	return false;
}

/* Exit status: how many failed, 100 at most. */
static int run_job(uint32_t job)
{
	int failed = 0;

	for (uint64_t i = job; i < count; i += jobs)
		failed += !check_seed(first_seed + i);
	fflush(stdout);
	return nb_min(failed, 100);
}

static int run_jobs(void)
{
	int failed = 0, status;

	if (jobs == 1)
		return run_job(0);
	for (uint32_t j = 0; j < jobs; j++) {
		pid_t pid = fork();

		if (pid < 0)
			return 1;
		if (!pid)
			exit(run_job(j));
	}
	while (wait(&status) > 0)
		failed += WIFEXITED(status) ? WEXITSTATUS(status) : 1;
	return failed;
}

static bool parse_options(int argc, char **argv)
{
	int c;

	while ((c = getopt(argc, argv, "s:n:T:p:ej:vh")) != -1) {
		switch (c) {
		case 's':
			first_seed = strtoull(optarg, NULL, 0);
			break;
		case 'n':
			count = strtoull(optarg, NULL, 0);
			break;
		case 'T':
			secs = (uint32_t)nb_max(atoi(optarg), 1);
			break;
		case 'p':
			if (!parse_patterns(optarg))
				return false;
			break;
		case 'e':
			rest = false;
			break;
		case 'j':
			jobs = (uint32_t)nb_max(atoi(optarg), 1);
			break;
		case 'v':
			verbose = true;
			break;
		case 'h':
			usage(stdout);
			exit(0);
		default:
			return false;
		}
	}
	return optind == argc;
}

int main(int argc, char **argv)
{
	int failed;

	if (!parse_options(argc, argv)) {
		usage(stderr);
		return 2;
	}
#ifdef __SANITIZE_THREAD__
	if (argc == 1) {
		printf("one thread: nothing for the thread sanitizer, at length\n");
		return 77;
	}
#endif
	if (!jobs)
		jobs = (uint32_t)nb_clamp(sysconf(_SC_NPROCESSORS_ONLN), 1L,
					  8L);
	failed = run_jobs();
	printf("%llu seeds from %llu, %d failed\n", (unsigned long long)count,
	       (unsigned long long)first_seed, failed);
	return failed > 0;
}
