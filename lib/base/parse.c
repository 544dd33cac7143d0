/* SPDX-License-Identifier: MIT */
/*
 * Text -> values: numbers with units, lists of CPUs and nodes, the lines of
 * /proc/PID/maps, and globs.
 *
 * The text comes from users (options) and from the kernel (/proc, /sys), and
 * in a container from whoever made those files up: so nothing is assumed of
 * it but the NUL at its end, and anything that is not wholly understood is
 * refused rather than guessed.  Owns nothing; called by plat, by config and
 * by the tools, from any thread and from the signal handler.
 */
#include "parse.h"

#include <errno.h>
#include <string.h>

static int digit_value(char c, unsigned int base)
{
	int v = -1;

	if (c >= '0' && c <= '9')
		v = c - '0';
	else if (c >= 'a' && c <= 'f')
		v = c - 'a' + 10;
	else if (c >= 'A' && c <= 'F')
		v = c - 'A' + 10;
	return v < (int)base ? v : -1;
}

static int parse_number(const char *s, const char **end, unsigned int base,
			uint64_t *v)
{
	uint64_t n = 0;

	if (digit_value(*s, base) < 0)
		return -EINVAL;
	for (; digit_value(*s, base) >= 0; s++) {
		if (__builtin_mul_overflow(n, (uint64_t)base, &n) ||
		    __builtin_add_overflow(n, (uint64_t)digit_value(*s, base),
					   &n))
			return -ERANGE;
	}
	if (end)
		*end = s;
	else if (*s)
		return -EINVAL;
	*v = n;
	return 0;
}

/**
 * nb_parse_u64() - read a decimal number
 * @s: text; no sign or space may come before the digits
 * @end: where to store the first character after the digits; NULL: the
 *	 number has to be all of @s
 * @v: the number
 *
 * Context: Anywhere, including the signal handler.
 * Return: 0, -EINVAL (no number, or something after it), -ERANGE.
 */
int nb_parse_u64(const char *s, const char **end, uint64_t *v)
{
	return parse_number(s, end, 10, v);
}

/**
 * nb_parse_hex() - read a hexadecimal number without 0x
 * @s: text
 * @end: as in nb_parse_u64()
 * @v: the number
 *
 * Context: Anywhere, including the signal handler.
 * Return: 0, -EINVAL, -ERANGE.
 */
int nb_parse_hex(const char *s, const char **end, uint64_t *v)
{
	return parse_number(s, end, 16, v);
}

static char to_lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static bool equal_nocase(const char *a, const char *b)
{
	for (; *a && to_lower(*a) == to_lower(*b); a++, b++)
		;
	return to_lower(*a) == to_lower(*b);
}

/* A suffix and what it makes of the number: n * mul / div, if whole. */
struct suffix {
	const char *text;
	uint32_t mul;
	uint32_t div;
};

static const struct suffix suffixes_none[] = {{"", 1, 1}, {NULL, 0, 0}};
static const struct suffix suffixes_pct[] = {
	{"", 1, 1}, {"%", 1, 1}, {NULL, 0, 0}};
static const struct suffix suffixes_ms[] = {
	{"", 1, 1},	 {"us", 1, 1000},   {"ms", 1, 1}, {"s", 1000, 1},
	{"m", 60000, 1}, {"min", 60000, 1}, {NULL, 0, 0}};
static const struct suffix suffixes_us[] = {{"", 1, 1},
					    {"us", 1, 1},
					    {"ms", 1000, 1},
					    {"s", 1000000, 1},
					    {NULL, 0, 0}};

#define SIZE_SUFFIXES(letter, mul, div)                                        \
	{letter, mul, div}, {letter "b", mul, div},                            \
	{                                                                      \
		letter "ib", mul, div                                          \
	}

static const struct suffix suffixes_kb[] = {{"", 1, 1},
					    {"b", 1, 1U << 10},
					    SIZE_SUFFIXES("k", 1, 1),
					    SIZE_SUFFIXES("m", 1U << 10, 1),
					    SIZE_SUFFIXES("g", 1U << 20, 1),
					    SIZE_SUFFIXES("t", 1U << 30, 1),
					    {NULL, 0, 0}};
