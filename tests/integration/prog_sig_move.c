/* SPDX-License-Identifier: MIT */
/*
 * Where handlers of signals run, and what they find there: on which stack, in
 * which order when several come at once, with which masks, registers and
 * vector state; left by return, by jumps and by switching to another stack.
 * Prints what it finds, to be compared with a run without the library; stacks
 * are on memory that is armed.  Knows nothing of numabal; run by
 * test_guard_frames.sh.
 */
#define _GNU_SOURCE
#include "armed.h"

#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <ucontext.h>

#define OWN ((size_t)256 << 10)
#define DEPTH 400

static unsigned char *buf;
static char *own;
static volatile int calls, depth, deepest;

static void touch(void)
{
	if (!pattern_ok(buf, BUF_BYTES))
		_exit(91);
}

static void set(int sig, void (*fn)(int, siginfo_t *, void *), int flags)
{
	struct sigaction sa = {.sa_flags = flags | SA_SIGINFO};

	sa.sa_sigaction = fn;
	sigaction(sig, &sa, NULL);
}

static void use_own_stack(bool on)
{
	stack_t ss = {.ss_sp = own, .ss_size = OWN};

	if (!on)
		ss.ss_flags = SS_DISABLE;
	if (sigaltstack(&ss, NULL))
		printf("sigaltstack: %m\n");
}

static bool on_own(const void *p)
{
	return (const char *)p > own && (const char *)p <= own + OWN;
}

static void show_mask(const char *what)
{
	sigset_t m;

	sigprocmask(SIG_BLOCK, NULL, &m);
	printf("%s:", what);
	for (int s = 1; s <= SIGRTMAX; s++)
		if (sigismember(&m, s) == 1)
			printf(" %d", s);
	printf("\n");
}

/* ---- where --------------------------------------------------------------- */

static void place(int sig, siginfo_t *info, void *ucv)
{
	char *here = __builtin_frame_address(0);
	ucontext_t *uc = ucv;
	stack_t ss;
	char *sp = here;

#ifdef __x86_64__
	sp = (char *)uc->uc_mcontext.gregs[REG_RSP];
	printf("vector state behind: %d, aligned: %d\n",
	       (char *)uc->uc_mcontext.fpregs > (char *)uc &&
		       (char *)uc->uc_mcontext.fpregs - (char *)uc < 1 << 15,
	       !((uintptr_t)uc->uc_mcontext.fpregs & 63));
	printf("red zone is left: %d\n",
	       on_own(here) != on_own(sp) ||
		       (char *)uc->uc_mcontext.fpregs + 512 <= sp - 128);
#endif
	sigaltstack(NULL, &ss);
	printf("%d: code %d, on its own stack %d, flags %d; it was on it: %d\n",
	       sig, info->si_code, on_own(here), ss.ss_flags, on_own(sp));
	printf("below: %d, near: %d\n",
	       here<sp, sp - here> 0 && sp - here < 1 << 15);
	if (sig == SIGUSR1)
		raise(SIGUSR2);
}

static void where(void)
{
	const int flags[] = {0, SA_ONSTACK, SA_NODEFER, (int)SA_RESETHAND,
			     SA_RESTART | SA_ONSTACK | SA_NODEFER};

	for (int i = 0; i < 4; i++)
		for (int k = 0; k < 5; k++) {
			/* On a stack that is not there: not asked. */
			if (!(i & 1) && flags[k] & SA_ONSTACK)
				continue;
			use_own_stack(i & 1);
			set(SIGUSR1, place, flags[k]);
			set(SIGUSR2, place, i & 2 && i & 1 ? SA_ONSTACK : 0);
			printf("case %d %d\n", i, k);
			raise(SIGUSR1);
			show_mask("after");
		}
}

/* ---- several at once ----------------------------------------------------- */

static void one_of_many(int sig, siginfo_t *info, void *uc)
{
	depth++;
	calls++;
	if (depth > deepest)
		deepest = depth;
	if (calls <= 40) {
		printf("begin %d value %d depth %d, own stack %d\n", sig,
		       info->si_value.sival_int, depth, on_own(&uc));
		show_mask("mask");
	}
	touch();
	if (calls <= 40)
		printf("end %d depth %d\n", sig, depth);
	depth--;
}

