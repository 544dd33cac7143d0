/* SPDX-License-Identifier: MIT */
/*
 * workopts: the options of work_private, work_shared and work_phase, from one
 * table that makes getopt's table, the checks and the help. Called by
 * work_main() once.
 */
#define _GNU_SOURCE
#include "work_int.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum opt_type { OPT_INT, OPT_REAL, OPT_WORD, OPT_FLAG, OPT_UNFLAG, OPT_FILL };

#define FIELD(f) offsetof(struct work_opts, f)

static const struct opt {
	const char *name;
	char letter;
	enum opt_type type;
	size_t field; /* of struct work_opts */
	double min, max;
	const char *words, *help; /* words: what a word may be */
} opts[] = {
	{"threads", 't', OPT_INT, FIELD(nr_threads), 1, 4096, NULL,
	 "threads (allowed CPUs)"},
	{"mb", 'm', OPT_INT, FIELD(mb), 1, 1 << 20, NULL,
	 "MiB of each buffer (64)"},
	{"seconds", 's', OPT_REAL, FIELD(seconds), 0.1, 86400, NULL,
	 "run time (10)"},
	{"interval", 'i', OPT_REAL, FIELD(interval), 0, 3600, NULL,
	 "seconds from progress line to line, 0 for none (1)"},
	{"teams", 0, OPT_INT, FIELD(nr_teams), 1, 4096, NULL,
	 "teams of threads, one buffer each"},
	{"phases", 0, OPT_INT, FIELD(nr_phases), 1, 1000, NULL,
	 "users change N - 1 times (2)"},
	{"place", 0, OPT_WORD, FIELD(place), 0, 0,
	 "wrong|right|first-touch|interleave|node:N",
	 "where buffers start, against their threads"},
	{"pin", 0, OPT_WORD, FIELD(pin), 0, 0, "none|wrong|right",
	 "bind threads after set-up: away from the buffer, or beside it"},
	{"mlock", 0, OPT_FLAG, FIELD(mlock), 0, 0, NULL, "lock the buffers"},
	{"mbind", 0, OPT_FLAG, FIELD(mbind), 0, 0, NULL,
	 "bind the buffers to where they are placed"},
	{"fill", 0, OPT_FILL, false, 1, 1 << 24, "NID:MB",
	 "take MB of a node, bound there"},
	{"hold-free-mb", 0, OPT_FILL, true, 1, 1 << 24, "NID:MB",
	 "take all but MB of a node, bound there"},
	{"thp", 0, OPT_WORD, FIELD(thp), 0, 0, "default|on|off",
	 "madvise of the buffers"},
	{"random", 0, OPT_FLAG, FIELD(random), 0, 0, NULL,
	 "units in random order"},
	{"linear", 0, OPT_UNFLAG, FIELD(random), 0, 0, NULL,
	 "units in order (default)"},
	{"map", 0, OPT_FLAG, FIELD(map), 0, 0, NULL,
	 "print a node map at start and end"},
	{"json", 0, OPT_FLAG, FIELD(json), 0, 0, NULL,
	 "print the result as JSON, too"},
	{"until-local", 0, OPT_REAL, FIELD(until_local), 1, 100, NULL,
	 "end when reached in 3 checks, exit 1 if never"},
};

#define NR_OPTS ((int)(sizeof(opts) / sizeof(opts[0])))

static double number(const char *opt, const char *arg, double min, double max,
		     bool whole)
{
	char *end;
	double v = strtod(arg, &end);

	if (end == arg || *end || !(v >= min && v <= max) ||
	    (whole && v != (double)(long)v))
		work_die(WORK_USAGE,
			 "--%s: '%s' is not a %snumber from %g to %.8g", opt,
			 arg, whole ? "whole " : "", min, max);
	return v;
}

/* Index of arg in the option's words, which have '|' between them. */
static int choice(const struct opt *opt, const char *arg)
{
	size_t len = strcspn(arg, "|");
	int i = 0;

	for (const char *p = opt->words; p; p = strchr(p, '|'), i++) {
		p += *p == '|';
		if (len && !arg[len] && !strncmp(p, arg, len) &&
		    (!p[len] || p[len] == '|'))
			return i;
	}
	work_die(WORK_USAGE, "--%s: '%s' is not one of %s", opt->name, arg,
		 opt->words);
}

static int mem_node(const struct work *w, const char *opt, const char *arg)
{
	int nid = (int)number(opt, arg, 0, WORK_MAX_NODES - 1, true);

	if (!work_set_has(&w->node_mem, nid))
		work_die(WORK_USAGE,
			 "--%s: node %d has no memory that we may use", opt,
			 nid);
	return nid;
}

