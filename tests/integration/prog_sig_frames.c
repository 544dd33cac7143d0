/* SPDX-License-Identifier: MIT */
/*
 * Masks that no call changes: in the frame that a handler gets and leaves, in
 * contexts, put back by its return; and a SIGSEGV that is sent while it is
 * blocked, for whoever may have it.  Prints what it sees, to be compared with
 * a run without the library; memory that is armed is used in between.  Knows
 * nothing of numabal; run by test_guard_signal.sh.
 */
#define _GNU_SOURCE
#include "armed.h"

#include <execinfo.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <ucontext.h>

#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

static unsigned char *buf;
static volatile int calls;

/* All of it while it is armed, if it ever is. */
static void touch(void)
{
	if (!pattern_ok(buf, BUF_BYTES))
		_exit(91);
}

static void touch_armed(void)
{
	if (!wait_armed(buf))
		_exit(92);
	touch();
}

static void show_mask(const char *what)
{
	sigset_t set;

	sigprocmask(SIG_BLOCK, NULL, &set);
	printf("%s: SEGV %d, HUP %d, USR1 %d, USR2 %d\n", what,
	       sigismember(&set, SIGSEGV), sigismember(&set, SIGHUP),
	       sigismember(&set, SIGUSR1), sigismember(&set, SIGUSR2));
}

static void set(int sig, void (*fn)(int, siginfo_t *, void *), int flags,
		bool full)
{
	struct sigaction sa = {.sa_flags = flags | SA_SIGINFO}, now;

	sa.sa_sigaction = fn;
	if (full)
		sigfillset(&sa.sa_mask);
	sigaction(sig, &sa, NULL);
	sigaction(sig, NULL, &now);
	if (now.sa_sigaction != fn ||
	    sigismember(&now.sa_mask, SIGSEGV) != full)
		printf("%d: the action is not what was set\n", sig);
}

/* ---- frames -------------------------------------------------------------- */

static volatile int change;

static void in_frame(int sig, siginfo_t *info, void *ucv)
{
	ucontext_t *uc = ucv;
	sigset_t all;

	(void)info;
	calls++;
	touch();
	show_mask("in the handler");
	printf("%d: in the frame: SEGV %d\n", sig,
	       sigismember(&uc->uc_sigmask, SIGSEGV));
	if (change > 0)
		sigfillset(&uc->uc_sigmask);
	else if (change < 0)
		sigdelset(&uc->uc_sigmask, SIGSEGV);
	/* Until the return. */
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, change ? &all : &uc->uc_sigmask, NULL);
}

static void frames(void)
{
	const int changes[] = {0, 1, 0, -1, 0};

	for (int full = 0; full < 2; full++) {
		set(SIGUSR1, in_frame, 0, full);
		set(SIGRTMIN, in_frame, SA_NODEFER, full);
		for (int i = 0; i < 5; i++) {
			sigset_t none;

			change = changes[i];
			raise(i % 2 ? SIGUSR1 : SIGRTMIN);
			show_mask("after");
			touch_armed();
			sigemptyset(&none);
			if (i == 4)
				sigprocmask(SIG_SETMASK, &none, NULL);
		}
		/* Blocked by the thread: in the frame, and after it. */
		sighold(SIGSEGV);
		raise(SIGUSR1);
		show_mask("still");
		sigrelse(SIGSEGV);
	}
}

/* A handler of SIGSEGV is called after others have left masks to return. */
static void repair(int sig, siginfo_t *info, void *uc)
{
	(void)sig;
	(void)uc;
	calls++;
	mprotect(info->si_addr, 4096, PROT_READ | PROT_WRITE);
}

/* What is blocked in a handler of SIGSEGV itself, and in its frame. */
static void repair_and_show(int sig, siginfo_t *info, void *uc)
{
	show_mask("in its handler");
	printf("in the frame: SEGV %d, USR1 %d\n",
	       sigismember(&((ucontext_t *)uc)->uc_sigmask, SIGSEGV),
	       sigismember(&((ucontext_t *)uc)->uc_sigmask, SIGUSR1));
	touch();
	if (info->si_code > 0)
		repair(sig, info, uc);
}

static void own_mask(void)
{
	for (int i = 0; i < 4; i++) {
		char *page = mmap(NULL, 4096, PROT_NONE,
				  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		set(SIGSEGV, repair_and_show, i & 1 ? SA_NODEFER : 0, i & 2);
		touch_armed();
		*(volatile char *)page = 1;
		show_mask("after");
		raise(SIGSEGV);
		show_mask("after");
	}
}

static void block_all(int sig)
{
	sigset_t all;

	(void)sig;
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, NULL);
}

