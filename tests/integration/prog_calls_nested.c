/* SPDX-License-Identifier: MIT */
/*
 * Signals while a system call is blocked: the handler makes forty calls of its
 * own, returns or jumps out, on the stack of the thread or on an alternate one
 * above or below it. The call goes on, is interrupted, or is abandoned, and
 * its memory is what it was handed. Knows nothing of numabal; run by
 * test_guard_nested.sh.
 */
#define _GNU_SOURCE
#include "armed.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#define STACK_BYTES ((size_t)2 << 20)
#define NR_SIGNALS 8
#define NR_CALLS 40
#define LEN 5000
#define AT (BUF_BYTES / 2 - 100) /* over a page's end */

enum how { RESTART, INTERRUPT, JUMP };
enum where { HERE, ABOVE, BELOW };

static struct {
	unsigned char *p;     /* of the blocked call */
	unsigned char *h;     /* of the handler's calls */
	unsigned char *other; /* what else is armed meanwhile */
	enum how how;
	enum where where;
	int in, out;	 /* what the call blocks on */
	int hin, hout;	 /* of the handler */
	_Atomic int tid; /* of the thread */
	_Atomic int nr_signals, nr_interrupted, failed;
	sigjmp_buf env;
	unsigned char *stacks; /* three of them in a row */
} t;

static char text[LEN];

/* One write and one read, of memory that was armed a moment ago or is. */
static bool call_pair(int i)
{
	unsigned char *from = t.h + (size_t)i * 65536 + 4096 - 300;
	unsigned char *to = from + 32768;
	struct iovec *iov = (void *)(to + 8192);

	memset(from, i + 1, 600);
	iov[0] = (struct iovec){to, 100};
	iov[1] = (struct iovec){to + 100, 500};
	if (i == 1 && !wait_armed(from + 300))
		return false;
	if (write(t.hout, from, 600) != 600)
		return false;
	if ((i & 1 ? read(t.hin, to, 600) : readv(t.hin, iov, 2)) != 600)
		return false;
	return !memcmp(from, to, 600);
}

static void handler(int sig)
{
	int saved = errno;

	(void)sig;
	for (int i = 0; i < NR_CALLS / 2; i++)
		if (!call_pair(i))
			t.failed = i + 1;
	errno = saved;
	t.nr_signals++;
	if (t.how == JUMP)
		siglongjmp(t.env, 1);
}

static bool set_alt(void)
{
	stack_t ss = {.ss_size = STACK_BYTES};

	ss.ss_sp = t.stacks + (t.where == ABOVE ? 2 * STACK_BYTES : 0);
	return t.where == HERE || !sigaltstack(&ss, NULL);
}

/* What is left of a call that was jumped out of must not stay open. */
static bool may_be_armed_again(void)
{
	CHECK(wait_armed(t.other));
	return wait_armed(t.p + AT);
}

static void *blocked_thread(void *arg)
{
	bool *ok = arg;
	ssize_t n;

	if (!set_alt())
		return NULL;
	t.tid = (int)syscall(SYS_gettid);
	if (sigsetjmp(t.env, 1)) {
		t.nr_interrupted++;
		/* From as deep in the stack as the call that was left. */
		n = read(-1, text, 1);
		if (n != -1 || !may_be_armed_again())
			return NULL;
	}
	while ((n = read(t.in, t.p + AT, LEN)) < 0 && errno == EINTR)
		t.nr_interrupted++;
	if (n != LEN)
		fprintf(stderr, "read: %zd %m\n", n);
	*ok = n == LEN && !memcmp(t.p + AT, text, LEN);
	return NULL;
}

static bool start(pthread_t *th, bool *ok)
{
	struct sigaction sa = {.sa_handler = handler};
	pthread_attr_t attr;

	sa.sa_flags = (t.how == RESTART ? SA_RESTART : 0) |
		      (t.where == HERE ? 0 : SA_ONSTACK);
	CHECK(!sigaction(SIGUSR1, &sa, NULL));
	pthread_attr_init(&attr);
	CHECK(!pthread_attr_setstack(&attr, t.stacks + STACK_BYTES,
				     STACK_BYTES));
	CHECK(!pthread_create(th, &attr, blocked_thread, ok));
	pthread_attr_destroy(&attr);
	return true;
}

static bool blocks_again(int nr_interrupted)
{
	time_t until = time(NULL) + WAIT_S;

	while (!t.tid || t.nr_interrupted < nr_interrupted || !asleep(t.tid))
		if (sched_yield() || time(NULL) > until)
			return false;
	return true;
}

static bool one_run(void)
{
	bool ok = false;
	pthread_t th;

	CHECK(start(&th, &ok));
	for (int i = 1; i <= NR_SIGNALS; i++) {
		CHECK(blocks_again(t.how == RESTART ? 0 : i - 1));
		CHECK(wait_armed(t.other) && wait_armed(t.p));
		CHECK(pattern_ok(t.other, BUF_BYTES) && !t.p[0]);
		CHECK(!pthread_kill(th, SIGUSR1));
		while (t.nr_signals < i)
			sched_yield();
	}
	CHECK(blocks_again(t.how == RESTART ? 0 : NR_SIGNALS));
	CHECK(wait_armed(t.other) && wait_armed(t.p));
	CHECK(write(t.out, text, LEN) == LEN);
	CHECK(!pthread_join(th, NULL));
	CHECK(ok && !t.failed);
	return true;
}

static bool all_of(enum how how, enum where where)
{
	int a[2], b[2];
	bool ok;

	memset(&t, 0, sizeof(t));
	CHECK(!pipe(a) && !pipe(b));
	t.how = how;
	t.where = where;
	t.in = a[0];
	t.out = a[1];
	t.hin = b[0];
	t.hout = b[1];
	t.p = new_buffer(BUF_BYTES);
	t.h = new_buffer(BUF_BYTES);
	t.other = new_buffer(BUF_BYTES);
	t.stacks = mmap(NULL, 3 * STACK_BYTES, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(t.stacks != MAP_FAILED);
	ok = one_run();
	if (!ok)
		exit(96); /* the thread may still run */
	munmap(t.p, BUF_BYTES);
	munmap(t.h, BUF_BYTES);
	munmap(t.other, BUF_BYTES);
	munmap(t.stacks, 3 * STACK_BYTES);
	for (int i = 0; i < 2; i++) {
		close(a[i]);
		close(b[i]);
	}
	return true;
}

#define CASE(name, how, where)                                                 \
	static bool name(void)                                                 \
	{                                                                      \
		return all_of(how, where);                                     \
	}
CASE(restart_here, RESTART, HERE)
CASE(restart_above, RESTART, ABOVE)
CASE(restart_below, RESTART, BELOW)
CASE(interrupt_here, INTERRUPT, HERE)
CASE(interrupt_above, INTERRUPT, ABOVE)
CASE(interrupt_below, INTERRUPT, BELOW)
CASE(jump_here, JUMP, HERE)
CASE(jump_above, JUMP, ABOVE)
CASE(jump_below, JUMP, BELOW)

int main(int argc, char **argv)
{
	static const struct armed_case cases[] = {
		{"restart", restart_here},
		{"restart-above", restart_above},
		{"restart-below", restart_below},
		{"interrupt", interrupt_here},
		{"interrupt-above", interrupt_above},
		{"interrupt-below", interrupt_below},
		{"jump", jump_here},
		{"jump-above", jump_above},
		{"jump-below", jump_below},
		{NULL, NULL},
	};

	for (int i = 0; i < LEN; i++)
		text[i] = (char)(i * 31 + i / 256 + 1);
	return run_cases(cases, argc, argv);
}