static void add_fill(struct work *w, const struct opt *opt, char *arg)
{
	char *mb = strchr(arg, ':');
	struct work_fill *fill = &w->opts.fill[w->opts.nr_fills++];

	if (!mb || w->opts.nr_fills > WORK_MAX_FILLS)
		work_die(WORK_USAGE,
			 "--%s: '%s' is not NID:MB, or more than %d of "
			 "them",
			 opt->name, arg, WORK_MAX_FILLS);
	*mb++ = '\0';
	fill->nid = mem_node(w, opt->name, arg);
	fill->mb = (int)number(opt->name, mb, opt->min, opt->max, true);
	fill->leave = opt->field;
}

static void set_option(struct work *w, const struct opt *opt, char *arg)
{
	void *field = (char *)&w->opts + opt->field;

	if (opt->type == OPT_FILL) {
		add_fill(w, opt, arg);
	} else if (opt->type == OPT_REAL) {
		*(double *)field =
			number(opt->name, arg, opt->min, opt->max, false);
	} else if (opt->type == OPT_INT) {
		*(int *)field =
			(int)number(opt->name, arg, opt->min, opt->max, true);
	} else if (opt->type != OPT_WORD) {
		*(int *)field = opt->type == OPT_FLAG;
	} else if (strstr(opt->words, "node:") && !strncmp(arg, "node:", 5)) {
		w->opts.place = WORK_PLACE_NODE;
		w->opts.place_nid = mem_node(w, opt->name, arg + 5);
	} else {
		*(int *)field = choice(opt, arg);
	}
}

static void help(const struct work_kind *kind)
{
	printf("Usage: %s [OPTION]...\n%s\n\n", kind->name, kind->what);
	for (int i = 0; i < NR_OPTS; i++)
		printf("  %c%c --%s%s%s\n\t%s\n", opts[i].letter ? '-' : ' ',
		       opts[i].letter ? opts[i].letter : ' ', opts[i].name,
		       opts[i].words || opts[i].max > 0 ? " " : "",
		       opts[i].words	 ? opts[i].words
		       : opts[i].max > 0 ? "N"
					 : "",
		       opts[i].help);
	printf("\nExit: 0 done, 1 --until-local not reached, 2 usage, 3 data "
	       "corrupt, 4 set-up failed\n");
	exit(WORK_OK);
}

void work_parse_options(struct work *w, int argc, char **argv)
{
	struct option longs[NR_OPTS + 2] = {{0}};
	int c, i;

	for (i = 0; i < NR_OPTS; i++)
		longs[i] = (struct option){opts[i].name,
					   opts[i].type != OPT_FLAG &&
						   opts[i].type != OPT_UNFLAG,
					   NULL, 256 + i};
	longs[i] = (struct option){"help", no_argument, NULL, 'h'};
	opterr = 0; /* the message is ours */
	while ((c = getopt_long(argc, argv, "t:m:s:i:h", longs, NULL)) != -1) {
		if (c == 'h')
			help(w->kind);
		if (c == '?')
			work_die(WORK_USAGE,
				 "'%s': unknown option, or its value is "
				 "missing (see --help)",
				 argv[optind - 1]);
		for (i = 0; i < NR_OPTS; i++)
			if (c == 256 + i || c == opts[i].letter)
				set_option(w, &opts[i], optarg);
	}
	if (optind < argc)
		work_die(WORK_USAGE, "'%s': no such argument", argv[optind]);
}

void work_check_options(struct work *w)
{
	struct work_opts *o = &w->opts;

	if (o->nr_teams && !w->kind->has_teams)
		work_die(WORK_USAGE,
			 "--teams: each thread has its own buffer here");
	if (o->nr_phases && !w->kind->has_phases)
		work_die(WORK_USAGE, "--phases: only work_phase has phases");
	if (o->nr_teams > o->nr_threads)
		work_die(WORK_USAGE,
			 "--teams: %d is not from 1 to %d, the threads",
			 o->nr_teams, o->nr_threads);
	if (o->mbind && o->place == WORK_PLACE_FIRST_TOUCH)
		work_die(WORK_USAGE,
			 "--mbind: not with --place first-touch, which "
			 "names no node");
	if (!o->nr_phases)
		o->nr_phases = w->kind->has_phases ? 2 : 1;
	w->nr_teams = o->nr_teams ? o->nr_teams : w->kind->default_teams(w);
	w->nr_lanes = (o->nr_threads + w->nr_teams - 1) / w->nr_teams;
	w->buf_bytes = (size_t)o->mb << 20;
	w->nr_units = w->buf_bytes / WORK_UNIT_BYTES;
}
