/* SPDX-License-Identifier: MIT */
/*
 * mech/sigchain.c with real signals.  Each case runs in a process of its own,
 * once as the kernel does it and once with numabal between: both must end the
 * same way.  Without interposers a case tells sigchain of its actions itself.
 */
#include "../../lib/mech/chunk.h"
#include "../../lib/mech/sigchain.h"
#include "../../lib/plat/sys.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define BAD ((volatile char *)0x1230)

static bool with_numabal;
static volatile sig_atomic_t calls;
static sigjmp_buf env;
static volatile char *page;

/* ---- the program's calls ------------------------------------------------- */

/* What the interposer of sigaction(2) does. */
static void action(uint64_t handler, uint64_t flags)
{
	struct nb_ksigaction act = {.handler = handler, .flags = flags};
	struct sigaction sa;

	if (with_numabal) {
		nb_sigchain_action(&act, NULL);
		return;
	}
	memset(&sa, 0, sizeof(sa));
	sa.sa_handler = (void (*)(int))handler;
	sa.sa_flags = (int)flags;
	sigaction(SIGSEGV, &sa, NULL);
}

static bool block_segv(bool on)
{
	sigset_t set, old;

	if (with_numabal)
		return nb_sigchain_block(on);
	sigemptyset(&set);
	sigaddset(&set, SIGSEGV);
	sigprocmask(on ? SIG_BLOCK : SIG_UNBLOCK, &set, &old);
	return sigismember(&old, SIGSEGV);
}

static void plain(int sig)
{
	calls += sig == SIGSEGV ? 1 : 100;
}

static void jump(int sig)
{
	(void)sig;
	calls++;
	siglongjmp(env, 1);
}

static void jump_info(int sig, siginfo_t *info, void *uc)
{
	if (sig != SIGSEGV || info->si_addr != (void *)BAD ||
	    info->si_code != SEGV_MAPERR || !uc)
		_exit(90);
	jump(sig);
}

static void repair(int sig, siginfo_t *info, void *uc)
{
	(void)sig;
	(void)uc;
	calls++;
	if (info->si_code != SEGV_ACCERR || info->si_addr != (void *)page)
		_exit(91);
	errno = ERANGE;
	mprotect((void *)page, 4096, PROT_READ | PROT_WRITE);
	errno = 4711;
}

static void sent_info(int sig, siginfo_t *info, void *uc)
{
	(void)uc;
	calls++;
	if (sig != SIGSEGV || info->si_pid != getpid())
		_exit(92);
}

/* ---- cases: exit code or the signal that ends them ----------------------- */

static int case_crash(void)
{
	*BAD = 1;
	return 0;
}

static int case_crash_dfl_again(void)
{
	action((uint64_t)plain, 0);
	action((uint64_t)SIG_DFL, 0);
	*BAD = 1;
	return 0;
}

/* Not canonical: no address is told, and it is a fault all the same. */
static int case_crash_general_protection(void)
{
	*(volatile char *)0x8000000000000000ULL = 1;
	return 0;
}

static int case_crash_protected(void)
{
	page = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	nb_block_get((uint64_t)page, 12); /* as if it were tracked */
	*page = 1;
	return 0;
}

static int case_crash_ignored(void)
{
	action((uint64_t)SIG_IGN, 0);
	*BAD = 1;
	return 0;
}

static int case_crash_blocked(void)
{
	action((uint64_t)plain, 0);
	block_segv(true);
	*BAD = 1;
	return 0;
}

static int case_siginfo_handler(void)
{
	action((uint64_t)jump_info, SA_SIGINFO);
	if (!sigsetjmp(env, 1))
		*BAD = 1;
	return 10 + calls;
}

static int case_plain_handler(void)
{
	action((uint64_t)jump, 0);
	if (!sigsetjmp(env, 1))
		*BAD = 1;
	return 10 + calls;
}

static int case_jump_100_times(void)
{
	action((uint64_t)jump, 0);
	for (volatile int i = 0; i < 100; i++)
		if (!sigsetjmp(env, 1))
			*BAD = 1;
	return calls;
}

/* A handler that repairs: the access is done again; errno is its own. */
static int case_handler_returns(void)
{
	page = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	nb_block_get((uint64_t)page, 12);
	action((uint64_t)repair, SA_SIGINFO);
	errno = 0;
	*page = 7;
	return errno == 4711 && *page == 7 ? 20 + calls : 0;
}

static int case_resethand(void)
{
	action((uint64_t)jump, SA_RESETHAND);
	if (!sigsetjmp(env, 1))
		*BAD = 1;
	if (calls != 1)
		return 93;
	*BAD = 1;
	return 0;
}

