/* SPDX-License-Identifier: MIT */
/*
 * What the cases of test_guard_signal.c and test_guard_mask.c have in common:
 * calls of the program, and a runner.  Each case runs in a process of its own,
 * once as the kernel does it and once with the hook: both must end the same
 * way.
 */
#ifndef NB_SIGNAL_CASES_H
#define NB_SIGNAL_CASES_H

#include "guard_sys.h"

#include <fcntl.h>

#define NEVER_BLOCKED (NB_SIG_BIT(SIGKILL) | NB_SIG_BIT(SIGSTOP))
#define BAD ((void *)0x1230)
#define EXPECT(cond)                                                           \
	do {                                                                   \
		if (!(cond))                                                   \
			return (__LINE__ % 80) + 1;                            \
	} while (0)
#define OK 100

static inline void on_signal(int sig, siginfo_t *info, void *uc)
{
	(void)sig;
	(void)uc;
	calls++;
	last_code = info->si_code;
}

static inline long act(int sig, void (*fn)(int, siginfo_t *, void *),
		       uint64_t flags, uint64_t mask)
{
	struct nb_ksigaction k = {.handler = (uint64_t)fn,
				  .flags = flags | SA_SIGINFO | SA_RESTORER,
				  .restorer = (uint64_t)nb_restore_rt,
				  .mask = mask};

	return sys(SYS_rt_sigaction, sig, &k, 0, 8);
}

static inline uint64_t mask_now(void)
{
	uint64_t mask = 0x55;

	return sys(SYS_rt_sigprocmask, 77, 0, &mask, 8) ? ~0ULL : mask;
}

static inline long mask_set(int how, uint64_t mask)
{
	return sys(SYS_rt_sigprocmask, how, &mask, 0, 8);
}

/* The kernel's own, past the hook. */
static inline bool kernel_blocks_segv(void)
{
	uint64_t mask = 0;

	nb_syscall6(SYS_rt_sigprocmask, 0, 0, (long)&mask, 8, 0, 0);
	return mask & SEGV;
}

/* What waits for any thread of the process. */
__attribute__((unused)) static uint64_t kernel_pending_all(void)
{
	char buf[4096] = "", *at;
	int fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
	ssize_t n = read(fd, buf, sizeof(buf) - 1);

	close(fd);
	at = n > 0 ? strstr(buf, "ShdPnd:") : NULL;
	return at ? strtoull(at + 7, NULL, 16) : 0;
}

static inline void send_segv(void)
{
	nb_syscall6(SYS_tgkill, nb_sys_getpid(), nb_sys_gettid(), SIGSEGV, 0, 0,
		    0);
}

#define USR1 NB_SIG_BIT(SIGUSR1)
#define HUP NB_SIG_BIT(SIGHUP)

struct guard_case {
	const char *name;
	int (*run)(void);
};

/* cmocka's or a sanitizer's handler is the program's: not here. */
static void start_as_default(void)
{
	struct nb_ksigaction dfl = {.handler = 0};
	const uint64_t none = 0;

	nb_syscall6(SYS_rt_sigaction, SIGSEGV, (long)&dfl, 0, 8, 0, 0);
	nb_syscall6(SYS_rt_sigprocmask, SIG_SETMASK, (long)&none, 0, 8, 0, 0);
	nb_syscall6(SYS_sigaltstack, (long)&(stack_t){.ss_flags = SS_DISABLE},
		    0, 0, 0, 0, 0);
}

static void start(void)
{
	nb.pid = (int)nb_sys_getpid();
	nb_slots_init(nb_arena_map(NB_MAX_SLOTS * sizeof(struct nb_slot)));
	if (nb_chunk_table_init() || nb_sigchain_install() || nb_signal_start())
		_exit(99);
	nb_signal_thread_begin(nb_slot_self());
}

static inline int run_case(int (*run)(void), bool hook)
{
	int status;
	pid_t pid = fork();

	if (!pid) {
		alarm(30);
		with_hook = hook;
		start_as_default();
		if (hook)
			start();
		_exit(run());
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

/* How many of the cases do not end with OK in both runs. */
static inline int run_cases(const struct guard_case *c, size_t nr)
{
	int bad = 0;

	for (; nr--; c++) {
		int alone = run_case(c->run, false);
		int ours = run_case(c->run, true);

		if (alone == OK && ours == OK)
			continue;
		print_error("%s: the kernel alone %d, with the hook %d\n",
			    c->name, alone, ours);
		bad++;
	}
	return bad;
}

#endif /* NB_SIGNAL_CASES_H */
