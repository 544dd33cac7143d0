/* SPDX-License-Identifier: MIT */
/*
 * guard/stub.c: the bytes of stubs and jumps, and what addresses in stubs
 * stand for.
 */
#include "../../lib/guard/stub.h"
#include "policy_test.h"

#include <errno.h>

#define SITE 0x7000001000ULL
#define STUBS 0x7000400000ULL
#define CALL_LEN 32U

struct build {
	struct nb_patched p;
	struct nb_stub_buf b;
	uint8_t out[NB_STUBS_MAX];
	int ret;
};

static int open_decoder(void **state)
{
	(void)state;
	return nb_decoder_open();
}

static void build(struct build *t, int kind, const char *pre, unsigned int n,
		  const char *post, unsigned int k)
{
	memset(t, 0, sizeof(*t));
	t->p.addr = SITE;
	t->p.kind = (uint8_t)kind;
	t->p.pre_len = (uint8_t)n;
	t->p.post_len = (uint8_t)k;
	memcpy(t->p.bytes, pre, n);
	memcpy(t->p.bytes + n, post, k);
	t->b.out = t->out;
	t->b.room = sizeof(t->out);
	t->b.at = STUBS;
	t->b.enter = STUBS - 16;
	t->b.leave = STUBS - 8;
	t->ret = nb_stub_build(&t->p, 0x01020304, &t->b);
}

/* Where the relative 32-bit value at @at leads. */
static uint64_t target(const struct build *t, uint64_t at)
{
	int32_t rel;

	memcpy(&rel, t->out + (at - STUBS), sizeof(rel));
	return at + 4 + (uint64_t)(int64_t)rel;
}

static void check_call(const struct build *t, uint64_t at, uint64_t slot,
		       uint64_t stands_for)
{
	const uint8_t *p = t->out + (at - STUBS);

	assert_memory_equal(p, "\x48\x8d\x64\x24\x80", 5);
	assert_memory_equal(p + 5, "\x41\xbb\x04\x03\x02\x01", 6);
	assert_memory_equal(p + 11, "\x48\x8d\x0d", 3);
	assert_true(target(t, at + 14) == stands_for);
	assert_memory_equal(p + 18, "\xff\x15", 2);
	assert_true(target(t, at + 20) == slot);
	assert_memory_equal(p + 24, "\x48\x8d\xa4\x24\x80\0\0\0", 8);
}

static void expect(const struct build *t, uint64_t addr, uint64_t original,
		   unsigned int skew)
{
	unsigned int got = 99;

	assert_true(nb_stub_original(&t->p, addr, &got) == original);
	assert_int_equal(got, skew);
}

/* mov $39,%eax; syscall; cmp $-4096,%rax */
static void test_bracket(void **state)
{
	struct build t;
	uint64_t post;

	(void)state;
	build(&t, NB_SITE_BRACKET, "\xb8\x27\0\0\0", 5,
	      "\x48\x3d\x00\xf0\xff\xff", 6);
	assert_int_equal(t.ret, 0);
	assert_true(t.p.pre_stub == STUBS);
	assert_true(t.p.syscall_addr == SITE);
	assert_int_equal(t.p.pre_stub_len, 5 + CALL_LEN + 5);
	assert_memory_equal(t.out, "\xb8\x27\0\0\0", 5);
	check_call(&t, STUBS + 5, t.b.enter, SITE);
	assert_int_equal(t.out[5 + CALL_LEN], 0xe9);
	assert_true(target(&t, STUBS + 5 + CALL_LEN + 1) == SITE);
	post = STUBS + t.p.pre_stub_len;
	assert_true(t.p.post_stub == post);
	check_call(&t, post, t.b.leave, SITE + 2);
	assert_memory_equal(t.out + t.p.pre_stub_len + CALL_LEN,
			    "\x48\x3d\x00\xf0\xff\xff", 6);
	assert_true(target(&t, post + CALL_LEN + 6 + 1) == SITE + 2 + 6);
	assert_int_equal(t.b.len, t.p.pre_stub_len + t.p.post_stub_len);

	expect(&t, STUBS - 1, 0, 0);
	expect(&t, STUBS, SITE - 5, 0);
	expect(&t, STUBS + 5, SITE, 0);
	expect(&t, STUBS + 10, SITE, 128);
	expect(&t, STUBS + 16, SITE, 128);
	expect(&t, STUBS + 23, SITE, 128);
	expect(&t, STUBS + 29, SITE, 128);
	expect(&t, STUBS + 5 + CALL_LEN, SITE, 0);
	expect(&t, post, SITE + 2, 0);
	expect(&t, post + 5, SITE + 2, 128);
	expect(&t, post + 24, SITE + 2, 128);
	expect(&t, post + CALL_LEN, SITE + 2, 0);
	expect(&t, post + CALL_LEN + 6, SITE + 8, 0);
	expect(&t, post + CALL_LEN + 6 + 5, 0, 0);
}

