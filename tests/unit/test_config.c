/* SPDX-License-Identifier: MIT */
/*
 * config.c: every option's bounds, who wins, and what an error says.
 */
#include "../../lib/config.h"

#include "policy_test.h"

#include <errno.h>
#include <stdio.h>

#define UNBALANCED "; the program runs unbalanced"

static struct nb_config c;
static char err[NB_CONFIG_ERR];

static int from_defaults(void **state)
{
	(void)state;
	nb_config_defaults(&c);
	memset(err, 'x', sizeof(err));
	return 0;
}

static int set(const char *name, const char *value)
{
	const struct nb_config_arg arg = {name, value, NB_FROM_OPTS};

	return nb_config_set(&c, &arg, err, sizeof(err));
}

static int env(const char *a, const char *b, const char *d)
{
	char *const vars[] = {(char *)"PATH=/bin", (char *)a, (char *)b,
			      (char *)d, NULL};

	return nb_config_from_env(&c, vars, err, sizeof(err));
}

/* Expect NUMABAL_@var to be refused with @text. */
static void assert_env_error(const char *var, const char *text)
{
	nb_config_defaults(&c);
	assert_int_equal(env(var, NULL, NULL), -EINVAL);
	assert_string_equal(err, text);
}

struct bounds {
	const char *name;
	const uint32_t *field;
	uint32_t def, min, max;
	const char *unit;
};

static const struct bounds bounds[] = {
	{"scan_delay_ms", &c.scan_delay_ms, 1000, 0, 3600000, " (ms)"},
	{"scan_period_min_ms", &c.scan_period_min_ms, 1000, 1, 3600000,
	 " (ms)"},
	{"scan_period_max_ms", &c.scan_period_max_ms, 60000, 1, 3600000,
	 " (ms)"},
	{"scan_size_mb", &c.scan_size_mb, 256, 1, 1048576, " (MiB)"},
	{"min_rss_mb", &c.min_rss_mb, 64, 0, 16777216, " (MiB)"},
	{"min_region_kb", &c.min_region_kb, 256, 4, 1073741824, " (KiB)"},
	{"max_overhead_pct", &c.max_overhead_pct, 2, 1, 100, " (%)"},
	{"max_stall_us", &c.max_stall_us, 1000, 50, 1000000, " (us)"},
	{"migrate_rate_mbps", &c.migrate_rate_mbps, 0, 0, 1048576, " (MiB/s)"},
};

static void defaults_are_those_of_the_manual(void **state)
{
	(void)state;
	for (size_t i = 0; i < nb_array_size(bounds); i++)
		assert_int_equal(*bounds[i].field, bounds[i].def);
	assert_int_equal(c.mode, NB_MODE_ON);
	assert_int_equal(c.chunk_kb, 0);
	assert_int_equal(c.move_pages + c.move_tasks, 2);
	assert_int_equal(c.force, 0);
	assert_int_equal(c.guard, NB_GUARD_AUTO);
	assert_int_equal(c.follow, NB_FOLLOW_EXEC);
	assert_int_equal(c.log, 1);
	assert_int_equal(c.nodes.bits, 0);
	assert_int_equal(c.only[0] | c.skip[0] | c.stats[0], 0);
}

static void numbers_keep_to_their_bounds(void **state)
{
	char text[32], want[128];

	(void)state;
	for (size_t i = 0; i < nb_array_size(bounds); i++) {
		const struct bounds *b = &bounds[i];

		snprintf(text, sizeof(text), "%u", b->min);
		assert_int_equal(set(b->name, text), 0);
		assert_int_equal(*b->field, b->min);
		assert_string_equal(err, "");
		snprintf(text, sizeof(text), "%u", b->max);
		assert_int_equal(set(b->name, text), 0);
		assert_int_equal(*b->field, b->max);
		snprintf(text, sizeof(text), "%u", b->max + 1);
		assert_int_equal(set(b->name, text), -EINVAL);
		snprintf(want, sizeof(want), "-o %s=%s: not in %u..%u%s",
			 b->name, text, b->min, b->max, b->unit);
		assert_string_equal(err, want);
		snprintf(text, sizeof(text), "%d", (int)b->min - 1);
		assert_int_equal(set(b->name, text), -EINVAL);
		assert_int_equal(set(b->name, "99999999999999999999"), -EINVAL);
		assert_int_equal(set(b->name, "many"), -EINVAL);
		snprintf(want, sizeof(want),
			 "-o %s=many: not a whole number in %u..%u%s", b->name,
			 b->min, b->max, b->unit);
		assert_string_equal(err, want);
		assert_int_equal(*b->field, b->max);
	}
}

