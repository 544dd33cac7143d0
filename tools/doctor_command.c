/* SPDX-License-Identifier: MIT */
/*
 * What a command would get: the library is asked from inside of it.
 *
 * First the dynamic linker lists what it would load, which runs nothing of the
 * program: only if our library is among it, the program is started with
 * NUMABAL_DOCTOR=FD.  The library then reports to that descriptor and ends the
 * process before main(); constructors of the program's libraries may have run.
 *
 * Owns the child process and its pipe; called by doctor.c.
 */
#include "doctor.h"

#include "cmd.h"
#include "elf.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define ANSWER_BYTES (256 * 1024)
#define ANSWER_MS 20000
/* Above what shells open for themselves. */
#define ANSWER_FD 100
/* Scripts whose interpreters are scripts: Linux goes to a depth of 5, too. */
#define MAX_SCRIPTS 5

static char answer[ANSWER_BYTES];

static void problem(struct nb_doctor_command *c, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
static void problem(struct nb_doctor_command *c, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(c->problem, sizeof(c->problem), fmt, ap);
	va_end(ap);
}

/* ---- running it ---------------------------------------------------------- */

enum ask { ASK_LINKER, ASK_LIBRARY };

static int set_number(const char *name, int value)
{
	char text[16];

	snprintf(text, sizeof(text), "%d", value);
	return setenv(name, text, 1);
}

static int add_preload(const char *library)
{
	const char *old = getenv("LD_PRELOAD");
	char *list;

	if (asprintf(&list, "%s%s%s", library, old && *old ? ":" : "",
		     old ? old : "") < 0)
		return -1;
	return setenv("LD_PRELOAD", list, 1); /* the process ends soon */
}

/* In the child: becomes the command, or ends. */
static void become(char **argv, const char *library, enum ask ask, int out)
{
	int null = open("/dev/null", O_RDWR);
	int err = null < 0 || add_preload(library);

	if (ask == ASK_LINKER) {
		err = err || setenv("LD_TRACE_LOADED_OBJECTS", "1", 1) ||
		      dup2(out, 1) < 0;
	} else {
		/* A machine with one node as well: sites are what is asked. */
		err = err || set_number("NUMABAL_DOCTOR", ANSWER_FD) ||
		      set_number("NUMABAL_FORCE", 1) ||
		      set_number("NUMABAL_ROOT_PID", (int)getpid()) ||
		      setenv("NUMABAL_LOG", "error", 1) ||
		      unsetenv("NUMABAL_STATS") ||
		      unsetenv("NUMABAL_DISPLAY_ENV") ||
		      dup2(out, ANSWER_FD) < 0 || dup2(null, 1) < 0;
	}
	err = err || dup2(null, 0) < 0 || dup2(null, 2) < 0;
	if (!err)
		execvp(argv[0], argv);
	_exit(127);
}

static long now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000L + ts.tv_nsec / 1000000L;
}

/* Read until the end, or until time is up: false. */
static bool read_answer(int fd)
{
	long end = now_ms() + ANSWER_MS;
	size_t len = 0;

	for (;;) {
		struct pollfd p = {.fd = fd, .events = POLLIN};
		long left = end - now_ms();
		ssize_t n;

		answer[len] = '\0';
		if (left <= 0 || len == sizeof(answer) - 1)
			return false;
		if (poll(&p, 1, (int)left) <= 0)
			continue;
		n = read(fd, answer + len, sizeof(answer) - 1 - len);
		if (!n)
			return true;
		if (n < 0 && errno != EINTR)
			return false;
		len += n > 0 ? (size_t)n : 0;
	}
}

