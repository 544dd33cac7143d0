/* SPDX-License-Identifier: MIT */
/*
 * A program whose memory is being armed, which then does something that a
 * balancer must step back from: from there on no page of it is ever without
 * access again, and all goes on working.  Knows nothing of numabal; run by
 * test_step_back.sh and test_step_traced.sh.
 */
#define _GNU_SOURCE
#include "step.h"

#include <dlfcn.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/io_uring.h>
#include <linux/seccomp.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>

/* ---- io_uring: a read into memory that was armed ------------------------- */

static bool uring(void)
{
	struct io_uring_params p = {.flags = 0};
	int fd = (int)syscall(SYS_io_uring_setup, 4, &p), pipes[2];
	struct io_uring_sqe *sqe;
	struct io_uring_cqe *cqe;
	unsigned char *sq, *cq;

	if (fd < 0)
		return absent("io_uring_setup");
	sq = mmap(NULL, p.sq_off.array + p.sq_entries * 4,
		  PROT_READ | PROT_WRITE, MAP_SHARED, fd, IORING_OFF_SQ_RING);
	cq = mmap(NULL, p.cq_off.cqes + p.cq_entries * sizeof(*cqe),
		  PROT_READ | PROT_WRITE, MAP_SHARED, fd, IORING_OFF_CQ_RING);
	sqe = mmap(NULL, p.sq_entries * sizeof(*sqe), PROT_READ | PROT_WRITE,
		   MAP_SHARED, fd, IORING_OFF_SQES);
	CHECK(sq != MAP_FAILED && cq != MAP_FAILED && sqe != MAP_FAILED);
	CHECK(!pipe(pipes));
	memset(sqe, 0, sizeof(*sqe));
	sqe->opcode = IORING_OP_READ;
	sqe->fd = pipes[0];
	sqe->addr = (uint64_t)large + 8192;
	sqe->len = 512;
	sqe->off = (uint64_t)-1;
	*(unsigned int *)(sq + p.sq_off.array) = 0;
	__atomic_store_n((unsigned int *)(sq + p.sq_off.tail), 1,
			 __ATOMIC_RELEASE);
	CHECK(syscall(SYS_io_uring_enter, fd, 1, 0, 0, NULL, 0) == 1);
	/* While it is under way. */
	CHECK(stays_open(large, BUF_BYTES));
	CHECK(write(pipes[1], large + 8192, 512) == 512);
	CHECK(!syscall(SYS_io_uring_enter, fd, 0, 1, IORING_ENTER_GETEVENTS,
		       NULL, 0));
	cqe = (struct io_uring_cqe *)(cq + p.cq_off.cqes);
	CHECK(cqe->res == 512);
	return true;
}

/* ---- seccomp ------------------------------------------------------------- */

static bool filter(int sysno_allowed[], unsigned int nr, unsigned int flags)
{
	struct sock_filter f[80];
	struct sock_fprog prog = {.filter = f};
	unsigned int n = 0;

	f[n++] = (struct sock_filter)BPF_STMT(
		BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
	for (unsigned int i = 0; i < nr; i++) {
		f[n++] = (struct sock_filter)BPF_JUMP(
			BPF_JMP | BPF_JEQ | BPF_K,
			(unsigned int)sysno_allowed[i], 0, 1);
		f[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K,
						      SECCOMP_RET_ALLOW);
	}
	f[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K,
					      nr ? SECCOMP_RET_KILL_PROCESS
						 : SECCOMP_RET_ALLOW);
	prog.len = (unsigned short)n;
	CHECK(!prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	CHECK(!syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &prog));
	return true;
}

static __attribute__((noinline)) long deep(int n)
{
	volatile char room[65536];

	room[0] = (char)n;
	return n ? deep(n - 1) + room[0] : write(1, "deep\n", 5);
}

/* What a sandbox leaves: no getpid, gettid, futex, sigaction, mprotect. */
static bool narrow(unsigned int flags)
{
	int allowed[] = {SYS_read,	   SYS_write,	   SYS_close,
			 SYS_openat,	   SYS_mmap,	   SYS_munmap,
			 SYS_brk,	   SYS_exit_group, SYS_newfstatat,
			 SYS_rt_sigreturn, SYS_fstat,	   SYS_lseek,
			 SYS_clock_gettime};

	CHECK(filter(allowed, sizeof(allowed) / sizeof(*allowed), flags));
	CHECK(deep(60) > 0);
	CHECK(stays_open(large, BUF_BYTES));
	free(malloc(1 << 22));
	return true;
}

static bool seccomp_narrow(void)
{
	return narrow(0);
}

static bool seccomp_tsync(void)
{
	return narrow(SECCOMP_FILTER_FLAG_TSYNC);
}

static bool seccomp_wide(void)
{
	return filter(NULL, 0, 0);
}

/* read, write, exit and sigreturn are left. */
static bool seccomp_strict(void)
{
	int maps = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
	static char text[1 << 18];
	ssize_t n, all = 0;
	char line[32];
	bool ok;

	CHECK(maps >= 0 && fflush(stdout) == 0);
	snprintf(line, sizeof(line), "%lx-", (unsigned long)large);
	CHECK(!prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT, 0, 0, 0));
	ok = pattern_ok(large, BUF_BYTES) && deep(60) > 0;
	while (all < (ssize_t)sizeof(text) - 1 &&
	       (n = read(maps, text + all, sizeof(text) - 1 - (size_t)all)) > 0)
		all += n;
	for (char *at = strstr(text, "---p"); at; at = strstr(at + 1, "---p")) {
		unsigned long start, end;
		char *bol = at;

		while (bol > text && bol[-1] != '\n')
			bol--;
		start = strtoul(bol, &bol, 16);
		end = strtoul(bol + 1, NULL, 16);
		ok &= (uintptr_t)large >= end ||
		      (uintptr_t)large + BUF_BYTES <= start;
	}
	ok &= write(1, ok ? "open\n" : "ARMED\n", 5 + !ok) > 0;
	syscall(SYS_exit, !ok);
	return false;
}