static void numbers_take_units(void **state)
{
	(void)state;
	assert_int_equal(set("scan_delay_ms", "2s"), 0);
	assert_int_equal(c.scan_delay_ms, 2000);
	assert_int_equal(set("scan_size_mb", "1G"), 0);
	assert_int_equal(c.scan_size_mb, 1024);
	assert_int_equal(set("migrate_rate_mbps", "64M/s"), 0);
	assert_int_equal(c.migrate_rate_mbps, 64);
	assert_int_equal(set("max_overhead_pct", "3%"), 0);
	assert_int_equal(c.max_overhead_pct, 3);
	/* Whole in its unit, or not at all. */
	assert_int_equal(set("scan_size_mb", "100k"), -EINVAL);
	assert_int_equal(set("scan_size_mb", "4s"), -EINVAL);
	assert_int_equal(c.scan_size_mb, 1024);
}

static void chunk_is_zero_or_a_power_of_two(void **state)
{
	static const char *const bad[] = {"1",	 "2",	 "3",	 "5", "12",
					  "100", "2047", "4096", "x", "-4"};

	(void)state;
	for (uint32_t kb = 4; kb <= 2048; kb *= 2) {
		char text[16];

		snprintf(text, sizeof(text), "%u", kb);
		assert_int_equal(set("chunk_kb", text), 0);
		assert_int_equal(c.chunk_kb, kb);
	}
	for (size_t i = 0; i < nb_array_size(bad); i++)
		assert_int_equal(set("chunk_kb", bad[i]), -EINVAL);
	assert_int_equal(c.chunk_kb, 2048);
	assert_string_equal(err, "-o chunk_kb=-4: not 0 or a power of two in "
				 "4..2048 (KiB)");
	assert_int_equal(set("chunk_kb", "0"), 0);
	assert_int_equal(c.chunk_kb, 0);
	assert_int_equal(set("chunk_kb", "2M"), 0);
	assert_int_equal(c.chunk_kb, 2048);
}

static void switches(void **state)
{
	static const struct bounds rows[] = {
		{"move_pages", &c.move_pages, 1, 0, 1, ""},
		{"move_tasks", &c.move_tasks, 1, 0, 1, ""},
		{"force", &c.force, 0, 0, 1, ""},
		{"trace", &c.trace, 0, 0, 1, ""}};
	(void)state;
	for (size_t i = 0; i < nb_array_size(rows); i++) {
		assert_int_equal(set(rows[i].name, "1"), 0);
		assert_int_equal(*rows[i].field, 1);
		assert_int_equal(set(rows[i].name, "off"), 0);
		assert_int_equal(*rows[i].field, 0);
		assert_int_equal(set(rows[i].name, "2"), -EINVAL);
		assert_non_null(strstr(err, "=2: not 0 or 1"));
		assert_int_equal(*rows[i].field, 0);
	}
}

static void choices(void **state)
{
	static const struct {
		const char *name;
		const char *value;
		const uint32_t *field;
		uint32_t want;
	} rows[] = {
		{"numabal", "0", &c.mode, NB_MODE_OFF},
		{"numabal", "1", &c.mode, NB_MODE_ON},
		{"numabal", "observe", &c.mode, NB_MODE_OBSERVE},
		{"guard", "bracket", &c.guard, NB_GUARD_BRACKET},
		{"guard", "off", &c.guard, NB_GUARD_OFF},
		{"guard", "conservative", &c.guard, NB_GUARD_CONSERVATIVE},
		{"guard", "AUTO", &c.guard, NB_GUARD_AUTO},
		{"follow", "none", &c.follow, NB_FOLLOW_NONE},
		{"follow", "fork", &c.follow, NB_FOLLOW_FORK},
		{"follow", "exec", &c.follow, NB_FOLLOW_EXEC},
		{"log", "error", &c.log, 0},
		{"log", "warn", &c.log, 1},
		{"log", "info", &c.log, 2},
		{"log", "debug", &c.log, 3},
	};

	(void)state;
	for (size_t i = 0; i < nb_array_size(rows); i++) {
		assert_int_equal(set(rows[i].name, rows[i].value), 0);
		assert_int_equal(*rows[i].field, rows[i].want);
	}
	assert_int_equal(set("log", "warning"), -EINVAL);
	assert_string_equal(err, "-o log=warning: not one of error, warn, "
				 "info, debug");
	assert_int_equal(set("log", "warn|info"), -EINVAL);
	assert_int_equal(c.log, 3);
}

