/* SPDX-License-Identifier: MIT */
/*
 * The process that we are in, judged as a whole, once, at start: its program,
 * its environment, what it has loaded, code that is in no file.
 *
 * Owns nothing.  Called by start, before anything is patched: our stubs are
 * code in no file, too.
 */
#include "detect.h"

#include "plat/maps.h"

#include <limits.h>
#include <link.h>
#include <string.h>
#include <sys/syscall.h>

/* Built with a sanitizer ourselves, we know that it is there, and test so. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define IGNORED nb_why_sanitizer
#else
#define IGNORED NULL
#endif

struct self {
	struct nb_verdict v;
	char *const *env;
	char exe[PATH_MAX];
};

static void judge(struct self *s, struct nb_verdict by)
{
	if (by.why && by.why != IGNORED)
		nb_verdict_lower(&s->v, &by);
}

static int judge_module(struct dl_phdr_info *info, size_t size, void *arg)
{
	struct self *s = arg;

	(void)size;
	/* Without a name it is the program; the vDSO's is no path. */
	if (strchr(info->dlpi_name, '/')) {
		judge(s, nb_detect_module(info->dlpi_name, s->env));
		judge(s, nb_detect_file(info->dlpi_name));
	}
	return s->v.best == NB_TIER_OFF; /* it cannot get worse */
}

static int judge_mapping(const struct nb_vma *vma, const char *name, void *arg)
{
	const uint32_t in_a_file = NB_VMA_FILE | NB_VMA_SPECIAL;
	struct self *s = arg;

	(void)name;
	if ((vma->flags & NB_VMA_EXEC) && !(vma->flags & in_a_file))
		judge(s, nb_detect_anon_exec());
	return s->v.best != NB_TIER_BRACKET;
}

/**
 * nb_detect_self() - judge this process
 * @env: its environment
 *
 * Context: start only, with nothing patched yet.
 * Return: the verdict.
 */
struct nb_verdict nb_detect_self(char *const *env)
{
	static struct self s;
	long n;

	s = (struct self){.v = NB_VERDICT_NOTHING, .env = env};
	n = nb_syscall6(SYS_readlinkat, -1, (long)"/proc/self/exe", (long)s.exe,
			sizeof(s.exe) - 1, 0, 0);
	if (n > 0) {
		s.exe[n] = '\0';
		judge(&s, nb_detect_program(s.exe));
	}
	judge(&s, nb_detect_env(env));
	judge(&s, nb_detect_file("/proc/self/exe"));
	if (s.v.best != NB_TIER_OFF)
		dl_iterate_phdr(judge_module, &s);
	if (s.v.best == NB_TIER_BRACKET)
		nb_maps_for_each(judge_mapping, &s);
	return s.v;
}
