/* SPDX-License-Identifier: MIT */
/*
 * Options: what they are called, what they may be, and where a value came
 * from.
 *
 * One table, option.h, serves the environment, NUMABAL_CONF, `numabal run -o`,
 * NUMABAL_DISPLAY_ENV and the manual page (a test compares them).  A later
 * source wins: defaults, NUMABAL_CONF, single variables, options of the call.
 * An empty value means the default, wherever it stands.
 *
 * A value that is not wholly right is refused, never rounded or clamped: the
 * caller prints the one line made here and leaves the program alone.
 *
 * Owns no variable; linked into the library and into the tool, so neither
 * malloc nor stdio.
 */
#include "config.h"

#include "option.h"
#include "plat/log.h"

#include <errno.h>
#include <string.h>

static const struct nb_option options[] = {NB_OPTION_LIST};

_Static_assert(nb_array_size(options) <= NB_CONFIG_OPTIONS,
	       "NB_CONFIG_OPTIONS is too small");

/* Names in the environment that are not options. */
static const char *const other_env[] = {
	"NUMABAL_CONF", "NUMABAL_DISPLAY_ENV",
	"NUMABAL_ROOT_PID", /* the process that `numabal run` became */
	"NUMABAL_DOCTOR",   /* descriptor that `numabal doctor` reads */
};

#define PREFIX "NUMABAL_"
#define PREFIX_LEN (sizeof(PREFIX) - 1)

static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

/* Compare @len bytes of @s with all of @word, whatever the case. */
static bool same_word(const char *s, size_t len, const char *word)
{
	size_t i;

	for (i = 0; i < len && word[i]; i++)
		if (lower(s[i]) != lower(word[i]))
			return false;
	return i == len && !word[i];
}

static const struct nb_option *option_find(const char *name, size_t len)
{
	for (size_t i = 0; i < nb_array_size(options); i++)
		if (same_word(name, len, options[i].name))
			return &options[i];
	return NULL;
}

/* NUMABAL is the one whose variable has no prefix. */
static const char *env_prefix(const struct nb_option *o)
{
	return o == &options[0] ? "" : PREFIX;
}

static void *field_of(struct nb_config *c, const struct nb_option *o)
{
	return (char *)c + o->offset;
}

static const char *unit_name(enum nb_unit unit)
{
	static const char *const names[] = {
		[NB_UNIT_NONE] = "",	 [NB_UNIT_MS] = " (ms)",
		[NB_UNIT_US] = " (us)",	 [NB_UNIT_KB] = " (KiB)",
		[NB_UNIT_MB] = " (MiB)", [NB_UNIT_MBPS] = " (MiB/s)",
		[NB_UNIT_PCT] = " (%)",
	};

	return names[unit];
}

/* An option as the user wrote it, and where to say what is wrong with it. */
struct origin {
	const struct nb_config_arg *arg;
	const char *value;
	struct nb_text *err;
};

static void error_begin(const struct origin *org)
{
	static const char *const before[] = {
		[NB_FROM_DEFAULT] = PREFIX,
		[NB_FROM_CONF] = "NUMABAL_CONF: ",
		[NB_FROM_ENV] = PREFIX,
		[NB_FROM_OPTS] = "-o ",
	};
	const enum nb_config_source from = org->arg->from;
	const size_t shown = 64; /* the reason has to fit as well */
	bool bare = from == NB_FROM_ENV && !strcmp(org->arg->name, "NUMABAL");

	nb_text_add(org->err, "%s%.*s%c%.*s%s: ", bare ? "" : before[from],
		    (int)shown, org->arg->name,
		    from == NB_FROM_CONF ? ':' : '=', (int)shown, org->value,
		    strlen(org->value) > shown ? "..." : "");
}

/* With -o nothing runs at all, so nothing is to be said about the program. */
static int error_end(const struct origin *org)
{
	if (org->arg->from != NB_FROM_OPTS)
		nb_text_add(org->err, "; the program runs unbalanced");
	return -EINVAL;
}

static int error_text(const struct origin *org, const char *text)
{
	error_begin(org);
	nb_text_add(org->err, "%s", text);
	return error_end(org);
}

static int set_number(uint32_t *field, const struct nb_option *o,
		      const struct origin *org)
{
	uint64_t v = 0;
	int err = nb_parse_quantity(org->value, o->unit, &v);

	bool fits = v >= o->min && v <= o->max;

	if (o->kind == NB_OPTION_POW2)
		fits = !v || (fits && !(v & (v - 1)));
	if (!err && fits) {
		*field = (uint32_t)v;
		return 0;
	}
	error_begin(org);
	if (o->kind == NB_OPTION_POW2)
		nb_text_add(org->err, "not 0 or a power of two");
	else if (err == -EINVAL)
		nb_text_add(org->err, "not a whole number");
	else
		nb_text_add(org->err, "not");
	nb_text_add(org->err, " in %u..%u%s", o->min, o->max,
		    unit_name(o->unit));
	return error_end(org);
}