static void nodes(void **state)
{
	(void)state;
	assert_int_equal(set("nodes", "0,2-3"), 0);
	assert_int_equal(c.nodes.bits, 0xd);
	assert_int_equal(set("nodes", "64"), -EINVAL);
	assert_string_equal(err, "-o nodes=64: not a list of nodes in 0..63");
	/* Empty means all, so nothing cannot be said. */
	assert_int_equal(set("nodes", "!all"), -EINVAL);
	assert_int_equal(set("nodes", "!0-63"), -EINVAL);
	assert_int_equal(c.nodes.bits, 0xd);
}

static void strings_fit_or_are_refused(void **state)
{
	char s[NB_CONFIG_STR + 1];

	(void)state;
	memset(s, 'a', sizeof(s));
	s[NB_CONFIG_STR - 1] = '\0';
	assert_int_equal(set("log_file", s), 0);
	assert_string_equal(c.log_file, s);
	s[NB_CONFIG_STR - 1] = 'a';
	s[NB_CONFIG_STR] = '\0';
	assert_int_equal(set("log_file", s), -EINVAL);
	assert_int_equal(strlen(c.log_file), NB_CONFIG_STR - 1);
	/* The line is cut in the value, not in what is wrong with it. */
	assert_non_null(strstr(err, "aaa...: longer than 255 bytes"));
	assert_int_equal(set("stats", "/tmp/%p.json"), 0);
	assert_string_equal(c.stats, "/tmp/%p.json");
}

static void empty_is_the_default(void **state)
{
	static const char *const names[] = {
		"numabal", "scan_size_mb", "force", "chunk_kb",
		"nodes",   "guard",	   "only",  "latency_threads",
		"sites",   "record"};
	struct nb_config fresh;

	(void)state;
	nb_config_defaults(&fresh);
	assert_int_equal(env("NUMABAL_CONF=numabal:0,scan_size_mb:1,force:1,"
			     "chunk_kb:64,nodes:1,guard:off,only:x",
			     NULL, NULL),
			 0);
	assert_memory_not_equal(&c, &fresh, sizeof(c));
	for (size_t i = 0; i < nb_array_size(names); i++)
		assert_int_equal(set(names[i], ""), 0);
	memset(c.from, 0, sizeof(c.from));
	/* Strings may differ behind their end. */
	assert_string_equal(c.only, "");
	memset(c.only, 0, sizeof(c.only));
	assert_memory_equal(&c, &fresh, sizeof(c));
}

static void names_in_either_case(void **state)
{
	(void)state;
	assert_int_equal(set("Scan_Size_MB", "7"), 0);
	assert_int_equal(c.scan_size_mb, 7);
	assert_int_equal(set("scan_size", "7"), -EINVAL);
	assert_string_equal(err, "-o scan_size=7: no such option");
	assert_int_equal(set("", "7"), -EINVAL);
}

static void what_is_not_supported_says_so(void **state)
{
	static const char *const rows[][2] = {{"sites", "1"}};
	char want[128];

	(void)state;
	for (size_t i = 0; i < nb_array_size(rows); i++) {
		assert_int_equal(set(rows[i][0], rows[i][1]), -EINVAL);
		snprintf(want, sizeof(want),
			 "-o %s=%s: not supported by this version", rows[i][0],
			 rows[i][1]);
		assert_string_equal(err, want);
	}
	assert_int_equal(set("sites", "0"), 0);
	assert_env_error("NUMABAL_SITES=1",
			 "NUMABAL_SITES=1: not supported by this "
			 "version" UNBALANCED);
}

static void error_lines_name_the_variable(void **state)
{
	(void)state;
	assert_env_error("NUMABAL_SCAN_SIZE_MB=0",
			 "NUMABAL_SCAN_SIZE_MB=0: not in 1..1048576 "
			 "(MiB)" UNBALANCED);
	assert_env_error("NUMABAL=2",
			 "NUMABAL=2: not one of 0, 1, observe" UNBALANCED);
	assert_env_error("NUMABAL_CONF=force:2",
			 "NUMABAL_CONF: force:2: not 0 or 1" UNBALANCED);
	assert_env_error("NUMABAL_CONF=force=1",
			 "NUMABAL_CONF: force=1: not option:value" UNBALANCED);
	assert_env_error("NUMABAL_CONF=force:1,bogus:1",
			 "NUMABAL_CONF: bogus:1: no such option" UNBALANCED);
	assert_env_error("NUMABAL_SCAN_PERIOD_MIN_MS=60001",
			 "NUMABAL_SCAN_PERIOD_MIN_MS=60001: above "
			 "SCAN_PERIOD_MAX_MS=60000" UNBALANCED);
}

