/* SPDX-License-Identifier: MIT */
/*
 * base/parse.c: numbers, units, lists, lines of maps, globs.
 */
#include "../../lib/base/parse.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define UNTOUCHED 0x5a5a5a5aULL

static void test_number(void **state)
{
	const char *end;
	uint64_t v = UNTOUCHED;

	(void)state;
	assert_int_equal(nb_parse_u64("18446744073709551615", NULL, &v), 0);
	assert_true(v == UINT64_MAX);
	assert_int_equal(nb_parse_u64("12ab", &end, &v), 0);
	assert_true(v == 12);
	assert_string_equal(end, "ab");
	assert_int_equal(nb_parse_hex("fFff600000-", &end, &v), 0);
	assert_true(v == 0xffff600000);
	assert_string_equal(end, "-");
	v = UNTOUCHED;
	assert_int_equal(nb_parse_u64("18446744073709551616", NULL, &v),
			 -ERANGE);
	assert_int_equal(nb_parse_hex("10000000000000000", NULL, &v), -ERANGE);
	assert_int_equal(nb_parse_u64("12ab", NULL, &v), -EINVAL);
	assert_int_equal(nb_parse_u64("", NULL, &v), -EINVAL);
	assert_int_equal(nb_parse_u64("-1", NULL, &v), -EINVAL);
	assert_int_equal(nb_parse_u64(" 1", NULL, &v), -EINVAL);
	assert_int_equal(nb_parse_u64("+1", NULL, &v), -EINVAL);
	assert_int_equal(nb_parse_hex("0x10", NULL, &v), -EINVAL);
	assert_true(v == UNTOUCHED);
}

static const struct {
	const char *text;
	enum nb_unit unit;
	int err;
	uint64_t v;
} quantities[] = {
	{"7", NB_UNIT_NONE, 0, 7},
	{"7k", NB_UNIT_NONE, -EINVAL, 0},
	{"50", NB_UNIT_MS, 0, 50},
	{"50ms", NB_UNIT_MS, 0, 50},
	{"2s", NB_UNIT_MS, 0, 2000},
	{"1m", NB_UNIT_MS, 0, 60000},
	{"1min", NB_UNIT_MS, 0, 60000},
	{"3000us", NB_UNIT_MS, 0, 3},
	{"1500us", NB_UNIT_MS, -EINVAL, 0},
	{"10", NB_UNIT_US, 0, 10},
	{"10us", NB_UNIT_US, 0, 10},
	{"1ms", NB_UNIT_US, 0, 1000},
	{"1s", NB_UNIT_US, 0, 1000000},
	{"1m", NB_UNIT_US, -EINVAL, 0},
	{"256", NB_UNIT_KB, 0, 256},
	{"256K", NB_UNIT_KB, 0, 256},
	{"256kb", NB_UNIT_KB, 0, 256},
	{"256KiB", NB_UNIT_KB, 0, 256},
	{"4M", NB_UNIT_KB, 0, 4096},
	{"2g", NB_UNIT_KB, 0, 2 << 20},
	{"1T", NB_UNIT_KB, 0, 1 << 30},
	{"8192B", NB_UNIT_KB, 0, 8},
	{"8193B", NB_UNIT_KB, -EINVAL, 0},
	{"64", NB_UNIT_MB, 0, 64},
	{"64M", NB_UNIT_MB, 0, 64},
	{"2048K", NB_UNIT_MB, 0, 2},
	{"2047K", NB_UNIT_MB, -EINVAL, 0},
	{"1G", NB_UNIT_MB, 0, 1024},
	{"1G/s", NB_UNIT_MB, -EINVAL, 0},
	{"64", NB_UNIT_MBPS, 0, 64},
	{"64M", NB_UNIT_MBPS, 0, 64},
	{"64M/s", NB_UNIT_MBPS, 0, 64},
	{"64MiB/S", NB_UNIT_MBPS, 0, 64},
	{"64/s", NB_UNIT_MBPS, 0, 64},
	{"1G/s", NB_UNIT_MBPS, 0, 1024},
	{"1G/s/s", NB_UNIT_MBPS, -EINVAL, 0},
	{"1M/", NB_UNIT_MBPS, -EINVAL, 0},
	{"2", NB_UNIT_PCT, 0, 2},
	{"2%", NB_UNIT_PCT, 0, 2},
	{"2%%", NB_UNIT_PCT, -EINVAL, 0},
	{"", NB_UNIT_MB, -EINVAL, 0},
	{"M", NB_UNIT_MB, -EINVAL, 0},
	{"-1", NB_UNIT_MB, -EINVAL, 0},
	{"1.5G", NB_UNIT_MB, -EINVAL, 0},
	{"1 G", NB_UNIT_MB, -EINVAL, 0},
	{"1Gx", NB_UNIT_MB, -EINVAL, 0},
	{"1aaaaaaaaaaaaaaaaaaaaaaaa", NB_UNIT_MB, -EINVAL, 0},
	{"18446744073709551615s", NB_UNIT_MS, -ERANGE, 0},
	{"18446744073709551615T", NB_UNIT_KB, -ERANGE, 0},
	{"99999999999999999999", NB_UNIT_MS, -ERANGE, 0},
};

