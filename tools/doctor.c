/* SPDX-License-Identifier: MIT */
/*
 * numabal doctor: what works on this machine, what does not and what to do
 * about it; and what a command would get.
 *
 * Without a command, numabal itself is the command: that tells whether the
 * guard knows this machine's C library.
 *
 * Owns nothing; called by numabal.c.
 */
#include "doctor.h"

#include "../lib/base/util.h"
#include "cmd.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#define EXIT_PREVENTED 1
#define EXIT_USAGE 2

static struct nb_check checks[NB_MAX_CHECKS];
static struct nb_doctor_command command;

static const char *level_name(enum nb_check_level level)
{
	switch (level) {
	case NB_CHECK_OK:
		return "ok";
	case NB_CHECK_NOTE:
		return "note";
	case NB_CHECK_LIMIT:
		return "limit";
	case NB_CHECK_FAILS:
		break;
	}
	return "fails";
}

static bool command_works(void)
{
	return !command.problem[0] && !strcmp(command.state, "running") &&
	       strcmp(command.tier, "off") != 0;
}

static bool machine_works(int nr)
{
	for (int i = 0; i < nr; i++)
		if (checks[i].level == NB_CHECK_FAILS)
			return false;
	return true;
}

static unsigned int total(const struct nb_doctor_module *m)
{
	unsigned int sum = 0;

	for (int i = 0; i < NB_NR_COLS; i++)
		sum += m->sites[i];
	return sum;
}

/* ---- JSON ---------------------------------------------------------------- */

static void json_string(const char *name, const char *s, const char *after)
{
	printf("\"%s\":", name);
	if (!s) {
		printf("null%s", after);
		return;
	}
	putchar('"');
	for (; *s; s++) {
		if (*s == '"' || *s == '\\')
			printf("\\%c", *s);
		else if ((unsigned char)*s < 0x20)
			printf("\\u%04x", (unsigned char)*s);
		else
			putchar(*s);
	}
	printf("\"%s", after);
}

static void json_checks(int nr)
{
	printf("\"checks\":[");
	for (int i = 0; i < nr; i++) {
		printf("%s{", i ? "," : "");
		json_string("name", checks[i].name, ",");
		json_string("level", level_name(checks[i].level), ",");
		json_string("found", checks[i].found, ",");
		json_string("means", checks[i].means, ",");
		json_string("remedy", checks[i].remedy, "}");
	}
	printf("],");
}

static void json_modules(void)
{
	static const char *const columns[NB_NR_COLS] = {
		"bracket",   "pre_only", "out_of_line", "plain",
		"sigreturn", "bridge",	 "unguarded"};

	printf("\"modules\":[");
	for (int i = 0; i < command.nr_modules; i++) {
		const struct nb_doctor_module *m = &command.module[i];

		printf("%s{", i ? "," : "");
		json_string("name", m->name, ",");
		printf("\"sites\":%u,", total(m));
		for (int k = 0; k < NB_NR_COLS; k++)
			printf("\"%s\":%u,", columns[k], m->sites[k]);
		json_string("reasons", m->reasons, "}");
	}
	printf("]");
}

static void print_json(int nr)
{
	printf("{\"schema\":\"numabal.doctor/1\",\"works\":%s,",
	       machine_works(nr) && command_works() ? "true" : "false");
	json_checks(nr);
	printf("\"command\":{");
	json_string("command", command.command, ",");
	json_string("program", command.program[0] ? command.program : NULL,
		    ",");
	json_string("problem", command.problem[0] ? command.problem : NULL,
		    ",");
	json_string("comm", command.comm, ",");
	json_string("state", command.state, ",");
	json_string("state_why", command.state_why, ",");
	json_string("tier", command.tier, ",");
	json_string("why", command.tier_why, ",");
	json_modules();
	printf("}}\n");
}

/* ---- text ---------------------------------------------------------------- */

static void print_checks(int nr)
{
	for (int i = 0; i < nr; i++) {
		const struct nb_check *c = &checks[i];

		printf("%-5s  %-23s  %s\n", level_name(c->level), c->name,
		       c->found);
		if (c->means)
			printf("%7s-> %s\n", "", c->means);
		if (c->means && c->remedy)
			printf("%7s   remedy: %s\n", "", c->remedy);
	}
}

