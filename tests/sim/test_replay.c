/* SPDX-License-Identifier: MIT */
/*
 * Recorded runs, replayed: the same decisions come out, others are found, and
 * what is no recorded run is told in one line.
 *
 * Runs are made here, event by event, on a machine with two nodes.
 */
#include "replay.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define CHUNK 0x200000ULL

static struct replay r;
static uint8_t file[1 << 18];
static size_t size;
static int64_t mbps, tier_why; /* of all samples */

static void put(uint32_t type, const char *text, const int64_t *v, uint32_t nr)
{
	struct nb_record_event ev = {
		.type = type,
		.nr = nr,
		.text = text,
		.text_len = strlen(text),
	};
	size_t n;

	memcpy(ev.v, v, nr * sizeof(*v));
	n = nb_record_put(file + size, sizeof(file) - size, &ev);
	assert_true(n);
	size += n;
}

#define PUT(type, text, ...)                                                   \
	put(NB_RECORD_##type, text, (const int64_t[]){__VA_ARGS__},            \
	    nb_array_size(((const int64_t[]){__VA_ARGS__})))

static void start(void)
{
	size = nb_record_put_header(file);
	PUT(PROCESS, "prog", 42, 1000, 0, 0, 1, 0);
	for (int i = 0; i < NB_NR_WHY; i++)
		PUT(WHY, replay_why_name((enum nb_why)i), i,
		    nb_why_is_yes((enum nb_why)i));
	PUT(MACHINE, "0-3", 2, 4, 0, 4096);
	PUT(NODE, "0-1", 0, 1, 1, 1, 1 << 20);
	PUT(NODE, "2-3", 1, 1, 1, 1, 1 << 20);
	PUT(DISTANCE, "", 0, 1, 20);
	PUT(DISTANCE, "", 1, 0, 20);
	PUT(OPTIONS, "", 3, 1, 1, 1, mbps);
	PUT(START, "", 1000, 0);
	PUT(TASK, "main", 0, 1, 100);
	PUT(TASK, "worker", 5, 2, 101);
}

struct one {
	int slot, cpu_nid, page_nid, fresh, forced, why, dst;
	int64_t chunk, moved;
};

static void put_sample(const struct one *o)
{
	PUT(SAMPLE, "", o->slot, 0x40000000 + o->chunk * (int64_t)CHUNK, 0,
	    CHUNK, 21, 0, 0, o->cpu_nid, o->page_nid, 0, 0, o->fresh, o->forced,
	    o->why, o->dst, o->moved, 0, o->why, tier_why);
}

static void put_batch(const struct one *o, int nr)
{
	PUT(BATCH, "", nr, 2000, 0, 0);
	for (int i = 0; i < nr; i++)
		put_sample(&o[i]);
}

/* The worker, on node 1, uses two chunks of node 0, twice. */
static const struct one used[] = {
	{5, 1, 0, 1, 0, NB_WHY_PAGE_TWO_STAGE, -1, 0, 0},
	{5, 1, 0, 1, 0, NB_WHY_PAGE_TWO_STAGE, -1, 1, 0},
	{5, 1, 0, 0, 0, NB_WHY_PAGE_EARLY, 1, 0, 512},
	{5, 1, 0, 0, 0, NB_WHY_PAGE_EARLY, 1, 1, 512},
};

/* Most of it is on node 1 then, where there is room, and both tasks run. */
static void put_round(int preferred, int why)
{
	static const struct one local[] = {
		{5, 1, 1, 1, 0, NB_WHY_PAGE_LOCAL, -1, 2, 0},
	};

	put_batch(local, 1);
	PUT(ROUND, "", 2, 2, 3000, 1, 1 << 20, 100, 0, 0);
	PUT(LOAD, "", 0, 2, 2, 0, 0, 0, 0, 0);
	PUT(LOAD, "", 1, 2, 1, 1, 900, 0, 1000, 1000);
	PUT(USE, "", 0, 1000, 900, 0, 1, -1, 1, 0, -1,
	    NB_WHY_TASK_NO_PREFERENCE);
	PUT(USE, "", 5, 1000, 900, 0, 1, -1, 1, 0, preferred, why);
}

static void whole_run(void)
{
	mbps = 0;
	start();
	put_batch(used, 4);
	put_round(1, NB_WHY_TASK_PREFERRED);
	PUT(STOP, "", 4000, 2);
}

