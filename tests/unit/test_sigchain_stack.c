/* SPDX-License-Identifier: MIT */
/*
 * mech/sigchain.c, sigframe.c and altstack.c: which stack a handler of the
 * program runs on, and what it finds there.  Each case runs in a process of
 * its own, once as the kernel does it and once with numabal between and an
 * alternate stack of ours: both must end the same way.
 */
#include "../../lib/mech/altstack.h"
#include "../../lib/mech/chunk.h"
#include "../../lib/mech/sigchain.h"
#include "../../lib/mech/slot.h"
#include "../../lib/plat/arena.h"
#include "../../lib/plat/sys.h"
#include "policy_test.h"

#include <errno.h>
#include <execinfo.h>
#include <pthread.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

#define BAD ((volatile char *)0x1230)
#define OK 100
#define EXPECT(cond)                                                           \
	do {                                                                   \
		if (!(cond))                                                   \
			return (__LINE__ % 80) + 1;                            \
	} while (0)

static bool with_numabal;
static volatile int calls, depth;
static volatile bool on_normal, on_own;
static sigjmp_buf env;
static volatile char *volatile page, *volatile page2;
static char own_stack[256 * 1024];
static char *normal; /* an address of the normal stack */

static void action(void (*fn)(int, siginfo_t *, void *), int flags)
{
	struct nb_ksigaction act = {.handler = (uint64_t)fn,
				    .flags = (uint32_t)flags | SA_SIGINFO};
	struct sigaction sa = {.sa_flags = flags | SA_SIGINFO};

	if (with_numabal) {
		nb_sigchain_action(&act, NULL);
		return;
	}
	sa.sa_sigaction = fn;
	sigaction(SIGSEGV, &sa, NULL);
}

static long altstack(void *sp, size_t bytes, int flags)
{
	stack_t ss = {.ss_sp = sp, .ss_size = bytes, .ss_flags = flags};

	if (with_numabal)
		return nb_altstack_set(nb_slot_self(), &ss, NULL);
	return sigaltstack(&ss, NULL) ? -errno : 0;
}

