/* SPDX-License-Identifier: MIT */
/*
 * What a process must not be guarded for, and the tier that it gets.
 */
#ifndef NB_DETECT_H
#define NB_DETECT_H

#include "guard/guard.h"
#include "plat/sys.h"

/*
 * The best tier that is still allowed, and why no better one is.  It begins
 * as NB_VERDICT_NOTHING and only ever falls; @why is a constant text.
 */
struct nb_verdict {
	enum nb_tier best;
	const char *why; /* NULL: nothing was found */
};

#define NB_VERDICT_NOTHING ((struct nb_verdict){NB_TIER_BRACKET, NULL})

/* True if @v has fallen. */
bool nb_verdict_lower(struct nb_verdict *v, const struct nb_verdict *by);

/* detect.c: by names */
struct nb_verdict nb_detect_module(const char *path, char *const *env);
struct nb_verdict nb_detect_program(const char *path);
struct nb_verdict nb_detect_env(char *const *env);
struct nb_verdict nb_detect_anon_exec(void);
int nb_tracer_pid(const struct nb_sys *sys, pid_t pid);
extern const char nb_why_sanitizer[];

/* detect_elf.c: by what is in the file */
struct nb_verdict nb_detect_elf(const void *elf, size_t size);
struct nb_verdict nb_detect_file(const char *path);

/* detect_self.c: all of it, at start */
struct nb_verdict nb_detect_self(char *const *env);

/* What could be guarded of one module. */
struct nb_tier_module {
	const char *name;
	uint32_t sites;
	uint32_t unguarded; /* of these, so that they could do harm */
};

/* All that the choice of a tier depends on. */
struct nb_tier_input {
	uint32_t guard; /* enum nb_guard: what the user wants */
	bool arch;	/* sites can be patched on this machine */
	bool membarrier;
	bool alone;	   /* no other thread is there yet */
	const char *error; /* of patching, in words; NULL: none */
	struct nb_verdict verdict;
	const struct nb_tier_module *modules;
	int nr_modules;
};

struct nb_tier_choice {
	enum nb_tier tier;
	char why[160];
};

/* detect_tier.c */
void nb_tier_choose(const struct nb_tier_input *in, struct nb_tier_choice *out);
const char *nb_tier_name(enum nb_tier tier);

#endif /* NB_DETECT_H */
