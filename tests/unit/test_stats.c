/* SPDX-License-Identifier: MIT */
/*
 * lib/stats.c and stats_json.c: always valid JSON, whatever the names are, and
 * a file that is there whole or not at all.
 */
#include "../../lib/stats.h"

#include "../../lib/mech/affinity.h"
#include "../../lib/nb.h"
#include "../../lib/regions.h"
#include "../../lib/tasks.h"
#include "fake_sys.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define NOBODY 10000000 /* no thread has such an id */

static char text[1 << 20];

/* ---- RFC 8259, without numbers' exponents -------------------------------- */

static const char *value(const char *p, int depth);

static const char *string(const char *p)
{
	if (*p++ != '"')
		return NULL;
	for (; *p != '"'; p++) {
		if ((unsigned char)*p < 0x20 || (unsigned char)*p >= 0x7f)
			return NULL; /* ours is ASCII */
		if (*p != '\\')
			continue;
		p++;
		if (*p == 'u') {
			if (strspn(p + 1, "0123456789abcdef") < 4)
				return NULL;
			p += 4;
		} else if (!strchr("\"\\/bfnrt", *p)) {
			return NULL;
		}
	}
	return p + 1;
}

static const char *number(const char *p)
{
	size_t digits;

	p += *p == '-';
	digits = strspn(p, "0123456789");
	if (!digits || (digits > 1 && *p == '0'))
		return NULL;
	p += digits;
	if (*p != '.')
		return p;
	digits = strspn(p + 1, "0123456789");
	return digits ? p + 1 + digits : NULL;
}

static const char *list(const char *p, int depth)
{
	bool object = *p == '{';
	char close = object ? '}' : ']';

	if (*++p == close)
		return p + 1;
	for (;; p++) {
		if (object) {
			p = string(p);
			if (!p || *p++ != ':')
				return NULL;
		}
		p = value(p, depth + 1);
		if (!p)
			return NULL;
		if (*p == close)
			return p + 1;
		if (*p != ',')
			return NULL;
	}
}

static const char *value(const char *p, int depth)
{
	static const char *const words[] = {"true", "false", "null"};

	if (depth > 20)
		return NULL;
	if (*p == '{' || *p == '[')
		return list(p, depth);
	if (*p == '"')
		return string(p);
	for (int i = 0; i < 3; i++)
		if (!strncmp(p, words[i], strlen(words[i])))
			return p + strlen(words[i]);
	return number(p);
}

/* One line, one object, nothing after it. */
static bool valid(const char *p)
{
	const char *end = *p == '{' ? value(p, 0) : NULL;

	return end && !strcmp(end, "\n");
}

static void test_checker(void **state)
{
	static const char *const good[] = {
		"{}\n", "{\"a\":[1,-2.50,\"\\u00ff\\\"\",{}],\"b\":true}\n"};
	static const char *const bad[] = {"{}",
					  "{},\n",
					  "{\"a\"}\n",
					  "{\"a\":}\n",
					  "{\"a\":1,}\n",
					  "{\"a\":[1 2]}\n",
					  "{\"a\":01}\n",
					  "{\"a\":\"\t\"}\n",
					  "{\"a\":\"\\x\"}\n",
					  "[1]\n",
					  "{\"a\":1.}\n",
					  "{\"a\":\"\n"};

	(void)state;
	for (size_t i = 0; i < nb_array_size(good); i++)
		assert_true(valid(good[i]));
	for (size_t i = 0; i < nb_array_size(bad); i++)
		assert_false(valid(bad[i]));
}

/* -------------------------------------------------------------------------- */

static int setup(void **state)
{
	(void)state;
	fake_reset();
	fake_map(FAKE_BASE, FAKE_END - FAKE_BASE, 0);
	fake_topology(&nb.topo, 4, 4);
	nb.sys = &fake_sys;
	nb.page_bytes = FAKE_PAGE;
	nb_config_defaults(&nb.cfg);
	nb.root_process = true;
	atomic_store(&nb.pid, 4711);
	atomic_store(&nb.state, NB_OFF);
	atomic_store(&nb.why, NULL);
	strcpy(nb.comm, "prog");
	memset(&nb.count, 0, sizeof(nb.count));
	if (nb_regions_init() || nb_tasks_init() ||
	    nb_affinity_init(nb.sys, &nb.topo))
		return -1;
	if (!nb.migrate.pages &&
	    nb_migrate_init(&nb.migrate, nb.sys, &nb.topo, FAKE_PAGE))
		return -1;
	nb_regions_clear();
	nb_tasks_after_fork();
	return 0;
}