static const struct suffix suffixes_mb[] = {{"", 1, 1},
					    {"b", 1, 1U << 20},
					    SIZE_SUFFIXES("k", 1, 1U << 10),
					    SIZE_SUFFIXES("m", 1, 1),
					    SIZE_SUFFIXES("g", 1U << 10, 1),
					    SIZE_SUFFIXES("t", 1U << 20, 1),
					    {NULL, 0, 0}};

static const struct suffix *unit_suffixes(enum nb_unit unit)
{
	switch (unit) {
	case NB_UNIT_MS:
		return suffixes_ms;
	case NB_UNIT_US:
		return suffixes_us;
	case NB_UNIT_KB:
		return suffixes_kb;
	case NB_UNIT_MB:
	case NB_UNIT_MBPS:
		return suffixes_mb;
	case NB_UNIT_PCT:
		return suffixes_pct;
	case NB_UNIT_NONE:
		break;
	}
	return suffixes_none;
}

/* Copy what follows the number, without a rate's "/s". */
static int copy_suffix(char *dst, size_t size, const char *s, enum nb_unit unit)
{
	size_t i;

	for (i = 0; s[i]; i++) {
		if (unit == NB_UNIT_MBPS && equal_nocase(s + i, "/s"))
			break;
		if (i + 1 >= size)
			return -EINVAL;
		dst[i] = s[i];
	}
	dst[i] = '\0';
	return 0;
}

/**
 * nb_parse_quantity() - read a number with an optional unit
 * @s: text, such as "50", "50ms", "4M", "64M/s", "2%"
 * @unit: what the number is kept in; also that of a number without a suffix
 * @v: the number in @unit
 *
 * Suffixes of size are powers of 1024 in either case, as K, KB or KiB.  A
 * value that is not whole in @unit ("1500us" in milliseconds) is refused, as
 * rounding would set something else than what was asked for.
 *
 * Context: Anywhere.
 * Return: 0, -EINVAL, -ERANGE (too large for 64 bits).
 */
int nb_parse_quantity(const char *s, enum nb_unit unit, uint64_t *v)
{
	const struct suffix *sfx;
	const char *end;
	char text[8];
	uint64_t n;
	int err;

	err = nb_parse_u64(s, &end, &n);
	if (!err)
		err = copy_suffix(text, sizeof(text), end, unit);
	if (err)
		return err;
	for (sfx = unit_suffixes(unit); sfx->text; sfx++)
		if (equal_nocase(sfx->text, text))
			break;
	if (!sfx->text || n % sfx->div)
		return -EINVAL;
	if (__builtin_mul_overflow(n / sfx->div, (uint64_t)sfx->mul, &n))
		return -ERANGE;
	*v = n;
	return 0;
}

/**
 * nb_parse_bool() - read a switch
 * @s: 1, yes, on, true or 0, no, off, false, in either case
 * @v: the value
 *
 * Context: Anywhere.
 * Return: 0 or -EINVAL.
 */
int nb_parse_bool(const char *s, bool *v)
{
	static const char *const words[2][4] = {
		{"0", "no", "off", "false"},
		{"1", "yes", "on", "true"},
	};

	for (int value = 0; value < 2; value++) {
		for (size_t i = 0; i < nb_array_size(words[value]); i++) {
			if (equal_nocase(s, words[value][i])) {
				*v = value;
				return 0;
			}
		}
	}
	return -EINVAL;
}

/* One element of a list: first, first-last or first-last:step. */
struct span {
	uint64_t first;
	uint64_t last;
	uint64_t step;
};

static int parse_span(const char **s, uint64_t limit, struct span *span)
{
	const char *p = *s;

	if (nb_parse_u64(p, &p, &span->first))
		return -EINVAL;
	span->last = span->first;
	span->step = 1;
	if (*p == '-') {
		if (nb_parse_u64(p + 1, &p, &span->last))
			return -EINVAL;
		if (*p == ':' && nb_parse_u64(p + 1, &p, &span->step))
			return -EINVAL;
	}
	if (span->first > span->last || span->last >= limit || !span->step)
		return -EINVAL;
	*s = p;
	return 0;
}

/*
 * Call @set for each number of a list.  The kernel ends its lists with a
 * newline; nothing else may follow.
 */