static void afterwards(void)
{
	char *page =
		mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	set(SIGSEGV, repair, 0, true);
	signal(SIGALRM, block_all);
	raise(SIGALRM);
	show_mask("after");
	*(volatile char *)page = 1;
	printf("%d calls\n", calls);
}

static sigjmp_buf env;

static void jump(int sig)
{
	touch();
	siglongjmp(env, sig);
}

static char *volatile nowhere = (char *)8;

sighandler_t bsd_signal(int sig, sighandler_t fn);

/* All that sets an action, and all that jumps. */
static void old_ways(void)
{
	sighandler_t (*const ways[])(int, sighandler_t) = {
		signal, ssignal, sysv_signal, bsd_signal, sigset,
	};

	for (volatile size_t i = 0; i < 5; i++) {
		volatile int got = 0;

		printf("was %d\n", ways[i](SIGSEGV, jump) == SIG_DFL);
		got = sigsetjmp(env, 1);
		if (!got) {
			touch_armed();
			*(volatile char *)nowhere = 1;
		}
		printf("way %zu: signal %d\n", i, got);
		show_mask("then");
		printf("was the handler: %d\n",
		       ways[i](SIGSEGV, SIG_DFL) == jump);
	}
	sighold(SIGSEGV);
	show_mask("held");
	touch_armed();
	sigrelse(SIGSEGV);
	show_mask("released");
	sigignore(SIGSEGV);
	raise(SIGSEGV);
	signal(SIGUSR1, jump);
	if (!sigsetjmp(env, 1)) {
		sighold(SIGUSR1);
		raise(SIGUSR1);
		sigpause(SIGUSR1);
	}
	show_mask("paused");
}

/* ---- contexts ------------------------------------------------------------ */

static ucontext_t here, there;

static void other_side(void)
{
	show_mask("there");
	touch_armed();
	swapcontext(&there, &here);
	show_mask("there again");
}

static void contexts(void)
{
	static char stack[1 << 20];

	getcontext(&there);
	there.uc_stack.ss_sp = stack;
	there.uc_stack.ss_size = sizeof(stack);
	there.uc_link = &here;
	sigfillset(&there.uc_sigmask);
	makecontext(&there, other_side, 0);
	swapcontext(&here, &there);
	show_mask("here");
	touch_armed();
	swapcontext(&here, &there);
	show_mask("here again");
}

/* ---- unwinding ----------------------------------------------------------- */

static volatile bool found;

static void look_back(int sig, siginfo_t *info, void *uc)
{
	void *frame[64];
	int n = backtrace(frame, 64);
	extern int main(int, char **);

	(void)sig;
	(void)info;
	(void)uc;
	for (int i = 0; i < n; i++)
		found |= (char *)frame[i] - (char *)main > 0 &&
			 (char *)frame[i] - (char *)main < 4096;
}

static void unwinds(void)
{
	set(SIGUSR1, look_back, 0, false);
	raise(SIGUSR1);
	printf("main is found: %d\n", found);
}

/* ---- a SIGSEGV that waits ------------------------------------------------ */

static void segv_set(sigset_t *s)
{
	sigemptyset(s);
	sigaddset(s, SIGSEGV);
}

static void by_fd(void)
{
	struct signalfd_siginfo si = {.ssi_signo = 0};
	struct pollfd pfd = {.events = POLLIN};
	sigset_t segv;

	segv_set(&segv);
	sigprocmask(SIG_BLOCK, &segv, NULL);
	pfd.fd = signalfd(-1, &segv, SFD_CLOEXEC);
	touch_armed();
	for (int i = 0; i < 3; i++) {
		printf("ready %d\n", poll(&pfd, 1, 0));
		if (i == 1)
			raise(SIGSEGV);
		else
			kill(getpid(), SIGSEGV);
		printf("ready %d\n", poll(&pfd, 1, 10000));
		if (read(pfd.fd, &si, sizeof(si)) != sizeof(si))
			printf("no signal\n");
		printf("signal %u code %d\n", si.ssi_signo, si.ssi_code);
		touch();
	}
}

