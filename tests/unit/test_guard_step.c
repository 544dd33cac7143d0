/* SPDX-License-Identifier: MIT */
/*
 * lib/guard_step.c: which system calls are stepped back from, and when.
 *
 * The file is part of this test, so that what it calls is seen.
 */
#include "../../lib/guard_step.c"

#include "guard_test.h"

#include <stdio.h>
#include <sys/wait.h>

struct numabal nb;

static const char *stood_down;
static struct nb_range nevers[64];
static int nr_nevers, nr_copies;
static struct nb_range published[8];
static int nr_published;

void nb_standdown(const char *why)
{
	stood_down = why;
}

void nb_hook_filter(void)
{
	nb_standdown("filter");
}

void nb_mm_never(uint64_t start, uint64_t len)
{
	assert_true(nr_nevers < 64);
	nevers[nr_nevers++] = (struct nb_range){start, start + len};
}

void nb_guard_keep_open(struct nb_call *call, uint64_t start, uint64_t len)
{
	(void)call;
	assert_true(nr_published < 8);
	published[nr_published++] = (struct nb_range){start, start + len};
}

void nb_alone_enter(struct nb_call *call, const struct nb_regs *r)
{
	(void)call;
	(void)r;
}

void nb_alone_leave(void)
{
}

long nb_guard_copy(void *to, const void *from, uint64_t bytes)
{
	nr_copies++;
	return copy_by_kernel(to, from, bytes);
}

static struct test_call t;

static int fresh(void **state)
{
	(void)state;
	memset(&t, 0, sizeof(t));
	stood_down = NULL;
	nr_nevers = nr_copies = nr_published = 0;
	atomic_store(&nb.pid, getpid());
	nb.sys = &nb_sys_linux;
	return 0;
}

/* A call with up to three arguments; true: stood down before it. */
static bool before(uint64_t nr, uint64_t a, uint64_t b, uint64_t c)
{
	fresh(NULL);
	t.r.arg[0] = a;
	t.r.arg[1] = b;
	t.r.arg[2] = c;
	call_enter(&t, &nb_guard_step, nr);
	return stood_down;
}

static bool after(int64_t ret)
{
	call_leave(&t, &nb_guard_step, ret);
	return stood_down;
}

static void io_uring(void **state)
{
	(void)state;
	assert_true(before(SYS_io_uring_setup, 8, 1, 0));
	assert_string_equal(stood_down, "the program uses io_uring");
}

static void filters(void **state)
{
	(void)state;
	assert_true(before(SYS_seccomp, SECCOMP_SET_MODE_STRICT, 0, 0));
	assert_true(before(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, 1));
	assert_false(before(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 1, 0));
	assert_false(before(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, 1));
	assert_true(before(SYS_prctl, PR_SET_SECCOMP, SECCOMP_MODE_STRICT, 0));
	assert_true(before(SYS_prctl, PR_SET_SECCOMP, SECCOMP_MODE_FILTER, 1));
	assert_false(before(SYS_prctl, PR_SET_SECCOMP, SECCOMP_MODE_FILTER, 0));
	assert_false(before(SYS_prctl, PR_SET_NO_NEW_PRIVS, 1, 0));
	assert_false(before(SYS_prctl, PR_SET_NAME, 1, 0));
	assert_true(before(SYS_prctl, PR_SET_SYSCALL_USER_DISPATCH, 1, 0));
	assert_false(before(SYS_prctl, PR_SET_SYSCALL_USER_DISPATCH, 0, 0));
	assert_true(before(SYS_prctl, PR_SET_MM, 1, 0));
	assert_false(before(SYS_prctl, PR_SET_TSC, PR_TSC_ENABLE, 0));
	assert_true(before(SYS_prctl, PR_SET_TSC, PR_TSC_SIGSEGV, 0));
}

static void tracing(void **state)
{
	(void)state;
	assert_true(before(SYS_ptrace, PTRACE_TRACEME, 0, 0));
	assert_false(before(SYS_ptrace, PTRACE_ATTACH, 1, 0));
}