static int parse_list(const char *s, uint64_t limit,
		      void (*set)(void *mask, int nr), void *mask)
{
	struct span span;

	for (;;) {
		if (parse_span(&s, limit, &span))
			return -EINVAL;
		/* A huge step must not wrap round. */
		if (span.step > limit)
			span.step = limit;
		for (uint64_t nr = span.first; nr <= span.last; nr += span.step)
			set(mask, (int)nr);
		if (*s != ',')
			break;
		s++;
	}
	if (*s == '\n')
		s++;
	return *s ? -EINVAL : 0;
}

static void set_cpu(void *mask, int cpu)
{
	nb_cpu_set(mask, cpu);
}

static void set_node(void *mask, int nid)
{
	nb_node_set(mask, nid);
}

/**
 * nb_parse_cpulist() - read a list of CPUs
 * @s: "0,2-3", "0-30:2" (every second one) or "all"
 * @mask: the set; "all" is every CPU number that fits
 *
 * Context: Anywhere.
 * Return: 0 or -EINVAL: empty, reversed, out of bounds, or not a list.
 */
int nb_parse_cpulist(const char *s, struct nb_cpumask *mask)
{
	struct nb_cpumask cpus;
	int err = 0;

	memset(&cpus, equal_nocase(s, "all") ? 0xff : 0, sizeof(cpus));
	if (nb_cpus_empty(&cpus))
		err = parse_list(s, NB_MAX_CPUS, set_cpu, &cpus);
	if (!err)
		*mask = cpus;
	return err;
}

/**
 * nb_parse_nodelist() - read a list of nodes
 * @s: as nb_parse_cpulist(); libnuma's "!" in front means all others
 * @mask: the set; "all" is every node number that fits
 *
 * Context: Anywhere.
 * Return: 0 or -EINVAL: empty, reversed, out of bounds, or not a list.
 */
int nb_parse_nodelist(const char *s, struct nb_nodemask *mask)
{
	struct nb_nodemask nodes = {0};
	bool others = *s == '!';
	int err = 0;

	if (equal_nocase(s, "all"))
		nodes.bits = ~0ULL;
	else
		err = parse_list(s + others, NB_MAX_NODES, set_node, &nodes);
	if (err)
		return err;
	mask->bits = others ? ~nodes.bits : nodes.bits;
	return 0;
}

static bool has_prefix(const char *s, const char *prefix)
{
	while (*prefix && *s == *prefix) {
		s++;
		prefix++;
	}
	return !*prefix;
}

/**
 * nb_vma_name_flags() - what the name of a mapping says of it
 * @name: as the kernel gives it: a path, "[name]" or empty
 *
 * A file's path starts with '/', so no file can pass for anything else.
 *
 * Context: Anywhere, including the signal handler.
 * Return: some of NB_VMA_STACK, _HEAP, _SPECIAL, _IO_URING.
 */
uint32_t nb_vma_name_flags(const char *name)
{
	if (has_prefix(name, "anon_inode:[io_uring]"))
		return NB_VMA_IO_URING;
	if (name[0] != '[')
		return 0;
	/* Named by PR_SET_VMA_ANON_NAME: ordinary memory. */
	if (has_prefix(name, "[anon:") || has_prefix(name, "[anon_shmem:"))
		return 0;
	if (has_prefix(name, "[heap]"))
		return NB_VMA_HEAP;
	/* Before Linux 4.5 threads' stacks were [stack:TID]. */
	if (has_prefix(name, "[stack]") || has_prefix(name, "[stack:"))
		return NB_VMA_STACK;
	return NB_VMA_SPECIAL;
}

static int parse_perms(const char *s, uint32_t *flags)
{
	static const char letters[3] = "rwx";
	static const uint32_t bits[3] = {NB_VMA_READ, NB_VMA_WRITE,
					 NB_VMA_EXEC};

	*flags = 0;
	for (int i = 0; i < 3; i++) {
		if (s[i] == letters[i])
			*flags |= bits[i];
		else if (s[i] != '-')
			return -EINVAL;
	}
	if (s[3] == 's')
		*flags |= NB_VMA_SHARED;
	else if (s[3] != 'p')
		return -EINVAL;
	return s[4] == ' ' ? 0 : -EINVAL;
}

/**
 * nb_parse_maps_line() - read a line of /proc/PID/maps
 * @line: the line, without its newline
 * @vma: range and flags; those that the line cannot tell (NB_VMA_LOCKED,
 *	 NB_VMA_HUGE) are not set
 * @name: the path or [name], within @line; may be empty.  NULL: not wanted
 *
 * Context: Anywhere, including the signal handler.
 * Return: 0 or -EINVAL.
 */
