/* SPDX-License-Identifier: MIT */
/*
 * lib/guard_signal.c: actions, alternate stacks, other programs, and libc's
 * handler of cancellation behind lib/guard_handler.c.
 */
#include "signal_cases.h"

static int case_action(void)
{
	struct nb_ksigaction a = {.handler = 5, .mask = ~0ULL, .flags = ~0ULL};
	struct nb_ksigaction old;
	char *end = end_of_memory();

	EXPECT(!sys(SYS_rt_sigaction, SIGSEGV, 0, &old, 8) && !old.handler);
	a.restorer = 77;
	EXPECT(!sys(SYS_rt_sigaction, SIGSEGV, &a, 0, 8));
	EXPECT(!sys(SYS_rt_sigaction, SIGSEGV, 0, &old, 8));
	EXPECT(old.handler == 5 && old.restorer == 77);
	EXPECT(old.flags == 0xdc000807);
	EXPECT(old.mask == ~NEVER_BLOCKED);
	EXPECT(sys(SYS_rt_sigaction, SIGSEGV, &a, 0, 7) == -EINVAL);
	EXPECT(sys(SYS_rt_sigaction, SIGSEGV, end - 8, 0, 8) == -EFAULT);
	a.handler = 6;
	EXPECT(sys(SYS_rt_sigaction, SIGSEGV, &a, end - 8, 8) == -EFAULT);
	EXPECT(!sys(SYS_rt_sigaction, SIGSEGV, 0, &old, 8));
	EXPECT(old.handler == 6); /* set all the same */
	EXPECT(sys(SYS_rt_sigaction, 0, &a, 0, 8) == -EINVAL);
	EXPECT(sys(SYS_rt_sigaction, 65, &a, 0, 8) == -EINVAL);
	EXPECT(sys(SYS_rt_sigaction, SIGKILL, &a, &old, 8) == -EINVAL);
	EXPECT(!sys(SYS_rt_sigaction, SIGKILL, 0, &old, 8));
	return OK;
}

static int case_other_action(void)
{
	struct nb_ksigaction old, now;

	EXPECT(!act(SIGUSR1, on_signal, SA_RESTART, SEGV | HUP));
	if (with_hook) {
		raw_action(SIGUSR1, NULL, &now);
		EXPECT(now.mask == HUP);
	}
	EXPECT(!sys(SYS_rt_sigaction, SIGUSR1, 0, &old, 8));
	EXPECT(old.mask == (SEGV | HUP));
	EXPECT(old.handler == (uint64_t)on_signal);
	old.mask = HUP;
	EXPECT(!sys(SYS_rt_sigaction, SIGUSR1, &old, &now, 8));
	EXPECT(now.mask == (SEGV | HUP));
	EXPECT(!sys(SYS_rt_sigaction, SIGUSR1, 0, &old, 8));
	EXPECT(old.mask == HUP);
	return OK;
}

static uint64_t seen_ip, seen_sp;

static void on_cancelled(int sig, siginfo_t *info, void *ucv)
{
	const ucontext_t *uc = ucv;

	on_signal(sig, info, ucv);
#ifdef __x86_64__
	seen_ip = (uint64_t)uc->uc_mcontext.gregs[REG_RIP];
	seen_sp = (uint64_t)uc->uc_mcontext.gregs[REG_RSP];
#else
	(void)uc;
#endif
}

static void cancel_me(void)
{
	nb_syscall6(SYS_tgkill, nb_sys_getpid(), nb_sys_gettid(), 32, 0, 0, 0);
}

/* libc is shown the site; that it goes on is that the stub was put back. */
static int case_cancelled_in_stub(void)
{
	uint64_t sp;

	EXPECT(!act(32, on_cancelled, SA_RESTART, 0));
	cancel_me();
	sp = seen_sp;
	stub_stands_for = with_hook ? 0x4711 : 0;
	cancel_me();
	EXPECT(calls == 2);
	EXPECT(!with_hook || (seen_ip == 0x4711 && seen_sp == sp + SKEW));
	return OK;
}

static int case_sigcancel(void)
{
	struct nb_ksigaction old, k;

	EXPECT(!act(32, on_signal, SA_RESTART, SEGV));
	EXPECT(!sys(SYS_rt_sigaction, 32, 0, &old, 8));
	EXPECT(old.handler == (uint64_t)on_signal && old.mask == SEGV);
	raw_action(32, NULL, &k);
	EXPECT((k.handler == (uint64_t)on_signal) == !with_hook);
	cancel_me();
	EXPECT(calls == 1 && last_code == SI_TKILL);
	k = old;
	k.handler = 0;
	EXPECT(!sys(SYS_rt_sigaction, 32, &k, &old, 8));
	EXPECT(old.handler == (uint64_t)on_signal);
	EXPECT(!sys(SYS_rt_sigaction, 32, 0, &old, 8) && !old.handler);
	return OK;
}