static void *wait_for_it(void *arg)
{
	sigset_t both;
	siginfo_t info;

	(void)arg;
	segv_set(&both);
	sigaddset(&both, SIGUSR1);
	printf("waited for %d", sigwaitinfo(&both, &info));
	printf(" code %d value %d\n", info.si_code, info.si_value.sival_int);
	touch();
	return NULL;
}

/* The usual thread for signals; all others have them blocked. */
static void by_thread(void)
{
	union sigval v = {.sival_int = 7};
	sigset_t all;
	pthread_t th;

	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, NULL);
	touch_armed();
	for (int i = 0; i < 4; i++) {
		if (i % 2)
			sigqueue(getpid(), SIGSEGV, v);
		pthread_create(&th, NULL, wait_for_it, NULL);
		if (!i)
			pthread_kill(th, SIGSEGV);
		else if (i == 2)
			sigqueue(getpid(), SIGSEGV, v);
		pthread_join(th, NULL);
		touch();
	}
	show_mask("after");
}

/* Handed on by exec, and not by fork. */
static void by_others(void)
{
	sigset_t segv, set;
	pid_t pid;
	int st;

	segv_set(&segv);
	sigprocmask(SIG_BLOCK, &segv, NULL);
	touch_armed();
	kill(getpid(), SIGSEGV);
	sigpending(&set);
	printf("pending %d\n", sigismember(&set, SIGSEGV));
	fflush(stdout);
	pid = fork();
	if (!pid) {
		sigpending(&set);
		_exit(sigismember(&set, SIGSEGV));
	}
	waitpid(pid, &st, 0);
	printf("the child: %x\n", (unsigned int)st);
	fflush(stdout);
	execlp("grep", "grep", "-e", "SigBlk", "-e", "ShdPnd",
	       "/proc/self/status", (char *)NULL);
}

static void block_segv(int sig)
{
	(void)sig;
	show_mask("in the wait");
}

static void in_waits(void)
{
	struct timespec ts = {5, 0};
	sigset_t segv, usr1, all_but;

	segv_set(&segv);
	sigemptyset(&usr1);
	sigaddset(&usr1, SIGUSR1);
	sigfillset(&all_but);
	sigdelset(&all_but, SIGUSR1);
	signal(SIGUSR1, block_segv);
	signal(SIGSEGV, block_segv);
	sigprocmask(SIG_BLOCK, &usr1, NULL);
	raise(SIGUSR1);
	printf("%d\n", sigsuspend(&all_but));
	show_mask("after");
	touch_armed();
	sigprocmask(SIG_SETMASK, &segv, NULL);
	raise(SIGSEGV);
	sigemptyset(&segv);
	printf("%d %m\n", ppoll(NULL, 0, &ts, &segv));
	show_mask("after");
	sigprocmask(SIG_BLOCK, &usr1, NULL);
	raise(SIGUSR1);
	printf("%d\n", sigsuspend(&all_but));
	show_mask("after");
}

/* It waits on under every mask that has it, whatever is done meanwhile. */
static void stays_pending(void)
{
	struct timespec ts = {0, 20000000};
	sigset_t segv, all, now;
	siginfo_t info;

	segv_set(&segv);
	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &segv, NULL);
	touch_armed();
	raise(SIGSEGV);
	for (int i = 0; i < 3; i++) {
		printf("waited: %d\n",
		       ppoll(NULL, 0, &ts, i & 1 ? &all : &segv));
		sigprocmask(SIG_SETMASK, i & 1 ? &segv : &all, NULL);
		sigpending(&now);
		printf("pending %d\n", sigismember(&now, SIGSEGV));
		touch();
	}
	printf("waited for %d", sigtimedwait(&segv, &info, &ts));
	printf(" code %d, own %d\n", info.si_code, info.si_pid == getpid());
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*fn)(void);
	} cases[] = {
		{"frames", frames},
		{"afterwards", afterwards},
		{"own-mask", own_mask},
		{"old-ways", old_ways},
		{"contexts", contexts},
		{"unwinds", unwinds},
		{"by-fd", by_fd},
		{"by-thread", by_thread},
		{"by-others", by_others},
		{"in-waits", in_waits},
		{"stays-pending", stays_pending},
	};

	setvbuf(stdout, NULL, _IOLBF, 0);
	buf = new_buffer(BUF_BYTES);
	for (size_t i = 0; argc > 1 && i < sizeof(cases) / sizeof(*cases); i++)
		if (!strcmp(argv[1], cases[i].name)) {
			cases[i].fn();
			touch();
			return 0;
		}
	return 2;
}