/* A vfork child's filter is not its parent's. */
static void a_child_in_our_memory(void **state)
{
	(void)state;
	fresh(NULL);
	atomic_store(&nb.pid, 1);
	t.r.arg[2] = 1;
	t.r.arg[0] = SECCOMP_SET_MODE_FILTER;
	call_enter(&t, &nb_guard_step, SYS_seccomp);
	t.r.arg[0] = PTRACE_TRACEME;
	call_enter(&t, &nb_guard_step, SYS_ptrace);
	assert_null(stood_down);
}

static void userfaultfd(void **state)
{
	(void)state;
	assert_false(before(SYS_userfaultfd, 0, 0, 0));
	assert_false(after(-EPERM));
	assert_false(before(SYS_userfaultfd, 0, 0, 0));
	assert_true(after(3));
}

/* By openat: true if a success makes us stand down, but a failure not. */
static bool steps_back(const char *path)
{
	bool early = before(SYS_openat, 0, ARG(path), 0);

	assert_false(early);
	assert_false(after(-ENOENT));
	before(SYS_openat, 0, ARG(path), 0);
	return after(3);
}

static void devices_are_noticed(void **state)
{
	static const char *const yes[] = {
		"/dev/kvm",
		"/dev/vfio/vfio",
		"/dev/vfio/12",
		"/dev/dri/renderD128",
		"/dev/dri/card0",
		"/dev/kfd",
		"/dev/nvidia0",
		"/dev/nvidiactl",
		"/dev/nvidia-uvm",
		"/dev/infiniband/uverbs0",
		"/dev/accel/accel0",
		"/dev/hfi1_0",
		"/dev/xpmem",
		"/dev/knem",
		"/dev/vhost-net",
		"/dev/sg0",
		"/dev/userfaultfd",
		"/dev/infiniband/a-name-that-is-longer-than-what-is-read",
	};
	static const char *const no[] = {
		"",
		"/",
		"/dev",
		"/dev/",
		"/dev/null",
		"/dev/dri",
		"/dev/dri/",
		"/dev/infiniband/",
		"/dev/vfio/",
		"/dev/shm/kvm",
		"dev/kvm",
		"/devkvm",
		"/dev/kv",
		"/de",
		"/tmp/dev/kvm",
	};

	(void)state;
	for (size_t i = 0; i < nb_array_size(yes); i++)
		if (!steps_back(yes[i]))
			fail_msg("%s", yes[i]);
	for (size_t i = 0; i < nb_array_size(no); i++)
		if (steps_back(no[i]))
			fail_msg("%s", no[i]);
	before(SYS_openat2, 0, ARG("/dev/kvm"), 0);
	assert_true(after(3));
#ifdef SYS_open
	before(SYS_open, ARG("/dev/kvm"), 0, 0);
	assert_true(after(3));
#endif
}

static void opening_is_cheap(void **state)
{
	(void)state;
	before(SYS_openat, 0, ARG("/etc/passwd/and/so/on"), 0);
	assert_in_range(nr_copies, 1, 2); /* two across a page */
	assert_int_equal(call_flags(&t), 0);
}

/* A path that ends where memory ends; one that goes on where there is none. */
static void paths_at_the_end_of_memory(void **state)
{
	static const char kvm[] = "/dev/kvm";
	char *end = end_of_memory();

	(void)state;
	for (size_t cut = 0; cut < sizeof(kvm); cut++) {
		char *at = end - sizeof(kvm) + cut;

		memcpy(at, kvm, sizeof(kvm) - cut);
		before(SYS_openat, 0, ARG(at), 0);
		assert_int_equal(after(3), cut == 0);
	}
	assert_false(before(SYS_openat, 0, 0, 0) || after(3));
	memcpy(end - 8, "/dev/kvm", 8); /* no NUL */
	assert_false(before(SYS_openat, 0, ARG(end - 8), 0) || after(3));
}

/* ---- asynchronous I/O ---------------------------------------------------- */

static bool is_never(const void *p, size_t len)
{
	for (int i = 0; i < nr_nevers; i++)
		if (nevers[i].start == ARG(p) && nevers[i].end == ARG(p) + len)
			return true;
	return false;
}

