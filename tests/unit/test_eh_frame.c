/* SPDX-License-Identifier: MIT */
/*
 * guard/eh_frame.c: with the sorted table and without, and what is broken.
 */
#include "make_image.h"

static struct made m;

static int setup(void **state)
{
	(void)state;
	made_init(&m);
	made_func(&m, TEXT + 0x10, TEXT + 0x20);
	made_func(&m, TEXT + 0x20, TEXT + 0x38);
	made_func(&m, TEXT + 0x100, TEXT + 0x180);
	return 0;
}

static void expect(uint64_t off, uint64_t start, uint64_t end)
{
	struct nb_func f;

	assert_true(nb_eh_frame_find(&m.im, TEXT + off, &f));
	assert_int_equal(f.start, TEXT + start);
	assert_int_equal(f.end, TEXT + end);
}

static void expect_none(uint64_t off)
{
	struct nb_func f;

	assert_false(nb_eh_frame_find(&m.im, TEXT + off, &f));
}

static void expect_next(uint64_t off, uint64_t next)
{
	assert_int_equal(nb_eh_frame_next(&m.im, TEXT + off), TEXT + next);
}

static void expect_all(void)
{
	struct nb_func f;

	expect_none(0);
	expect_none(0xf);
	expect(0x10, 0x10, 0x20);
	expect(0x1f, 0x10, 0x20);
	expect(0x20, 0x20, 0x38);
	expect(0x37, 0x20, 0x38);
	expect_none(0x38);
	expect(0x17f, 0x100, 0x180);
	expect_none(0x180);
	expect_next(0, 0x10);
	expect_next(0x10, 0x20);
	expect_next(0x1f, 0x20);
	expect_next(0x20, 0x100);
	expect_next(0x100, PART);
	assert_false(nb_eh_frame_before(&m.im, TEXT, &f));
	assert_true(nb_eh_frame_before(&m.im, TEXT + 0x50, &f));
	assert_int_equal(f.start, TEXT + 0x20);
}

static void by_the_table(void **state)
{
	(void)state;
	expect_all();
}

static void without_a_table(void **state)
{
	(void)state;
	m.im.eh_hdr = NULL;
	expect_all();
}

static void with_another_kind_of_table(void **state)
{
	(void)state;
	m.hdr[3] = 0x1b;
	expect_all();
	m.hdr[3] = 0x3b;
	m.hdr[0] = 2;
	expect_all();
	m.hdr[0] = 1;
	m.hdr[2] = 0xff;
	expect_all();
}

/* The walk ends at an entry of length 0, or where there is no more. */
static void the_end_is_marked(void **state)
{
	(void)state;
	m.im.eh_hdr = NULL;
	m.im.eh_frame_len = sizeof(m.frame);
	expect_all();
	m.im.eh_frame_len = m.nr_frame - 1;
	expect(0x20, 0x20, 0x38);
	expect_none(0x100);
}

static void without_anything(void **state)
{
	(void)state;
	m.im.eh_frame = NULL;
	expect_none(0x10);
	expect_next(0x10, PART);
}

static void a_table_that_lies(void **state)
{
	(void)state;
	/* More lines than there are bytes. */
	put32(m.hdr + 8, UINT32_MAX);
	expect_all();
	put32(m.hdr + 8, 3);
	/* The FDE is out of the section; it is another function's. */
	put32(m.hdr + 12 + 8 + 4, 0x7fffffff);
	expect_none(0x20);
	memcpy(m.hdr + 12 + 8 + 4, m.hdr + 12 + 4, 4);
	expect_none(0x20);
	expect(0x10, 0x10, 0x20);
}

static void functions_out_of_the_segment(void **state)
{
	(void)state;
	made_init(&m);
	made_func(&m, TEXT - 0x10, TEXT + 0x10);
	made_func(&m, TEXT + 0x20, TEXT + PART + 1);
	made_func(&m, TEXT + PART, TEXT + PART + 0x10);
	expect_none(0);
	expect_none(0x20);
	/* Its start is one nevertheless, where the table says so. */
	expect_next(0, 0x20);
	expect_next(0x20, PART);
}

static void other_augmentations(void **state)
{
	static const uint8_t with_personality[] = {0x03, 1,    2,   3,
						   4,	 0x1b, 0x1b};

	(void)state;
	made_init(&m);
	m.nr_frame = 0;
	made_cie(&m, "zPLR", with_personality, sizeof(with_personality));
	made_func(&m, TEXT + 0x10, TEXT + 0x20);
	expect(0x10, 0x10, 0x20);
	m.nr_frame = 0;
	m.nr_func = 0;
	made_cie(&m, "zRS", "\x1b", 1);
	made_func(&m, TEXT + 0x10, TEXT + 0x20);
	expect(0x10, 0x10, 0x20);
}

static void unknown_augmentations(void **state)
{
	static const char *const aug[] = {"zXR", "eh", "zRRRRRRRRRRR"};

	(void)state;
	for (unsigned int i = 0; i < nb_array_size(aug); i++) {
		made_init(&m);
		m.nr_frame = 0;
		made_cie(&m, aug[i], "\xff", 1);
		made_func(&m, TEXT + 0x10, TEXT + 0x20);
		expect_none(0x10);
	}
	/* Indirect, omitted, relative to a section. */
	for (unsigned int i = 0; i < 3; i++) {
		made_init(&m);
		m.nr_frame = 0;
		made_cie(&m, "zR", &"\x9b\xff\x3b"[i], 1);
		made_func(&m, TEXT + 0x10, TEXT + 0x20);
		expect_none(0x10);
	}
}

/* Without "R" addresses are whole, the function's length as well. */
static void absolute_addresses(void **state)
{
	uint64_t field[2] = {TEXT + 0x10, 0x10};
	uint8_t *p;

	(void)state;
	made_init(&m);
	m.im.eh_hdr = NULL;
	m.nr_frame = 0;
	made_cie(&m, "", NULL, 0);
	p = m.frame + m.nr_frame;
	put32(p, 20);
	put32(p + 4, m.nr_frame + 4);
	memcpy(p + 8, field, sizeof(field));
	m.im.eh_frame_len = m.nr_frame + 24;
	expect(0x10, 0x10, 0x20);
	m.im.eh_frame_len--;
	expect_none(0x10);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(by_the_table, setup),
		cmocka_unit_test_setup(without_a_table, setup),
		cmocka_unit_test_setup(with_another_kind_of_table, setup),
		cmocka_unit_test_setup(the_end_is_marked, setup),
		cmocka_unit_test_setup(without_anything, setup),
		cmocka_unit_test_setup(a_table_that_lies, setup),
		cmocka_unit_test_setup(functions_out_of_the_segment, setup),
		cmocka_unit_test_setup(other_augmentations, setup),
		cmocka_unit_test_setup(unknown_augmentations, setup),
		cmocka_unit_test_setup(absolute_addresses, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
