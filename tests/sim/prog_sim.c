/* SPDX-License-Identifier: MIT */
/*
 * numabal-sim: runs scenarios on simulated machines with each of the brains,
 * and prints a table of what came out.  The same numbers in each run.
 */
#include "../../lib/base/why.h"
#include "report.h"

#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *want_scenario, *want_machine, *want_brain;
static uint64_t seed = 1;
static uint32_t secs, grain_kb = 16, jobs = 1;
static bool timeline, tsv, reasons;

static void usage(FILE *f)
{
	fprintf(f, "usage: numabal-sim [options]\n"
		   "  -s LIST  scenarios, with commas\n"
		   "  -m LIST  machines\n"
		   "  -b LIST  brains: never, interleave, kernel, ...\n"
		   "  -S SEED  of all that is random (1)\n"
		   "  -T SECS  simulated time (as the scenario says)\n"
		   "  -g KB    grain of memory that is not huge pages (16)\n"
		   "  -x MB    memory of a thread, about (32)\n"
		   "  -H       all memory in huge pages\n"
		   "  -j N     processes (1)\n"
		   "  -v       a line for each second\n"
		   "  -w       how often each reason was given\n"
		   "  -t       tab-separated values, one line for each run\n"
		   "  -l       list scenarios, machines and brains\n");
}

/* Is a name in the list?  All if there is no list. */
static bool wanted(const char *list, const char *name)
{
	size_t len;

	if (!list)
		return true;
	for (; *list; list += len + (list[len] == ',')) {
		len = strcspn(list, ",");
		if (len == strlen(name) && !strncmp(list, name, len))
			return true;
	}
	return false;
}

static void list_all(void)
{
	for (unsigned int i = 0; i < sim_nr_scenarios; i++)
		printf("scenario %-13s %s\n", sim_scenarios[i].name,
		       sim_scenarios[i].doc);
	for (unsigned int i = 0; i < sim_nr_machines; i++)
		printf("machine  %-13s %s\n", sim_machines[i].name,
		       sim_machines[i].doc);
	for (unsigned int i = 0; i < sim_nr_brains; i++)
		printf("brain    %-13s %s\n", sim_brains[i]->name,
		       sim_brains[i]->doc);
}

static void watch(const struct sim *s, const struct sim_window *w)
{
	if (s->tick % SIM_TICKS_PER_SEC)
		return;
	printf("%5.1f s  cost %6.3f  local %5.1f %%  overhead %5.2f %%  "
	       "moved %6.1f MiB  threads %3llu  faults %llu\n",
	       (double)s->now_ns / 1e9, sim_cost_of(w),
	       100 * w->local / nb_max(w->acc, 1.0),
	       100 * w->cost_ns / nb_max(w->wanted_ns, 1.0),
	       (double)w->moved / 256, (unsigned long long)w->task_moves,
	       (unsigned long long)w->faults);
}

