/* SPDX-License-Identifier: MIT */
/*
 * Words for sites: their kinds, and why a window is missing.  For reports.
 */
#include "site.h"

/**
 * nb_site_kind_name() - a word for reports.
 * @kind: the kind
 *
 * Context: any.
 * Return: the word.
 */
const char *nb_site_kind_name(enum nb_site_kind kind)
{
	static const char *const name[] = {
		[NB_SITE_BRACKET] = "bracket",
		[NB_SITE_PRE_ONLY] = "pre-only",
		[NB_SITE_OUT_OF_LINE] = "out-of-line",
		[NB_SITE_PLAIN] = "plain",
		[NB_SITE_SIGRETURN] = "sigreturn",
		[NB_SITE_BRIDGE] = "bridge",
		[NB_SITE_UNGUARDED] = "unguarded",
	};

	return kind < nb_array_size(name) ? name[kind] : "?";
}

/**
 * nb_site_why_text() - why a window is missing, for reports.
 * @why: the reason
 *
 * Context: any.
 * Return: the text.
 */
const char *nb_site_why_text(enum nb_site_why why)
{
	static const char *const text[] = {
		[NB_SITE_OK] = "ok",
		[NB_SITE_NO_FUNCTION] = "no function is known there",
		[NB_SITE_NOT_REACHED] = "its function cannot be decoded",
		[NB_SITE_PRE_SHORT] = "too few bytes before it",
		[NB_SITE_PRE_TARGET] = "a branch leads to before it",
		[NB_SITE_PRE_FIXED] = "what is before it cannot be moved",
		[NB_SITE_POST_SHORT] = "too few bytes after it",
		[NB_SITE_POST_TARGET] = "a branch leads to after it",
		[NB_SITE_POST_FIXED] = "what is after it cannot be moved",
		[NB_SITE_CANCEL] = "cancellation depends on where it is",
	};

	return why < nb_array_size(text) ? text[why] : "?";
}
