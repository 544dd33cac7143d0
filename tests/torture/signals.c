/* SPDX-License-Identifier: MIT */
/*
 * Signals: every thread has a timer that interrupts whatever it does, with a
 * handler that makes calls of its own, on an alternate stack (in the heap) or
 * not.  SIGSEGV is the program's, too: as a write barrier, and left by a jump.
 */
#include "torture.h"

#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <ucontext.h>

#define TICK (SIGRTMIN + 1)
#define ALT_BYTES 65536
#define PERIOD_NS 9000000

static _Atomic uint64_t nr_ticks;
static __thread timer_t timer;
static __thread void *alt_stack;
static __thread char *scratch; /* in the heap: the handlers use it */
static __thread sigjmp_buf *back;
static __thread volatile sig_atomic_t hit, got_value, barrier_hits;
static __thread char *barrier_page;
static __thread volatile sig_atomic_t counted;

static void on_tick(int sig, siginfo_t *info, void *uc)
{
	int err = errno;
	sigset_t *set = (sigset_t *)scratch, *old = set + 1;
	struct timespec *ts = (struct timespec *)(old + 1);

	(void)info;
	(void)uc;
	atomic_fetch_add(&nr_ticks, 1);
	for (int i = 0; scratch && i < 5; i++) {
		clock_gettime(CLOCK_THREAD_CPUTIME_ID, ts);
		sigemptyset(set);
		sigaddset(set, SIGUSR2);
		CHECK(!sigprocmask(SIG_BLOCK, set, old), errno);
		CHECK(sigismember(old, sig) == 1, errno);
		CHECK(!sigprocmask(SIG_SETMASK, old, NULL), errno);
		CHECK(getppid() > 0, errno);
	}
	errno = err;
}

static void on_user(int sig, siginfo_t *info, void *uc)
{
	(void)uc;
	hit = sig;
	got_value = info->si_value.sival_int;
}

static void on_count(int sig)
{
	(void)sig;
	counted++;
}

static void on_jump(int sig)
{
	(void)sig;
	if (back)
		siglongjmp(*back, 1);
}

/* A page of ours: open it again, or leave. */
static void on_segv(int sig, siginfo_t *info, void *uc)
{
	char *at = info->si_addr;

	(void)sig;
	(void)uc;
	if (!barrier_page || at < barrier_page || at >= barrier_page + 4096) {
		static const char text[] = "WRONG: SIGSEGV that is not mine\n";

		write(2, text, sizeof(text) - 1);
		signal(SIGSEGV, SIG_DFL);
		return;
	}
	barrier_hits++;
	if (back)
		siglongjmp(*back, 2);
	mprotect(barrier_page, 4096, PROT_READ | PROT_WRITE);
}

static void handle(int sig, void (*fn)(int, siginfo_t *, void *), int flags)
{
	struct sigaction *sa = calloc(1, sizeof(*sa));

	sa->sa_sigaction = fn;
	sa->sa_flags = SA_SIGINFO | flags;
	if (sig == TICK)
		sigaddset(&sa->sa_mask, SIGUSR1);
	MUST(sigaction(sig, sa, NULL));
	free(sa);
}

void signals_start(void)
{
	handle(TICK, on_tick, SA_RESTART | SA_ONSTACK);
	handle(SIGUSR1, on_user, SA_RESTART);
	handle(SIGSEGV, on_segv, 0);
	signal(SIGRTMIN + 2, on_jump);
	signal(SIGRTMIN + 4, on_count);
	signal(SIGPIPE, SIG_IGN);
}

void signals_thread(bool alt)
{
	struct itimerspec *its = calloc(1, sizeof(*its));
	struct sigevent *ev = calloc(1, sizeof(*ev));
	stack_t *ss = calloc(1, sizeof(*ss));

	scratch = get(6000);
	if (alt) {
		alt_stack = get(ALT_BYTES);
		ss->ss_sp = alt_stack;
		ss->ss_size = ALT_BYTES;
		MUST(sigaltstack(ss, NULL));
		memset(ss, 0, sizeof(*ss));
		MUST(sigaltstack(NULL, ss));
		CHECK(ss->ss_sp == alt_stack && ss->ss_size == ALT_BYTES,
		      ss->ss_size);
	} else {
		MUST(sigaltstack(NULL, ss));
		CHECK(ss->ss_flags == SS_DISABLE, ss->ss_flags);
	}
	ev->sigev_notify = SIGEV_THREAD_ID;
	ev->sigev_signo = TICK;
	ev->_sigev_un._tid = gettid();
	MUST(timer_create(CLOCK_MONOTONIC, ev, &timer));
	its->it_value.tv_nsec = its->it_interval.tv_nsec = PERIOD_NS;
	MUST(timer_settime(timer, 0, its, NULL));
	free(its);
	free(ev);
	free(ss);
}

void signals_thread_end(void)
{
	stack_t ss = {.ss_flags = SS_DISABLE};
	char *p = scratch;

	MUST(timer_delete(timer));
	MUST(sigaltstack(&ss, NULL));
	scratch = NULL;
	free(p);
	free(alt_stack);
}

uint64_t signals_seen(void)
{
	return atomic_load(&nr_ticks);
}

int signals_counter(void)
{
	counted = 0;
	return SIGRTMIN + 4;
}

int signals_counted(void)
{
	return counted;
}

/* ---- operations ---------------------------------------------------------- */