static int case_kill_dfl(void)
{
	kill(getpid(), SIGSEGV);
	return 0;
}

static int case_kill_ignored(void)
{
	action((uint64_t)SIG_IGN, 0);
	kill(getpid(), SIGSEGV);
	return 30;
}

static int case_kill_handler(void)
{
	action((uint64_t)plain, 0);
	errno = 5;
	kill(getpid(), SIGSEGV);
	raise(SIGSEGV);
	return errno == 5 ? 40 + calls : 0;
}

static int case_kill_siginfo(void)
{
	union sigval v = {.sival_int = 3};

	action((uint64_t)sent_info, SA_SIGINFO);
	sigqueue(getpid(), SIGSEGV, v);
	kill(getpid(), SIGSEGV);
	return 50 + calls;
}

static int case_kill_blocked(void)
{
	int seen;

	action((uint64_t)plain, 0);
	if (block_segv(true))
		return 94;
	kill(getpid(), SIGSEGV);
	kill(getpid(), SIGSEGV); /* not queued: one is pending */
	seen = calls;
	if (!block_segv(false))
		return 95;
	return block_segv(false) ? 96 : 60 + calls * 10 + seen;
}

static int case_kill_blocked_dfl(void)
{
	block_segv(true);
	kill(getpid(), SIGSEGV);
	block_segv(false);
	return 0;
}

static const struct test_case {
	const char *name;
	int (*run)(void);
	int code; /* < 0: ended by that signal */
} cases[] = {
#define CASE(name, code)                                                       \
	{                                                                      \
#name, case_##name, code                                       \
	}
	CASE(crash, -SIGSEGV),
	CASE(crash_dfl_again, -SIGSEGV),
	CASE(crash_general_protection, -SIGSEGV),
	CASE(crash_protected, -SIGSEGV),
	CASE(crash_ignored, -SIGSEGV),
	CASE(crash_blocked, -SIGSEGV),
	CASE(siginfo_handler, 11),
	CASE(plain_handler, 11),
	CASE(jump_100_times, 100),
	CASE(handler_returns, 21),
	CASE(resethand, -SIGSEGV),
	CASE(kill_dfl, -SIGSEGV),
	CASE(kill_ignored, 30),
	CASE(kill_handler, 42),
	CASE(kill_siginfo, 52),
	CASE(kill_blocked, 70),
	CASE(kill_blocked_dfl, -SIGSEGV),
};

/* A sanitizer's handler is the program's before the case begins: not here. */
static void start_as_default(bool numabal)
{
	const struct rlimit no_core = {0, 0};
	struct nb_ksigaction dfl;

	memset(&dfl, 0, sizeof(dfl));
	nb_syscall6(SYS_rt_sigaction, SIGSEGV, (long)&dfl, 0, 8, 0, 0);
	setrlimit(RLIMIT_CORE, &no_core);
	with_numabal = numabal;
	if (nb_chunk_table_init() || (numabal && nb_sigchain_install()))
		_exit(99);
}

