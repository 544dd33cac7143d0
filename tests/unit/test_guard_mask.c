/* SPDX-License-Identifier: MIT */
/*
 * lib/guard_signal.c: masks, those of waiting calls, and what is sent while it
 * is blocked.
 */
#include "signal_cases.h"

#include <sys/epoll.h>

static int case_mask(void)
{
	uint64_t all = ~0ULL, none = 0, old = 1;
	char *end = end_of_memory();

	EXPECT(!mask_now());
	EXPECT(!sys(SYS_rt_sigprocmask, SIG_SETMASK, &all, &old, 8) && !old);
	EXPECT(all == ~0ULL);
	EXPECT(mask_now() == ~NEVER_BLOCKED);
	EXPECT(kernel_blocks_segv() == !with_hook);
	EXPECT(!mask_set(SIG_UNBLOCK, SEGV | HUP));
	EXPECT(mask_now() == (~NEVER_BLOCKED & ~(SEGV | HUP)));
	EXPECT(!mask_set(SIG_BLOCK, SEGV));
	EXPECT(mask_now() == (~NEVER_BLOCKED & ~HUP));
	/* how, set, size: in the kernel's order of errors */
	EXPECT(sys(SYS_rt_sigprocmask, 77, &none, 0, 8) == -EINVAL);
	EXPECT(sys(SYS_rt_sigprocmask, 77, BAD, 0, 8) == -EFAULT);
	EXPECT(sys(SYS_rt_sigprocmask, SIG_SETMASK, &none, 0, 16) == -EINVAL);
	EXPECT(sys(SYS_rt_sigprocmask, SIG_SETMASK, BAD, 0, 8) == -EFAULT);
	EXPECT(mask_now() & SEGV);
	EXPECT(sys(SYS_rt_sigprocmask, SIG_SETMASK, &none, end, 8) == -EFAULT);
	EXPECT(!mask_now());
	EXPECT(!sys(SYS_rt_sigprocmask, SIG_BLOCK, &all, &all, 8) && !all);
	EXPECT(mask_now() == ~NEVER_BLOCKED);
	return OK;
}

static int case_pending(void)
{
	uint64_t set = 0, segv = SEGV;
	siginfo_t info;

	EXPECT(!act(SIGSEGV, on_signal, 0, 0));
	EXPECT(!mask_set(SIG_BLOCK, SEGV | HUP));
	EXPECT(kernel_blocks_segv() == !with_hook && !stood_down);
	send_segv();
	send_segv();
	EXPECT(!calls && !stood_down == !with_hook && kernel_blocks_segv());
	EXPECT(!sys(SYS_rt_sigpending, &set, 8) && set == SEGV);
	EXPECT(sys(SYS_rt_sigpending, &set, 9) == -EINVAL);
	EXPECT(!mask_set(SIG_SETMASK, HUP));
	EXPECT(calls == 1 && last_code == SI_TKILL);
	EXPECT(!sys(SYS_rt_sigpending, &set, 8) && !set);
	EXPECT(!mask_set(SIG_BLOCK, SEGV));
	send_segv();
	EXPECT(sys(SYS_rt_sigtimedwait, &segv, &info, 0, 8) == SIGSEGV);
	EXPECT(info.si_pid == nb_sys_getpid() && info.si_code == SI_TKILL);
	EXPECT(!mask_set(SIG_UNBLOCK, SEGV) && calls == 1);
	/* ignored while it waited */
	EXPECT(!mask_set(SIG_BLOCK, SEGV));
	send_segv();
	EXPECT(!act(SIGSEGV, (void *)SIG_IGN, 0, 0));
	EXPECT(!mask_set(SIG_UNBLOCK, SEGV) && calls == 1);
	return OK;
}

/* Process-wide: any thread may have it. */
static int case_pending_all(void)
{
	siginfo_t sent = {.si_code = SI_QUEUE}, info;
	uint64_t set = 0, segv = SEGV;

	EXPECT(!act(SIGSEGV, on_signal, 0, 0) && !mask_set(SIG_BLOCK, SEGV));
	sent.si_value.sival_int = 42;
	nb_syscall6(SYS_rt_sigqueueinfo, nb_sys_getpid(), SIGSEGV, (long)&sent,
		    0, 0, 0);
	EXPECT(!calls && !sys(SYS_rt_sigpending, &set, 8) && set == SEGV);
	EXPECT(kernel_pending_all() & SEGV);
	EXPECT(sys(SYS_rt_sigtimedwait, &segv, &info, 0, 8) == SIGSEGV);
	EXPECT(info.si_code == SI_QUEUE && info.si_value.sival_int == 42);
	return OK;
}

