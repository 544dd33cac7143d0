/* SPDX-License-Identifier: MIT */
/*
 * lib/base/record.c: events to bytes and back, and bytes that are none.
 */
#include "../../lib/base/record.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static uint8_t buf[2 * NB_RECORD_MAX_PAYLOAD];

static struct nb_record_event example(void)
{
	struct nb_record_event ev = {
		.type = NB_RECORD_SAMPLE,
		.nr = NB_RECORD_MAX_FIELDS,
		.text = "a\0b",
		.text_len = 3,
	};
	static const int64_t values[] = {
		0,   -1,	1,	   63,	      64,	-64,
		-65, INT32_MAX, INT64_MAX, INT64_MIN, 1LL << 47};

	for (uint32_t i = 0; i < ev.nr; i++)
		ev.v[i] = values[i % nb_array_size(values)];
	return ev;
}

static void an_event_comes_back(void **state)
{
	struct nb_record_event ev = example(), got;
	size_t n = nb_record_put(buf, sizeof(buf), &ev), used = 0;

	(void)state;
	assert_true(n > NB_RECORD_EVENT_HEAD);
	assert_int_equal(nb_record_get(buf, n, &got, &used), 0);
	assert_int_equal(used, n);
	assert_int_equal(got.type, ev.type);
	assert_int_equal(got.nr, ev.nr);
	assert_memory_equal(got.v, ev.v, sizeof(ev.v));
	assert_int_equal(got.text_len, 3);
	assert_memory_equal(got.text, "a\0b", 3);
	/* What follows it does not matter. */
	memset(buf + n, 0xff, 16);
	assert_int_equal(nb_record_get(buf, n + 16, &got, &used), 0);
	assert_int_equal(used, n);
}

/* Each prefix from memory of just its size: a sanitizer sees what is read. */
static void a_part_is_not_there_yet(void **state)
{
	struct nb_record_event ev = example(), got;
	size_t n = nb_record_put(buf, sizeof(buf), &ev), used;

	(void)state;
	for (size_t size = 0; size < n; size++) {
		uint8_t *part = malloc(size ? size : 1);

		assert_non_null(part);
		memcpy(part, buf, size);
		assert_int_equal(nb_record_get(part, size, &got, &used),
				 -ENODATA);
		free(part);
	}
}

static int get(const char *bytes, size_t size, struct nb_record_event *ev)
{
	size_t used;

	return nb_record_get((const uint8_t *)bytes, size, ev, &used);
}

static void what_is_no_event(void **state)
{
	struct nb_record_event ev;

	(void)state;
	/* No type; no place for the number of numbers. */
	assert_int_equal(get("\0\1\0\0", 4, &ev), -EINVAL);
	assert_int_equal(get("\1\0\0", 3, &ev), -EINVAL);
	/* Two numbers, but one is there; one that does not end. */
	assert_int_equal(get("\1\2\0\2\2", 5, &ev), -EINVAL);
	assert_int_equal(get("\1\2\0\1\x80", 5, &ev), -EINVAL);
	assert_int_equal(get("\1\xc\0\1"
			     "\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\1",
			     15, &ev),
			 -EINVAL);
}

/* Versions that know more or fewer fields understand each other. */
static void fields_may_be_more_or_fewer(void **state)
{
	char many[4 + 200] = "\1\xc9\0\xc8";
	struct nb_record_event ev;

	(void)state;
	assert_int_equal(get("\xfe\3\0\1\4x", 6, &ev), 0);
	assert_int_equal(ev.type, 0xfe);
	assert_null(nb_record_type_info(ev.type));
	assert_int_equal(ev.nr, 1);
	assert_int_equal(ev.v[0], 2);
	assert_int_equal(ev.v[1], 0);
	assert_int_equal(ev.text_len, 1);
	memset(many + 4, 2, 200);
	assert_int_equal(get(many, sizeof(many), &ev), 0);
	assert_int_equal(ev.nr, NB_RECORD_MAX_FIELDS);
	assert_int_equal(ev.text_len, 0);
}

static void room(void **state)
{
	static char text[2 * NB_RECORD_MAX_PAYLOAD];
	struct nb_record_event ev = {
		.type = NB_RECORD_OPTIONS,
		.nr = 1,
		.text = text,
		.text_len = sizeof(text),
	};
	struct nb_record_event got;
	size_t used, n;

	(void)state;
	memset(text, 'x', sizeof(text));
	n = nb_record_put(buf, sizeof(buf), &ev);
	assert_true(n > NB_RECORD_MAX_PAYLOAD - 32);
	assert_true(n <= NB_RECORD_MAX_PAYLOAD + 3);
	assert_int_equal(nb_record_get(buf, n, &got, &used), 0);
	assert_int_equal(used, n);
	memset(buf, 0x55, sizeof(buf));
	assert_int_equal(nb_record_put(buf, n - 32, &ev), 0);
	ev.text_len = 0;
	assert_int_equal(nb_record_put(buf, 0, &ev), 0);
	assert_int_equal(nb_record_put(buf, 4, &ev), 0);
	assert_int_equal(buf[0], 0x55);
}

static void header(void **state)
{
	uint32_t version;

	(void)state;
	assert_int_equal(nb_record_put_header(buf), NB_RECORD_HEADER);
	assert_int_equal(nb_record_check_header(buf, 16, &version), 0);
	assert_int_equal(version, NB_RECORD_VERSION);
	for (size_t size = 0; size < 16; size++)
		assert_int_equal(nb_record_check_header(buf, size, &version),
				 -ENODATA);
	buf[8]++;
	assert_int_equal(nb_record_check_header(buf, 16, &version), -ENOTSUP);
	assert_int_equal(version, NB_RECORD_VERSION + 1);
	buf[2] ^= 1;
	assert_int_equal(nb_record_check_header(buf, 16, &version), -EINVAL);
	assert_int_equal(nb_record_check_header(buf, 3, &version), -EINVAL);
}

static void names(void **state)
{
	const struct nb_record_type_info *ti =
		nb_record_type_info(NB_RECORD_SAMPLE);

	(void)state;
	assert_non_null(ti);
	assert_string_equal(ti->name, "sample");
	assert_int_equal(ti->nr, NB_RECORD_SAMPLE_NR);
	assert_string_equal(ti->fields[NB_RECORD_SAMPLE_page_nid], "page_nid");
	assert_null(nb_record_type_info(0));
	assert_null(nb_record_type_info(UINT32_MAX));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_event_comes_back),
		cmocka_unit_test(a_part_is_not_there_yet),
		cmocka_unit_test(what_is_no_event),
		cmocka_unit_test(fields_may_be_more_or_fewer),
		cmocka_unit_test(room),
		cmocka_unit_test(header),
		cmocka_unit_test(names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