static void send_many(int more)
{
	union sigval v = {.sival_int = 0};
	sigset_t all, old;

	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &old);
	for (int s = SIGRTMIN; s < SIGRTMIN + 12; s++) {
		v.sival_int++;
		sigqueue(getpid(), s, v);
	}
	raise(SIGUSR1);
	raise(SIGUSR2);
	raise(SIGHUP);
	for (int i = 0; i < more; i++)
		sigqueue(getpid(), SIGRTMAX, v);
	sigprocmask(SIG_SETMASK, &old, NULL);
	printf("%d calls, deepest %d, left %d\n", calls, deepest, depth);
	calls = deepest = 0;
}

static void order(void)
{
	for (int i = 0; i < 3; i++) {
		use_own_stack(i);
		for (int s = SIGRTMIN; s <= SIGRTMAX; s++)
			set(s, one_of_many, i == 2 && s & 1 ? SA_ONSTACK : 0);
		set(SIGRTMAX, one_of_many, SA_NODEFER);
		set(SIGUSR1, one_of_many, 0);
		set(SIGUSR2, one_of_many, SA_NODEFER);
		set(SIGHUP, one_of_many, (int)SA_RESETHAND);
		send_many(i ? 0 : DEPTH);
	}
}

/* A mask for the time of a call, and two that come in it. */
static void waits(void)
{
	struct timespec ts = {20, 0};
	sigset_t two, mask;

	set(SIGUSR1, one_of_many, 0);
	set(SIGUSR2, one_of_many, 0);
	set(SIGHUP, one_of_many, 0);
	sigemptyset(&two);
	sigaddset(&two, SIGUSR1);
	sigaddset(&two, SIGUSR2);
	sigprocmask(SIG_SETMASK, &two, NULL);
	sigemptyset(&mask);
	sigaddset(&mask, SIGTERM);
	for (int i = 0; i < 2; i++) {
		raise(SIGUSR1);
		raise(SIGUSR2);
		printf("%d %m\n",
		       i ? ppoll(NULL, 0, &ts, &mask) : sigsuspend(&mask));
		show_mask("after");
	}
}

/* ---- registers ----------------------------------------------------------- */

#ifdef __x86_64__

static volatile sig_atomic_t hit;

static void change_all(int sig, siginfo_t *info, void *ucv)
{
	ucontext_t *uc = ucv;

	(void)sig;
	(void)info;
	touch();
	hit = 1;
	uc->uc_mcontext.fpregs->_xmm[9].element[0] ^= 0xffff;
	uc->uc_mcontext.gregs[REG_R12]++;
	__asm__ volatile("pxor %%xmm9, %%xmm9; xor %%r12d, %%r12d" ::
				 : "xmm9", "r12");
}

/* Something in the red zone, in r12 and in a vector, across a signal. */
static void registers(void)
{
	uint64_t xmm[2] = {0x1234567800000000, 42}, red = 0, r12 = 0;
	long pid = getpid(), tid = gettid();

	set(SIGUSR1, change_all, 0);
	for (int i = 0; i < 3; i++) {
		register long rax __asm__("rax") = 234; /* tgkill */
		register long rdi __asm__("rdi") = pid;
		register long rsi __asm__("rsi") = tid;
		register long rdx __asm__("rdx") = SIGUSR1;

		__asm__ volatile(
			"movq $77, -120(%%rsp)\n"
			"movdqu %[x], %%xmm9\n"
			"mov $5, %%r12d\n"
			"syscall\n"
			"mov -120(%%rsp), %[red]\n"
			"mov %%r12, %[r12]\n"
			"movdqu %%xmm9, %[x]\n"
			: [x] "+m"(xmm), [red] "=r"(red), [r12] "=r"(r12),
			  "+r"(rax)
			: "r"(rdi), "r"(rsi), "r"(rdx)
			: "rcx", "r11", "r12", "xmm9", "memory");
		printf("hit %d, red zone %lu, r12 %lu, vector %lx %lu\n", hit,
		       red, r12, xmm[0], xmm[1]);
	}
}

#else

static void registers(void)
{
}

#endif

/* ---- left otherwise ------------------------------------------------------ */

static sigjmp_buf env;

static void jump(int sig, siginfo_t *info, void *uc)
{
	(void)info;
	(void)uc;
	touch();
	siglongjmp(env, sig);
}