static void a_short_buffer_is_not_overrun(void **state)
{
	const struct nb_config_arg arg = {"force", "2", NB_FROM_ENV};
	char small[8];

	(void)state;
	memset(small, 'x', sizeof(small));
	assert_int_equal(nb_config_set(&c, &arg, small, 4), -EINVAL);
	assert_string_equal(small, "NUM");
	assert_int_equal(small[4], 'x');
	assert_int_equal(nb_config_set(&c, &arg, NULL, 0), -EINVAL);
	assert_int_equal(nb_config_from_env(&c, NULL, NULL, 0), 0);
}

static void periods_are_judged_together(void **state)
{
	(void)state;
	assert_int_equal(set("scan_period_min_ms", "100000"), 0);
	assert_int_equal(nb_config_check(&c, err, sizeof(err)), -EINVAL);
	assert_string_equal(err, "-o SCAN_PERIOD_MIN_MS=100000: above "
				 "SCAN_PERIOD_MAX_MS=60000");
	assert_int_equal(set("scan_period_max_ms", "100000"), 0);
	assert_int_equal(nb_config_check(&c, err, sizeof(err)), 0);
	assert_string_equal(err, "");
}

static void a_later_source_wins(void **state)
{
	(void)state;
	assert_int_equal(env("NUMABAL_SCAN_SIZE_MB=2",
			     "NUMABAL_CONF=scan_size_mb:1,min_rss_mb:1,"
			     "numabal:observe,force:1",
			     "NUMABAL_FORCE="),
			 0);
	assert_int_equal(c.scan_size_mb, 2);
	assert_int_equal(c.min_rss_mb, 1);
	assert_int_equal(c.mode, NB_MODE_OBSERVE);
	assert_int_equal(c.force, 0);
	assert_int_equal(set("scan_size_mb", "3"), 0);
	assert_int_equal(c.scan_size_mb, 3);
}

static void conf_values_may_have_commas(void **state)
{
	(void)state;
	assert_int_equal(env("NUMABAL_CONF=nodes:0,2-6:2,only:a,b*,skip:c,"
			     "stats:/d/x,y,force:1,",
			     NULL, NULL),
			 0);
	assert_int_equal(c.nodes.bits, 0x55);
	assert_string_equal(c.only, "a,b*");
	assert_string_equal(c.skip, "c");
	assert_string_equal(c.stats, "/d/x,y");
	assert_int_equal(c.force, 1);
}

static void conf_values_have_a_length_too(void **state)
{
	char conf[2 * NB_CONFIG_STR] = "NUMABAL_CONF=stats:";
	size_t len = strlen(conf);

	(void)state;
	memset(conf + len, 'a', NB_CONFIG_STR - 1);
	assert_int_equal(env(conf, NULL, NULL), 0);
	assert_int_equal(strlen(c.stats), NB_CONFIG_STR - 1);
	memset(conf + len, 'a', NB_CONFIG_STR);
	assert_int_equal(env(conf, NULL, NULL), -EINVAL);
	memset(conf + len, 'a', sizeof(conf) - len - 1);
	assert_int_equal(env(conf, NULL, NULL), -EINVAL);
}

/* Off is off: nothing else is read, so nothing else can be wrong. */
static void numabal_0_asks_nothing(void **state)
{
	(void)state;
	assert_int_equal(
		env("NUMABAL=0", "NUMABAL_FORCE=maybe", "NUMABAL_CONF=?"), 0);
	assert_int_equal(c.mode, NB_MODE_OFF);
	assert_string_equal(err, "");
}

