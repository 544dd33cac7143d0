/* SPDX-License-Identifier: MIT */
/*
 * guard/syscall.c: each kind of argument names exactly the memory that the
 * kernel will use, nested descriptors included, whatever the program says.
 */
#include "ranges_test.h"

#include <linux/aio_abi.h>
#include <sys/socket.h>

long nb_guard_copy(void *to, const void *from, uint64_t bytes)
{
	return copy_by_kernel(to, from, bytes);
}

#if defined(__x86_64__)

static void test_lengths(void **state)
{
	uint32_t len = 28;

	(void)state;
	CALL(SYS_read, 3, P(0), 100);
	RANGES(P(0), 100);
	CALL(SYS_read, 3, P(0), 0);
	NOTHING;
	CALL(SYS_read, 3, 0, 100);
	NOTHING;
	CALL(SYS_read, 3, P(0), UINT64_MAX);
	RANGES(P(0), UINT64_MAX);
	CALL(SYS_msgsnd, 3, P(0), 100);
	RANGES(P(0), 108);
	CALL(SYS_msgrcv, 3, P(0), UINT64_MAX - 3);
	RANGES(P(0), UINT64_MAX);
	CALL(SYS_poll, P(0), 5, 0);
	RANGES(P(0), 40);
	CALL(SYS_poll, P(0), UINT64_MAX / 4, 0);
	RANGES(P(0), UINT64_MAX);
	CALL(SYS_stat, P(0), P(1));
	RANGES(P(0), 4096, P(1), 144);
	CALL(SYS_getsockname, 3, P(0), ARG(&len));
	RANGES(ARG(&len), 8, P(0), 28);
	len = UINT32_MAX;
	CALL(SYS_accept, 3, P(0), ARG(&len));
	RANGES(ARG(&len), 8, P(0), UINT32_MAX);
	CALL(SYS_accept, 3, 0, 0);
	NOTHING;
	CALL(SYS_accept, 3, P(0), P(1)); /* the length cannot be read */
	RANGES(P(1), 8);
}

static void test_sets(void **state)
{
	(void)state;
	CALL(SYS_mincore, P(9), 4096, P(0));
	RANGES(P(0), 2);
	CALL(SYS_mincore, P(9), 4097, P(0));
	RANGES(P(0), 2);
	CALL(SYS_mincore, P(9), UINT64_MAX, P(0));
	RANGES(P(0), 1ULL << 52);
	CALL(SYS_select, 64, P(0), P(1), P(2), P(3));
	RANGES(P(0), 8, P(1), 8, P(2), 8, P(3), 16);
	CALL(SYS_select, 65, P(0), 0, 0, 0);
	RANGES(P(0), 16);
	CALL(SYS_select, 0, P(0), 0, 0, 0);
	NOTHING;
	CALL(SYS_select, 0xffffffff00000001, P(0), 0, 0, 0); /* an int */
	RANGES(P(0), 8);
	CALL(SYS_set_mempolicy, 0, P(0), 64);
	RANGES(P(0), 16);
	CALL(SYS_mbind, P(9), 4096, 2, P(0), UINT64_MAX);
	RANGES(P(0), UINT64_MAX / 64 * 8 + 8);
}

static void test_iov(void **state)
{
	struct iovec iov[20];
	char *end = end_of_memory();
	uint64_t want[2 * 20 + 3] = {0};

	(void)state;
	for (int i = 0; i < 20; i++) {
		iov[i].iov_base = (void *)P(i);
		iov[i].iov_len = (size_t)i; /* the first is empty */
		want[2 * i] = P(i);
		want[2 * i + 1] = (uint64_t)i;
	}
	want[0] = ARG(iov);
	want[1] = sizeof(iov);
	CALL(SYS_readv, 3, ARG(iov), 20);
	expect(want, __LINE__);
	iov[1].iov_len = SIZE_MAX;
	CALL(SYS_writev, 3, ARG(iov), 2);
	RANGES(ARG(iov), 32, P(1), UINT64_MAX);
	/* The second half of the second one is not there. */
	memcpy(end - 24, iov, 24);
	CALL(SYS_readv, 3, ARG(end - 24), 2);
	RANGES(ARG(end - 24), 32);
	CALL(SYS_readv, 3, P(0), UINT64_MAX);
	RANGES(P(0), 1024 * 16);
	CALL(SYS_process_vm_readv, 1, ARG(iov + 2), 1, ARG(iov + 3), 2);
	RANGES(ARG(iov + 2), 16, P(2), 2, ARG(iov + 3), 32, P(3), 3, P(4), 4);
	munmap(end - 4096, 4096);
}

static struct msghdr msg_of(int i, struct iovec *iov)
{
	*iov = (struct iovec){(void *)P(i), 10};
	return (struct msghdr){.msg_name = (void *)P(i + 1),
			       .msg_namelen = 11,
			       .msg_control = (void *)P(i + 2),
			       .msg_controllen = 12,
			       .msg_iov = iov,
			       .msg_iovlen = 1};
}