static void jumps(void)
{
	for (volatile int i = 0; i < 6; i++) {
		volatile int got;

		use_own_stack(i & 1);
		set(SIGUSR1, jump, i & 2 ? SA_NODEFER : 0);
		set(SIGUSR2, jump, 0);
		set(SIGHUP, one_of_many, 0);
		set(SIGRTMAX, one_of_many, 0);
		for (int s = SIGRTMIN; s < SIGRTMIN + 12; s++)
			set(s, s % 3 ? one_of_many : jump, 0);
		got = sigsetjmp(env, 1);
		if (!got && i < 4)
			raise(SIGUSR1);
		else if (!got)
			send_many(0);
		show_mask("after the jump");
		printf("%d: %d\n", i, got);
	}
}

static ucontext_t ctx[3];
static volatile int now;
static volatile unsigned long turns[3];

/* Threads of the program's own, which a timer switches. */
static void preempt(int sig, siginfo_t *info, void *uc)
{
	int from = now;

	(void)sig;
	(void)info;
	(void)uc;
	calls++;
	now = (from + 1) % 3;
	swapcontext(&ctx[from], &ctx[now]);
}

static void worker(int i)
{
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	while (calls < 300) {
		turns[i]++;
		touch();
	}
	setcontext(&ctx[0]);
}

static void switches(void)
{
	const struct itimerval it = {{0, 1000}, {0, 1000}},
			       off = {{0, 0}, {0, 0}};

	set(SIGALRM, preempt, SA_RESTART);
	for (volatile int i = 1; i < 3; i++) {
		getcontext(&ctx[i]);
		/* Not while it is being switched to. */
		sigaddset(&ctx[i].uc_sigmask, SIGALRM);
		ctx[i].uc_stack.ss_sp = new_buffer(BUF_BYTES);
		ctx[i].uc_stack.ss_size = BUF_BYTES;
		makecontext(&ctx[i], (void (*)(void))worker, 1, i);
	}
	setitimer(ITIMER_REAL, &it, NULL);
	while (calls < 300) {
		turns[0]++;
		touch();
	}
	setitimer(ITIMER_REAL, &off, NULL);
	printf("all had their turns: %d\n", turns[0] && turns[1] && turns[2]);
}

/* ---- no room ------------------------------------------------------------- */

static void on_segv(int sig, siginfo_t *info, void *uc)
{
	(void)sig;
	(void)uc;
	printf("SIGSEGV: code %d, at %p, own stack %d\n", info->si_code,
	       info->si_addr, on_own(&uc));
	siglongjmp(env, 2);
}

/* A signal at the end of a stack, below which there is nothing. */
static void __attribute__((noinline)) at_the_end(char *low)
{
	const struct itimerval it = {{0, 0}, {0, 1000}};
	char *sp = low + 512;

	setitimer(ITIMER_REAL, &it, NULL);
#ifdef __x86_64__
	__asm__ volatile("mov %%rsp, %%r12\n"
			 "mov %[sp], %%rsp\n"
			 "1: pause\n"
			 "cmpl $0, %[calls]\n"
			 "je 1b\n"
			 "mov %%r12, %%rsp\n"
			 :
			 : [sp] "r"(sp), [calls] "m"(calls)
			 : "r12", "memory");
#else
	(void)sp;
#endif
}

static void no_room(void)
{
	const size_t page = 4096;
	char *low = mmap(NULL, 8 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS,
			 -1, 0);

	mprotect(low + 4 * page, 4 * page, PROT_READ | PROT_WRITE);
	set(SIGALRM, one_of_many, 0);
	set(SIGSEGV, on_segv, SA_ONSTACK);
	for (volatile int i = 0; i < 3; i++) {
		use_own_stack(true);
		if (!sigsetjmp(env, 1))
			at_the_end(low + 4 * page);
		show_mask("after");
		printf("%d calls\n", calls);
	}
	fflush(stdout);
	signal(SIGSEGV, SIG_DFL);
	at_the_end(low + 4 * page);
	printf("came back\n");
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*fn)(void);
	} cases[] = {
		{"where", where},     {"order", order},
		{"waits", waits},     {"registers", registers},
		{"jumps", jumps},     {"switches", switches},
		{"no-room", no_room},
	};

	setvbuf(stdout, NULL, _IOLBF, 0);
	buf = new_buffer(BUF_BYTES);
	own = mmap(NULL, OWN, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (!wait_armed(buf))
		return 1;
	for (size_t i = 0; argc > 1 && i < sizeof(cases) / sizeof(*cases); i++)
		if (!strcmp(argv[1], cases[i].name)) {
			cases[i].fn();
			touch();
			return 0;
		}
	return 2;
}