static void test_quantity(void **state)
{
	(void)state;
	for (size_t i = 0; i < nb_array_size(quantities); i++) {
		uint64_t v = UNTOUCHED;
		int err = nb_parse_quantity(quantities[i].text,
					    quantities[i].unit, &v);

		if (err != quantities[i].err || (!err && v != quantities[i].v))
			fail_msg("%s: %d, %llu", quantities[i].text, err,
				 (unsigned long long)v);
		if (err)
			assert_true(v == UNTOUCHED);
	}
}

static void test_bool(void **state)
{
	bool v = false;

	(void)state;
	assert_int_equal(nb_parse_bool("1", &v), 0);
	assert_true(v);
	assert_int_equal(nb_parse_bool("OFF", &v), 0);
	assert_false(v);
	assert_int_equal(nb_parse_bool("Yes", &v), 0);
	assert_true(v);
	assert_int_equal(nb_parse_bool("false", &v), 0);
	assert_false(v);
	assert_int_equal(nb_parse_bool("2", &v), -EINVAL);
	assert_int_equal(nb_parse_bool("", &v), -EINVAL);
	assert_int_equal(nb_parse_bool("yesno", &v), -EINVAL);
}

static void test_nodelist(void **state)
{
	static const struct {
		const char *text;
		int err;
		uint64_t bits;
	} cases[] = {
		{"0", 0, 0x1},
		{"0,2-3", 0, 0xd},
		{"0-7:2", 0, 0x55},
		{"0-7:18446744073709551615", 0, 0x1},
		{"5-5", 0, 0x20},
		{"63", 0, 1ULL << 63},
		{"0-63", 0, ~0ULL},
		{"all", 0, ~0ULL},
		{"ALL", 0, ~0ULL},
		{"!1", 0, ~0x2ULL},
		{"0-1\n", 0, 0x3},
		{"", -EINVAL, 0},
		{"\n", -EINVAL, 0},
		{"!", -EINVAL, 0},
		{"!all", -EINVAL, 0},
		{"3-2", -EINVAL, 0},
		{"64", -EINVAL, 0},
		{"0-64", -EINVAL, 0},
		{"0,", -EINVAL, 0},
		{",0", -EINVAL, 0},
		{"0,,1", -EINVAL, 0},
		{"0-", -EINVAL, 0},
		{"-1", -EINVAL, 0},
		{"0-3:0", -EINVAL, 0},
		{"0-3:", -EINVAL, 0},
		{"0 1", -EINVAL, 0},
		{"+0", -EINVAL, 0},
		{"0\n1", -EINVAL, 0},
		{"18446744073709551616", -EINVAL, 0},
		{"0-18446744073709551615", -EINVAL, 0},
	};

	(void)state;
	for (size_t i = 0; i < nb_array_size(cases); i++) {
		struct nb_nodemask m = {UNTOUCHED};
		int err = nb_parse_nodelist(cases[i].text, &m);

		if (err != cases[i].err || (!err && m.bits != cases[i].bits))
			fail_msg("'%s': %d, %llx", cases[i].text, err,
				 (unsigned long long)m.bits);
		if (err)
			assert_true(m.bits == UNTOUCHED);
	}
}

