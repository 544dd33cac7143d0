/* SPDX-License-Identifier: MIT */
/*
 * base/parse.c on arbitrary text: the first byte selects the parser, the rest
 * is its input, in memory of just its size so that a read past the NUL shows.
 * What is accepted must also be sane.
 */
#include "../../lib/base/parse.h"

#include <stdlib.h>
#include <string.h>

#define CHECK(cond)                                                            \
	do {                                                                   \
		if (!(cond))                                                   \
			abort();                                               \
	} while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fuzz_maps(const char *s)
{
	struct nb_vma vma;
	const char *name;

	if (nb_parse_maps_line(s, &vma, &name))
		return;
	CHECK(vma.start < vma.end);
	CHECK(name >= s && name <= s + strlen(s));
	CHECK(nb_vma_name_flags(name) == (nb_vma_name_flags(name) & vma.flags));
}

static void fuzz_cpulist(const char *s)
{
	static struct nb_cpumask mask;

	if (!nb_parse_cpulist(s, &mask))
		CHECK(!nb_cpus_empty(&mask));
}

static void fuzz_nodelist(const char *s)
{
	struct nb_nodemask mask;

	/* Only all others of all is none. */
	if (!nb_parse_nodelist(s, &mask))
		CHECK(mask.bits || *s == '!');
}

static void fuzz_quantity(const char *s)
{
	uint64_t v, plain;
	bool b;

	for (int unit = NB_UNIT_NONE; unit <= NB_UNIT_PCT; unit++) {
		int err = nb_parse_quantity(s, (enum nb_unit)unit, &v);

		/* A plain number is itself in every unit. */
		if (!nb_parse_u64(s, NULL, &plain))
			CHECK(!err && v == plain);
	}
	(void)nb_parse_bool(s, &b);
}

/* The pattern is what comes before the first newline. */
static void fuzz_glob(char *s)
{
	char *nl = strchr(s, '\n');
	const char *text = "";

	if (nl) {
		*nl = '\0';
		text = nl + 1;
	}
	if (!strchr(s, ',') && *s)
		CHECK(nb_glob_match(s, text) == nb_glob_list_match(s, text));
	else
		(void)nb_glob_list_match(s, text);
	if (!strpbrk(s, "*?["))
		CHECK(nb_glob_match(s, text) == !strcmp(s, text));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *s;

	if (!size)
		return 0;
	s = malloc(size);
	CHECK(s);
	memcpy(s, data + 1, size - 1);
	s[size - 1] = '\0';
	switch (data[0] % 5) {
	case 0:
		fuzz_maps(s);
		break;
	case 1:
		fuzz_cpulist(s);
		break;
	case 2:
		fuzz_nodelist(s);
		break;
	case 3:
		fuzz_quantity(s);
		break;
	case 4:
		fuzz_glob(s);
		break;
	}
	free(s);
	return 0;
}