static void test_msg(void **state)
{
	char *end = end_of_memory();
	struct mmsghdr *last = (struct mmsghdr *)end - 1, *first = last - 1;
	struct iovec iov[2];
	struct msghdr m = msg_of(0, iov);

	(void)state;
	CALL(SYS_sendmsg, 3, ARG(&m), 0);
	RANGES(ARG(&m), 56, P(1), 11, P(2), 12, ARG(iov), 16, P(0), 10);
	CALL(SYS_recvmsg, 3, P(0), 0);
	RANGES(P(0), 56);
	first->msg_hdr = m;
	last->msg_hdr = msg_of(4, iov + 1);
	CALL(SYS_recvmmsg, 3, ARG(first), 2, 0, P(9));
	RANGES(ARG(first), 128, ARG(first), 56, P(1), 11, P(2), 12, ARG(iov),
	       16, P(0), 10, ARG(last), 56, P(5), 11, P(6), 12, ARG(iov + 1),
	       16, P(4), 10, P(9), 16);
	/* Only some are there; the number is an unsigned int. */
	CALL(SYS_sendmmsg, 3, ARG(last), 0x500000002, 0);
	RANGES(ARG(last), 128, ARG(last), 56, P(5), 11, P(6), 12, ARG(iov + 1),
	       16, P(4), 10, ARG(end), 56);
	CALL(SYS_sendmmsg, 3, P(0), UINT32_MAX, 0);
	assert_int_equal(seen.start[0], P(0));
	assert_int_equal(seen.len[0], 1024 * 64);
	munmap(end - 4096, 4096);
}

static void test_iocbs(void **state)
{
	struct iovec iov = {(void *)P(7), 70};
	struct iocb read_cb = {.aio_lio_opcode = IOCB_CMD_PREAD,
			       .aio_buf = P(1),
			       .aio_nbytes = 10};
	struct iocb vec_cb = {.aio_lio_opcode = IOCB_CMD_PWRITEV,
			      .aio_buf = ARG(&iov),
			      .aio_nbytes = 1};
	struct iocb *list[] = {&read_cb, (void *)P(3), &vec_cb};

	(void)state;
	CALL(SYS_io_submit, 1, 3, ARG(list));
	RANGES(ARG(list), 24, ARG(&read_cb), 64, P(1), 10, P(3), 64,
	       ARG(&vec_cb), 64, ARG(&iov), 16, P(7), 70);
	CALL(SYS_io_submit, 1, 3, P(0));
	RANGES(P(0), 24);
}

static void test_pairs(void **state)
{
	uint64_t pair[2] = {P(1), 8}, w[6] = {1, P(2), 2, 1, P(3), 2};

	(void)state;
	CALL(SYS_pselect6, 0, 0, 0, 0, P(0), ARG(pair));
	RANGES(P(0), 16, ARG(pair), 16, P(1), 8);
	CALL(SYS_pselect6, 0, 0, 0, 0, 0, P(4));
	RANGES(P(4), 16);
	pair[1] = 5ULL << 32 | 20; /* a size of 32 bits, then flags */
	CALL(463, 3, P(5), 0, P(6), ARG(pair), 16);
	RANGES(P(5), 4096, P(6), 4096, ARG(pair), 16, ARG(pair), 16, P(1), 20);
	CALL(SYS_futex_waitv, ARG(w), 2, 0, P(5));
	RANGES(ARG(w), 48, P(2), 16, P(3), 16, P(5), 16);
	CALL(456, ARG(w), 0, 1, 1);
	RANGES(ARG(w), 48, P(2), 16, P(3), 16);
	CALL(SYS_futex_waitv, P(0), UINT32_MAX, 0, 0);
	RANGES(P(0), 128 * 24);
}

/* What the call's entry says in the end. */
static void test_publish(void **state)
{
	struct iovec iov[NB_CALL_RANGES + 4];
	struct nb_regs r = {.arg = {3, ARG(iov), NB_CALL_RANGES - 1}};
	struct nb_call call = {.sp = 1};
	const uint32_t last = NB_CALL_RANGES - 1;

	(void)state;
	for (unsigned int i = 0; i < nb_array_size(iov); i++)
		iov[i] = (struct iovec){(void *)P(i ^ 1), 16};
	assert_false(nb_syscall_ranges(nb_sysclass(SYS_readv), &r, &call));
	assert_int_equal(call.nr_ranges, NB_CALL_RANGES);
	assert_int_equal(call.flags, 0);
	assert_int_equal(call.range[0].start, ARG(iov));
	assert_int_equal(call.range[last].start, P((last - 1) ^ 1));
	assert_int_equal(call.range[last].end, P((last - 1) ^ 1) + 16);
	memset(&call, 0, sizeof(call));
	r.arg[2] = nb_array_size(iov);
	assert_false(nb_syscall_ranges(nb_sysclass(SYS_readv), &r, &call));
	assert_int_equal(call.nr_ranges, NB_CALL_RANGES);
	assert_int_equal(call.flags, NB_CALL_HULL);
	assert_int_equal(call.range[last - 1].end, P((last - 2) ^ 1) + 16);
	assert_int_equal(call.range[last].start, P(6));
	assert_int_equal(call.range[last].end, P(11) + 16);
	memset(&call, 0, sizeof(call));
	assert_true(nb_syscall_ranges(nb_sysclass(SYS_bpf), &r, &call));
	assert_int_equal(call.flags, NB_CALL_OPAQUE);
	memset(&call, 0, sizeof(call));
	r.arg[1] = UINT64_MAX - 10;
	r.arg[2] = 100;
	nb_syscall_ranges(nb_sysclass(SYS_read), &r, &call);
	assert_int_equal(call.range[0].start, UINT64_MAX - 10);
	assert_int_equal(call.range[0].end, UINT64_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lengths), cmocka_unit_test(test_sets),
		cmocka_unit_test(test_iov),	cmocka_unit_test(test_msg),
		cmocka_unit_test(test_iocbs),	cmocka_unit_test(test_pairs),
		cmocka_unit_test(test_publish),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

#else

int main(void)
{
	return 77;
}

#endif
