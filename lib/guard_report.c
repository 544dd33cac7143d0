/* SPDX-License-Identifier: MIT */
/*
 * What `numabal doctor` asks a program for: the tier that it would get and
 * the system call sites of its modules.
 *
 * The command starts the program with NUMABAL_DOCTOR=FD.  Start does all that
 * it does else, then reports to that descriptor and ends the process: main()
 * never runs.  The report is lines of fields separated by tabs, for the
 * numabal command of the same version alone; "end" is the last one.
 *
 * Owns nothing; called by start.
 */
#include "guard_report.h"

#include "config.h"
#include "guard/patch.h"
#include "nb.h"
#include "stats.h"

#include <limits.h>
#include <string.h>

/**
 * nb_guard_report_fd() - is a report wanted?
 * @env: the environment
 *
 * Context: start only.
 * Return: the descriptor to write to, or -1.
 */
int nb_guard_report_fd(char *const *env)
{
	const char *v = nb_config_getenv(env, "NUMABAL_DOCTOR");
	const char *end;
	uint64_t fd;

	if (!v || nb_parse_u64(v, &end, &fd) || *end || fd > INT_MAX)
		return -1;
	return (int)fd;
}

/* A name is what the program's files are called: perhaps anything. */
static void add_name(struct nb_text *t, const char *name)
{
	for (; *name; name++)
		nb_text_add(t, "%c",
			    *name == '\t' || *name == '\n' ? '?' : *name);
}

static void report_module(int fd, const struct nb_module *m)
{
	const struct nb_site_counts *c = &m->counts;
	char buf[1024];
	struct nb_text t;

	nb_text_init(&t, buf, sizeof(buf));
	nb_text_add(&t, "module\t");
	add_name(&t, m->name);
	for (int kind = 0; kind <= NB_SITE_UNGUARDED; kind++)
		nb_text_add(&t, "\t%u", c->kind[kind]);
	nb_text_add(&t, "\n");
	for (int why = NB_SITE_OK + 1; why < NB_NR_SITE_WHY; why++) {
		/* Only where something is missing: others have a reason too. */
		if (!c->why[why] || !c->kind[NB_SITE_UNGUARDED])
			continue;
		nb_text_add(&t, "reason\t%u\t%s\n", c->why[why],
			    nb_site_why_text((enum nb_site_why)why));
	}
	nb_sys_write_all(fd, buf, nb_min(t.len, sizeof(buf) - 1));
}

/**
 * nb_guard_report() - write the report
 * @fd: where to
 * @choice: the tier that was chosen
 *
 * Context: start only.
 */
void nb_guard_report(int fd, const struct nb_tier_choice *choice)
{
	const char *why = atomic_load(&nb.why);
	char buf[1024];
	struct nb_text t;

	nb_text_init(&t, buf, sizeof(buf));
	nb_text_add(&t, "numabal-guard\t1\ncomm\t");
	add_name(&t, nb.comm);
	nb_text_add(&t, "\nstate\t%s\t%s\ntier\t%s\t%s\n",
		    nb_state_name(atomic_load(&nb.state)), why ? why : "",
		    nb_tier_name(choice->tier), choice->why);
	nb_sys_write_all(fd, buf, nb_min(t.len, sizeof(buf) - 1));
	for (int i = 0; i < nb_patch_nr_modules(); i++)
		if (!nb_patch_module(i)->gone)
			report_module(fd, nb_patch_module(i));
	nb_sys_write_all(fd, "end\n", 4);
}
