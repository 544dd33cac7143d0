/* SPDX-License-Identifier: MIT */
/*
 * numabal run: execute a program with the library preloaded.
 *
 * Everything is handed on by the environment (LD_PRELOAD, NUMABAL_*), and the
 * program replaces this process: its process id, signals and exit status are
 * its own, and nothing of numabal stays but the library inside it.
 *
 * What the user got wrong stops here, with one line and exit status 125,
 * before anything runs.  What is nobody's mistake (a static program) is told
 * in one line, and the program runs unbalanced.
 *
 * Owns the environment of the program; called by numabal.c.
 */
#include "cmd.h"

#include "../lib/config.h"
#include "elf.h"

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

#define PRELOAD "libnumabal-preload.so"

#ifndef NB_LIBDIR
#define NB_LIBDIR "/usr/local/lib"
#endif

/* Debian's name of the architecture, where libraries have a folder each. */
#if defined(__x86_64__)
#define MULTIARCH "x86_64-linux-gnu"
#elif defined(__aarch64__)
#define MULTIARCH "aarch64-linux-gnu"
#elif defined(__powerpc64__)
#define MULTIARCH "powerpc64le-linux-gnu"
#elif defined(__s390x__)
#define MULTIARCH "s390x-linux-gnu"
#else
#define MULTIARCH "."
#endif

/* As env(1). */
#define EXIT_CANNOT_INVOKE 126
#define EXIT_NOT_FOUND 127