static int replay(size_t bytes)
{
	uint8_t *exact = malloc(bytes ? bytes : 1);
	int err;

	/* A sanitizer sees what is read behind the end. */
	assert_non_null(exact);
	memcpy(exact, file, bytes);
	replay_free(&r);
	assert_int_equal(replay_init(&r), 0);
	err = replay_run(&r, exact, bytes, NULL);
	free(exact);
	return err;
}

static void assert_same(void)
{
	assert_int_equal(replay(size), 0);
	if (r.first.about)
		fail_msg("%s: %s, %s", r.first.about, r.first.recorded,
			 r.first.replayed);
	assert_int_equal(r.nr_differ, 0);
}

static void decisions_come_out_as_they_were(void **state)
{
	(void)state;
	whole_run();
	assert_same();
	assert_int_equal(r.end, REPLAY_STOP);
	assert_int_equal(r.nr_samples, 5);
	assert_int_equal(r.nr_rounds, 1);
	assert_int_equal(r.recorded[NB_WHY_PAGE_EARLY], 2);
	assert_int_equal(r.replayed[NB_WHY_PAGE_EARLY], 2);
	assert_int_equal(r.replayed[NB_WHY_TASK_PREFERRED], 1);
	assert_string_equal(r.comm, "prog");
}

/* Half of a batch: what came before it counts. */
static void any_part_of_it_can_be_read(void **state)
{
	size_t start_size;

	(void)state;
	start();
	start_size = size;
	whole_run();
	for (size_t n = 0; n < size; n++) {
		int err = replay(n);

		assert_int_equal(r.nr_differ, 0);
		/* Tasks come after the start. */
		if (n >= start_size) {
			assert_int_equal(err, 0);
			assert_true(r.nr_samples % 4 <= 1);
			assert_true(r.end == REPLAY_CUT ||
				    r.end == REPLAY_TORN);
		} else if (err) {
			assert_true(r.err[0]);
		}
	}
	assert_int_equal(r.nr_samples, 5);
}

static void another_reason_is_found(void **state)
{
	struct one o[4];

	(void)state;
	memcpy(o, used, sizeof(o));
	o[3].why = NB_WHY_PAGE_SHARED;
	start();
	put_batch(o, 4);
	assert_int_equal(replay(size), 0);
	assert_int_equal(r.nr_differ, 1);
	assert_string_equal(r.first.about, "reason");
	assert_int_equal(r.first.sample, 4);
	assert_int_equal(r.first.time_ns, 2000);
	assert_int_equal(r.first.tid, 101);
	assert_int_equal(r.first.addr, 0x40000000 + CHUNK);
	assert_string_equal(r.first.recorded, "PAGE_SHARED");
	assert_string_equal(r.first.replayed, "PAGE_EARLY");
	assert_int_equal(r.recorded[NB_WHY_PAGE_SHARED], 1);
	assert_int_equal(r.replayed[NB_WHY_PAGE_SHARED], 0);
}

static void another_target_is_found(void **state)
{
	struct one o[4];

	(void)state;
	memcpy(o, used, sizeof(o));
	o[2].dst = 0;
	start();
	put_batch(o, 4);
	assert_int_equal(replay(size), 0);
	assert_int_equal(r.nr_differ, 1);
	assert_string_equal(r.first.about, "target");
	assert_string_equal(r.first.recorded, "node 0");
	assert_string_equal(r.first.replayed, "node 1");
}

static void what_tasks_were_told_is_compared(void **state)
{
	(void)state;
	start();
	put_batch(used, 4);
	put_round(0, NB_WHY_TASK_PREFERRED);
	assert_int_equal(replay(size), 0);
	assert_int_equal(r.nr_differ, 1);
	assert_string_equal(r.first.about, "preferred node");
	assert_int_equal(r.first.sample, 0);
	assert_int_equal(r.first.tid, 101);
	start();
	put_batch(used, 4);
	put_round(1, NB_WHY_TASK_NODE_BUSY);
	assert_int_equal(replay(size), 0);
	assert_int_equal(r.nr_differ, 1);
	assert_string_equal(r.first.recorded, "TASK_NODE_BUSY");
	assert_string_equal(r.first.replayed, "TASK_PREFERRED");
}

