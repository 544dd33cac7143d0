/* SPDX-License-Identifier: MIT */
/*
 * Tables of results.
 */
#ifndef NB_SIM_REPORT_H
#define NB_SIM_REPORT_H

#include "scenario.h"

#include <stdio.h>

#define SIM_MAX_BRAINS 8

/* A scenario on a machine, with each of the brains. */
struct sim_row {
	const struct sim_scenario *scenario;
	const struct sim_machine_spec *machine;
	bool done[SIM_MAX_BRAINS]; /* by index in sim_brains[] */
	struct sim_result r[SIM_MAX_BRAINS];
};

void sim_print_header(FILE *f);
void sim_print_row(FILE *f, const struct sim_row *row);
void sim_print_tsv(FILE *f, const struct sim_row *row, bool header);
void sim_print_summary(FILE *f, const struct sim_row *rows, unsigned int nr);

#endif /* NB_SIM_REPORT_H */