static int run_case(const struct test_case *c, bool numabal)
{
	int status;
	pid_t pid = fork();

	if (!pid) {
		start_as_default(numabal);
		_exit(c->run());
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

static void test_cases(void **state)
{
	int bad = 0;

	(void)state;
	for (size_t i = 0; i < nb_array_size(cases); i++) {
		int kernel = run_case(&cases[i], false);
		int ours = run_case(&cases[i], true);

#ifdef __SANITIZE_THREAD__
		/* Its sigaction() puts a handler between that keeps errno. */
		if (cases[i].run == case_handler_returns)
			kernel = cases[i].code;
#endif
		if (kernel == cases[i].code && ours == cases[i].code)
			continue;
		print_error("%s: %d, the kernel alone %d, with numabal %d\n",
			    cases[i].name, cases[i].code, kernel, ours);
		bad++;
	}
	assert_int_equal(bad, 0);
}

/*
 * The last SIGSEGV that a debugger sees before the end is the program's own,
 * with its address and code.
 */
static void last_info(const struct test_case *c, bool numabal, siginfo_t *info)
{
	int status, sig = 0;
	pid_t pid = fork();

	if (!pid) {
		if (ptrace(PTRACE_TRACEME, 0, NULL, NULL))
			_exit(77);
		start_as_default(numabal);
		_exit(c->run());
	}
	memset(info, 0, sizeof(*info));
	while (waitpid(pid, &status, 0) == pid && WIFSTOPPED(status)) {
		sig = WSTOPSIG(status);
		ptrace(PTRACE_GETSIGINFO, pid, NULL, info);
		ptrace(PTRACE_CONT, pid, NULL, sig);
	}
	if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
		skip(); /* already traced: by a debugger, or forbidden */
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGSEGV);
	assert_int_equal(sig, SIGSEGV);
}

static void test_address_of_crash(void **state)
{
	(void)state;
	for (size_t i = 0; i < nb_array_size(cases); i++) {
		siginfo_t kernel, ours;

		if (cases[i].code != -SIGSEGV)
			continue;
		last_info(&cases[i], false, &kernel);
		last_info(&cases[i], true, &ours);
		assert_int_equal(ours.si_code, kernel.si_code);
		/* a mapping of its own is not always at the same place */
		if (kernel.si_code > 0 && cases[i].run != case_crash_protected)
			assert_ptr_equal(ours.si_addr, kernel.si_addr);
	}
}

/* ---- the books ----------------------------------------------------------- */

static void kernel_action(struct nb_ksigaction *act)
{
	nb_syscall6(SYS_rt_sigaction, SIGSEGV, 0, (long)act, 8, 0, 0);
}

static void test_view(void **state)
{
	struct nb_ksigaction before, ours, now, old,
		act = {
			.handler = (uint64_t)plain,
			.flags = SA_NODEFER,
			.mask = NB_SIG_BIT(SIGUSR1) | NB_SIG_BIT(SIGSEGV),
		};

	(void)state;
	kernel_action(&before);
	assert_false(nb_sigchain_installed());
	assert_int_equal(nb_sigchain_install(), 0);
	assert_int_equal(nb_sigchain_install(), 0);
	assert_true(nb_sigchain_installed());
	kernel_action(&ours);
	assert_true(ours.handler != before.handler);
	assert_true(ours.flags & SA_ONSTACK && ours.flags & SA_SIGINFO);
	nb_sigchain_action(&act, &old);
	assert_true(old.handler == before.handler);
	nb_sigchain_action(NULL, &now);
	assert_true(now.handler == act.handler && now.flags == act.flags &&
		    now.mask & NB_SIG_BIT(SIGUSR1));
	kernel_action(&now);
	assert_true(now.handler == ours.handler); /* the kernel's is ours */
	nb_sigchain_action(&before, NULL);
	assert_int_equal(nb_sigchain_remove(), 0);
	assert_int_equal(nb_sigchain_remove(), 0);
	kernel_action(&now);
	assert_true(now.handler == before.handler);
}

static void test_block_flag(void **state)
{
	(void)state;
	assert_false(nb_sigchain_block(true));
	assert_true(nb_sigchain_blocked());
	assert_true(nb_sigchain_block(false));
	assert_false(nb_sigchain_blocked());
}

/* A parent that left SIGSEGV blocked: the program's belief, not the kernel's */
static void test_blocked_at_start(void **state)
{
	int status;
	pid_t pid = fork();

	(void)state;
	if (!pid) {
		sigset_t set, now;

		sigemptyset(&set);
		sigaddset(&set, SIGSEGV);
		sigprocmask(SIG_BLOCK, &set, NULL);
		start_as_default(true);
		sigprocmask(SIG_BLOCK, NULL, &now);
		_exit(nb_sigchain_blocked() && !sigismember(&now, SIGSEGV) ? 0
									   : 1);
	}
	waitpid(pid, &status, 0);
	assert_int_equal(status, 0);
}

static _Atomic int *crashes; /* what the child counts, its parent sees */
static void on_crash(void)
{
	/* before the kernel has the default action, and once */
	if ((*crashes)++ || !nb_sigchain_intact())
		_exit(97);
}

static int case_on_crash(void)
{
	nb_sigchain_on_crash(on_crash);
	*BAD = 1;
	return 0;
}

static void test_on_crash(void **state)
{
	const struct test_case c = {.run = case_on_crash};

	(void)state;
	crashes = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_int_equal(run_case(&c, true), -SIGSEGV);
	assert_int_equal(*crashes, 1);
}

/* A handler that was set by us alone works when the kernel has it. */
static int case_removed(void)
{
	action((uint64_t)plain, 0);
	if (nb_sigchain_remove() || kill(getpid(), SIGSEGV))
		return 0;
	kill(getpid(), SIGSEGV);
	return 80 + calls;
}

static void test_removed(void **state)
{
	const struct test_case c = {.run = case_removed};

	(void)state;
	assert_int_equal(run_case(&c, true), 82);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_view),
		cmocka_unit_test(test_block_flag),
		cmocka_unit_test(test_blocked_at_start),
		cmocka_unit_test(test_cases),
		cmocka_unit_test(test_address_of_crash),
		cmocka_unit_test(test_on_crash),
		cmocka_unit_test(test_removed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