/* What policy does not decide is taken from the record. */
static void what_the_program_or_user_forbids(void **state)
{
	static const int forced[] = {NB_WHY_PAGE_LOCKED, NB_WHY_PAGE_POLICY,
				     NB_WHY_PAGE_OFF, NB_WHY_PAGE_NO_NODE};
	struct one o[4];

	(void)state;
	for (size_t i = 0; i < nb_array_size(forced); i++) {
		memcpy(o, used, sizeof(o));
		o[3].forced = forced[i];
		o[3].why = forced[i];
		o[3].dst = -1;
		o[3].moved = 0;
		start();
		put_batch(o, 4);
		assert_same();
	}
}

/* A limit of 1 MiB a second has 2 MiB at the start: one of the two moves. */
static void the_rate_limit_is_replayed(void **state)
{
	struct one o[4];

	(void)state;
	memcpy(o, used, sizeof(o));
	o[3].why = NB_WHY_PAGE_RATE_LIMIT;
	o[3].dst = -1;
	o[3].moved = 0;
	mbps = 1;
	start();
	mbps = 0;
	put_batch(o, 4);
	assert_same();
}

/* Decisions that are in no sample or use are taken as they are. */
static void what_is_decided_elsewhere(void **state)
{
	(void)state;
	whole_run();
	PUT(OTHER, "", NB_WHY_PAGE_LATENCY, 3, 1);
	PUT(OTHER, "", NB_WHY_PAGE_LATENCY, 4, 2);
	assert_same();
	assert_int_equal(r.other[NB_WHY_PAGE_LATENCY], 7);
	assert_int_equal(r.replayed[NB_WHY_PAGE_LATENCY], 0);
}

/* So is what tiers say; what waits or is in its place is nobody's fault. */
static void tiers(void **state)
{
	static const struct one hot[] = {
		{5, 1, 0, 1, 0, NB_WHY_PAGE_HOT, 0, 0, 512},
		{5, 1, 0, 1, 0, NB_WHY_PAGE_HOT, 1, 1, 512},
		{5, 1, 0, 1, 0, NB_WHY_PAGE_WAITS, -1, 2, 0},
	};
	static const struct one cold[] = {
		{5, 1, 0, 1, 0, NB_WHY_PAGE_COLD, -1, 3, 0},
	};

	(void)state;
	start();
	tier_why = NB_WHY_PAGE_HOT;
	put_batch(hot, 3);
	tier_why = NB_WHY_PAGE_COLD;
	put_batch(cold, 1);
	tier_why = NB_WHY_NONE;
	assert_same();
	assert_int_equal(r.task[5].nf->pass_private, 1024);
}

/* A mapping that was there before has left nothing to the next one. */
static void history_that_was_lost(void **state)
{
	static const struct one again[] = {
		{5, 1, 0, 1, 0, NB_WHY_PAGE_TWO_STAGE, -1, 0, 0},
	};

	(void)state;
	start();
	put_batch(used, 4);
	put_batch(again, 1);
	assert_same();
}

/* So has a thread that had the slot before. */
static void a_slot_with_another_task(void **state)
{
	static const struct one by_two[] = {
		{5, 1, 0, 0, 0, NB_WHY_PAGE_SHARED, 1, 0, 512},
	};

	(void)state;
	start();
	put_batch(used, 4);
	PUT(TASK_END, "", 5, 2);
	PUT(TASK, "next", 5, 3, 102);
	put_batch(by_two, 1);
	assert_same();
	/* Nobody has it now. */
	PUT(TASK_END, "", 5, 3);
	put_batch(by_two, 1);
	assert_int_equal(replay(size), -EINVAL);
	assert_non_null(strstr(r.err, "a sample has no task"));
}

/* Other versions have other reasons, and other numbers for them. */
static void reasons_go_by_name(void **state)
{
	struct one o[4];

	(void)state;
	memcpy(o, used, sizeof(o));
	o[2].why = o[3].why = 200;
	start();
	PUT(WHY, "PAGE_EARLY", 200, 1);
	put_batch(o, 4);
	assert_same();
	assert_int_equal(r.recorded[200], 2);
	start();
	PUT(WHY, "PAGE_MOON", 200, 1);
	put_batch(o, 4);
	assert_int_equal(replay(size), 0);
	assert_int_equal(r.nr_differ, 2);
	assert_string_equal(r.first.recorded, "PAGE_MOON");
}