/* ---- the rest ------------------------------------------------------------ */

static bool uffd(void)
{
	struct uffdio_api api = {.api = UFFD_API};
	struct uffdio_register reg = {
		.range = {(uintptr_t)large, BUF_BYTES},
		.mode = UFFDIO_REGISTER_MODE_MISSING,
	};
	int fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | 1);

	if (fd < 0)
		return absent("userfaultfd");
	CHECK(!ioctl(fd, UFFDIO_API, &api));
	CHECK(!ioctl(fd, UFFDIO_REGISTER, &reg));
	return stays_open(large, BUF_BYTES);
}

static bool kvm(void)
{
	return open("/dev/kvm", O_RDWR | O_CLOEXEC) < 0 ? absent("/dev/kvm")
							: true;
}

static bool dri(void)
{
	return open("/dev/dri/renderD128", O_RDWR | O_CLOEXEC) < 0
		       ? absent("/dev/dri")
		       : true;
}

static bool traceme(void)
{
	CHECK(!ptrace(PTRACE_TRACEME, 0, NULL, NULL));
	return true;
}

static bool user_dispatch(void)
{
	static char selector; /* allow */

	if (prctl(59 /* PR_SET_SYSCALL_USER_DISPATCH */, 1, 0, 0, &selector))
		return absent("user dispatch");
	return true;
}

/* Shares the memory, and nobody says when it is gone. */
static int idle_child(void *arg)
{
	(void)arg;
	return 0;
}

static bool shared_process(void)
{
	static char stack[65536] __attribute__((aligned(16)));
	pid_t pid = clone(idle_child, stack + sizeof(stack), CLONE_VM | SIGCHLD,
			  NULL);

	CHECK(pid > 0 && waitpid(pid, NULL, 0) == pid);
	return true;
}

static bool anon_exec(void)
{
	CHECK(mmap(NULL, 4096, PROT_READ | PROT_EXEC,
		   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED);
	CHECK(stays_open(small, SMALL));
	return true;
}

static const char *module;

static bool load(void)
{
	if (dlopen(module, RTLD_NOW))
		return true;
	fprintf(stderr, "%s\n", dlerror());
	return false;
}

static bool load_low(void)
{
	return load() && stays_open(small, SMALL);
}

static bool nothing(void)
{
	return true;
}

/* Orders come by lines: the script attaches tracers in between. */
static int serve(void)
{
	char line[32];

	setvbuf(stdout, NULL, _IOLBF, 0);
	printf("%d\n", (int)getpid());
	while (fgets(line, sizeof(line), stdin)) {
		bool ok = false;

		if (!strcmp(line, "armed\n"))
			ok = wait_armed(large) && pattern_ok(large, BUF_BYTES);
		else if (!strcmp(line, "open\n")) {
			/* It may be noticed late, but not much. */
			for (time_t t = time(NULL) + WAIT_S;
			     !ok && time(NULL) < t;)
				ok = stays_open(large, BUF_BYTES);
		}
		puts(ok ? "yes" : "no");
	}
	return 0;
}

int main(int argc, char **argv)
{
	static const struct step_case cases[] = {
		{"io_uring", uring, false},
		{"seccomp-wide", seccomp_wide, false},
		{"seccomp-narrow", seccomp_narrow, false},
		{"seccomp-tsync", seccomp_tsync, false},
		{"seccomp-strict", seccomp_strict, false},
		{"userfaultfd", uffd, false},
		{"kvm", kvm, false},
		{"dri", dri, false},
		{"traceme", traceme, false},
		{"user-dispatch", user_dispatch, false},
		{"shared-process", shared_process, false},
		{"anon-exec", anon_exec, true},
		{"load", load, false},
		{"load-low", load_low, true},
		{"nothing", nothing, true},
		{0},
	};
	const char *what = argc > 1 ? argv[1] : "";

	module = argc > 2 ? argv[2] : NULL;
	large = new_buffer(BUF_BYTES);
	if (!strcmp(what, "start"))
		return !stays_open(large, BUF_BYTES);
	if (!small_armed())
		return 98;
	if (!strcmp(what, "serve"))
		return serve();
	return run_step(cases, what);
}
