/* SPDX-License-Identifier: MIT */
/*
 * Which tier a process gets, and why not a better one: the one place where
 * that is decided.  A pure function of what was found out before, for start
 * and for `numabal doctor`.
 *
 * 1. What must not be balanced is not, whatever the user wants.
 * 2. NUMABAL_GUARD=conservative or off: the conservative tier, as wished; what
 *    "off" means there is the caller's.
 * 3. Everything that is missing for bracketing leads to the conservative
 *    tier; with NUMABAL_GUARD=bracket, which means "this or nothing", to off.
 *
 * Owns nothing.
 */
#include "detect.h"

#include "config.h"
#include "plat/log.h"

/**
 * nb_tier_name() - a tier as users know it
 * @tier: the tier
 *
 * Context: any thread.
 * Return: its name.
 */
const char *nb_tier_name(enum nb_tier tier)
{
	switch (tier) {
	case NB_TIER_BRACKET:
		return "bracket";
	case NB_TIER_CONSERVATIVE:
		return "conservative";
	case NB_TIER_OFF:
		break;
	}
	return "off";
}

static const struct nb_tier_module *
first_unguarded(const struct nb_tier_input *in)
{
	for (int i = 0; i < in->nr_modules; i++)
		if (in->modules[i].unguarded)
			return &in->modules[i];
	return NULL;
}

/* Adds to @t what stands against bracketing; false: nothing does. */
static bool add_obstacle(const struct nb_tier_input *in, struct nb_text *t)
{
	const struct nb_tier_module *m = first_unguarded(in);

	if (!in->arch)
		nb_text_add(t, "bracketing is not there for this machine type");
	else if (in->verdict.best < NB_TIER_BRACKET)
		nb_text_add(t, "%s", in->verdict.why);
	else if (in->error)
		nb_text_add(t, "%s", in->error);
	else if (!in->membarrier)
		nb_text_add(t, "membarrier(2) is refused");
	else if (!in->alone)
		nb_text_add(t, "threads were running already");
	else if (m)
		nb_text_add(t, "%u of %u system calls of %s cannot be guarded",
			    m->unguarded, m->sites, m->name);
	return t->len;
}

/**
 * nb_tier_choose() - choose a process's tier
 * @in: what is known of it
 * @out: the tier, and a line that says why it is not a better one
 *
 * Context: any thread.
 */
void nb_tier_choose(const struct nb_tier_input *in, struct nb_tier_choice *out)
{
	char obstacle[sizeof(out->why)];
	struct nb_text t, o;

	nb_text_init(&t, out->why, sizeof(out->why));
	nb_text_init(&o, obstacle, sizeof(obstacle));
	if (in->verdict.best == NB_TIER_OFF) {
		out->tier = NB_TIER_OFF;
		nb_text_add(&t, "%s", in->verdict.why);
	} else if (in->guard == NB_GUARD_CONSERVATIVE ||
		   in->guard == NB_GUARD_OFF) {
		out->tier = NB_TIER_CONSERVATIVE;
		nb_text_add(&t, "NUMABAL_GUARD=%s",
			    in->guard == NB_GUARD_OFF ? "off" : "conservative");
	} else if (!add_obstacle(in, &o)) {
		out->tier = NB_TIER_BRACKET;
		nb_text_add(&t, "every system call is guarded");
	} else if (in->guard == NB_GUARD_BRACKET) {
		out->tier = NB_TIER_OFF;
		nb_text_add(&t, "NUMABAL_GUARD=bracket, but %s", obstacle);
	} else {
		out->tier = NB_TIER_CONSERVATIVE;
		nb_text_add(&t, "%s", obstacle);
	}
}