static int set_bool(uint32_t *field, const struct origin *org)
{
	bool v;

	if (nb_parse_bool(org->value, &v))
		return error_text(org, "not 0 or 1");
	*field = v;
	return 0;
}

/* The @nr-th word of a list separated by '|'; NULL after the last one. */
static const char *choice_word(const char *words, uint32_t nr, size_t *len)
{
	for (; words && nr; nr--) {
		words = strchr(words, '|');
		words = words ? words + 1 : NULL;
	}
	if (words)
		*len = strcspn(words, "|");
	return words;
}

static int set_choice(uint32_t *field, const struct nb_option *o,
		      const struct origin *org)
{
	const char *word;
	size_t len;

	for (uint32_t i = 0; (word = choice_word(o->choices, i, &len)); i++) {
		if (same_word(word, len, org->value)) {
			*field = i;
			return 0;
		}
	}
	error_begin(org);
	nb_text_add(org->err, "not one of ");
	for (uint32_t i = 0; (word = choice_word(o->choices, i, &len)); i++)
		nb_text_add(org->err, "%s%.*s", i ? ", " : "", (int)len, word);
	return error_end(org);
}

static int set_nodes(struct nb_nodemask *field, const struct origin *org)
{
	struct nb_nodemask nodes = {0};

	/* An empty set would be taken for "all", the opposite of "!all". */
	if (nb_parse_nodelist(org->value, &nodes) || !nodes.bits) {
		error_begin(org);
		nb_text_add(org->err, "not a list of nodes in 0..%d",
			    NB_MAX_NODES - 1);
		return error_end(org);
	}
	*field = nodes;
	return 0;
}

static int set_string(char *field, const struct origin *org)
{
	size_t len = strlen(org->value);

	if (len >= NB_CONFIG_STR) {
		error_begin(org);
		nb_text_add(org->err, "longer than %d bytes",
			    NB_CONFIG_STR - 1);
		return error_end(org);
	}
	memcpy(field, org->value, len + 1);
	return 0;
}

static int set_later(const struct nb_option *o, const struct origin *org)
{
	/* Switched off is what it is. */
	if (o->later && !strcmp(org->value, o->later))
		return 0;
	return error_text(org, "not supported by this version");
}

static void set_default(struct nb_config *c, const struct nb_option *o)
{
	switch (o->kind) {
	case NB_OPTION_NUMBER:
	case NB_OPTION_POW2:
	case NB_OPTION_BOOL:
	case NB_OPTION_CHOICE:
		*(uint32_t *)field_of(c, o) = o->def;
		break;
	case NB_OPTION_NODES:
		c->nodes.bits = 0;
		break;
	case NB_OPTION_STRING:
		*(char *)field_of(c, o) = '\0';
		break;
	case NB_OPTION_LATER:
		break;
	}
}

static int set_value(struct nb_config *c, const struct nb_option *o,
		     const struct origin *org)
{
	switch (o->kind) {
	case NB_OPTION_NUMBER:
	case NB_OPTION_POW2:
		return set_number(field_of(c, o), o, org);
	case NB_OPTION_BOOL:
		return set_bool(field_of(c, o), org);
	case NB_OPTION_CHOICE:
		return set_choice(field_of(c, o), o, org);
	case NB_OPTION_NODES:
		return set_nodes(field_of(c, o), org);
	case NB_OPTION_STRING:
		return set_string(field_of(c, o), org);
	case NB_OPTION_LATER:
		break;
	}
	return set_later(o, org);
}

/**
 * nb_config_defaults() - set every option to its default
 * @c: the options
 *
 * Context: Anywhere.
 */
void nb_config_defaults(struct nb_config *c)
{
	memset(c, 0, sizeof(*c));
	for (size_t i = 0; i < nb_array_size(options); i++)
		set_default(c, &options[i]);
}

/**
 * nb_config_set() - set one option
 * @c: the options; unchanged on an error
 * @arg: what it is set to, and where that was said
 * @err: where to put one line, without a newline, that says what is wrong
 * @err_size: its size; NB_CONFIG_ERR is enough
 *
 * Context: Anywhere.
 * Return: 0 or -EINVAL: no such option, not supported, or a bad value.
 */
int nb_config_set(struct nb_config *c, const struct nb_config_arg *arg,
		  char *err, size_t err_size)
{
	const struct nb_option *o = option_find(arg->name, strlen(arg->name));
	struct nb_text text;
	struct origin org = {arg, arg->value, &text};
	int ret = 0;

	nb_text_init(&text, err, err_size);
	if (!o)
		return error_text(&org, "no such option");
	if (*arg->value)
		ret = set_value(c, o, &org);
	else
		set_default(c, o);
	if (!ret)
		c->from[o - options] = (uint8_t)arg->from;
	return ret;
}