static void send_me(int sig)
{
	nb_syscall6(SYS_tgkill, nb_sys_getpid(), nb_sys_gettid(), sig, 0, 0, 0);
}

/* What nobody wants stays open under our locks and in our handler. */
static uint64_t mask_under_lock(void)
{
	struct nb_sigstate ss;
	uint64_t now = 0;

	nb_signals_block(&ss);
	nb_syscall6(SYS_rt_sigprocmask, 0, 0, (long)&now, 8, 0, 0);
	nb_signals_restore(&ss);
	return now;
}

static bool left_open(int sig)
{
	struct nb_ksigaction segv = {.handler = 0};
	uint64_t now = mask_under_lock();

	raw_action(SIGSEGV, NULL, &segv);
	if (!((now ^ segv.mask) & NB_SIG_BIT(sig)))
		return !(now & NB_SIG_BIT(sig));
	_exit(1);
}

static int case_ignored(void)
{
	struct nb_ksigaction ign = {.handler = (uint64_t)SIG_IGN};

	if (!with_hook)
		return OK;
	EXPECT(left_open(SIGCHLD) && left_open(SIGURG) && left_open(SIGCONT));
	EXPECT(!left_open(SIGUSR1) && !left_open(SIGTERM));
	/* posix_spawn(3), and so make, has those of libc ignored. */
	EXPECT(!act(32, NULL, 0, 0) && !left_open(32));
	EXPECT(!act(SIGCHLD, on_signal, 0, 0) && !left_open(SIGCHLD));
	EXPECT(!act(SIGCHLD, NULL, 0, 0) && left_open(SIGCHLD));
	EXPECT(!sys(SYS_rt_sigaction, SIGUSR1, &ign, 0, 8));
	EXPECT(left_open(SIGUSR1));
	EXPECT(!act(SIGUSR1, NULL, 0, 0) && !left_open(SIGUSR1));
	/* A thread that waits for it must not lose it. */
	mask_set(SIG_BLOCK, NB_SIG_BIT(SIGCHLD));
	EXPECT(mask_under_lock() & NB_SIG_BIT(SIGCHLD));
	return OK;
}

/* It gets a handler while we are at work: that comes when we are done. */
static int case_put_off(void)
{
	const uint64_t flags[] = {0, SA_NODEFER, SA_ONSTACK,
				  (uint32_t)SA_RESETHAND};
	struct nb_sigstate ss;

	for (int i = 0; i < 4; i++) {
		calls = 0;
		EXPECT(!act(SIGURG, NULL, 0, 0));
		if (with_hook)
			nb_signals_block(&ss);
		EXPECT(!act(SIGURG, on_signal, flags[i], 0));
		send_me(SIGURG);
		send_me(SIGURG);
		EXPECT(calls == (with_hook ? 0 : i == 3 ? 1 : 2));
		if (with_hook)
			nb_signals_restore(&ss);
		EXPECT(calls == (with_hook || i == 3 ? 1 : 2));
		EXPECT(!(mask_now() & NB_SIG_BIT(SIGURG)));
		send_me(SIGURG);
		EXPECT(calls == (i == 3 ? 1 : with_hook ? 2 : 3));
	}
	return OK;
}

__attribute__((unused)) static int case_exec(void)
{
	struct nb_exec_signals save, other;
	uint64_t mask = HUP, none = 0;

	EXPECT(!act(SIGSEGV, (void *)SIG_IGN, 0, 0));
	EXPECT(!mask_set(SIG_BLOCK, SEGV));
	if (with_hook) {
		struct nb_ksigaction now;

		nb_signal_exec_begin(&save, &mask);
		raw_action(SIGSEGV, NULL, &now);
		EXPECT(now.handler == (uint64_t)SIG_IGN);
		EXPECT(mask == (HUP | SEGV));
		/* for another thread, too */
		nb_signal_exec_begin(&other, &none);
		nb_signal_exec_end(&save, &mask);
		EXPECT(!nb_sigchain_intact() && mask == HUP);
		nb_sigchain_renew();
		EXPECT(!nb_sigchain_intact());
		nb_signal_exec_end(&other, &none);
		EXPECT(nb_sigchain_intact());
		/* it is so in truth already */
		mask = SEGV;
		nb_signal_vfork_begin(&save, &mask);
		EXPECT(!save.blocked && !save.ignored && mask == SEGV);
		nb_signal_exec_end(&save, &mask);
		EXPECT(nb_sigchain_intact() && mask == SEGV);
		mask = 0;
		nb_signal_exec_begin(&save, &mask);
		nb_syscall6(SYS_rt_sigprocmask, SIG_SETMASK, (long)&mask, 0, 8,
			    0, 0);
	}
	execl("/proc/self/exe", "exec", "what is inherited?", NULL);
	return 1;
}