static void masks(struct worker *w)
{
	sigset_t *set = get(sizeof(*set)), *old = get(sizeof(*old));
	union sigval v = {.sival_int = (int)below(w, 1 << 30)};
	unsigned char *p;

	sigfillset(set);
	CHECK(!pthread_sigmask(SIG_SETMASK, set, old), 0);
	CHECK(sigismember(old, SIGSEGV) == 0, 0);
	/* Everything blocked, SIGSEGV as well, and memory is used. */
	p = get_filled(30000, 3);
	CHECK(same(p, 30000, 3), 0);
	free(p);
	CHECK(kept_ok(w), w->id);
	hit = 0;
	CHECK(!pthread_sigqueue(pthread_self(), SIGUSR1, v), 0);
	MUST(sigpending(set));
	CHECK(sigismember(set, SIGUSR1) == 1, 0);
	CHECK(hit == 0, hit);
	CHECK(!pthread_sigmask(SIG_SETMASK, old, set), 0);
	CHECK(sigismember(set, SIGSEGV) == 1, 0);
	CHECK(hit == SIGUSR1 && got_value == v.sival_int, hit);
	note(w, (uint64_t)got_value);
	free(set);
	free(old);
}

static void suspend(struct worker *w)
{
	struct job job = {.kind = JOB_SIGNAL,
			  .sig = SIGUSR1,
			  .target = pthread_self(),
			  .seed = rnd(w)};
	sigset_t *set = get(sizeof(*set)), *old = get(sizeof(*old));

	sigemptyset(set);
	sigaddset(set, SIGUSR1);
	CHECK(!pthread_sigmask(SIG_BLOCK, set, old), 0);
	hit = 0;
	peer_do(w->peer, &job);
	*set = *old;
	sigaddset(set, SIGSEGV);
	while (!hit)
		CHECK(sigsuspend(set) == -1 && errno == EINTR, errno);
	CHECK(hit == SIGUSR1, hit);
	CHECK(!pthread_sigmask(SIG_SETMASK, old, set), 0);
	CHECK(sigismember(set, SIGSEGV) == 0, 0);
	peer_wait(w->peer);
	note(w, (uint64_t)hit);
	free(set);
	free(old);
}

/* Out of a handler that came in the middle of a blocked read. */
static void jump_out(struct worker *w)
{
	struct job job = {.kind = JOB_SIGNAL,
			  .sig = SIGRTMIN + 2,
			  .target = pthread_self(),
			  .seed = rnd(w)};
	size_t bytes = 1 + below(w, 9000);
	char *volatile buf = get(bytes);
	int *volatile p = get(2 * sizeof(*p));
	sigjmp_buf *volatile jmp = get(sizeof(*jmp));
	int r;

	MUST(pipe(p));
	r = sigsetjmp(*jmp, 1);
	if (!r) {
		back = jmp;
		peer_do(w->peer, &job);
		for (;;)
			CHECK(read(p[0], buf, bytes) < 0, 0);
	}
	back = NULL;
	CHECK(r == 1, r);
	peer_wait(w->peer);
	fill(buf, bytes, job.seed);
	full_write(p[1], buf, bytes);
	memset(buf, 0, bytes);
	full_read(p[0], buf, bytes);
	CHECK(same(buf, bytes, job.seed), bytes);
	note(w, hash(buf, bytes));
	close(p[0]);
	close(p[1]);
	free(buf);
	free(p);
	free(jmp);
}

/* As a garbage collector does: a page that says when it is written to. */
static void write_barrier(struct worker *w)
{
	char *p = mmap(NULL, 3 * 4096, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	sigjmp_buf *volatile jmp = get(sizeof(*jmp));
	char *volatile page = p + 4096;

	CHECK(p != MAP_FAILED, errno);
	fill(p, 3 * 4096, 9);
	barrier_page = page;
	barrier_hits = 0;
	for (int i = 0; i < 5; i++) {
		MUST(mprotect(page, 4096, i & 1 ? PROT_NONE : PROT_READ));
		((volatile char *)page)[i] = (char)i;
		CHECK(barrier_hits == i + 1, barrier_hits);
	}
	fill(page, 5, 0);
	MUST(mprotect(page, 4096, PROT_NONE));
	if (!sigsetjmp(*jmp, 1)) {
		back = jmp;
		CHECK(((volatile char *)page)[77] == 0, 0);
		CHECK(false, 0);
	}
	back = NULL;
	CHECK(barrier_hits == 6, barrier_hits);
	FAILS(write(-1, page, 0), EBADF);
	MUST(mprotect(page, 4096, PROT_READ | PROT_WRITE));
	fill(p, 3 * 4096, 11);
	CHECK(same(p, 3 * 4096, 11), 0);
	barrier_page = NULL;
	MUST(munmap(p, 3 * 4096));
	note(w, (uint64_t)barrier_hits);
	free(jmp);
}

static void actions(struct worker *w)
{
	struct sigaction *sa = calloc(1, sizeof(*sa));

	MUST(sigaction(SIGSEGV, NULL, sa));
	CHECK(sa->sa_sigaction == on_segv, 0);
	/* Without what libc adds for the kernel. */
	CHECK((sa->sa_flags & ~0x04000000) == SA_SIGINFO, sa->sa_flags);
	MUST(sigaction(SIGUSR1, NULL, sa));
	CHECK(sa->sa_sigaction == on_user, 0);
	note(w, (uint64_t)sa->sa_flags);
	free(sa);
}

const struct op signal_ops[] = {
	{"masks", masks, 1},	   {"suspend", suspend, 1},
	{"jump-out", jump_out, 1}, {"write-barrier", write_barrier, 1},
	{"actions", actions, 2},   {0},
};