static void say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static void say(const char *fmt, ...)
{
	char line[2 * PATH_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	/* One write, so that it stays one line among those of others. */
	fprintf(stderr, "numabal: %s\n", line);
}

static void usage(void)
{
	puts("Usage: numabal run [OPTION]... [--] COMMAND [ARG]...\n"
	     "Run COMMAND and keep its threads and its memory together.\n"
	     "\n"
	     "      --stats[=FILE]     at its exit write statistics: as text to\n"
	     "                         standard error, or as JSON to FILE\n"
	     "      --record FILE      write what it sees and decides to FILE\n"
	     "      --observe          decide, but act on nothing\n"
	     "  -o, --option OPTION=VALUE\n"
	     "                         set an option, as NUMABAL_OPTION does;\n"
	     "                         numabal(7) lists them\n"
	     "  -v, --verbose          say what is done (-o log=info)\n"
	     "  -h, --help             show this text\n"
	     "\n"
	     "The exit status is COMMAND's; 125 if numabal fails before, 126 if\n"
	     "COMMAND cannot be executed, 127 if it is not found.");
}

/* Check one option and put it into the environment. */
static int set_option(struct nb_config *c, const char *name, const char *value)
{
	struct nb_config_arg arg = {name, value, NB_FROM_OPTS};
	char var[64] = "NUMABAL";
	char err[NB_CONFIG_ERR];

	if (nb_config_set(c, &arg, err, sizeof(err))) {
		say("%s", err);
		return -EINVAL;
	}
	if (strcasecmp(name, var))
		snprintf(var, sizeof(var), "NUMABAL_%s", name);
	for (char *p = var; *p; p++)
		if (*p >= 'a' && *p <= 'z')
			*p = (char)(*p - 'a' + 'A');
	if (setenv(var, value, 1)) {
		say("%s: %s", var, strerror(errno));
		return -errno;
	}
	return 0;
}

/* OPTION=VALUE */
static int set_pair(struct nb_config *c, const char *pair)
{
	const char *eq = strchr(pair, '=');
	char name[64];

	if (!eq || eq == pair) {
		say("-o %s: not OPTION=VALUE", pair);
		return -EINVAL;
	}
	if ((size_t)(eq - pair) >= sizeof(name)) {
		say("-o %s: no such option", pair);
		return -EINVAL;
	}
	snprintf(name, sizeof(name), "%.*s", (int)(eq - pair), pair);
	return set_option(c, name, eq + 1);
}

/*
 * The file is written when the program ends, wherever it is then: so a
 * relative name becomes an absolute one, if that fits.
 */
static void absolute_template(const char *file, char *tmpl, size_t size)
{
	char cwd[PATH_MAX];
	size_t len = 0;

	if (*file != '/' && *file != '-' && getcwd(cwd, sizeof(cwd))) {
		for (const char *s = cwd; *s && len + 2 < size; s++) {
			tmpl[len++] = *s;
			if (*s == '%')
				tmpl[len++] = '%';
		}
		if (len + 2 < size && strlen(file) + len + 2 <= size) {
			snprintf(tmpl + len, size - len, "/%s", file);
			return;
		}
	}
	snprintf(tmpl, size, "%s", file);
}

/* @name: of the option, and of the flag of the same name. */
static int set_file(struct nb_config *c, const char *name, const char *file)
{
	char tmpl[PATH_MAX];

	if (!*file) {
		say("--%s=: no file name", name);
		return -EINVAL;
	}
	absolute_template(file, tmpl, sizeof(tmpl));
	return set_option(c, name, strlen(tmpl) < NB_CONFIG_STR ? tmpl : file);
}

static int set_stats(struct nb_config *c, const char *file)
{
	return file ? set_file(c, "stats", file)
		    : set_option(c, "stats", "-text");
}

enum { OPT_STATS = 256, OPT_OBSERVE, OPT_RECORD, OPT_SITES };

static const struct option long_options[] = {
	{"stats", optional_argument, NULL, OPT_STATS},
	{"observe", no_argument, NULL, OPT_OBSERVE},
	{"record", required_argument, NULL, OPT_RECORD},
	{"sites", no_argument, NULL, OPT_SITES},
	{"option", required_argument, NULL, 'o'},
	{"verbose", no_argument, NULL, 'v'},
	{"help", no_argument, NULL, 'h'},
	{NULL, 0, NULL, 0},
};

static void say_bad_option(int opt, char *const *argv)
{
	const char *problem = opt == ':' ? "needs a value" : "unknown option";

	/* getopt names a long option by its place, a short one by its letter */
	if (optopt && optopt < 256)
		say("-%c: %s; see numabal run -h", optopt, problem);
	else
		say("%s: %s; see numabal run -h", argv[optind - 1], problem);
}

/* Returns 0, 1 when all is done, or -EINVAL. */
static int parse_option(struct nb_config *c, int opt, char *const *argv)
{
	switch (opt) {
	case OPT_STATS:
		return set_stats(c, optarg);
	case OPT_OBSERVE:
		return set_option(c, "numabal", "observe");
	case OPT_RECORD:
		return set_file(c, "record", optarg);
	case OPT_SITES:
		say("--sites: not supported by this version");
		return -EINVAL;
	case 'o':
		return set_pair(c, optarg);
	case 'v':
		return set_option(c, "log", "info");
	case 'h':
		usage();
		return 1;
	}
	say_bad_option(opt, argv);
	return -EINVAL;
}

static int parse_options(int argc, char **argv)
{
	struct nb_config c;
	char err[NB_CONFIG_ERR];
	int opt;
	int ret;

	/*
	 * What is wrong in the environment, the library says.  Here it is
	 * needed for options that are judged together.
	 */
	nb_config_defaults(&c);
	if (nb_config_from_env(&c, environ, err, sizeof(err)))
		nb_config_defaults(&c);
	opterr = 0;
	while ((opt = getopt_long(argc, argv, "+:o:vh", long_options, NULL)) !=
	       -1) {
		ret = parse_option(&c, opt, argv);
		if (ret)
			return ret;
	}
	if (nb_config_check(&c, err, sizeof(err))) {
		say("%s", err);
		return -EINVAL;
	}
	if (optind >= argc) {
		say("no COMMAND; see numabal run -h");
		return -EINVAL;
	}
	return 0;
}

/*
 * The folder that numabal itself is in; empty if not found.  Without /proc the
 * kernel still tells under which name it was executed, which may be a link.
 */
static void own_folder(char dir[PATH_MAX])
{
	ssize_t n = readlink("/proc/self/exe", dir, PATH_MAX - 1);
	const char *execfn = (const char *)getauxval(AT_EXECFN);
	char *slash;

	dir[n > 0 ? n : 0] = '\0';
	if (n <= 0 && (!execfn || !realpath(execfn, dir)))
		dir[0] = '\0';
	slash = strrchr(dir, '/');
	if (slash)
		*slash = '\0';
}

/**
 * nb_find_preload() - find the library that is preloaded
 * @path: where it is; PATH_MAX bytes
 *
 * Context: Tool.
 * Return: 0, or -ENOENT after a line on standard error.
 */
int nb_find_preload(char *path)
{
	static const char *const beside[] = {"", "/../lib", "/../lib64",
					     "/../lib/" MULTIARCH};
	char dir[PATH_MAX];
	char candidate[2 * PATH_MAX];

	own_folder(dir);
	for (size_t i = 0; dir[0] && i < nb_array_size(beside); i++) {
		snprintf(candidate, sizeof(candidate), "%s%s/" PRELOAD, dir,
			 beside[i]);
		if (!access(candidate, R_OK) && realpath(candidate, path))
			return 0;
	}
	if (!access(NB_LIBDIR "/" PRELOAD, R_OK) &&
	    realpath(NB_LIBDIR "/" PRELOAD, path))
		return 0;
	say(PRELOAD ": not found beside %s nor in " NB_LIBDIR,
	    dir[0] ? dir : "numabal");
	return -ENOENT;
}

/* The dynamic linker's separators. */
#define SEPARATORS " :"

static bool in_list(const char *list, const char *path)
{
	char entry[PATH_MAX];
	char real[PATH_MAX];
	size_t len;

	for (; *list; list += len) {
		list += strspn(list, SEPARATORS);
		len = strcspn(list, SEPARATORS);
		if (!len || len >= sizeof(entry))
			continue;
		snprintf(entry, sizeof(entry), "%.*s", (int)len, list);
		if (strchr(entry, '/') && realpath(entry, real) &&
		    !strcmp(real, path))
			return true;
	}
	return false;
}

/* Put @path in front: ours has to see calls before a wrapper's own. */
static int add_preload(const char *path)
{
	const char *old = getenv("LD_PRELOAD");
	char *list;
	int ret;

	if (old && in_list(old, path))
		return 0;
	if (asprintf(&list, "%s%s%s", path, old && *old ? ":" : "",
		     old ? old : "") < 0)
		return -ENOMEM;
	ret = setenv("LD_PRELOAD", list, 1) ? -errno : 0;
	free(list);
	return ret;
}

/* Look at the program; false: it runs without the library, and has been told.
 */
static bool can_preload(const char *command, const char *library)
{
	struct nb_target t;
	char path[PATH_MAX];

	/* What cannot be executed, execvp(3) will say. */
	if (nb_target_resolve(command, getenv("PATH"), path, sizeof(path)) ||
	    nb_target_check(path, &t))
		return false;
	if (t.why != NB_TARGET_OK) {
		say("%s: %s%s%s%s: preloading cannot work, it runs unbalanced",
		    command, t.nr_interpreters ? "its interpreter " : "",
		    t.nr_interpreters ? t.path : "",
		    t.nr_interpreters ? ": " : "", nb_target_text(t.why));
		return false;
	}
	if (strpbrk(library, SEPARATORS)) {
		say("%s: a path with a space or colon cannot be preloaded, "
		    "%s runs unbalanced",
		    library, command);
		return false;
	}
	return true;
}

/* Say why execvp(3) of @command failed. */
static int exec_failed(const char *command, int err)
{
	struct nb_target t;
	char path[PATH_MAX];
	int ret;

	ret = nb_target_resolve(command, getenv("PATH"), path, sizeof(path));
	if (ret == -EISDIR)
		say("%s: %s", command, strerror(EISDIR));
	else if (!ret && nb_target_check(path, &t) && t.nr_interpreters)
		say("%s: its interpreter %s: %s", command, t.path,
		    strerror(err));
	else
		say("%s: %s", command, strerror(err));
	return err == ENOENT ? EXIT_NOT_FOUND : EXIT_CANNOT_INVOKE;
}

/**
 * cmd_run() - the subcommand `numabal run`
 * @argc: number of arguments
 * @argv: its arguments; argv[0] is "run"
 *
 * Context: Tool.
 * Return: exit status; not at all once the program runs.
 */
int cmd_run(int argc, char **argv)
{
	char library[PATH_MAX];
	char pid[16];
	int ret;

	ret = parse_options(argc, argv);
	if (ret)
		return ret > 0 ? 0 : NB_EXIT_FAILED;
	argv += optind;
	if (nb_find_preload(library))
		return NB_EXIT_FAILED;
	/* exec keeps the process id: the library knows its first process. */
	snprintf(pid, sizeof(pid), "%d", (int)getpid());
	ret = setenv("NUMABAL_ROOT_PID", pid, 1) ? -errno : 0;
	if (!ret && can_preload(argv[0], library))
		ret = add_preload(library);
	if (ret) {
		say("environment: %s", strerror(-ret));
		return NB_EXIT_FAILED;
	}
	execvp(argv[0], argv);
	return exec_failed(argv[0], errno);
}