static void print_reasons(const struct sim *s, const struct sim_row *row)
{
	static const char *const text[] = {
#define WHY_TEXT(name, text, yes)                                              \
	[NB_WHY_##name] = (yes ? "+ " text : "- " text),
		NB_WHY_LIST(WHY_TEXT)
#undef WHY_TEXT
	};
	const uint64_t *nr = s->brain->why_count(s->ctx);

	printf("%s %s %s\n", row->scenario->name, row->machine->name,
	       s->brain->name);
	for (int i = 0; i < NB_NR_WHY; i++)
		if (nr[i])
			printf("%10llu %s\n", (unsigned long long)nr[i],
			       text[i]);
}

static void run_row(struct sim_row *row)
{
	struct sim_machine *m = malloc(sizeof(*m));

	if (!m)
		exit(1);
	sim_machine_make(m, row->machine);
	for (unsigned int i = 0; i < sim_nr_brains; i++) {
		struct sim *s;

		if (!wanted(want_brain, sim_brains[i]->name))
			continue;
		if (timeline)
			printf("%s %s %s\n", row->scenario->name,
			       row->machine->name, sim_brains[i]->name);
		s = sim_new(m, sim_brains[i], seed, grain_kb / 4);
		row->r[i] = sim_run(s, row->scenario, secs,
				    timeline ? watch : NULL);
		row->done[i] = true;
		if (reasons && s->brain->why_count)
			print_reasons(s, row);
		sim_free(s);
	}
	free(m);
}

/* Processes take turns; the rows are in memory that they share. */
static int run_rows(struct sim_row *rows, unsigned int nr)
{
	int status, bad = 0;

	fflush(stdout);
	for (uint32_t j = 0; j < jobs; j++) {
		pid_t pid = jobs > 1 ? fork() : 0;

		if (pid < 0)
			return 1;
		if (pid)
			continue;
		for (unsigned int i = j; i < nr; i += jobs)
			run_row(&rows[i]);
		fflush(stdout);
		if (jobs > 1)
			_exit(0);
	}
	while (jobs > 1 && wait(&status) > 0)
		bad |= status != 0;
	return bad;
}

static unsigned int make_rows(struct sim_row *rows)
{
	unsigned int nr = 0;

	for (unsigned int i = 0; i < sim_nr_scenarios; i++) {
		for (unsigned int k = 0; k < sim_nr_machines; k++) {
			if (!wanted(want_scenario, sim_scenarios[i].name) ||
			    !wanted(want_machine, sim_machines[k].name) ||
			    (!want_machine && sim_machines[k].apart))
				continue;
			rows[nr].scenario = &sim_scenarios[i];
			rows[nr++].machine = &sim_machines[k];
		}
	}
	return nr;
}

static int report(void)
{
	size_t bytes =
		sim_nr_scenarios * sim_nr_machines * sizeof(struct sim_row);
	struct sim_row *rows = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
				    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	unsigned int nr;
	int bad;

	if (rows == MAP_FAILED)
		return 1;
	nr = make_rows(rows);
	bad = run_rows(rows, nr);
	if (!tsv)
		sim_print_header(stdout);
	for (unsigned int i = 0; i < nr; i++) {
		if (tsv)
			sim_print_tsv(stdout, &rows[i], i == 0);
		else
			sim_print_row(stdout, &rows[i]);
	}
	if (!tsv)
		sim_print_summary(stdout, rows, nr);
	munmap(rows, bytes);
	return !nr || bad;
}

static bool parse_options(int argc, char **argv)
{
	int c;

	while ((c = getopt(argc, argv, "s:m:b:S:T:g:x:Hj:vwtlh")) != -1) {
		switch (c) {
		case 's':
			want_scenario = optarg;
			break;
		case 'm':
			want_machine = optarg;
			break;
		case 'b':
			want_brain = optarg;
			break;
		case 'S':
			seed = strtoull(optarg, NULL, 0);
			break;
		case 'T':
			secs = (uint32_t)atoi(optarg);
			break;
		case 'g':
			grain_kb = (uint32_t)atoi(optarg);
			break;
		case 'x':
			sim_slice_mb = (uint32_t)nb_max(atoi(optarg), 1);
			break;
		case 'H':
			sim_huge_pages = true;
			break;
		case 'j':
			jobs = (uint32_t)nb_max(atoi(optarg), 1);
			break;
		case 'v':
			timeline = true;
			break;
		case 'w':
			reasons = true;
			break;
		case 't':
			tsv = true;
			break;
		case 'l':
			list_all();
			exit(0);
		case 'h':
			usage(stdout);
			exit(0);
		default:
			return false;
		}
	}
	return optind == argc && grain_kb >= 4 && grain_kb <= 2048 &&
	       !(grain_kb & (grain_kb - 1));
}

int main(int argc, char **argv)
{
	if (!parse_options(argc, argv)) {
		usage(stderr);
		return 2;
	}
	return report();
}
