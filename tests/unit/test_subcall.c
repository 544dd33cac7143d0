/* SPDX-License-Identifier: MIT */
/*
 * guard/subcall.c: calls of many kinds name exactly the memory that the kernel
 * will use for what they ask; what is not known is opaque.
 */
#include "ranges_test.h"

#include <fcntl.h>
#include <linux/futex.h>
#include <linux/prctl.h>
#include <linux/sched.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/sem.h>
#include <sys/socket.h>

long nb_guard_copy(void *to, const void *from, uint64_t bytes)
{
	return copy_by_kernel(to, from, bytes);
}

#if defined(__x86_64__)

static void test_clone3(void **state)
{
	struct clone_args a = {.pidfd = P(1),
			       .child_tid = P(2),
			       .parent_tid = P(3),
			       .stack = P(4),
			       .set_tid = P(5),
			       .set_tid_size = 2};

	(void)state;
	CALL(SYS_clone3, ARG(&a), 88);
	RANGES(ARG(&a), 88, P(1), 4, P(2), 4, P(3), 4, P(5), 8);
	CALL(SYS_clone3, ARG(&a), 64); /* of the first kernels with it */
	RANGES(ARG(&a), 64, P(1), 4, P(2), 4, P(3), 4);
	CALL(SYS_clone3, P(0), 4096);
	RANGES(P(0), 4096);
}

static void test_futex(void **state)
{
	const uint64_t p = P(0), t = P(3), q = P(4);

	(void)state;
	CALL(SYS_futex, p, FUTEX_WAIT_PRIVATE, 1, t, q);
	RANGES(p, 4, t, 16);
	CALL(SYS_futex, p, FUTEX_WAIT_BITSET | FUTEX_CLOCK_REALTIME, 1, t, q);
	RANGES(p, 4, t, 16);
	CALL(SYS_futex, p, FUTEX_WAKE_PRIVATE, 1, t, q);
	NOTHING;
	CALL(SYS_futex, p, FUTEX_WAKE, 1, t, q);
	RANGES(p, 4);
	/* The fourth argument is a number in these. */
	CALL(SYS_futex, p, FUTEX_REQUEUE, 1, 77, q);
	RANGES(p, 4, q, 4);
	CALL(SYS_futex, p, FUTEX_CMP_REQUEUE_PRIVATE, 1, 77, q);
	RANGES(p, 4, q, 4);
	CALL(SYS_futex, p, FUTEX_WAKE_OP_PRIVATE, 1, 77, q);
	RANGES(p, 4, q, 4);
	CALL(SYS_futex, p, FUTEX_CMP_REQUEUE_PI_PRIVATE, 1, 77, q);
	RANGES(p, 4, q, 4);
	CALL(SYS_futex, p, FUTEX_LOCK_PI_PRIVATE, 1, t, q);
	RANGES(p, 4, t, 16);
	CALL(SYS_futex, p, FUTEX_LOCK_PI2 | FUTEX_PRIVATE_FLAG, 1, t, q);
	RANGES(p, 4, t, 16);
	CALL(SYS_futex, p, FUTEX_UNLOCK_PI_PRIVATE, 1, 77, q);
	RANGES(p, 4);
	CALL(SYS_futex, p, FUTEX_TRYLOCK_PI, 1, 77, q);
	RANGES(p, 4);
	CALL(SYS_futex, p, FUTEX_WAIT_REQUEUE_PI_PRIVATE, 1, t, q);
	RANGES(t, 16, p, 4, q, 4);
	CALL(SYS_futex, p, 20, 1, t, q);
	OPAQUE;
}

static void test_fcntl(void **state)
{
	static const int plain[] = {F_DUPFD,
				    F_GETFD,
				    F_SETFD,
				    F_GETFL,
				    F_SETFL,
				    F_SETOWN,
				    F_GETOWN,
				    F_SETSIG,
				    F_GETSIG,
				    1024 /* F_SETLEASE */,
				    1025 /* F_GETLEASE */,
				    1026 /* F_NOTIFY */,
				    F_DUPFD_CLOEXEC,
				    1031 /* F_SETPIPE_SZ */,
				    1032,
				    1033 /* F_ADD_SEALS */,
				    1034};
	static const int locks[] = {F_GETLK,
				    F_SETLK,
				    F_SETLKW,
				    36 /* F_OFD_GETLK */,
				    37,
				    38,
				    15 /* F_SETOWN_EX */,
				    16,
				    1035 /* F_GET_RW_HINT */,
				    1038,
				    1039};

	(void)state;
	for (size_t i = 0; i < nb_array_size(plain); i++) {
		CALL(SYS_fcntl, 3, (uint64_t)plain[i], P(0));
		NOTHING;
	}
	for (size_t i = 0; i < nb_array_size(locks); i++) {
		CALL(SYS_fcntl, 3, (uint64_t)locks[i], P(0));
		assert_int_equal(seen.nr, 1);
		assert_int_equal(seen.start[0], P(0));
		assert_true(seen.len[0] >= sizeof(struct flock));
	}
}