static void aio_buffers_are_excluded(void **state)
{
	static char buf[3][100];
	struct iovec iov[20];
	struct iocb cb[3] = {
		{.aio_lio_opcode = IOCB_CMD_PREAD,
		 .aio_buf = ARG(buf[0]),
		 .aio_nbytes = 100},
		{.aio_lio_opcode = IOCB_CMD_PWRITEV,
		 .aio_buf = ARG(iov),
		 .aio_nbytes = 20},
		{.aio_lio_opcode = IOCB_CMD_POLL, .aio_buf = 1},
	};
	struct iocb *list[4] = {&cb[0], &cb[1], &cb[2], NULL};

	(void)state;
	for (size_t i = 0; i < 20; i++)
		iov[i] = (struct iovec){buf[1] + i, 1};
	iov[19] = (struct iovec){buf[2], 7};
	assert_false(before(SYS_io_submit, 1, 4, ARG(list)));
	assert_true(is_never(buf[0], 100));
	assert_true(is_never(buf[1], 1));
	assert_true(is_never(buf[1] + 18, 1));
	assert_true(is_never(buf[2], 7));
	for (int i = 0; i < 3; i++)
		assert_true(is_never(&cb[i], sizeof(cb[i])));
	/* one buffer, twenty in a vector, three blocks; none at NULL */
	assert_int_equal(nr_nevers, 24);
	assert_false(before(SYS_io_submit, 1, 4, 8));
	assert_int_equal(nr_nevers, 0);
	assert_true(before(SYS_io_submit, 1, 1 << 20, ARG(list)));
}

static void copying_from_ourselves(void **state)
{
	char a[10];
	struct iovec iov[2] = {{a, 4}, {a + 6, 2}};

	(void)state;
	fresh(NULL);
	t.r.arg[0] = (uint64_t)getpid();
	t.r.arg[3] = ARG(iov);
	t.r.arg[4] = 2;
	call_enter(&t, &nb_guard_step, SYS_process_vm_readv);
	assert_int_equal(nr_published, 2);
	assert_int_equal(published[1].start, ARG(a + 6));
	assert_int_equal(published[1].end, ARG(a + 8));
	assert_null(stood_down);
}

static void copying_from_others(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++) {
		fresh(NULL);
		/* nobody */
		t.r.arg[0] = 1 << 30;
		call_enter(&t, &nb_guard_step,
			   i ? SYS_process_vm_writev : SYS_process_vm_readv);
		assert_null(stood_down);
		t.r.arg[0] = (uint64_t)getppid();
		call_enter(&t, &nb_guard_step,
			   i ? SYS_process_vm_writev : SYS_process_vm_readv);
		assert_non_null(stood_down);
		assert_int_equal(nr_published, 0);
	}
}

/* A debugger's way. */
static void copying_from_who_is_traced(void **state)
{
	int status;
	pid_t pid = fork();

	(void)state;
	if (!pid) {
		ptrace(PTRACE_TRACEME, 0, NULL, NULL);
		raise(SIGSTOP);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSTOPPED(status));
	fresh(NULL);
	t.r.arg[0] = (uint64_t)pid;
	call_enter(&t, &nb_guard_step, SYS_process_vm_readv);
	assert_null(stood_down);
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
}

static void readers_are_let_in(void **state)
{
	(void)state;
	fresh(NULL);
	t.r.arg[0] = PR_SET_PTRACER;
	t.r.arg[1] = 0;
	call_enter(&t, &nb_guard_step, SYS_prctl);
	assert_null(stood_down);
	t.r.arg[1] = PR_SET_PTRACER_ANY;
	call_enter(&t, &nb_guard_step, SYS_prctl);
	assert_non_null(stood_down);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(io_uring, fresh),
		cmocka_unit_test_setup(filters, fresh),
		cmocka_unit_test_setup(tracing, fresh),
		cmocka_unit_test_setup(a_child_in_our_memory, fresh),
		cmocka_unit_test_setup(copying_from_others, fresh),
		cmocka_unit_test_setup(copying_from_who_is_traced, fresh),
		cmocka_unit_test_setup(readers_are_let_in, fresh),
		cmocka_unit_test_setup(userfaultfd, fresh),
		cmocka_unit_test_setup(devices_are_noticed, fresh),
		cmocka_unit_test_setup(opening_is_cheap, fresh),
		cmocka_unit_test_setup(paths_at_the_end_of_memory, fresh),
		cmocka_unit_test_setup(aio_buffers_are_excluded, fresh),
		cmocka_unit_test_setup(copying_from_ourselves, fresh),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