/* Start the command and read what comes; false: it said nothing in time. */
static bool ask(char **argv, const char *library, enum ask what)
{
	int fds[2], status;
	pid_t child;
	bool ok;

	answer[0] = '\0';
	if (pipe2(fds, O_CLOEXEC))
		return false;
	fflush(stdout);
	child = fork();
	if (!child)
		become(argv, library, what, fds[1]);
	close(fds[1]);
	ok = child > 0 && read_answer(fds[0]);
	close(fds[0]);
	if (child < 0)
		return false;
	if (!ok)
		kill(child, SIGKILL);
	while (waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	return ok;
}

/* ---- what it said -------------------------------------------------------- */

/* Cut the next field off; never NULL. */
static char *next_field(char **s)
{
	char *field = *s ? *s : "";

	if (*s) {
		*s = strchr(*s, '\t');
		if (*s)
			*(*s)++ = '\0';
	}
	return field;
}

#define COPY(to, from) snprintf((to), sizeof(to), "%s", (from))

static void parse_module(struct nb_doctor_command *c, char *rest)
{
	struct nb_doctor_module *m = &c->module[c->nr_modules];

	if (c->nr_modules == NB_MAX_MODULES)
		return;
	c->nr_modules++;
	memset(m, 0, sizeof(*m));
	COPY(m->name, next_field(&rest));
	for (int i = 0; i < NB_NR_COLS; i++)
		m->sites[i] =
			(unsigned int)strtoul(next_field(&rest), NULL, 10);
}

/* Reasons follow the module that they are about. */
static void parse_reason(struct nb_doctor_command *c, char *rest)
{
	const char *count = next_field(&rest);
	struct nb_doctor_module *m;
	size_t len;

	if (!c->nr_modules)
		return;
	m = &c->module[c->nr_modules - 1];
	len = strlen(m->reasons);
	snprintf(m->reasons + len, sizeof(m->reasons) - len, "%s%s: %s",
		 len ? "; " : "", next_field(&rest), count);
}

static void parse_line(struct nb_doctor_command *c, char *line)
{
	char *rest = line;
	const char *key = next_field(&rest);

	if (!strcmp(key, "comm")) {
		COPY(c->comm, next_field(&rest));
	} else if (!strcmp(key, "state")) {
		COPY(c->state, next_field(&rest));
		COPY(c->state_why, next_field(&rest));
	} else if (!strcmp(key, "tier")) {
		COPY(c->tier, next_field(&rest));
		COPY(c->tier_why, next_field(&rest));
	} else if (!strcmp(key, "module")) {
		parse_module(c, rest);
	} else if (!strcmp(key, "reason")) {
		parse_reason(c, rest);
	} else if (!strcmp(key, "end")) {
		c->complete = true;
	}
}

static void parse_answer(struct nb_doctor_command *c)
{
	char *line = answer;
	char *end;

	for (; *line; line = end + 1) {
		end = strchr(line, '\n');
		if (!end)
			break;
		*end = '\0';
		parse_line(c, line);
	}
}

/* Would the library be loaded, and everything else that is needed? */
static bool is_loadable(char **argv, const char *library,
			struct nb_doctor_command *c)
{
	char *missing;

	if (!ask(argv, library, ASK_LINKER)) {
		problem(c, "the dynamic linker does not answer");
		return false;
	}
	missing = strstr(answer, " => not found");
	if (missing) {
		*missing = '\0';
		while (missing > answer && missing[-1] != '\t' &&
		       missing[-1] != '\n')
			missing--;
		problem(c, "it cannot start: %s is not found", missing);
		return false;
	}
	if (!strstr(answer, "libnumabal-preload.so")) {
		problem(c, "the dynamic linker does not load %s", library);
		return false;
	}
	return true;
}

/* Say why the file @t is about cannot be executed. */
static void not_executable(struct nb_doctor_command *c, const char *name,
			   const struct nb_target *t, int err)
{
	if (t && t->nr_interpreters)
		problem(c, "%s: its interpreter %s cannot be executed: %s",
			name, t->path, strerror(-err));
	else if (strcmp(name, c->command) != 0)
		problem(c, "%s cannot be executed: %s", name, strerror(-err));
	else
		problem(c, "it cannot be executed: %s", strerror(-err));
}

/*
 * What would run, and can it be preloaded into?  A script that env(1) starts is
 * run by what env finds: *@argv is then that one.
 */
static bool find_program(char ***argv, struct nb_doctor_command *c)
{
	static char path[PATH_MAX], name[PATH_MAX];
	static char *command[] = {name, NULL};
	static struct nb_target t;
	int err;

	for (int i = 0; i < MAX_SCRIPTS; i++) {
		const char *file = **argv;

		err = nb_target_resolve(file, getenv("PATH"), path,
					sizeof(path));
		if (err) {
			not_executable(c, file, NULL, err);
			return false;
		}
		err = nb_target_check(path, &t);
		if (err) {
			not_executable(c, file, &t, err);
			return false;
		}
		if (t.nr_interpreters || i)
			COPY(c->program, t.path);
		if (!nb_target_env(&t, name, sizeof(name))) {
			if (t.why != NB_TARGET_OK)
				problem(c,
					"%s: %s, which cannot be preloaded into",
					t.path, nb_target_text(t.why));
			return t.why == NB_TARGET_OK;
		}
		*argv = command;
	}
	problem(c, "it cannot be executed: %s", strerror(ELOOP));
	return false;
}

/**
 * nb_doctor_command() - ask what a command would get
 * @argv: the command
 * @library: the library to preload
 * @c: the answer
 *
 * Context: Tool.
 */
void nb_doctor_command(char **argv, const char *library,
		       struct nb_doctor_command *c)
{
	memset(c, 0, sizeof(*c));
	c->command = argv[0];
	if (!find_program(&argv, c) || !is_loadable(argv, library, c))
		return;
	if (!ask(argv, library, ASK_LIBRARY))
		problem(c, "it did not answer within %d s", ANSWER_MS / 1000);
	parse_answer(c);
	if (!c->complete && !c->problem[0])
		problem(c, "the library in it did not answer");
}
