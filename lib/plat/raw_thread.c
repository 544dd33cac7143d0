/* SPDX-License-Identifier: MIT */
/*
 * A thread made by clone(2) alone.  It has a stack and a thread-local storage
 * block of the library's own memory, all zero but what the ABI wants at the
 * thread pointer, and may therefore use what needs no state of libc per
 * thread: no malloc, no stdio, no locale.
 *
 * The block reaches as far below the thread pointer as the static TLS that the
 * thread will use: ours and errno.
 */
#include "raw_thread.h"

#include "arena.h"
#include "sys.h"

#include <errno.h>
#include <sched.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>

#define STACK_BYTES (256ULL * 1024)
#define TLS_SPARE 16384ULL /* below what is known to be used */
/* Above it: as much as debuggers read of a thread's descriptor. */
#define TCB_BYTES 8192ULL

static __thread char below __attribute__((tls_model("initial-exec")));

#if defined(__x86_64__) && !defined(NB_SANITIZED)
/* clone(flags, stack, ptid, ctid, tls): the child calls what lies on it. */
__asm__(".pushsection .text,\"ax\",@progbits\n"
	".hidden nb_raw_clone\n"
	".globl nb_raw_clone\n"
	".type nb_raw_clone,@function\n"
	"nb_raw_clone:\n"
	".cfi_startproc\n"
	"	mov %rcx,%r10\n"
	"	mov $56,%eax\n"
	"	syscall\n"
	"	test %rax,%rax\n"
	"	jz 1f\n"
	"	ret\n"
	"1:	.cfi_undefined rip\n"
	"	xor %ebp,%ebp\n"
	"	pop %rax\n"
	"	call *%rax\n"
	"	xor %edi,%edi\n"
	"	mov $60,%eax\n"
	"	syscall\n"
	"	hlt\n"
	".cfi_endproc\n"
	".size nb_raw_clone,.-nb_raw_clone\n"
	".popsection\n");
long nb_raw_clone(uint64_t flags, void *stack, _Atomic uint32_t *parent_tid,
		  _Atomic uint32_t *child_tid, void *tls);

static uint64_t thread_pointer(void)
{
	uint64_t tp;

	__asm__("mov %%fs:0,%0" : "=r"(tp));
	return tp;
}

/* What compiled code expects at the thread pointer of x86-64. */
static void init_tcb(uint64_t tp)
{
	uint64_t *now = (uint64_t *)thread_pointer(), *tcb = (uint64_t *)tp;

	tcb[0] = tp;
	tcb[2] = tp;
	tcb[5] = now[5]; /* stack protector */
	tcb[6] = now[6]; /* pointer guard */
}

/**
 * nb_static_tls_bytes() - how far our thread-local variables reach
 *
 * The same in every thread that has a TLS block of its own.
 *
 * Context: any thread that libc knows.
 * Return: bytes below the thread pointer, with some to spare.
 */
uint64_t nb_static_tls_bytes(void)
{
	uint64_t tp = thread_pointer();
	uint64_t bytes = nb_max(tp - (uint64_t)&below, tp - (uint64_t)&errno);

	return nb_align_up(bytes + TLS_SPARE, 4096);
}

/**
 * nb_raw_thread_supported() - can such a thread run our code here?
 *
 * Context: any thread that libc knows.
 * Return: false: use pthread_create(3).
 */
bool nb_raw_thread_supported(void)
{
	return true;
}

/**
 * nb_raw_thread_create() - make the thread
 * @t: its record; kept until it has been joined.
 * @fn: what it runs; all signals should be blocked by the caller.
 *
 * Context: any thread, with any lock of libc held.
 * Return: 0 or -errno.
 */
int nb_raw_thread_create(struct nb_raw_thread *t, void (*fn)(void))
{
	const uint64_t flags = CLONE_VM | CLONE_FS | CLONE_FILES |
			       CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM |
			       CLONE_SETTLS | CLONE_PARENT_SETTID |
			       CLONE_CHILD_CLEARTID;
	uint64_t tls_bytes = nb_static_tls_bytes();
	uint64_t tp, *stack;
	long tid;

	t->bytes = STACK_BYTES + tls_bytes + TCB_BYTES;
	t->area = nb_arena_map(t->bytes);
	if (!t->area)
		return -ENOMEM;
	stack = (uint64_t *)((char *)t->area + STACK_BYTES) - 1;
	/* Aligned as a function expects it once this is popped. */
	stack[0] = (uint64_t)fn;
	tp = (uint64_t)t->area + STACK_BYTES + tls_bytes;
	init_tcb(tp);
	tid = nb_raw_clone(flags, stack, &t->tid, &t->tid, (void *)tp);
	if (tid > 0)
		return 0;
	nb_raw_thread_forget(t);
	return tid ? (int)tid : -EAGAIN;
}
#else
uint64_t nb_static_tls_bytes(void)
{
	return 1U << 20;
}

bool nb_raw_thread_supported(void)
{
	return below;
}

int nb_raw_thread_create(struct nb_raw_thread *t, void (*fn)(void))
{
	(void)fn;
	t->area = NULL;
	return -ENOSYS;
}
#endif

/**
 * nb_raw_thread_join() - wait for the thread's end, give its memory back
 * @t: its record.
 * @timeout_ns: at most this long.
 *
 * Context: any other thread.
 * Return: false: it still runs.
 */
bool nb_raw_thread_join(struct nb_raw_thread *t, uint64_t timeout_ns)
{
	uint64_t until = nb_clock_ns() + timeout_ns;
	uint32_t tid;

	while ((tid = atomic_load(&t->tid)) != 0) {
		uint64_t now = nb_clock_ns();

		if (now >= until)
			return false;
		/* The kernel wakes sharers too: not a private futex. */
		nb_syscall6(SYS_futex, (long)&t->tid, 0, tid,
			    (long)&(struct timespec){0, 10000000}, 0, 0);
	}
	nb_raw_thread_forget(t);
	return true;
}

/**
 * nb_raw_thread_forget() - give its memory back
 * @t: its record; the thread is gone, or was never in this process.
 *
 * Context: any thread; a forked child.
 */
void nb_raw_thread_forget(struct nb_raw_thread *t)
{
	void *area = t->area;

	/* First of all: a child of a fork in between must not do it again. */
	t->area = NULL;
	atomic_store(&t->tid, 0);
	nb_arena_unmap(area, t->bytes);
}
