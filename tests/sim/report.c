/* SPDX-License-Identifier: MIT */
/*
 * Tables of results, and how numabal compares with the others.
 */
#include "report.h"

#include <string.h>

/* What numabal has to keep to. */
#define WORSE_PCT 2.0	/* than the kernel, in cost */
#define PERFECT_PCT 5.0 /* above perfect, at the end */

static int index_of(const char *name)
{
	for (unsigned int i = 0; i < sim_nr_brains; i++)
		if (!strcmp(sim_brains[i]->name, name))
			return (int)i;
	return -1;
}

static const struct sim_result *result_of(const struct sim_row *row,
					  const char *name)
{
	int i = index_of(name);

	return i >= 0 && row->done[i] ? &row->r[i] : NULL;
}

void sim_print_header(FILE *f)
{
	fprintf(f, "cost: time needed for the same work, 1.00 is all local and "
		   "uncrowded; then kernel and numabal: cost at the\nend, "
		   "seconds to converge, MiB moved, threads moved, "
		   "hint faults, moves per page and minute after that\n\n");
	fprintf(f, "%-12s %-9s", "scenario", "machine");
	for (unsigned int i = 0; i < sim_nr_brains; i++)
		fprintf(f, " %7.7s", sim_brains[i]->name);
	fprintf(f, " | %11s %11s %13s %9s %17s %11s\n", "end", "converged",
		"MiB", "threads", "faults", "osc");
}

/* A pair of the kernel's and numabal's numbers. */
static void print_pair(FILE *f, const char *format, int width, double a,
		       double b)
{
	char text[64], one[32];

	snprintf(one, sizeof(one), format, b);
	snprintf(text, sizeof(text), format, a);
	if (strlen(text) + strlen(one) + 2 < sizeof(text)) {
		strcat(text, "/");
		strcat(text, one);
	}
	fprintf(f, " %*s", width, text);
}

void sim_print_row(FILE *f, const struct sim_row *row)
{
	static const struct sim_result none;
	const struct sim_result *k = result_of(row, "kernel");
	const struct sim_result *n = result_of(row, "numabal");

	fprintf(f, "%-12s %-9s", row->scenario->name, row->machine->name);
	for (unsigned int i = 0; i < sim_nr_brains; i++) {
		if (row->done[i])
			fprintf(f, " %7.3f", row->r[i].cost);
		else
			fprintf(f, " %7s", "-");
	}
	fprintf(f, " |");
	k = k ? k : &none;
	n = n ? n : &none;
	print_pair(f, "%.3f", 11, k->end_cost, n->end_cost);
	print_pair(f, "%.1f", 11, k->converged_s, n->converged_s);
	print_pair(f, "%.0f", 13, (double)k->moved_mb, (double)n->moved_mb);
	print_pair(f, "%.0f", 9, (double)k->moves, (double)n->moves);
	print_pair(f, "%.0f", 17, (double)k->faults, (double)n->faults);
	print_pair(f, "%.2f", 11, k->moves_per_page, n->moves_per_page);
	fprintf(f, "\n");
}

void sim_print_tsv(FILE *f, const struct sim_row *row, bool header)
{
	if (header)
		fprintf(f, "scenario\tmachine\tbrain\tcost\tend_cost\taccess"
			   "\tlocal\tend_local\toverhead\tconverged_s"
			   "\tmoves_per_page\tmoved_mb\tfailed_mb"
			   "\tthreads_moved\tthreads_balanced\tfaults"
			   "\tpages\n");
	for (unsigned int i = 0; i < sim_nr_brains; i++) {
		const struct sim_result *r = &row->r[i];

		if (!row->done[i])
			continue;
		fprintf(f, "%s\t%s\t%s\t%.4f\t%.4f\t%.4f\t%.4f\t%.4f\t%.4f",
			row->scenario->name, row->machine->name,
			sim_brains[i]->name, r->cost, r->end_cost, r->access,
			r->local, r->end_local, r->overhead);
		fprintf(f, "\t%.1f\t%.3f\t%llu\t%llu\t%llu\t%llu\t%llu\t%llu\n",
			r->converged_s, r->moves_per_page,
			(unsigned long long)r->moved_mb,
			(unsigned long long)r->failed_mb,
			(unsigned long long)r->moves,
			(unsigned long long)r->balanced,
			(unsigned long long)r->faults,
			(unsigned long long)r->nr_pages_4k);
	}
}

static double percent(double a, double b)
{
	return b > 0 ? (a / b - 1) * 100 : 0;
}

static void against_kernel(FILE *f, const struct sim_row *rows, unsigned int nr)
{
	unsigned int compared = 0, better = 0, worse = 0;
	double faults_k = 0, faults_n = 0;

	for (unsigned int i = 0; i < nr; i++) {
		const struct sim_result *k = result_of(&rows[i], "kernel");
		const struct sim_result *n = result_of(&rows[i], "numabal");
		double pct;

		if (!k || !n)
			continue;
		pct = percent(n->cost, k->cost);
		compared++;
		better += pct < 0;
		faults_k += (double)k->faults;
		faults_n += (double)n->faults;
		if (pct <= WORSE_PCT)
			continue;
		if (!worse++)
			fprintf(f,
				"\nworse than the kernel by more than "
				"%.0f %%:\n",
				WORSE_PCT);
		fprintf(f, "  %-12s %-9s %+6.1f %%  (%.3f, %.3f)\n",
			rows[i].scenario->name, rows[i].machine->name, pct,
			n->cost, k->cost);
	}
	if (!compared)
		return;
	fprintf(f,
		"\nnumabal against the kernel: better in %u of %u, worse by "
		"more than %.0f %% in %u; hint faults: %.3f of the "
		"kernel's\n",
		better, compared, WORSE_PCT, worse,
		faults_k > 0 ? faults_n / faults_k : 0);
}

static void against_perfect(FILE *f, const struct sim_row *rows,
			    unsigned int nr)
{
	unsigned int compared = 0, worse = 0;

	for (unsigned int i = 0; i < nr; i++) {
		const struct sim_result *p = result_of(&rows[i], "perfect");
		const struct sim_result *n = result_of(&rows[i], "numabal");
		double pct;

		if (!p || !n || rows[i].scenario->changes)
			continue;
		pct = percent(n->end_cost, p->end_cost);
		compared++;
		if (pct <= PERFECT_PCT)
			continue;
		if (!worse++)
			fprintf(f,
				"\nmore than %.0f %% above perfect at the "
				"end:\n",
				PERFECT_PCT);
		fprintf(f, "  %-12s %-9s %+6.1f %%  (%.3f, %.3f)\n",
			rows[i].scenario->name, rows[i].machine->name, pct,
			n->end_cost, p->end_cost);
	}
	if (compared)
		fprintf(f,
			"\nnumabal against perfect: within %.0f %% at the end "
			"in %u of %u stationary scenarios\n",
			PERFECT_PCT, compared - worse, compared);
}

/**
 * sim_print_summary() - how numabal compares, in a few lines
 * @f: where to
 * @rows: the results
 * @nr: how many
 */
void sim_print_summary(FILE *f, const struct sim_row *rows, unsigned int nr)
{
	against_kernel(f, rows, nr);
	against_perfect(f, rows, nr);
}
