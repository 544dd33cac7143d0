/* SPDX-License-Identifier: MIT */
/*
 * A signal comes at one instruction after another of a call that makes a
 * process or starts a program: a tracer takes that many steps and sends it.
 * The handler jumps away, or returns; either way SIGSEGV, which the program
 * has blocked and ignored, is left as it was, and memory is still looked after.
 * Knows nothing of numabal, but for what the kernel says of SIGSEGV.
 *
 * prog_sig_anywhere [STRIDE]: every so many instructions.
 */
#define _GNU_SOURCE
#include "segv_open.h"

#include <limits.h>
#include <setjmp.h>
#include <signal.h>
#include <stddef.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>

#define SMALL_BYTES BUF_BYTES

static int to_tracer[2], to_victim[2];
static sigjmp_buf env;
static volatile int came, jumps;

struct order {
	int steps;
	unsigned long end; /* an address */
};

/* ---- the tracer ---------------------------------------------------------- */

static int wait_stop(pid_t pid)
{
	int status;

	if (waitpid(pid, &status, __WALL) != pid || !WIFSTOPPED(status))
		_exit(1);
	return WSTOPSIG(status);
}

static unsigned long peek(enum __ptrace_request what, pid_t pid,
			  unsigned long at)
{
	return (unsigned long)ptrace(what, pid, (void *)at, 0);
}

static unsigned long ip_of(pid_t pid)
{
	return peek(PTRACE_PEEKUSER, pid,
		    offsetof(struct user_regs_struct, rip));
}

/* Steps taken, negative if there were no more. */
static int walk(pid_t pid, const struct order *o)
{
	int sig;

	while ((sig = wait_stop(pid)) != SIGTRAP)
		ptrace(PTRACE_CONT, pid, 0, (long)sig);
	sig = 0;
	for (int i = 0; i < o->steps; i++) {
		if (ip_of(pid) == o->end) {
			ptrace(PTRACE_DETACH, pid, 0, 0L);
			return -i;
		}
		if (ptrace(PTRACE_SINGLESTEP, pid, 0, (long)sig))
			_exit(2);
		sig = wait_stop(pid);
		if (sig == SIGTRAP)
			sig = 0;
	}
	/* At a handler's first instruction one that it hands over is lost. */
	syscall(SYS_tgkill, pid, pid, SIGUSR1);
	ptrace(PTRACE_DETACH, pid, 0, (long)sig);
	return o->steps;
}

static int trace(pid_t pid)
{
	struct order o;
	int steps;

	while (read(0, &o, sizeof(o)) == sizeof(o)) {
		steps = !ptrace(PTRACE_SEIZE, pid, 0, 0L);
		if (write(1, &steps, sizeof(steps)) != sizeof(steps))
			return 3;
		if (!steps)
			return 77;
		steps = walk(pid, &o);
		if (write(1, &steps, sizeof(steps)) != sizeof(steps))
			return 3;
	}
	return 0;
}

static void start_tracer(const char *self)
{
	char pid[16];
	pid_t child;

	snprintf(pid, sizeof(pid), "%d", (int)getpid());
	if (pipe(to_tracer) || pipe(to_victim))
		exit(96);
	child = fork();
	if (!child) {
		unsetenv("LD_PRELOAD");
		dup2(to_tracer[0], 0);
		dup2(to_victim[1], 1);
		/* Its end is seen when the victim has gone. */
		close(to_tracer[1]);
		close(to_victim[0]);
		execl(self, self, "trace", pid, NULL);
		_exit(95);
	}
	close(to_tracer[0]);
	close(to_victim[1]);
}

/* ---- the victim ---------------------------------------------------------- */

static void on_usr1(int sig)
{
	(void)sig;
	came++;
	if (jumps)
		siglongjmp(env, 1);
}

static void an_exec(void)
{
	char *const args[] = {"none", NULL};

	execv("/nonexistent", args);
}

static void a_vfork(void)
{
	if (!vfork())
		_exit(0);
}

static int answer(void)
{
	int steps;

	if (read(to_victim[0], &steps, sizeof(steps)) != sizeof(steps))
		exit(94);
	return steps;
}

/* Where the way ends. */
static void __attribute__((noinline)) end(void)
{
	__asm__ volatile("" ::: "memory");
}

/* Steps that were taken, negative if that was the whole way. */
static int attempt(void (*fn)(void), int steps)
{
	const struct order o = {steps, (unsigned long)end};

	came = 0;
	if (write(to_tracer[1], &o, sizeof(o)) != sizeof(o))
		exit(94);
	if (!answer())
		exit(77);
	if (!sigsetjmp(env, 0)) {
		__asm__ volatile("int3" ::: "memory");
		fn();
		end();
	}
	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
	return answer();
}

static bool sweep(const char *name, void (*fn)(void), int stride,
		  unsigned char *buf)
{
	int all, k, nr = 0;

	fn(); /* what is done once only is done */
	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
	all = -attempt(fn, INT_MAX);
	for (k = 1; k < all; k += stride, nr++) {
		if (attempt(fn, k) == k && !came) {
			printf("%s: no signal at %d\n", name, k);
			return false;
		}
		if (!segv_is_open()) {
			printf("%s: SIGSEGV has changed at %d of %d\n", name, k,
			       all);
			return false;
		}
	}
	for (size_t i = 0; i < SMALL_BYTES; i += 4096)
		((volatile unsigned char *)buf)[i]++;
	printf("%s: %d instructions, %d signals\n", name, all, nr);
	return wait_armed(buf + SMALL_BYTES / 2);
}

int main(int argc, char **argv)
{
	const struct sigaction often = {.sa_handler = on_usr1,
					.sa_flags = SA_NODEFER};
	int stride = argc > 1 ? atoi(argv[1]) : 1;
	unsigned char *buf;
	sigset_t segv;

	if (argc > 2)
		return trace(atoi(argv[2]));
	start_tracer(argv[0]);
	buf = new_buffer(SMALL_BYTES);
	sigemptyset(&segv);
	sigaddset(&segv, SIGSEGV);
	sigaction(SIGUSR1, &often, NULL);
	signal(SIGSEGV, SIG_IGN);
	sigprocmask(SIG_BLOCK, &segv, NULL);
	if (!wait_armed(buf))
		return 1;
	for (jumps = 0; jumps < 2; jumps++)
		if (!sweep(jumps ? "exec, jump" : "exec", an_exec, stride,
			   buf) ||
		    !sweep(jumps ? "vfork, jump" : "vfork", a_vfork, stride,
			   buf))
			return 2;
	return 0;
}