static void test_prctl(void **state)
{
	(void)state;
	CALL(SYS_prctl, PR_SET_PDEATHSIG, P(0));
	NOTHING;
	CALL(SYS_prctl, PR_SET_NAME, P(0));
	RANGES(P(0), 16);
	CALL(SYS_prctl, PR_GET_PDEATHSIG, P(0));
	RANGES(P(0), 16);
	CALL(SYS_prctl, 0x53564d41, 0, P(0), 4096, P(1)); /* PR_SET_VMA */
	RANGES(P(1), 256);
	CALL(SYS_prctl, 0x41555856, P(0), 320); /* PR_GET_AUXV */
	RANGES(P(0), 320);
	CALL(SYS_prctl, 62, 0, 0, 0, P(4)); /* PR_SCHED_CORE */
	RANGES(P(4), 8);
	CALL(SYS_prctl, PR_SET_MM, 14, P(0), 368);
	OPAQUE;
	CALL(SYS_prctl, PR_SET_SECCOMP, 2, P(0));
	OPAQUE;
	CALL(SYS_prctl, 9999, P(0));
	OPAQUE;
}

static void test_ioctl(void **state)
{
	static const struct {
		uint64_t cmd, least;
	} known[] = {{TCGETS, 60},
		     {TIOCGWINSZ, 8},
		     {TIOCGPGRP, 4},
		     {FIONREAD, 4},
		     {FIONBIO, 4},
		     {TIOCGSID, 4},
		     {0x802c542a, 44},
		     {TIOCGPTN, 4},
		     {0x8933 /* SIOCGIFINDEX */, 40},
		     {0x8913 /* SIOCGIFFLAGS */, 40},
		     {0x8905 /* SIOCATMARK */, 4},
		     {0x80081272 /* BLKGETSIZE64 */, 8},
		     {0x4020940d, 32},
		     {0x80086601 /* FS_IOC_GETFLAGS */, 8}};
	static const uint64_t nobody[] = {0x541c /* TIOCLINUX */,
					  0x8912 /* SIOCGIFCONF */,
					  0x8946 /* SIOCETHTOOL */,
					  0x1269 /* BLKPG */,
					  0x4b72,
					  0xc0c0a900,
					  0};

	(void)state;
	for (size_t i = 0; i < nb_array_size(known); i++) {
		/* The kernel looks at 32 bits of the request. */
		CALL(SYS_ioctl, 3, known[i].cmd | 7ULL << 32, P(0));
		if (seen.opaque || seen.nr != 1 || seen.start[0] != P(0) ||
		    seen.len[0] < known[i].least)
			fail_msg("%#llx", (unsigned long long)known[i].cmd);
	}
	CALL(SYS_ioctl, 3, 0x40049409, 4); /* FICLONE */
	NOTHING;
	for (size_t i = 0; i < nb_array_size(nobody); i++) {
		CALL(SYS_ioctl, 3, nobody[i], P(0));
		OPAQUE;
	}
}

static void test_semctl(void **state)
{
	(void)state;
	CALL(SYS_semctl, 1, 0, IPC_STAT, P(0));
	RANGES(P(0), 128);
	CALL(SYS_semctl, 1, 0, GETALL | 0x100, P(0));
	RANGES(P(0), 65536);
	CALL(SYS_semctl, 1, 0, SETALL, P(0));
	RANGES(P(0), 65536);
}

static void test_sockopt(void **state)
{
	uint64_t prog[2] = {3, P(5)};
	uint32_t len = 4;

	(void)state;
	CALL(SYS_setsockopt, 3, SOL_SOCKET, SO_SNDBUF, P(0), 4);
	RANGES(P(0), 4);
	CALL(SYS_setsockopt, 3, SOL_SOCKET, SO_ATTACH_FILTER, ARG(prog), 16);
	RANGES(ARG(prog), 16, P(5), 24);
	CALL(SYS_setsockopt, 3, IPPROTO_TCP, 1, P(0), 4);
	RANGES(P(0), 4);
	CALL(SYS_setsockopt, 3, IPPROTO_IPV6, 26, P(0), 4);
	RANGES(P(0), 4);
	CALL(SYS_setsockopt, 3, IPPROTO_IP, 64, P(0), 4);
	OPAQUE;
	CALL(SYS_setsockopt, 3, 276 /* RDS */, 2, P(0), 4);
	OPAQUE;
	CALL(SYS_setsockopt, 3, IPPROTO_SCTP, 2, P(0), 4);
	OPAQUE;
	CALL(SYS_getsockopt, 3, SOL_SOCKET, SO_TYPE, P(0), ARG(&len));
	RANGES(ARG(&len), 8, P(0), 4);
	CALL(SYS_getsockopt, 3, SOL_SOCKET, SO_GET_FILTER, P(0), ARG(&len));
	RANGES(ARG(&len), 8, P(0), 4, P(0), 32);
	CALL(SYS_getsockopt, 3, IPPROTO_TCP, 35, P(0), ARG(&len));
	OPAQUE;
	CALL(SYS_getsockopt, 3, 284 /* MPTCP */, 4, P(0), ARG(&len));
	OPAQUE;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_clone3),	cmocka_unit_test(test_futex),
		cmocka_unit_test(test_fcntl),	cmocka_unit_test(test_prctl),
		cmocka_unit_test(test_ioctl),	cmocka_unit_test(test_semctl),
		cmocka_unit_test(test_sockopt),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

#else

int main(void)
{
	return 77;
}

#endif
