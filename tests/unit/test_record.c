/* SPDX-License-Identifier: MIT */
/*
 * lib/record.c and record_events.c: what is in the file when, and that nothing
 * of it can stop or slow the program.
 */
#include "../../lib/record.h"

#include "../../lib/nb.h"
#include "../../lib/stats.h"
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
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char dir[64], path[128];
static uint8_t file[1 << 20];
static struct nb_record_event event[32 * 1024];
static unsigned int nr_events, nr_logs;
static char last_log[512];

static void sink(int level, const char *msg, void *arg)
{
	(void)level;
	(void)arg;
	nr_logs++;
	snprintf(last_log, sizeof(last_log), "%s", msg);
}

static int setup(void **state)
{
	(void)state;
	strcpy(dir, "/tmp/numabal-test-XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	fake_reset();
	fake_topology(&nb.topo, 4, 4);
	nb.sys = &fake_sys;
	nb.page_bytes = FAKE_PAGE;
	nb_config_defaults(&nb.cfg);
	nb.cfg.nodes = nb.topo.mems_allowed;
	nb.root_process = true;
	atomic_store(&nb.pid, getpid());
	snprintf(path, sizeof(path), "%s/run", dir);
	snprintf(nb.cfg.record, sizeof(nb.cfg.record), "%s", path);
	nb_record_max_bytes = NB_RECORD_MAX_BYTES;
	nb_record_after_fork();
	nr_logs = 0;
	nb_log_set_sink(sink, NULL, true);
	return nb_tasks_init();
}

static int teardown(void **state)
{
	struct dirent *de;
	DIR *d;

	(void)state;
	nb_record_close();
	nb_log_set_sink(NULL, NULL, false);
	d = opendir(dir);
	while (d && (de = readdir(d)))
		unlinkat(dirfd(d), de->d_name, 0);
	closedir(d);
	return rmdir(dir);
}

/* The whole file; it has to have whole events only. */
static size_t read_file(const char *name)
{
	int fd = open(name, O_RDONLY);
	size_t size = 0, at = NB_RECORD_HEADER, used;
	uint32_t version;
	ssize_t n;

	nr_events = 0;
	if (fd < 0)
		return 0;
	while ((n = read(fd, file + size, sizeof(file) - size)) > 0)
		size += (size_t)n;
	close(fd);
	assert_int_equal(nb_record_check_header(file, size, &version), 0);
	while (at < size) {
		assert_true(nr_events < nb_array_size(event));
		assert_int_equal(nb_record_get(file + at, size - at,
					       &event[nr_events++], &used),
				 0);
		at += used;
	}
	return size;
}

static const struct nb_record_event *last_event(uint32_t type)
{
	for (unsigned int i = nr_events; i-- > 0;)
		if (event[i].type == type)
			return &event[i];
	return NULL;
}

static unsigned int count(uint32_t type)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < nr_events; i++)
		n += event[i].type == type;
	return n;
}

static void begin(bool own)
{
	nb_record_start(nb_clock_ns(), own);
}

static void add_samples(unsigned int nr)
{
	struct nb_hint_fault f = {.addr = 0x7f0000001234, .nid = 1};
	struct nb_page_move mv = {.start = 0x7f0000001000,
				  .end = 0x7f0000003000,
				  .dst_nid = 1,
				  .why = NB_WHY_PAGE_FAILED,
				  .nr_failed = 2};

	for (unsigned int i = 0; i < nr; i++)
		nb_record_sample(
			&(struct nb_record_sample){.fault = &f,
						   .move = &mv,
						   .task = nb_task_at(3),
						   .chunk_shift = 13,
						   .page_nid = 2,
						   .why = NB_WHY_PAGE_PRIVATE});
}

static void nothing_unasked(void **state)
{
	(void)state;
	nb.cfg.record[0] = '\0';
	begin(true);
	assert_false(nb_record_on());
	add_samples(10);
	nb_record_flush(UINT64_MAX);
	nb_record_stop();
	assert_int_equal(nr_logs, 0);
}

static void what_a_run_begins_with(void **state)
{
	const struct nb_record_event *ev;

	(void)state;
	begin(true);
	nb_record_stop();
	read_file(path);
	assert_int_equal(event[0].type, NB_RECORD_PROCESS);
	assert_int_equal(event[0].v[NB_RECORD_PROCESS_pid], getpid());
	assert_int_equal(count(NB_RECORD_WHY), NB_NR_WHY);
	assert_int_equal(count(NB_RECORD_MACHINE), 1);
	assert_int_equal(count(NB_RECORD_NODE), 4);
	assert_int_equal(count(NB_RECORD_DISTANCE), 16);
	ev = last_event(NB_RECORD_OPTIONS);
	assert_non_null(ev);
	assert_int_equal(ev->v[NB_RECORD_OPTIONS_nodes], 0xf);
	assert_memory_equal(ev->text, "NUMABAL=", 8);
	assert_int_equal(event[nr_events - 1].type, NB_RECORD_STOP);
}