static enum nb_config_source source_of(const struct nb_config *c,
				       const char *name)
{
	return c->from[option_find(name, strlen(name)) - options];
}

/**
 * nb_config_check() - check options that depend on each other
 * @c: the options, after the last of them was set
 * @err: as in nb_config_set()
 * @err_size: as in nb_config_set()
 *
 * Apart from nb_config_set(), as only the last of two options can be judged.
 *
 * Context: Anywhere.
 * Return: 0 or -EINVAL.
 */
int nb_config_check(const struct nb_config *c, char *err, size_t err_size)
{
	static const char min_name[] = "SCAN_PERIOD_MIN_MS";
	static const char max_name[] = "SCAN_PERIOD_MAX_MS";
	enum nb_config_source from =
		nb_max(source_of(c, min_name), source_of(c, max_name));
	struct nb_text text;

	nb_text_init(&text, err, err_size);
	if (c->scan_period_min_ms <= c->scan_period_max_ms)
		return 0;
	nb_text_add(&text, "%s%s=%u: above %s=%u%s",
		    from == NB_FROM_OPTS ? "-o " : PREFIX, min_name,
		    c->scan_period_min_ms, max_name, c->scan_period_max_ms,
		    from == NB_FROM_OPTS ? ""
					 : "; the program runs unbalanced");
	return -EINVAL;
}

/**
 * nb_config_getenv() - look a variable up
 * @env: the environment; NULL: none
 * @name: the variable's whole name
 *
 * Context: Anywhere.
 * Return: its value, or NULL.
 */
const char *nb_config_getenv(char *const *env, const char *name)
{
	size_t len = strlen(name);

	for (; env && *env; env++)
		if (!strncmp(*env, name, len) && (*env)[len] == '=')
			return *env + len + 1;
	return NULL;
}

static const char *env_value(char *const *env, const struct nb_option *o)
{
	char name[64];
	struct nb_text text;

	nb_text_init(&text, name, sizeof(name));
	nb_text_add(&text, "%s%s", env_prefix(o), o->name);
	return nb_config_getenv(env, name);
}

/*
 * The length of the option's name if "name:" starts here, else 0.  Lists have
 * commas of their own ("nodes:0,2-6:2,force:1"), so a comma ends a value only
 * where a name follows it, and no name starts with a digit.
 */
static size_t conf_name(const char *s)
{
	size_t len = 0;

	while ((lower(s[len]) >= 'a' && lower(s[len]) <= 'z') || s[len] == '_')
		len++;
	return s[len] == ':' ? len : 0;
}

static const char *conf_value_end(const char *s)
{
	for (;;) {
		s += strcspn(s, ",");
		/* A comma at the very end is nobody's. */
		if (!*s || !s[1] || conf_name(s + 1))
			return s;
		s++;
	}
}

/* NUMABAL_CONF=option:value,option:value */
static int set_conf(struct nb_config *c, const char *s, char *err,
		    size_t err_size)
{
	char name[NB_CONFIG_STR];
	char value[NB_CONFIG_STR + 1]; /* one more: too long for any string */
	const char *end;
	struct nb_text text;
	size_t len;
	int ret;

	while (*s) {
		len = conf_name(s);
		if (!len) {
			nb_text_init(&text, err, err_size);
			nb_text_add(&text,
				    "NUMABAL_CONF: %.64s: not option:value; "
				    "the program runs unbalanced",
				    s);
			return -EINVAL;
		}
		end = conf_value_end(s + len + 1);
		nb_text_init(&text, name, sizeof(name));
		nb_text_add(&text, "%.*s", (int)len, s);
		s += len + 1;
		nb_text_init(&text, value, sizeof(value));
		nb_text_add(&text, "%.*s", (int)(end - s), s);
		ret = nb_config_set(
			c, &(struct nb_config_arg){name, value, NB_FROM_CONF},
			err, err_size);
		if (ret)
			return ret;
		s = *end ? end + 1 : end;
	}
	return 0;
}

/**
 * nb_config_from_env() - read NUMABAL, NUMABAL_CONF and NUMABAL_<OPTION>
 * @c: the options, as nb_config_defaults() left them
 * @env: the environment; NULL: none
 * @err: as in nb_config_set()
 * @err_size: as in nb_config_set()
 *
 * With NUMABAL=0 nothing else is looked at, so nothing else can be wrong.
 *
 * Context: Start only.
 * Return: 0 or -EINVAL; @c is then not to be used.
 */