/* Two instructions before; ret and padding behind: no jump back. */
static void test_ret(void **state)
{
	struct build t;
	uint64_t post;

	(void)state;
	build(&t, NB_SITE_BRACKET, "\x89\xd0\x49\x89\xca", 5,
	      "\x90\x90\x90\x90\xc3", 5);
	assert_int_equal(t.ret, 0);
	expect(&t, STUBS, SITE - 5, 0);
	expect(&t, STUBS + 2, SITE - 3, 0);
	post = t.p.post_stub;
	assert_int_equal(t.p.post_stub_len, CALL_LEN + 5);
	for (unsigned int i = 0; i < 5; i++)
		expect(&t, post + CALL_LEN + i, SITE + 2 + i, 0);
	expect(&t, post + CALL_LEN + 5, 0, 0);
}

static void test_pre_only(void **state)
{
	struct build t;
	uint8_t jumps[NB_SITE_SPAN_MAX];

	(void)state;
	build(&t, NB_SITE_PRE_ONLY, "\xb8\x27\0\0\0", 5, "", 0);
	assert_int_equal(t.ret, 0);
	assert_int_equal(t.p.post_stub, 0);
	assert_int_equal(t.b.len, 5 + CALL_LEN + 5);
	assert_int_equal(nb_stub_jumps(&t.p, jumps), 0);
	assert_int_equal(nb_site_span(&t.p), 7);
	assert_memory_equal(jumps + 5, "\x0f\x05", 2);
	expect(&t, 0, 0, 0);
}

/* mov %edi,%eax; syscall; mov %rax,%rdx */
static void test_out_of_line(void **state)
{
	struct build t;
	uint64_t call, leave;

	(void)state;
	build(&t, NB_SITE_OUT_OF_LINE, "\x89\xf8", 2, "\x48\x89\xc2", 3);
	assert_int_equal(t.ret, 0);
	assert_int_equal(t.p.post_stub, 0);
	call = STUBS + 2 + CALL_LEN;
	assert_true(t.p.syscall_addr == call);
	assert_memory_equal(t.out + 2 + CALL_LEN, "\x0f\x05", 2);
	check_call(&t, STUBS + 2, t.b.enter, SITE);
	check_call(&t, call + 2, t.b.leave, SITE + 2);
	leave = call + 2 + CALL_LEN;
	assert_true(target(&t, leave + 4) == SITE + 5);
	expect(&t, STUBS, SITE - 2, 0);
	expect(&t, STUBS + 2, SITE, 0);
	expect(&t, STUBS + 7, SITE, 128);
	expect(&t, call, SITE, 0);
	expect(&t, call + 2, SITE + 2, 0);
	expect(&t, call + 7, SITE + 2, 128);
	expect(&t, leave, SITE + 2, 0);
	expect(&t, leave + 3, SITE + 5, 0);
	expect(&t, leave + 8, 0, 0);
}

static void test_jumps(void **state)
{
	uint8_t jumps[NB_SITE_SPAN_MAX];
	struct build t;
	int32_t rel;

	(void)state;
	build(&t, NB_SITE_BRACKET, "\x90\x90\xb8\x27\0\0\0", 7,
	      "\x48\x3d\x00\xf0\xff\xff", 6);
	assert_int_equal(nb_stub_jumps(&t.p, jumps), 0);
	assert_int_equal(jumps[0], 0xe9);
	memcpy(&rel, jumps + 1, 4);
	assert_true(SITE - 7 + 5 + (uint64_t)(int64_t)rel == t.p.pre_stub);
	assert_memory_equal(jumps + 5, "\xcc\xcc\x0f\x05\xe9", 5);
	memcpy(&rel, jumps + 10, 4);
	assert_true(SITE + 2 + 5 + (uint64_t)(int64_t)rel == t.p.post_stub);
	assert_int_equal(jumps[14], 0xcc);
	t.p.post_stub = SITE + (1ULL << 32);
	assert_int_equal(nb_stub_jumps(&t.p, jumps), -ERANGE);
}

static void test_failures(void **state)
{
	struct build t;
	unsigned int need;

	(void)state;
	build(&t, NB_SITE_BRACKET, "\xb8\x27\0\0\0", 5,
	      "\x48\x3d\x00\xf0\xff\xff", 6);
	need = t.b.len;
	for (unsigned int room = 0; room < need; room++) {
		t.b.len = 0;
		t.b.room = room;
		assert_int_equal(nb_stub_build(&t.p, 1, &t.b), -ENOSPC);
		assert_int_equal(t.b.len, 0);
	}
	/* Too far away. */
	t.b.room = sizeof(t.out);
	t.b.at = SITE + (1ULL << 32);
	assert_int_equal(nb_stub_build(&t.p, 1, &t.b), -ERANGE);
	/* A call cannot be moved. */
	build(&t, NB_SITE_BRACKET, "\xe8\0\0\0\0", 5, "\x90\x90\x90\x90\x90",
	      5);
	assert_int_equal(t.ret, -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bracket),
		cmocka_unit_test(test_ret),
		cmocka_unit_test(test_pre_only),
		cmocka_unit_test(test_out_of_line),
		cmocka_unit_test(test_jumps),
		cmocka_unit_test(test_failures),
	};

#if !defined(__x86_64__)
	return 77;
#endif
	return cmocka_run_group_tests(tests, open_decoder, NULL);
}