static char *a_page(void)
{
	return mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

static void where(void)
{
	char *here = __builtin_frame_address(0);

	calls++;
	on_own = here > own_stack && here <= own_stack + sizeof(own_stack);
	on_normal = here < normal && normal - here < 1 << 20;
}

static void repair(int sig, siginfo_t *info, void *uc)
{
	(void)sig;
	(void)uc;
	where();
	mprotect(info->si_addr, 4096, PROT_READ | PROT_WRITE);
}

static void jump(int sig, siginfo_t *info, void *uc)
{
	(void)sig;
	(void)info;
	(void)uc;
	where();
	siglongjmp(env, 1);
}

/* ---- cases --------------------------------------------------------------- */

static int case_no_stack(void)
{
	*(page = a_page()) = 1;
	EXPECT(calls == 1 && on_normal);
	*(page = a_page()) = 1;
	EXPECT(calls == 2 && on_normal);
	return OK;
}

static int case_plain(void)
{
	action(repair, 0);
	return case_no_stack();
}

static int case_onstack_without_one(void)
{
	action(repair, SA_ONSTACK);
	return case_no_stack();
}

static int case_own_stack_unwanted(void)
{
	EXPECT(!altstack(own_stack, sizeof(own_stack), 0));
	return case_plain();
}

static int case_own_stack(void)
{
	EXPECT(!altstack(own_stack, sizeof(own_stack), 0));
	action(repair, SA_ONSTACK);
	*(page = a_page()) = 1;
	EXPECT(calls == 1 && on_own);
	EXPECT(!altstack(NULL, 0, SS_DISABLE));
	*(page = a_page()) = 1;
	EXPECT(calls == 2 && on_normal);
	return OK;
}

static int case_sent(void)
{
	action(repair, 0);
	for (int i = 0; i < 100; i++)
		kill(getpid(), SIGSEGV);
	EXPECT(calls == 100 && on_normal);
	return OK;
}

/* What the interrupted code has in registers and below its stack pointer. */
static int registers(void)
{
	uint64_t out = 0, in = 0x123456789abcdefULL, red = 0;

	page = a_page();
#ifdef __x86_64__
	__asm__ volatile("movq %2, %%xmm7; mov %2, %%r15; std\n"
			 "mov %2, -120(%%rsp)\n"
			 "movb $1, (%3)\n"
			 "cld; movq %%xmm7, %0; mov -120(%%rsp), %1\n"
			 "cmp %%r15, %1; je 1f; xor %1, %1; 1:\n"
			 : "=&r"(out), "=&r"(red)
			 : "r"(in), "r"(page)
			 : "xmm7", "r15", "memory", "cc");
#else
	out = red = in;
	*page = 1;
#endif
	EXPECT(out == in && red == in);
	return OK;
}

static int case_registers(void)
{
	action(repair, 0);
	return registers();
}

static void fault_within(int sig, siginfo_t *info, void *uc)
{
	volatile char room[4096];

	for (size_t i = 0; i < sizeof(room); i++)
		room[i] = 5;
	if (++depth == 1)
		*page2 = 1;
	for (size_t i = 0; i < sizeof(room); i++)
		if (room[i] != 5)
			_exit(97);
	repair(sig, info, uc);
}

static void other_registers_within(int sig, siginfo_t *info, void *uc)
{
#ifdef __x86_64__
	__asm__ volatile("pcmpeqd %%xmm7, %%xmm7" ::: "xmm7");
#endif
	fault_within(sig, info, uc);
}

/* The second frame is where the first one was. */
static int case_registers_nested(void)
{
	page2 = a_page();
	action(other_registers_within, SA_NODEFER);
	EXPECT(registers() == OK);
	EXPECT(calls == 2);
	return OK;
}

static int nested(int flags)
{
	action(fault_within, flags);
	page = a_page();
	page2 = a_page();
	*page = 1;
	EXPECT(calls == 2 && on_normal && *page && *page2);
	return OK;
}

static int case_nested(void)
{
	return nested(SA_NODEFER);
}

static int case_nested_deferred(void)
{
	return nested(0);
}

static int case_nested_on_own(void)
{
	EXPECT(!altstack(own_stack, sizeof(own_stack), 0));
	return nested(SA_NODEFER);
}

static void block_on_return(int sig, siginfo_t *info, void *ucv)
{
	ucontext_t *uc = ucv;

	repair(sig, info, uc);
	sigaddset(&uc->uc_sigmask, SIGSEGV);
}

static int case_blocks_on_return(void)
{
	action(block_on_return, 0);
	*(page = a_page()) = 1;
	kill(getpid(), SIGSEGV);
	EXPECT(calls == 1);
	*(page = a_page()) = 1; /* blocked: the end */
	return OK;
}

static int case_open_after_return(void)
{
	action(repair, 0);
	for (int i = 0; i < 5; i++)
		*(page = a_page()) = 1;
	EXPECT(calls == 5 && !nb_sigchain_blocked());
	return OK;
}

static volatile bool endless = true;

static __attribute__((noinline)) int overflow(int n)
{
	volatile char room[4096];

	room[0] = (char)n;
	return endless ? overflow(n + 1) + room[0] : n;
}

static int case_overflow(void)
{
	action(jump, 0);
	if (!sigsetjmp(env, 1))
		overflow(0);
	return OK;
}

static int case_overflow_on_own(void)
{
	EXPECT(!altstack(own_stack, sizeof(own_stack), 0));
	action(jump, SA_ONSTACK | SA_NODEFER);
	for (volatile int i = 0; i < 3; i++)
		if (!sigsetjmp(env, 1))
			overflow(0);
	EXPECT(calls == 3 && on_own);
	return OK;
}

/* Too small for what a hint fault in a handler needs on top. */
static int case_small_stack(void)
{
	EXPECT(!altstack(own_stack, 8192, 0));
	action(repair, SA_ONSTACK);
	*(page = a_page()) = 1;
	EXPECT(calls == 1 && !on_normal);
	return OK;
}

static void *chain[64];
static volatile int nr_chain;

static void trace(int sig, siginfo_t *info, void *uc)
{
	nr_chain = backtrace(chain, 64);
	repair(sig, info, uc);
}

static __attribute__((noinline)) void *faulting(volatile char *p)
{
	*p = 1;
	return __builtin_return_address(0);
}

static int case_backtrace(void)
{
	bool found = false;
	void *caller;

	backtrace(chain, 1); /* libgcc is loaded at its first use */
	action(trace, 0);
	caller = faulting(a_page());
	for (int i = 0; i < nr_chain; i++)
		found |= chain[i] == caller;
	EXPECT(calls == 1 && found);
	return OK;
}

/* @arg: a stack that is not its own. */
static void *thread(void *arg)
{
	stack_t now;

	normal = __builtin_frame_address(0);
	if (with_numabal &&
	    nb_altstack_install(nb_slot_self()) != NB_ALTSTACK_OURS)
		return NULL;
	nb_syscall6(SYS_sigaltstack, 0, (long)&now, 0, 0, 0, 0);
	return now.ss_sp != arg && case_no_stack() == OK ? own_stack : NULL;
}

static int in_thread(void *other_stack)
{
	void *ret = NULL;
	pthread_t th;

	EXPECT(!pthread_create(&th, NULL, thread, other_stack));
	EXPECT(!pthread_join(th, &ret) && ret);
	return OK;
}

static int case_thread(void)
{
	action(repair, 0);
	return in_thread(own_stack);
}

/* Its stack in the parent, of another slot, stays the child's alone. */
static int case_forked(void)
{
	stack_t before, now;
	int status;

	action(repair, 0);
	nb_syscall6(SYS_sigaltstack, 0, (long)&before, 0, 0, 0, 0);
	if (!fork()) {
		if (with_numabal) {
			nb_slots_after_fork();
			nb_slot_note_found(1); /* takes the first */
			nb_slot_self();
			nb_slot_release(0);
			if (nb_altstack_install(nb_slot_self()) !=
			    NB_ALTSTACK_OURS)
				_exit(1);
		}
		nb_syscall6(SYS_sigaltstack, 0, (long)&now, 0, 0, 0, 0);
		if (now.ss_sp != before.ss_sp)
			_exit(2);
		_exit(in_thread(with_numabal ? now.ss_sp : own_stack));
	}
	wait(&status);
	return WEXITSTATUS(status);
}

#define CASE(name, code)                                                       \
	{                                                                      \
#name, case_##name, code                                       \
	}
static const struct {
	const char *name;
	int (*run)(void);
	int code;
} cases[] = {
	CASE(plain, OK),
	CASE(onstack_without_one, OK),
	CASE(own_stack_unwanted, OK),
	CASE(own_stack, OK),
	CASE(sent, OK),
	CASE(registers, OK),
	CASE(registers_nested, OK),
	CASE(nested, OK),
	CASE(nested_deferred, -SIGSEGV),
	CASE(nested_on_own, OK),
	CASE(blocks_on_return, -SIGSEGV),
	CASE(open_after_return, OK),
	CASE(overflow, -SIGSEGV),
	CASE(overflow_on_own, OK),
	CASE(small_stack, OK),
	CASE(backtrace, OK),
	CASE(thread, OK),
	CASE(forked, OK),
};

static void start(bool numabal)
{
	const struct rlimit no_core = {0, 0}, stack = {1 << 20, 1 << 20};
	struct nb_ksigaction dfl = {.handler = 0};
	stack_t off = {.ss_flags = SS_DISABLE};

	alarm(30);
	nb_syscall6(SYS_rt_sigaction, SIGSEGV, (long)&dfl, 0, 8, 0, 0);
	nb_syscall6(SYS_sigaltstack, (long)&off, 0, 0, 0, 0, 0);
	setrlimit(RLIMIT_CORE, &no_core);
	setrlimit(RLIMIT_STACK, &stack);
	with_numabal = numabal;
	if (!numabal)
		return;
	nb_slots_init(nb_arena_map(NB_MAX_SLOTS * sizeof(struct nb_slot)));
	nb_sigchain_every_mask(true);
	if (nb_chunk_table_init() || nb_sigchain_install() ||
	    nb_altstack_init(getauxval(51 /* AT_MINSIGSTKSZ */)) ||
	    nb_altstack_install(nb_slot_self()) != NB_ALTSTACK_OURS)
		_exit(99);
}

static int run_case(int (*run)(void), bool numabal)
{
	int status;
	pid_t pid = fork();

	if (!pid) {
		normal = __builtin_frame_address(0);
		start(numabal);
		_exit(run());
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

static void test_cases(void **state)
{
	int bad = 0;

	(void)state;
#ifdef NB_SANITIZED
	skip(); /* theirs have ideas of stacks of their own */
#endif
	for (size_t i = 0; i < nb_array_size(cases); i++) {
		int kernel = run_case(cases[i].run, false);
		int ours = run_case(cases[i].run, true);

		if (kernel == cases[i].code && ours == cases[i].code)
			continue;
		print_error("%s: %d, the kernel alone %d, with numabal %d\n",
			    cases[i].name, cases[i].code, kernel, ours);
		bad++;
	}
	assert_int_equal(bad, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_cases)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