static void test_cpulist(void **state)
{
	static struct nb_cpumask m;

	(void)state;
	assert_int_equal(nb_parse_cpulist("0,64-66,8191\n", &m), 0);
	assert_int_equal(nb_cpus_weight(&m), 5);
	assert_true(nb_cpu_isset(&m, 0));
	assert_true(nb_cpu_isset(&m, 64));
	assert_true(nb_cpu_isset(&m, 66));
	assert_true(nb_cpu_isset(&m, 8191));
	assert_int_equal(nb_parse_cpulist("8192", &m), -EINVAL);
	assert_int_equal(nb_parse_cpulist("2-1", &m), -EINVAL);
	assert_int_equal(nb_cpus_weight(&m), 5);
	assert_int_equal(nb_parse_cpulist("all", &m), 0);
	assert_int_equal(nb_cpus_weight(&m), NB_MAX_CPUS);
}

static void test_maps_line(void **state)
{
#define LINE(perms, inode, name) "1000-3000 " perms " 0 fd:01 " inode " " name
	static const struct {
		const char *line;
		uint32_t flags;
		const char *name;
	} cases[] = {
		{LINE("rw-p", "0", ""), NB_VMA_READ | NB_VMA_WRITE, ""},
		{"1000-3000 ---p 0 00:00 0", 0, ""},
		{LINE("r-xp", "77", "/usr/bin/a b"),
		 NB_VMA_READ | NB_VMA_EXEC | NB_VMA_FILE, "/usr/bin/a b"},
		{LINE("rw-s", "9", "/dev/shm/x (deleted)"),
		 NB_VMA_READ | NB_VMA_WRITE | NB_VMA_SHARED | NB_VMA_FILE,
		 "/dev/shm/x (deleted)"},
		{LINE("rw-p", "0", "[heap]"),
		 NB_VMA_READ | NB_VMA_WRITE | NB_VMA_HEAP, "[heap]"},
		{LINE("rw-p", "0", "[stack]"),
		 NB_VMA_READ | NB_VMA_WRITE | NB_VMA_STACK, "[stack]"},
		{LINE("rw-p", "0", "[stack:12]"),
		 NB_VMA_READ | NB_VMA_WRITE | NB_VMA_STACK, "[stack:12]"},
		{LINE("r-xp", "0", "[vdso]"),
		 NB_VMA_READ | NB_VMA_EXEC | NB_VMA_SPECIAL, "[vdso]"},
		{LINE("r--p", "0", "[vvar_vclock]"),
		 NB_VMA_READ | NB_VMA_SPECIAL, "[vvar_vclock]"},
		{LINE("rw-p", "0", "[anon:numabal]"),
		 NB_VMA_READ | NB_VMA_WRITE, "[anon:numabal]"},
		{LINE("rw-s", "5", "anon_inode:[io_uring]"),
		 NB_VMA_READ | NB_VMA_WRITE | NB_VMA_SHARED | NB_VMA_FILE |
			 NB_VMA_IO_URING,
		 "anon_inode:[io_uring]"},
		{LINE("rw-p", "5", "/x/anon_inode:[io_uring]"),
		 NB_VMA_READ | NB_VMA_WRITE | NB_VMA_FILE,
		 "/x/anon_inode:[io_uring]"},
	};
	struct nb_vma vma;
	const char *name;

	(void)state;
	for (size_t i = 0; i < nb_array_size(cases); i++) {
		if (nb_parse_maps_line(cases[i].line, &vma, &name))
			fail_msg("refused: %s", cases[i].line);
		assert_true(vma.start == 0x1000 && vma.end == 0x3000);
		assert_int_equal(vma.flags, cases[i].flags);
		assert_string_equal(name, cases[i].name);
	}
	assert_int_equal(nb_parse_maps_line("ffffffffff600000-ffffffffff601000 "
					    "--xp 00000000 00:00 0 [vsyscall]",
					    &vma, NULL),
			 0);
	assert_true(vma.end == 0xffffffffff601000);
}