static void print_modules(void)
{
	if (!command.nr_modules)
		return;
	printf("\n%-28s %6s %8s %8s %8s %6s %9s\n", "module", "sites",
	       "bracket", "pre-only", "moved", "plain", "unguarded");
	for (int i = 0; i < command.nr_modules; i++) {
		const struct nb_doctor_module *m = &command.module[i];

		/* The restorer of signal handlers is plain, too, and what
		 * is reached by bracketed calls alone.
		 */
		printf("%-28s %6u %8u %8u %8u %6u %9u\n", m->name, total(m),
		       m->sites[NB_COL_BRACKET], m->sites[NB_COL_PRE_ONLY],
		       m->sites[NB_COL_OUT_OF_LINE],
		       m->sites[NB_COL_PLAIN] + m->sites[NB_COL_SIGRETURN] +
			       m->sites[NB_COL_BRIDGE],
		       m->sites[NB_COL_UNGUARDED]);
		if (m->reasons[0])
			printf("  %s\n", m->reasons);
	}
}

static void print_command(void)
{
	printf("\ncommand   %s\n", command.command);
	if (command.program[0])
		printf("run by    %s\n", command.program);
	if (command.problem[0]) {
		printf("          %s\n", command.problem);
		return;
	}
	printf("state     %s%s%s\n", command.state,
	       command.state_why[0] ? ": " : "", command.state_why);
	printf("tier      %s: %s\n", command.tier, command.tier_why);
	print_modules();
}

static void print_verdict(int nr)
{
	const char *verdict = "balancing works";

	if (!machine_works(nr))
		verdict = "nothing can be balanced on this machine";
	else if (!command_works())
		verdict = "this command cannot be balanced";
	printf("\nverdict   %s\n", verdict);
}

static void print_text(int nr)
{
	print_checks(nr);
	print_command();
	print_verdict(nr);
}

/* ---- the command line ---------------------------------------------------- */

static void usage(void)
{
	puts("Usage: numabal doctor [-j] [--] [COMMAND [ARG]...]\n"
	     "Show what works on this machine, what does not and what to do\n"
	     "about it, and in which tier COMMAND would be balanced.\n"
	     "COMMAND is loaded, but its main() does not run.\n"
	     "\n"
	     "  -j, --json  print JSON (schema numabal.doctor/1)\n"
	     "  -h, --help  print this help\n"
	     "\n"
	     "The exit status is 0 if balancing will work, 1 if something\n"
	     "prevents it, 2 for wrong usage.");
}

/* optopt is 0 for an unknown long option. */
static int bad_option(char *const *argv)
{
	if (optopt)
		fprintf(stderr, "numabal: doctor: unknown option '-%c'\n",
			optopt);
	else
		fprintf(stderr, "numabal: doctor: unknown option '%s'\n",
			argv[optind - 1]);
	return EXIT_USAGE;
}

/**
 * cmd_doctor() - the subcommand `numabal doctor`
 * @argc: number of arguments
 * @argv: its arguments; argv[0] is "doctor"
 *
 * Context: Tool.
 * Return: exit status: 0; 1 something prevents balancing; 2 wrong usage; 125
 * the library is not there.
 */
int cmd_doctor(int argc, char **argv)
{
	static const struct option options[] = {
		{"json", no_argument, NULL, 'j'},
		{"help", no_argument, NULL, 'h'},
		{NULL, 0, NULL, 0},
	};
	static char self[] = "/proc/self/exe", version[] = "--version";
	char *own[] = {self, version, NULL};
	char library[PATH_MAX];
	bool json = false;
	int opt, nr;

	optind = 0;
	opterr = 0;
	while ((opt = getopt_long(argc, argv, "+hj", options, NULL)) != -1) {
		if (opt == 'h') {
			usage();
			return 0;
		}
		if (opt != 'j')
			return bad_option(argv);
		json = true;
	}
	if (nb_find_preload(library))
		return NB_EXIT_FAILED;
	nr = nb_doctor_machine(checks);
	nb_doctor_command(optind < argc ? argv + optind : own, library,
			  &command);
	if (optind >= argc)
		command.command = "(numabal itself)";
	if (json)
		print_json(nr);
	else
		print_text(nr);
	return machine_works(nr) && command_works() ? 0 : EXIT_PREVENTED;
}