static void a_sample(void **state)
{
	const struct nb_record_event *ev;

	(void)state;
	begin(true);
	nb_record_batch(77, 1);
	add_samples(1);
	nb_record_stop();
	read_file(path);
	ev = last_event(NB_RECORD_BATCH);
	assert_int_equal(ev->v[NB_RECORD_BATCH_nr_samples], 1);
	assert_int_equal(ev->v[NB_RECORD_BATCH_time_ns], 77);
	ev = last_event(NB_RECORD_SAMPLE);
	assert_int_equal(ev->v[NB_RECORD_SAMPLE_slot], 3);
	assert_int_equal(ev->v[NB_RECORD_SAMPLE_addr], 0x7f0000001234);
	assert_int_equal(ev->v[NB_RECORD_SAMPLE_before], 0x234);
	assert_int_equal(ev->v[NB_RECORD_SAMPLE_bytes], 0x2000);
	assert_int_equal(ev->v[NB_RECORD_SAMPLE_chunk_shift], 13);
	assert_int_equal(ev->v[NB_RECORD_SAMPLE_cpu_nid], 1);
	assert_int_equal(ev->v[NB_RECORD_SAMPLE_page_nid], 2);
	assert_int_equal(ev->v[NB_RECORD_SAMPLE_why], NB_WHY_PAGE_PRIVATE);
	assert_int_equal(ev->v[NB_RECORD_SAMPLE_result], NB_WHY_PAGE_FAILED);
	assert_int_equal(ev->v[NB_RECORD_SAMPLE_nr_failed], 2);
}

/* Each is in the file once, wherever it was made. */
static void decisions_made_elsewhere(void **state)
{
	const struct nb_record_event *ev;

	(void)state;
	begin(true);
	nb_record_batch(77, 3);
	add_samples(3);
	atomic_store(&nb.why_count[NB_WHY_PAGE_PRIVATE], 3);
	atomic_store(&nb.why_count[NB_WHY_TASK_START], 2);
	nb_record_stop();
	begin(true);
	atomic_store(&nb.why_count[NB_WHY_TASK_START], 7);
	nb_record_stop();
	memset(nb.why_count, 0, sizeof(nb.why_count));
	read_file(path);
	assert_int_equal(count(NB_RECORD_OTHER), 2);
	ev = last_event(NB_RECORD_OTHER);
	assert_int_equal(ev->v[NB_RECORD_OTHER_why], NB_WHY_TASK_START);
	assert_int_equal(ev->v[NB_RECORD_OTHER_nr], 5);
}

static void regions_come_and_go(void **state)
{
	static const struct nb_vma first[] = {{10, 20, 0}, {30, 40, 0}};
	static const struct nb_vma then[] = {
		{5, 8, 0}, {10, 20, 0}, {30, 45, 0}};
	const struct nb_record_event *ev;

	(void)state;
	begin(true);
	nb_record_scan(1, first, 2, 0);
	nb_record_scan(2, then, 3, 7);
	nb_record_scan(3, then, 3, 0);
	nb_record_scan(4, NULL, 0, 0);
	nb_record_stop();
	read_file(path);
	/* 2; then 1 new, 1 gone and come larger; 0; 3 gone */
	assert_int_equal(count(NB_RECORD_REGION), 2 + 3 + 0 + 3);
	ev = last_event(NB_RECORD_REGION);
	assert_int_equal(ev->v[NB_RECORD_REGION_there], 0);
	assert_int_equal(ev->v[NB_RECORD_REGION_start], 30);
	assert_int_equal(ev->v[NB_RECORD_REGION_bytes], 15);
	assert_int_equal(count(NB_RECORD_SCAN), 4);
}

static void it_is_written_in_large_pieces(void **state)
{
	uint64_t now;
	size_t size;

	(void)state;
	begin(true);
	now = nb_clock_ns();
	add_samples(10);
	nb_record_flush(now);
	assert_int_equal(read_file(path), 0);
	/* A second later whatever there is ... */
	nb_record_flush(now + 2 * NB_NSEC_PER_SEC);
	size = read_file(path);
	assert_true(size > 0);
	assert_int_equal(count(NB_RECORD_SAMPLE), 10);
	/* ... and a full piece at once; nothing is lost or cut. */
	add_samples(3000);
	assert_int_equal(read_file(path), size);
	nb_record_flush(now + 2 * NB_NSEC_PER_SEC);
	assert_true(read_file(path) > size + 64 * 1024);
	assert_int_equal(count(NB_RECORD_SAMPLE), 3010);
	/* More than the buffer holds, without being asked. */
	add_samples(20000);
	nb_record_stop();
	read_file(path);
	assert_int_equal(count(NB_RECORD_SAMPLE), 23010);
	assert_int_equal(nr_logs, 0);
}

