/* SPDX-License-Identifier: MIT */
/*
 * numabal: one command with subcommands; this file only finds the one meant.
 *
 * A command that belongs to numabal but not to this version is told from a
 * misspelled one, so that nobody looks for the mistake in their typing.
 * Without a subcommand, with an unknown one and on failing output the exit
 * status is 125, which no program run by `numabal run` is likely to have.
 *
 * Owns nothing.
 */
#include "cmd.h"

#include <numabal.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

struct command {
	const char *name;
	int (*run)(int argc, char **argv); /* NULL: not in this version */
	const char *doc;
};

static const struct command commands[] = {
	{"run", cmd_run, "run a program balanced"},
	{"topo", cmd_topo, "show nodes, CPUs, memory and distances"},
	{"doctor", cmd_doctor,
	 "show what works on this machine, and for a program"},
	{"stat", NULL, NULL},
	{"top", NULL, NULL},
	{"map", NULL, NULL},
	{"ctl", NULL, NULL},
	{"advise", NULL, NULL},
	{"report", NULL, NULL},
};

#define NR_COMMANDS (sizeof(commands) / sizeof(commands[0]))

static const struct command *command_find(const char *name)
{
	for (size_t i = 0; i < NR_COMMANDS; i++)
		if (!strcmp(commands[i].name, name))
			return &commands[i];
	return NULL;
}

static void usage(void)
{
	puts("Usage: numabal COMMAND [OPTION]...\n"
	     "Automatic NUMA balancing inside one process.\n");
	for (size_t i = 0; i < NR_COMMANDS; i++)
		if (commands[i].run)
			printf("  %-6s %s\n", commands[i].name,
			       commands[i].doc);
	puts("  help   show this text, or that of a command\n"
	     "\n"
	     "  -h, --help     show this text\n"
	     "      --version  show the version\n"
	     "\n"
	     "`numabal COMMAND -h' tells more; so does numabal(1).");
}

static int command_run(int argc, char **argv)
{
	const struct command *c = command_find(argv[0]);

	if (c && c->run)
		return c->run(argc, argv);
	if (c)
		fprintf(stderr, "numabal: '%s' is not part of this version\n",
			argv[0]);
	else
		fprintf(stderr,
			"numabal: unknown command '%s'; see numabal -h\n",
			argv[0]);
	return NB_EXIT_FAILED;
}

static int help(const char *name)
{
	char flag[] = "-h";
	char word[16];
	char *argv[] = {word, flag, NULL};

	if (!name) {
		usage();
		return 0;
	}
	snprintf(word, sizeof(word), "%s", name);
	return command_run(2, argv);
}

/* A full disk or a closed pipe must not look like success. */
static int finish(int status)
{
	if (!fflush(stdout) && !ferror(stdout))
		return status;
	fprintf(stderr, "numabal: standard output: %s\n", strerror(errno));
	return status ? status : NB_EXIT_FAILED;
}

int main(int argc, char **argv)
{
	if (argc < 2) {
		fputs("numabal: no command; see numabal -h\n", stderr);
		return NB_EXIT_FAILED;
	}
	if (!strcmp(argv[1], "-h") || !strcmp(argv[1], "--help"))
		return finish(help(NULL));
	if (!strcmp(argv[1], "help"))
		return finish(help(argc > 2 ? argv[2] : NULL));
	if (!strcmp(argv[1], "--version")) {
		printf("numabal %d.%d.%d\n", NUMABAL_VERSION_MAJOR,
		       NUMABAL_VERSION_MINOR, NUMABAL_VERSION_PATCH);
		return finish(0);
	}
	if (argv[1][0] == '-') {
		fprintf(stderr,
			"numabal: unknown option '%s'; see numabal -h\n",
			argv[1]);
		return NB_EXIT_FAILED;
	}
	return finish(command_run(argc - 1, argv + 1));
}