static void json(void)
{
	struct nb_stats_pages pages = {.resident = {1, 22, 333}};
	struct nb_text t;

	nb_text_init(&t, text, sizeof(text));
	nb_stats_json(&t, &pages);
	assert_true(t.len < sizeof(text));
}

static void test_each_state(void **state)
{
	static const char *const names[] = {"idle", "idle", "running", "paused",
					    "stood-down"};

	(void)state;
	for (int s = NB_OFF; s <= NB_STOOD_DOWN; s++) {
		char want[40];

		atomic_store(&nb.state, s);
		atomic_store(&nb.why, s % 2 ? "one node" : NULL);
		nb.mpol_local = s == NB_PAUSED;
		json();
		assert_true(valid(text));
		snprintf(want, sizeof(want), "\"state\":\"%s\"", names[s]);
		assert_non_null(strstr(text, want));
		assert_non_null(strstr(text, "\"pid\":4711"));
		assert_non_null(strstr(text, "\"resident\":[1,22,333,0]"));
	}
	nb.mpol_local = false;
}

/* Every byte in every name that a program chooses. */
static void test_names(void **state)
{
	(void)state;
	for (int c = 1; c < 256; c++) {
		struct nb_task *t;

		memset(nb.comm, c, sizeof(nb.comm) - 1);
		nb.comm[sizeof(nb.comm) - 1] = '\0';
		atomic_store(&nb.state, NB_RUNNING);
		t = nb_task_sync(nb_slot_note_found(NOBODY));
		memset(t->comm, c, sizeof(t->comm) - 1);
		json();
		assert_true(valid(text));
	}
	strcpy(nb.comm, "a\"b\\\n\x7f\xe9");
	json();
	assert_non_null(
		strstr(text, "\"comm\":\"a\\\"b\\\\\\u000a\\u007f\\u00e9\""));
}

static void test_tasks_and_counters(void **state)
{
	struct nb_fault_sample fs = {
		.mem_nid = 2, .cpu_nid = 1, .nr_pages = 16, .priv = true};
	struct numabal_stats st = {.sz = sizeof(st)};
	int nr = 0;

	(void)state;
	atomic_store(&nb.state, NB_RUNNING);
	for (int i = 0; i < 100; i++) {
		struct nb_task *t =
			nb_task_sync(nb_slot_note_found(NOBODY + i));

		if (i % 2)
			nb_numa_faults_account(nb_task_faults(t), &fs);
	}
#define FILL(name, doc)                                                        \
	atomic_store(&nb.count.name, UINT64_MAX - (uint64_t)nr++);
	NUMABAL_STATS(FILL)
	for (int i = 0; i < NB_NR_WHY; i++)
		atomic_store(&nb.why_count[i], UINT64_MAX);
	atomic_store(&nb.local_permille, 1000);
	json();
	assert_true(valid(text));
	nr = 0;
	for (const char *p = text; (p = strstr(p, "\"tid\":")); p++)
		nr++;
	assert_int_equal(nr, 100);
	assert_non_null(strstr(text, "\"local_pct\":100.0"));
	nb_stats_collect(&st);
	assert_true(st.numa_pte_updates == UINT64_MAX);
	atomic_store(&nb.count.numa_pages_migrated, 7);
	nb_stats_collect(&st);
	assert_int_equal(st.numa_pages_migrated, 7);
}