static volatile uint64_t mask_in_handler, mask_in_frame;
static volatile bool change_frame;

static void in_frame(int sig, siginfo_t *info, void *ucv)
{
	ucontext_t *uc = ucv;
	uint64_t mask;

	on_signal(sig, info, ucv);
	memcpy(&mask, &uc->uc_sigmask, sizeof(mask));
	mask_in_frame = mask;
	mask_in_handler = mask_now();
	if (change_frame)
		mask ^= SEGV;
	memcpy(&uc->uc_sigmask, &mask, sizeof(mask));
	mask_set(SIG_SETMASK, ~0ULL); /* for the time of the handler */
}

/* What a handler of another signal sees, and leaves to its return. */
static int case_frames(void)
{
	EXPECT(!act(SIGUSR1, in_frame, 0, SEGV | HUP));
	raise(SIGUSR1);
	EXPECT(calls == 1 && !mask_in_frame && !mask_now());
	EXPECT(mask_in_handler == (USR1 | HUP | SEGV));
	change_frame = true;
	raise(SIGUSR1);
	EXPECT(calls == 2 && mask_now() == SEGV);
	EXPECT(kernel_blocks_segv() == !with_hook);
	change_frame = false;
	raise(SIGUSR1);
	EXPECT(mask_in_frame == SEGV && mask_now() == SEGV);
	change_frame = true;
	raise(SIGUSR1);
	EXPECT(calls == 4 && !mask_now());
	return OK;
}

static uint64_t seen_mask;

static void look(int sig, siginfo_t *info, void *uc)
{
	(void)sig;
	(void)info;
	(void)uc;
	calls++;
	seen_mask = kernel_blocks_segv();
}

static long wait_with(int how, uint64_t *mask)
{
	struct timespec ts = {5, 0};
	struct epoll_event ev;
	uint64_t pair[2] = {(uint64_t)mask, 8};
	long ep = epoll_create1(0), r = 0;

	switch (how) {
	case 0:
		r = sys(SYS_rt_sigsuspend, mask, 8);
		break;
	case 1:
		r = sys(SYS_ppoll, 0, 0, &ts, mask, 8);
		break;
	case 2:
		r = sys(SYS_pselect6, 0, 0, 0, 0, &ts, pair);
		break;
	case 3:
		r = sys(SYS_epoll_pwait, ep, &ev, 1, 5000, mask, 8);
		break;
	case 4:
		r = sys(SYS_epoll_pwait2, ep, &ev, 1, &ts, mask, 8);
		break;
	}
	close((int)ep);
	return r == -ENOSYS ? -EINTR : r;
}

static int case_waits(void)
{
	EXPECT(!act(SIGUSR1, look, 0, 0));
	EXPECT(!act(SIGSEGV, on_signal, 0, 0));
	EXPECT(!mask_set(SIG_SETMASK, USR1));
	for (int how = 0; how < 5; how++) {
		uint64_t mask = ~USR1;

		calls = 0;
		raise(SIGUSR1);
		EXPECT(wait_with(how, &mask) == -EINTR && calls == 1);
		EXPECT(seen_mask == (!with_hook || nb_sigchain_real()));
		EXPECT(mask == ~USR1 && mask_now() == USR1);
		/* a SIGSEGV that waits is let in */
		EXPECT(!mask_set(SIG_BLOCK, SEGV));
		send_segv();
		mask = 0;
		EXPECT(calls == 1);
		EXPECT(wait_with(how, &mask) == -EINTR && calls >= 2);
		EXPECT(mask_now() == (USR1 | SEGV));
		EXPECT(!mask_set(SIG_SETMASK, USR1));
	}
	EXPECT(sys(SYS_ppoll, 0, 0, 0, BAD, 8) == -EFAULT);
	EXPECT(sys(SYS_ppoll, 0, 0, 0, &calls, 7) == -EINVAL);
	EXPECT(sys(SYS_pselect6, 0, 0, 0, 0, 0, BAD) == -EFAULT);
	return OK;
}

static const struct guard_case cases[] = {
	{"mask", case_mask},
	{"pending", case_pending},
	{"pending_all", case_pending_all},
	{"frames", case_frames},
	{"waits", case_waits},
};

static void test_cases(void **state)
{
	(void)state;
	assert_int_equal(run_cases(cases, nb_array_size(cases)), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_cases)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