int nb_config_from_env(struct nb_config *c, char *const *env, char *err,
		       size_t err_size)
{
	struct nb_config_arg arg = {"NUMABAL", NULL, NB_FROM_ENV};
	const char *conf = nb_config_getenv(env, "NUMABAL_CONF");
	int ret = 0;

	if (err_size)
		err[0] = '\0';
	arg.value = nb_config_getenv(env, arg.name);
	if (arg.value && !strcmp(arg.value, "0"))
		return nb_config_set(c, &arg, err, err_size);
	if (conf)
		ret = set_conf(c, conf, err, err_size);
	for (size_t i = 0; !ret && i < nb_array_size(options); i++) {
		arg.name = options[i].name;
		arg.value = env_value(env, &options[i]);
		if (arg.value)
			ret = nb_config_set(c, &arg, err, err_size);
	}
	return ret ? ret : nb_config_check(c, err, err_size);
}

static void add_value(struct nb_text *text, const struct nb_config *c,
		      const struct nb_option *o)
{
	const char *field = (const char *)c + o->offset;
	const char *word;
	size_t len = 0;

	switch (o->kind) {
	case NB_OPTION_NUMBER:
	case NB_OPTION_POW2:
	case NB_OPTION_BOOL:
		nb_text_add(text, "%u", *(const uint32_t *)field);
		break;
	case NB_OPTION_CHOICE:
		word = choice_word(o->choices, *(const uint32_t *)field, &len);
		nb_text_add(text, "%.*s", (int)len, word ? word : "");
		break;
	case NB_OPTION_NODES:
		if (c->nodes.bits)
			nb_text_add_nodelist(text, &c->nodes);
		else
			nb_text_add(text, "all");
		break;
	case NB_OPTION_STRING:
		nb_text_add(text, "%s", field);
		break;
	case NB_OPTION_LATER:
		break;
	}
}

/**
 * nb_config_display() - list every option's value and where it came from
 * @c: the options
 * @buf: one line each: "NUMABAL_SCAN_SIZE_MB=256 (default)"
 * @size: its size
 *
 * Options that this version does not support are left out.
 *
 * Context: Anywhere.
 * Return: the length, without the NUL; may be more than fits.
 */
size_t nb_config_display(const struct nb_config *c, char *buf, size_t size)
{
	static const char *const sources[] = {"default", "conf", "env", "opts"};
	struct nb_text text;

	nb_text_init(&text, buf, size);
	for (size_t i = 0; i < nb_array_size(options); i++) {
		const struct nb_option *o = &options[i];

		if (o->kind == NB_OPTION_LATER)
			continue;
		nb_text_add(&text, "%s%s=", env_prefix(o), o->name);
		add_value(&text, c, o);
		nb_text_add(&text, " (%s)\n", sources[c->from[i]]);
	}
	return text.len;
}

/**
 * nb_config_program_wanted() - apply ONLY and SKIP
 * @c: the options
 * @name: the program's name, without its path
 *
 * Context: Anywhere.
 * Return: whether this program is to be balanced.
 */
bool nb_config_program_wanted(const struct nb_config *c, const char *name)
{
	if (c->only[0] && !nb_glob_list_match(c->only, name))
		return false;
	return !nb_glob_list_match(c->skip, name);
}

static bool env_known(const char *var, size_t len)
{
	const struct nb_option *o;

	for (size_t i = 0; i < nb_array_size(other_env); i++)
		if (len == strlen(other_env[i]) &&
		    !memcmp(var, other_env[i], len))
			return true;
	o = option_find(var + PREFIX_LEN, len - PREFIX_LEN);
	/* Variables are told by case; NUMABAL_NUMABAL is not one of them. */
	return o && *env_prefix(o) &&
	       !memcmp(var + PREFIX_LEN, o->name, len - PREFIX_LEN);
}

/**
 * nb_config_unknown_env() - warn of variables that mean nothing
 * @env: the environment; NULL: none
 * @buf: one line, without a newline: "NUMABAL_FOO: no such option, ignored"
 * @size: its size
 *
 * Context: Start only.
 * Return: how many there are; with 0, @buf is empty.
 */
int nb_config_unknown_env(char *const *env, char *buf, size_t size)
{
	const int shown = 4; /* one line has to do */
	struct nb_text text;
	int nr = 0;

	nb_text_init(&text, buf, size);
	for (; env && *env; env++) {
		size_t len = strcspn(*env, "=");

		if (strncmp(*env, PREFIX, PREFIX_LEN) || env_known(*env, len))
			continue;
		if (nr++ < shown)
			nb_text_add(&text, "%s%.*s", nr > 1 ? ", " : "",
				    (int)nb_min(len, (size_t)64), *env);
	}
	if (nr > shown)
		nb_text_add(&text, " and %d more", nr - shown);
	if (nr)
		nb_text_add(&text, ": no such option, ignored");
	return nr;
}