/* A process in our memory sees what the program set, and sets its own. */
static int case_shared_child(void)
{
	struct nb_ksigaction k, old = {.handler = 1};
	struct nb_regs r = {.rax = SYS_rt_sigaction,
			    .arg = {SIGSEGV, 0, ARG(&old), 8}};

	EXPECT(!act(SIGSEGV, (void *)SIG_IGN, 0, HUP));
	if (!with_hook)
		return OK;
	nb_signal_shared_child(&r);
	EXPECT(old.handler == (uint64_t)SIG_IGN && old.mask == HUP);
	EXPECT(!kernel(r.rax, r.arg) && r.arg[2] == ARG(&old));
	k = old;
	k.handler = 0;
	r.rax = SYS_rt_sigaction;
	r.arg[1] = ARG(&k);
	nb_signal_shared_child(&r);
	EXPECT(r.rax == SYS_sched_yield && old.mask == HUP);
	EXPECT(!raw_action(SIGSEGV, NULL, &old) && !old.handler);
	return OK;
}

static int case_lazy(void)
{
	struct nb_ksigaction old;
	uint64_t mask = ~0ULL;

	lazy = true;
	EXPECT(!sys(SYS_rt_sigprocmask, SIG_SETMASK, &mask, 0, 8));
	EXPECT(!sys(SYS_rt_sigprocmask, SIG_BLOCK, 0, &mask, 8));
	EXPECT(mask == ~NEVER_BLOCKED);
	EXPECT(kernel_blocks_segv() == !with_hook);
	EXPECT(sys(SYS_rt_sigprocmask, 9, &mask, 0, 8) == -EINVAL);
	EXPECT(!act(SIGSEGV, on_signal, 0, HUP));
	EXPECT(!sys(SYS_rt_sigaction, SIGSEGV, 0, &old, 8));
	EXPECT(old.handler == (uint64_t)on_signal && old.mask == HUP);
	return OK;
}

static int case_altstack(void)
{
	static char mem[65536];
	stack_t ss = {.ss_sp = mem, .ss_size = sizeof(mem)}, old;
	char *end = end_of_memory();

	EXPECT(!sys(SYS_sigaltstack, 0, &old));
	EXPECT(!old.ss_sp && !old.ss_size && old.ss_flags == SS_DISABLE);
	EXPECT(sys(SYS_sigaltstack, BAD, 0) == -EFAULT);
	EXPECT(!sys(SYS_sigaltstack, &ss, &old) && old.ss_flags == SS_DISABLE);
	EXPECT(!with_hook ||
	       (never_start == ARG(mem) && never_len == sizeof(mem)));
	EXPECT(!sys(SYS_sigaltstack, 0, &old));
	EXPECT(old.ss_sp == mem && old.ss_size == sizeof(mem) && !old.ss_flags);
	ss.ss_size = 1000;
	EXPECT(sys(SYS_sigaltstack, &ss, 0) == -ENOMEM);
	ss.ss_size = 8192; /* too small for two frames */
	EXPECT(!sys(SYS_sigaltstack, &ss, 0) && !sys(SYS_sigaltstack, 0, &old));
	EXPECT(old.ss_sp == mem && old.ss_size == 8192 && !old.ss_flags);
	ss.ss_flags = 5;
	EXPECT(sys(SYS_sigaltstack, &ss, 0) == -EINVAL);
	ss.ss_flags = SS_DISABLE;
	EXPECT(!sys(SYS_sigaltstack, &ss, end - sizeof(ss)));
	EXPECT(!sys(SYS_sigaltstack, 0, &old) && old.ss_flags == SS_DISABLE);
	EXPECT(sys(SYS_sigaltstack, 0, end - 8) == -EFAULT);
	if (with_hook) { /* and the kernel has ours again */
		nb_syscall6(SYS_sigaltstack, 0, (long)&old, 0, 0, 0, 0);
		EXPECT(nb_altstack_whose(&old) == NB_ALTSTACK_OURS);
	}
	return OK;
}

static const struct guard_case cases[] = {
	{"action", case_action},
	{"other_action", case_other_action},
	{"sigcancel", case_sigcancel},
	{"ignored", case_ignored},
	{"put-off", case_put_off},
	{"cancelled_in_stub", case_cancelled_in_stub},
#ifndef NB_SANITIZED /* whose start takes SIGSEGV */
	{"exec", case_exec},
#endif
	{"shared_child", case_shared_child},
	{"lazy", case_lazy},
	{"altstack", case_altstack},
};

/* The program that was started. */
static int look_at_inherited(void)
{
	struct nb_ksigaction now;

	raw_action(SIGSEGV, NULL, &now);
	return now.handler == (uint64_t)SIG_IGN && kernel_blocks_segv() ? OK
									: 1;
}

static void test_cases(void **state)
{
	(void)state;
	assert_int_equal(run_cases(cases, nb_array_size(cases)), 0);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_cases)};

	(void)argv;
	if (argc > 1)
		return look_at_inherited();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