/* Types and fields of later versions are left out. */
static void later_versions(void **state)
{
	static const int64_t v[NB_RECORD_MAX_FIELDS] = {7};

	(void)state;
	whole_run();
	put(200, "what", v, NB_RECORD_MAX_FIELDS);
	PUT(TASK_END, "", 5, 2, 99, 98);
	assert_same();
}

static void assert_wrong(const char *want)
{
	assert_int_equal(replay(size), -EINVAL);
	if (!strstr(r.err, want))
		fail_msg("'%s' is not in '%s'", want, r.err);
	assert_null(strchr(r.err, '\n'));
}

static void what_is_wrong_is_told(void **state)
{
	static const struct one bad[] = {
		{5, 64, 0, 0, 0, 1, -1, 0, 0},	{5, 1, -2, 0, 0, 1, -1, 0, 0},
		{5, 1, 0, 0, 255, 1, -1, 0, 0}, {5, 1, 0, 0, 0, 199, -1, 0, 0},
		{5, 1, 0, 0, 0, 1, 99, 0, 0},	{5, 1, 0, 0, 0, 1, -1, 0, -1},
	};

	(void)state;
	memset(file, 0, 64);
	size = 64;
	assert_wrong("not a recorded run");
	size = nb_record_put_header(file);
	assert_wrong("it ends before its start");
	file[8] = 9;
	assert_wrong("version 9 of the format, not 1");
	size = nb_record_put_header(file);
	PUT(START, "", 1, 1);
	assert_wrong("without a machine");
	for (size_t i = 0; i < nb_array_size(bad); i++) {
		start();
		put_batch(&bad[i], 1);
		assert_wrong("a sample cannot be: damaged at byte");
	}
	start();
	put_sample(&used[0]);
	assert_wrong("not of a batch");
	start();
	PUT(BATCH, "", 5000, 1, 0, 0);
	assert_wrong("5000 samples cannot come at once");
	start();
	PUT(BATCH, "", 2, 1, 0, 0);
	PUT(TASK_END, "", 5, 2);
	assert_wrong("not where it belongs");
	start();
	PUT(MACHINE, "0-3", 65, 4, 0, 4096);
	assert_wrong("the machine cannot be");
	start();
	PUT(NODE, "2-1", 1, 1, 1, 1, 1);
	assert_wrong("a list of CPUs is none");
	start();
	PUT(ROUND, "", 1, 0, 3000, 1);
	PUT(LOAD, "", 64, 2, 2, 0, 0, 0, 0, 0);
	assert_wrong("the load of a node cannot be");
}

/* A file of the first version of the format, made on a machine of two nodes. */
static void an_old_file_can_be_read(void **state)
{
	FILE *f = fopen("tests/sim/recorded/work_shared.run", "r");

	(void)state;
	if (!f)
		skip(); /* run by hand from another folder */
	size = fread(file, 1, sizeof(file), f);
	fclose(f);
	assert_int_equal(replay(size), 0);
	assert_string_equal(r.comm, "work_shared");
	assert_int_equal(r.end, REPLAY_STOP);
	assert_int_equal(nb_nodes_weight(&r.topo.online), 2);
	assert_int_equal(r.nr_samples, 52);
	assert_int_equal(r.nr_rounds, 6);
	/* As the statistics of that run said. */
	for (int c = 0; c < 256; c++)
		if (!strcmp(r.why_name[c], "PAGE_TWO_STAGE"))
			assert_int_equal(r.recorded[c], 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(decisions_come_out_as_they_were),
		cmocka_unit_test(any_part_of_it_can_be_read),
		cmocka_unit_test(another_reason_is_found),
		cmocka_unit_test(another_target_is_found),
		cmocka_unit_test(what_tasks_were_told_is_compared),
		cmocka_unit_test(what_the_program_or_user_forbids),
		cmocka_unit_test(the_rate_limit_is_replayed),
		cmocka_unit_test(what_is_decided_elsewhere),
		cmocka_unit_test(tiers),
		cmocka_unit_test(history_that_was_lost),
		cmocka_unit_test(a_slot_with_another_task),
		cmocka_unit_test(reasons_go_by_name),
		cmocka_unit_test(later_versions),
		cmocka_unit_test(what_is_wrong_is_told),
		cmocka_unit_test(an_old_file_can_be_read),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);

	replay_free(&r);
	return failed;
}
