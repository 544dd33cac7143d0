/* SPDX-License-Identifier: MIT */
/*
 * A recorded run of arbitrary bytes, as it is, or behind a beginning that is
 * right, so that what is behind it is reached: replayed and printed.
 *
 * Sources: tests/sim/replay.c tests/sim/replay_event.c
 * Sources: tests/sim/replay_decide.c tests/sim/replay_print.c
 */
#include "../sim/replay.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint8_t file[1 << 20];

static size_t put(size_t at, uint32_t type, const char *text, const int64_t *v)
{
	struct nb_record_event ev = {
		.type = type,
		.nr = 8,
		.text = text,
		.text_len = strlen(text),
	};

	memcpy(ev.v, v, 8 * sizeof(*v));
	return at + nb_record_put(file + at, sizeof(file) - at, &ev);
}

/* Two nodes, one CPU each, two tasks. */
static size_t beginning(void)
{
	static const int64_t v[][8] = {
		{2, 2, 0, 4096},
		{0, 1, 1, 1, 1024},
		{1, 1, 1, 1, 1024},
		{3, 1, 1, 1},
		{1, 1},
		{0, 1, 100},
		{1, 2, 101},
	};
	size_t at = nb_record_put_header(file);

	for (int i = 0; i < NB_NR_WHY; i++) {
		const int64_t why[8] = {i, nb_why_is_yes((enum nb_why)i)};

		at = put(at, NB_RECORD_WHY, replay_why_name((enum nb_why)i),
			 why);
	}
	at = put(at, NB_RECORD_MACHINE, "0-1", v[0]);
	at = put(at, NB_RECORD_NODE, "0", v[1]);
	at = put(at, NB_RECORD_NODE, "1", v[2]);
	at = put(at, NB_RECORD_OPTIONS, "", v[3]);
	at = put(at, NB_RECORD_START, "", v[4]);
	at = put(at, NB_RECORD_TASK, "a", v[5]);
	return put(at, NB_RECORD_TASK, "b", v[6]);
}

static uint64_t sum(const uint64_t *v, int nr)
{
	uint64_t all = 0;

	for (int i = 0; i < nr; i++)
		all += v[i];
	return all;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static FILE *null;
	static struct replay r;
	size_t at = 0;
	uint8_t *exact;
	int err;

	if (!null)
		null = fopen("/dev/null", "w");
	if (!size || size > sizeof(file) / 2 || !null)
		return 0;
	if (data[0] & 1)
		at = beginning();
	memcpy(file + at, data + 1, size - 1);
	exact = malloc(at + size);
	if (!exact || replay_init(&r))
		abort();
	memcpy(exact, file, at + size - 1);
	err = replay_run(&r, exact, at + size - 1, data[0] & 2 ? null : NULL);
	/* One line or a whole result. */
	if (!err != !r.err[0] || strchr(r.err, '\n'))
		abort();
	if (!err) {
		replay_report(&r, null);
		if (sum(r.recorded, 256) != sum(r.replayed, NB_NR_WHY))
			abort();
	}
	replay_free(&r);
	free(exact);
	return 0;
}
