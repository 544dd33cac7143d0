/* SPDX-License-Identifier: MIT */
/*
 * The parts of numabal doctor: what this machine allows, and what a command
 * would get.
 */
#ifndef NB_DOCTOR_H
#define NB_DOCTOR_H

#include <limits.h>
#include <stdbool.h>

enum nb_check_level {
	NB_CHECK_OK,
	NB_CHECK_NOTE,	/* good to know */
	NB_CHECK_LIMIT, /* balancing works, with less */
	NB_CHECK_FAILS, /* nothing is balanced */
};

/* One thing that was looked at. */
struct nb_check {
	const char *name;
	enum nb_check_level level;
	char found[192];
	const char *means;  /* the consequence; NULL: none */
	const char *remedy; /* NULL: none is known, or none is needed */
};

#define NB_MAX_CHECKS 32

int nb_doctor_machine(struct nb_check checks[NB_MAX_CHECKS]);

#define NB_MAX_MODULES 512

/* The ways in which a site is guarded, in the order of the report. */
enum nb_site_column {
	NB_COL_BRACKET,
	NB_COL_PRE_ONLY,
	NB_COL_OUT_OF_LINE,
	NB_COL_PLAIN,
	NB_COL_SIGRETURN,
	NB_COL_BRIDGE,
	NB_COL_UNGUARDED,
	NB_NR_COLS
};

struct nb_doctor_module {
	char name[64];
	unsigned int sites[NB_NR_COLS];
	char reasons[192]; /* why some are unguarded */
};

/* What the library said from inside of a program. */
struct nb_doctor_command {
	const char *command;
	char program[PATH_MAX];		  /* what runs it, if it is a script */
	char problem[2 * PATH_MAX + 128]; /* why not asked; or empty */
	char comm[32];
	char state[16], state_why[192];
	char tier[16], tier_why[192];
	struct nb_doctor_module module[NB_MAX_MODULES];
	int nr_modules;
	bool complete;
};

void nb_doctor_command(char **argv, const char *library,
		       struct nb_doctor_command *c);

#endif /* NB_DOCTOR_H */