static void test_text(void **state)
{
	struct nb_stats_pages pages = {.resident = {5}};
	struct nb_text t;

	(void)state;
	for (int s = NB_OFF; s <= NB_STOOD_DOWN; s++) {
		atomic_store(&nb.state, s);
		nb_text_init(&t, text, sizeof(text));
		nb_stats_text(&t, &pages);
		assert_int_equal(t.len, strlen(text));
		assert_non_null(strstr(text, "numabal: prog (process 4711)"));
		assert_int_equal(text[t.len - 1], '\n');
	}
	/* cut, not overflown */
	nb_text_init(&t, text, 10);
	nb_stats_text(&t, &pages);
	assert_int_equal(strlen(text), 9);
}

static void test_expand_path(void **state)
{
	char out[64];

	(void)state;
	strcpy(nb.comm, "a/b");
	setenv("PMI_RANK", "12", 1);
	nb_stats_expand_path("x.%p.%e.%r.%%.%z%", out, sizeof(out));
	assert_string_equal(out, "x.4711.a_b.12.%.%z%");
	unsetenv("PMI_RANK");
	nb_stats_expand_path("%h.%r", out, sizeof(out));
	assert_string_equal(out, "fake_host.0");
	nb_stats_expand_path("%t", out, sizeof(out));
	assert_true(atoll(out) > 1000000000);
	nb_stats_expand_path("%p%p%p%p", out, 8);
	assert_string_equal(out, "4711471");
	nb_stats_expand_path("", out, sizeof(out));
	assert_string_equal(out, "");
	fake_fail(FAKE_READ_FILE, 1, EACCES);
	nb_stats_expand_path("[%h]", out, sizeof(out));
	assert_string_equal(out, "[]");
}

/* ---- the file ------------------------------------------------------------ */

static void read_back(const char *path)
{
	FILE *f = fopen(path, "re");
	size_t n;

	assert_non_null(f);
	n = fread(text, 1, sizeof(text) - 1, f);
	text[n] = '\0';
	fclose(f);
}

static int nr_files(const char *dir)
{
	DIR *d = opendir(dir);
	int nr = -2; /* . and .. */

	while (readdir(d))
		nr++;
	closedir(d);
	return nr;
}

static void test_file(void **state)
{
	char dir[] = "/tmp/nb_stats_XXXXXX", path[64];

	(void)state;
	assert_non_null(mkdtemp(dir));
	nb_regions_add(FAKE_BASE, FAKE_BASE + 8 * FAKE_PAGE, 0, 0);
	fake_page(FAKE_BASE)->nid = 3;
	/* nothing asked for */
	nb_stats_write_exit();
	snprintf(nb.cfg.stats, sizeof(nb.cfg.stats), "%s/out.%%e", dir);
	snprintf(path, sizeof(path), "%s/out.prog", dir);
	nb_stats_write_exit();
	nb_stats_write_exit(); /* over the old one */
	read_back(path);
	assert_true(valid(text));
	assert_non_null(strstr(text, "\"resident\":[7,0,0,1]"));
	assert_int_equal(nr_files(dir), 1);
	/* another process of the run: only if it was balanced, under its id */
	nb.root_process = false;
	atomic_store(&nb.pid, 4712);
	nb_stats_write_exit();
	assert_int_equal(nr_files(dir), 1);
	atomic_store(&nb.count.numa_scan_seq, 1);
	nb_stats_write_exit();
	assert_int_equal(nr_files(dir), 2);
	snprintf(path, sizeof(path), "%s/out.prog.4712", dir);
	read_back(path);
	assert_true(valid(text));
	unlink(path);
	snprintf(path, sizeof(path), "%s/out.prog", dir);
	unlink(path);
	/* a place that is not there, and one that is full: no harm */
	nb.root_process = true;
	snprintf(nb.cfg.stats, sizeof(nb.cfg.stats), "%s/none/out", dir);
	nb_stats_write_exit();
	assert_int_equal(nr_files(dir), 0);
	assert_int_equal(rmdir(dir), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_checker),
		cmocka_unit_test_setup(test_each_state, setup),
		cmocka_unit_test_setup(test_names, setup),
		cmocka_unit_test_setup(test_tasks_and_counters, setup),
		cmocka_unit_test_setup(test_text, setup),
		cmocka_unit_test_setup(test_expand_path, setup),
		cmocka_unit_test_setup(test_file, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