static void it_has_a_largest_size(void **state)
{
	size_t size;

	(void)state;
	nb_record_max_bytes = 100000;
	begin(true);
	add_samples(20000);
	assert_false(nb_record_on());
	size = read_file(path);
	assert_in_range(size, 90000, 100000);
	assert_int_equal(event[nr_events - 1].type, NB_RECORD_LIMIT);
	/* For good. */
	begin(true);
	assert_false(nb_record_on());
	nb_record_stop();
	assert_int_equal(read_file(path), size);
}

static void what_cannot_be_written_ends_it(void **state)
{
	char fifo[160];

	(void)state;
	snprintf(fifo, sizeof(fifo), "%s/fifo", dir);
	assert_int_equal(mkfifo(fifo, 0600), 0);
	for (int i = 0; i < 3; i++) {
		static const char *const names[] = {"/dev/full",
						    "/no/such/folder/x"};

		nb_record_after_fork();
		nr_logs = 0;
		strcpy(nb.cfg.record, i < 2 ? names[i] : fifo);
		begin(true);
		assert_true(nb_record_on());
		nb_record_flush(UINT64_MAX);
		assert_false(nb_record_on());
		add_samples(10000);
		nb_record_stop();
		assert_int_equal(nr_logs, 1);
		assert_non_null(strstr(last_log, nb.cfg.record));
	}
}

static int nr_descriptors(void)
{
	DIR *d = opendir("/proc/self/fd");
	int n = 0;

	assert_non_null(d);
	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

/* A descriptor that the program could close is not kept. */
static void shared_descriptors(void **state)
{
	int before = nr_descriptors();

	(void)state;
	begin(false);
	for (unsigned int i = 1; i <= 3; i++) {
		add_samples(5);
		nb_record_flush(UINT64_MAX);
		nb_record_start(nb_clock_ns(), false);
		assert_int_equal(nr_descriptors(), before);
		read_file(path);
		assert_int_equal(count(NB_RECORD_SAMPLE), 5 * i);
	}
	begin(true);
	add_samples(5);
	nb_record_flush(UINT64_MAX);
	assert_int_equal(nr_descriptors(), before + 1);
	nb_record_stop();
	assert_int_equal(nr_descriptors(), before);
}

/* Another numabald of the same process goes on behind the first one's. */
static void one_after_another(void **state)
{
	(void)state;
	begin(true);
	add_samples(3);
	nb_record_stop();
	begin(true);
	add_samples(4);
	nb_record_stop();
	read_file(path);
	assert_int_equal(count(NB_RECORD_START), 2);
	assert_int_equal(count(NB_RECORD_SAMPLE), 7);
}

static void a_child_has_its_own_file(void **state)
{
	static const struct nb_vma region = {10, 20, 0};
	char own[192];

	(void)state;
	begin(true);
	add_samples(3);
	nb_record_scan(1, &region, 1, 0);
	/* What the child's side of fork does, with a buffer that is not empty.
	 */
	nb_record_after_fork();
	nb.root_process = false;
	begin(true);
	add_samples(1);
	nb_record_scan(2, &region, 1, 0);
	nb_record_stop();
	assert_int_equal(read_file(path), 0);
	snprintf(own, sizeof(own), "%s.%d", path, getpid());
	assert_true(read_file(own) > 0);
	assert_int_equal(count(NB_RECORD_SAMPLE), 1);
	assert_int_equal(count(NB_RECORD_REGION), 1);
}

/* An old file is written over, and others cannot read it. */
static void permissions(void **state)
{
	struct stat st;
	FILE *f = fopen(path, "w");

	(void)state;
	assert_non_null(f);
	for (int i = 0; i < 10000; i++)
		fputs("something", f);
	fclose(f);
	unlink(path);
	begin(true);
	nb_record_stop();
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	f = fopen(path, "a");
	assert_non_null(f);
	fputs("something", f);
	fclose(f);
	nb_record_after_fork();
	begin(true);
	nb_record_stop();
	read_file(path);
	assert_int_equal(event[nr_events - 1].type, NB_RECORD_STOP);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(nothing_unasked),
		TEST(what_a_run_begins_with),
		TEST(a_sample),
		TEST(decisions_made_elsewhere),
		TEST(regions_come_and_go),
		TEST(it_is_written_in_large_pieces),
		TEST(it_has_a_largest_size),
		TEST(what_cannot_be_written_ends_it),
		TEST(shared_descriptors),
		TEST(one_after_another),
		TEST(a_child_has_its_own_file),
		TEST(permissions),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