int nb_parse_maps_line(const char *line, struct nb_vma *vma, const char **name)
{
	uint64_t offset, major, minor, inode;
	struct nb_vma v;
	const char *p;

	if (nb_parse_hex(line, &p, &v.start) || *p++ != '-' ||
	    nb_parse_hex(p, &p, &v.end) || *p++ != ' ' ||
	    parse_perms(p, &v.flags))
		return -EINVAL;
	p += 5;
	if (nb_parse_hex(p, &p, &offset) || *p++ != ' ' ||
	    nb_parse_hex(p, &p, &major) || *p++ != ':' ||
	    nb_parse_hex(p, &p, &minor) || *p++ != ' ' ||
	    nb_parse_u64(p, &p, &inode) || (*p && *p != ' '))
		return -EINVAL;
	if (v.start >= v.end)
		return -EINVAL;
	while (*p == ' ')
		p++;
	if (inode)
		v.flags |= NB_VMA_FILE;
	v.flags |= nb_vma_name_flags(p);
	*vma = v;
	if (name)
		*name = p;
	return 0;
}

/* A pattern ends with the string, or where the next one of a list begins. */
static bool at_end(const char *p, char stop)
{
	return !*p || *p == stop;
}

/*
 * Match @c against the set that starts after '[' at @p.  Returns the
 * character after its ']', or NULL if there is none: then '[' is itself.
 */
static const char *match_set(const char *p, char stop, char c, bool *hit)
{
	bool negate = *p == '!' || *p == '^';
	const char *first;

	*hit = false;
	p += negate;
	for (first = p; !at_end(p, stop) && (*p != ']' || p == first); p++) {
		unsigned char lo = (unsigned char)*p;
		unsigned char hi = lo;

		if (p[1] == '-' && !at_end(p + 2, stop) && p[2] != ']') {
			hi = (unsigned char)p[2];
			p += 2;
		}
		if ((unsigned char)c >= lo && (unsigned char)c <= hi)
			*hit = true;
	}
	if (at_end(p, stop))
		return NULL;
	*hit ^= negate;
	return p + 1;
}

/* Match one character; returns the rest of the pattern, or NULL. */
static const char *match_one(const char *p, char stop, char c)
{
	const char *rest;
	bool hit;

	if (at_end(p, stop))
		return NULL;
	if (*p == '[') {
		rest = match_set(p + 1, stop, c, &hit);
		if (rest)
			return hit ? rest : NULL;
	}
	return *p == '?' || *p == c ? p + 1 : NULL;
}

/*
 * Only the last '*' needs to be tried again with a longer match, so the time
 * is bounded by the product of the lengths.
 */
static bool glob_match(const char *p, char stop, const char *s)
{
	const char *star = NULL;
	const char *star_s = NULL;

	while (*s) {
		const char *rest;

		if (*p == '*') {
			star = ++p;
			star_s = s;
			continue;
		}
		rest = match_one(p, stop, *s);
		if (rest) {
			p = rest;
			s++;
		} else if (star) {
			p = star;
			s = ++star_s;
		} else {
			return false;
		}
	}
	while (*p == '*')
		p++;
	return at_end(p, stop);
}

/**
 * nb_glob_match() - match a whole string against a pattern
 * @pattern: '*' any characters, '?' one, [a-z] [!a-z] one of a set; there is
 *	     no escape
 * @s: the string
 *
 * Context: Anywhere, including the signal handler.
 * Return: whether all of @s matches.
 */
bool nb_glob_match(const char *pattern, const char *s)
{
	return glob_match(pattern, '\0', s);
}

/**
 * nb_glob_list_match() - match a string against several patterns
 * @list: patterns separated by commas; NULL or empty: none
 * @s: the string
 *
 * An empty element matches nothing, so that a stray comma cannot select
 * every thread without a name.
 *
 * Context: Anywhere, including the signal handler.
 * Return: whether @s matches one of them.
 */
bool nb_glob_list_match(const char *list, const char *s)
{
	while (list && *list) {
		if (*list != ',' && glob_match(list, ',', s))
			return true;
		while (*list && *list != ',')
			list++;
		list += *list == ',';
	}
	return false;
}
