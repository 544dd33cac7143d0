/* SPDX-License-Identifier: MIT */
/*
 * Threads that libc does not know, on stacks that are armed when they are made
 * and by clone(2) and clone3(2): the kernel has to write a signal's frame there
 * before the thread has made a system call.  Knows nothing of numabal; run by
 * test_aspace.sh.
 */
#define _GNU_SOURCE
#include "armed.h"

#include <errno.h>
#include <linux/futex.h>
#include <linux/sched.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/syscall.h>

#ifdef __x86_64__

#define PAGE 4096UL
#define THREADS 4
#define STACK_BYTES (LONELY_BYTES - 2 * PAGE + 64)

struct raw {
	_Atomic int tid; /* cleared by the kernel at its end */
	_Atomic bool up, go;
	int fd;
	unsigned char *buf, *stack;
	long result;
};

static long raw_call(long nr, long a, long b, long c, long d)
{
	register long r10 __asm__("r10") = d;
	long ret;

	__asm__ volatile("syscall"
			 : "=a"(ret)
			 : "0"(nr), "D"(a), "S"(b), "d"(c), "r"(r10)
			 : "rcx", "r11", "memory");
	return ret;
}

static int raw_main(void *arg)
{
	struct raw *r = arg;

	r->result = 0;
	atomic_store(&r->up, true);
	while (!atomic_load(&r->go))
		;
	for (long i = 0; i < 400; i++) {
		long at = i * 37 % 1024 * (long)PAGE;

		r->buf[at + 17]++;
		r->result += raw_call(SYS_pread64, r->fd,
				      (long)(r->buf + at + 100), 3000, 0);
	}
	raw_call(SYS_exit, 0, 0, 0, 0);
	return 0;
}

/* As clone(2) of libc: what runs on the new stack is told in registers. */
long raw_clone3(struct clone_args *args, size_t size, int (*fn)(void *),
		void *arg);
__asm__(".text\n"
	".globl raw_clone3\n"
	".type raw_clone3, @function\n"
	"raw_clone3:\n"
	"	.cfi_startproc\n"
	"	mov %rdx, %r8\n"
	"	mov %rcx, %r9\n"
	"	mov $435, %eax\n"
	"	syscall\n"
	"	test %rax, %rax\n"
	"	jz 1f\n"
	"	ret\n"
	"1:	.cfi_undefined %rip\n"
	"	xor %ebp, %ebp\n"
	"	mov %r9, %rdi\n"
	"	call *%r8\n"
	"	hlt\n"
	"	.cfi_endproc\n"
	".size raw_clone3, .-raw_clone3\n");

/* The stack pointer is just above a page that is armed, as all below are. */
static bool start_raw(struct raw *r, bool by_clone3)
{
	const int flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND |
			  CLONE_THREAD | CLONE_SYSVSEM | CLONE_PARENT_SETTID |
			  CLONE_CHILD_CLEARTID;
	struct clone_args args = {
		.flags = (uint64_t)flags,
		.parent_tid = (uintptr_t)&r->tid,
		.child_tid = (uintptr_t)&r->tid,
		.stack = (uintptr_t)r->stack,
		.stack_size = STACK_BYTES,
	};

	atomic_store(&r->tid, 1);
	for (size_t at = 0; at < LONELY_BYTES; at += PAGE)
		CHECK(wait_armed(r->stack + at));
	if (by_clone3 && raw_clone3(&args, sizeof(args), raw_main, r) > 0)
		return true;
	return clone(raw_main, r->stack + args.stack_size, flags, r, &r->tid,
		     NULL, &r->tid) > 0;
}

/* Nothing of its stack is armed while the thread is there. */
static bool raw_runs(struct raw *r)
{
	struct timespec ts = {20, 0};
	int tid;

	while (!atomic_load(&r->up))
		sched_yield();
	CHECK(wait_armed(r->buf));
	for (size_t at = 0; at < STACK_BYTES; at += PAGE)
		CHECK(!is_armed(r->stack + at));
	atomic_store(&r->go, true);
	while ((tid = atomic_load(&r->tid)))
		CHECK(!syscall(SYS_futex, &r->tid, FUTEX_WAIT, tid, &ts, NULL,
			       0) ||
		      errno == EAGAIN || errno == EINTR);
	CHECK(r->result == 400 * 3000);
	return true;
}

static bool raw_threads(void)
{
	struct raw *raw = (void *)new_buffer(sizeof(*raw) * THREADS);
	int fd = open("/proc/self/exe", O_RDONLY);

	for (int i = 0; i < THREADS; i++) {
		raw[i].fd = fd;
		raw[i].buf = new_buffer(BUF_BYTES);
		raw[i].stack = lonely_buffer();
		memset(raw[i].buf, 0, BUF_BYTES);
		CHECK(raw[i].stack);
		atomic_store(&raw[i].up, false);
		atomic_store(&raw[i].go, false);
		CHECK(start_raw(&raw[i], i & 1));
	}
	for (int i = 0; i < THREADS; i++)
		CHECK(raw_runs(&raw[i]));
	return true;
}
#endif

int main(int argc, char **argv)
{
	static const struct armed_case cases[] = {
#ifdef __x86_64__
		{"raw-threads", raw_threads},
#endif
		{NULL, NULL},
	};

	return run_cases(cases, argc, argv);
}