static void test_maps_line_bad(void **state)
{
	static const char good[] = "1000-3000 rw-p 00000000 fd:01 12 /x";
	static const char *const bad[] = {
		"",
		"garbage",
		"1000-3000",
		"1000-3000 ",
		"1000 3000 rw-p 0 0:0 0",
		"3000-1000 rw-p 0 0:0 0",
		"1000-1000 rw-p 0 0:0 0",
		"1000-3000 rw-q 0 0:0 0",
		"1000-3000 xw-p 0 0:0 0",
		"1000-3000 rw-pp 0 0:0 0",
		"1000-3000 rw-p 0 00 0",
		"1000-3000 rw-p 0 0:0 0x",
		"1000-3000 rw-p 0 0:0 ",
		"10000000000000000-20000000000000000 rw-p 0 0:0 0",
	};
	struct nb_vma vma = {.start = UNTOUCHED};
	char line[sizeof(good)];

	(void)state;
	for (size_t i = 0; i < nb_array_size(bad); i++)
		if (nb_parse_maps_line(bad[i], &vma, NULL) != -EINVAL)
			fail_msg("accepted: %s", bad[i]);
	/* Every cut before the inode number. */
	for (size_t len = 0; len < strlen(good) - strlen("12 /x"); len++) {
		/* malloc: the sanitizer sees a read past the NUL. */
		char *cut = malloc(len + 1);

		memcpy(cut, good, len);
		cut[len] = '\0';
		assert_int_equal(nb_parse_maps_line(cut, &vma, NULL), -EINVAL);
		free(cut);
	}
	assert_true(vma.start == UNTOUCHED);
	memcpy(line, good, sizeof(good));
	assert_int_equal(nb_parse_maps_line(line, &vma, NULL), 0);
}

static void test_glob(void **state)
{
	static const struct {
		const char *pattern;
		const char *s;
		bool match;
	} cases[] = {
		{"", "", true},
		{"", "a", false},
		{"*", "", true},
		{"*", "abc", true},
		{"a*c", "abbc", true},
		{"a*c", "abbd", false},
		{"a*b*c", "axbxbxc", true},
		{"?", "", false},
		{"??", "ab", true},
		{"a?c", "abc", true},
		{"[abc]x", "bx", true},
		{"[a-c]x", "dx", false},
		{"[!a-c]x", "dx", true},
		{"[!a-c]x", "ax", false},
		{"[]]", "]", true},
		{"[a-]", "-", true},
		{"[", "[", true},
		{"[ab", "[ab", true},
		{"[ab", "a", false},
		{"*[0-9]", "worker-12", true},
		{"wor*", "worker", true},
		{"wor", "worker", false},
		{"worker*x", "worker", false},
	};
	char many_a[] = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

	(void)state;
	for (size_t i = 0; i < nb_array_size(cases); i++)
		if (nb_glob_match(cases[i].pattern, cases[i].s) !=
		    cases[i].match)
			fail_msg("'%s' and '%s'", cases[i].pattern, cases[i].s);
	/* Would take for ever if each star were tried anew. */
	assert_false(nb_glob_match("a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*b", many_a));
}

static void test_glob_list(void **state)
{
	(void)state;
	assert_true(nb_glob_list_match("a,b*", "bcd"));
	assert_true(nb_glob_list_match("a,b*", "a"));
	assert_false(nb_glob_list_match("a,b*", "ca"));
	assert_true(nb_glob_list_match("x[ab],y", "xb"));
	assert_true(nb_glob_list_match("x,[0-9]*", "12"));
	assert_false(nb_glob_list_match(NULL, "a"));
	assert_false(nb_glob_list_match("", ""));
	assert_false(nb_glob_list_match(",", ""));
	assert_false(nb_glob_list_match("a,", ""));
	assert_true(nb_glob_list_match(",,a", "a"));
	assert_false(nb_glob_list_match("[a,b]", "a"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_number),
		cmocka_unit_test(test_quantity),
		cmocka_unit_test(test_bool),
		cmocka_unit_test(test_nodelist),
		cmocka_unit_test(test_cpulist),
		cmocka_unit_test(test_maps_line),
		cmocka_unit_test(test_maps_line_bad),
		cmocka_unit_test(test_glob),
		cmocka_unit_test(test_glob_list),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