static void display_tells_value_and_source(void **state)
{
	char buf[4096];
	size_t len;

	(void)state;
	assert_int_equal(env("NUMABAL_SCAN_SIZE_MB=2G",
			     "NUMABAL_CONF=nodes:1-2,guard:off", "NUMABAL=1"),
			 0);
	assert_int_equal(set("stats", "%p"), 0);
	len = nb_config_display(&c, buf, sizeof(buf));
	assert_int_equal(len, strlen(buf));
	assert_memory_equal(buf, "NUMABAL=1 (env)\n", 16);
	assert_non_null(strstr(buf, "\nNUMABAL_SCAN_SIZE_MB=2048 (env)\n"));
	assert_non_null(strstr(buf, "\nNUMABAL_NODES=1-2 (conf)\n"));
	assert_non_null(strstr(buf, "\nNUMABAL_GUARD=off (conf)\n"));
	assert_non_null(strstr(buf, "\nNUMABAL_STATS=%p (opts)\n"));
	assert_non_null(strstr(buf, "\nNUMABAL_LOG=warn (default)\n"));
	assert_non_null(strstr(buf, "\nNUMABAL_ONLY= (default)\n"));
	assert_null(strstr(buf, "SITES"));
	nb_config_defaults(&c);
	nb_config_display(&c, buf, sizeof(buf));
	assert_non_null(strstr(buf, "\nNUMABAL_NODES=all (default)\n"));
	/* Whole in length even where it does not fit. */
	assert_true(nb_config_display(&c, buf, 10) > 100);
	assert_int_equal(strlen(buf), 9);
}

static void only_and_skip(void **state)
{
	(void)state;
	assert_true(nb_config_program_wanted(&c, "x"));
	assert_int_equal(set("only", "a*,b"), 0);
	assert_false(nb_config_program_wanted(&c, "x"));
	assert_int_equal(set("skip", "ab*"), 0);
	assert_false(nb_config_program_wanted(&c, "abc"));
	assert_true(nb_config_program_wanted(&c, "ac"));
	assert_int_equal(set("only", ""), 0);
	assert_true(nb_config_program_wanted(&c, "x"));
}

static int unknown(const char *const *vars)
{
	return nb_config_unknown_env((char *const *)vars, err, sizeof(err));
}

static void unknown_variables_make_one_line(void **state)
{
	static const char *const fine[] = {
		"NUMABAL=1",	   "NUMABAL_CONF=",  "NUMABAL_DISPLAY_ENV=1",
		"NUMABAL_SITES=x", "NUMABALX=1",     "NUMABAL_ROOT_PID=1",
		"NUMABAL_LOG=x",   "XNUMABAL_FOO=1", NULL};
	static const char *const bad[] = {
		"NUMABAL_FOO=1", "NUMABAL_scan_size_mb=1", "NUMABAL_LOG=x",
		"NUMABAL_=1",	 "NUMABAL_NUMABAL=1",	   NULL};
	static const char *const many[] = {
		"NUMABAL_A=", "NUMABAL_B=", "NUMABAL_C=", "NUMABAL_D=",
		"NUMABAL_E=", "NUMABAL_F",  NULL};

	(void)state;
	assert_int_equal(unknown(NULL), 0);
	assert_int_equal(unknown(fine), 0);
	assert_string_equal(err, "");
	assert_int_equal(unknown(bad), 4);
	assert_string_equal(err, "NUMABAL_FOO, NUMABAL_scan_size_mb, NUMABAL_, "
				 "NUMABAL_NUMABAL: no such option, ignored");
	assert_int_equal(unknown(many), 6);
	assert_string_equal(err, "NUMABAL_A, NUMABAL_B, NUMABAL_C, NUMABAL_D "
				 "and 2 more: no such option, ignored");
}

#define TEST(f) cmocka_unit_test_setup(f, from_defaults)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(defaults_are_those_of_the_manual),
		TEST(numbers_keep_to_their_bounds),
		TEST(numbers_take_units),
		TEST(chunk_is_zero_or_a_power_of_two),
		TEST(switches),
		TEST(choices),
		TEST(nodes),
		TEST(strings_fit_or_are_refused),
		TEST(empty_is_the_default),
		TEST(names_in_either_case),
		TEST(what_is_not_supported_says_so),
		TEST(error_lines_name_the_variable),
		TEST(a_short_buffer_is_not_overrun),
		TEST(periods_are_judged_together),
		TEST(a_later_source_wins),
		TEST(conf_values_may_have_commas),
		TEST(conf_values_have_a_length_too),
		TEST(numabal_0_asks_nothing),
		TEST(display_tells_value_and_source),
		TEST(only_and_skip),
		TEST(unknown_variables_make_one_line),
	};

	return cmocka_run_group_tests_name("config", tests, NULL, NULL);
}
