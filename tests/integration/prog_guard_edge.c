/* SPDX-License-Identifier: MIT */
/*
 * Where the guard could be undermined: other threads and processes in odd
 * places, calls that fail half-way, a balancer that is stopped and started.
 */
#define _GNU_SOURCE
#include "armed.h"

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <ucontext.h>

/* libc has each thread that it knows change its ids, and waits for all. */
static bool ids(void)
{
	unsigned char *p = armed_buffer();

	CHECK(!setuid(getuid()) && !setgid(getgid()));
	munmap(p, BUF_BYTES);
	return true;
}

static bool child_ok(pid_t pid)
{
	int status;

	CHECK(pid > 0 && waitpid(pid, &status, 0) == pid);
	CHECK(WIFEXITED(status) && !WEXITSTATUS(status));
	return true;
}

/*
 * Only a process with one thread may enter a user namespace; balancing goes on
 * after that.
 */
static bool namespace(void)
{
	unsigned char *p = armed_buffer();

	CHECK(!unshare(CLONE_NEWUSER) || errno != EINVAL);
	CHECK(!mprotect(p, BUF_BYTES, PROT_READ | PROT_WRITE));
	CHECK(wait_armed(p));
	CHECK(pattern_ok(p, BUF_BYTES));
	munmap(p, BUF_BYTES);
	return true;
}

/* ---- alternate stacks in a forked child ---------------------------------- */

#define NR_THREADS 8

static pthread_barrier_t barrier;
static _Thread_local uintptr_t handler_at;

static void note_stack(int sig)
{
	(void)sig;
	handler_at = (uintptr_t)__builtin_frame_address(0);
}

/* A signal that wants an alternate stack tells which one the thread has. */
static void *tell_stack(void *arg)
{
	raise(SIGUSR1);
	*(uintptr_t *)arg = handler_at;
	pthread_barrier_wait(&barrier);
	return NULL;
}

static void *idle(void *arg)
{
	pthread_barrier_wait(arg);
	pthread_barrier_wait(arg);
	return NULL;
}

static int stacks_differ(void)
{
	uintptr_t at[NR_THREADS + 1];
	pthread_t t[NR_THREADS];

	pthread_barrier_init(&barrier, NULL, NR_THREADS + 1);
	for (int i = 0; i < NR_THREADS; i++)
		if (pthread_create(&t[i], NULL, tell_stack, &at[i]))
			return 1;
	tell_stack(&at[NR_THREADS]);
	for (int i = 0; i <= NR_THREADS; i++)
		for (int k = 0; k < i; k++)
			if (at[i] - at[k] + 4096 < 8192)
				return 2;
	return 0;
}

static void *fork_here(void *arg)
{
	pid_t pid = fork();

	if (!pid)
		_exit(stacks_differ());
	*(bool *)arg = child_ok(pid);
	return NULL;
}

static bool fork_stacks(void)
{
	struct sigaction act = {.sa_handler = note_stack,
				.sa_flags = SA_ONSTACK};
	unsigned char *p = armed_buffer();
	pthread_barrier_t idlers;
	pthread_t t[4], forker;
	bool ok = false;

	CHECK(!sigaction(SIGUSR1, &act, NULL));
	pthread_barrier_init(&idlers, NULL, 5);
	for (int i = 0; i < 4; i++)
		CHECK(!pthread_create(&t[i], NULL, idle, &idlers));
	pthread_barrier_wait(&idlers);
	CHECK(!pthread_create(&forker, NULL, fork_here, &ok));
	CHECK(!pthread_join(forker, NULL));
	pthread_barrier_wait(&idlers);
	for (int i = 0; i < 4; i++)
		CHECK(!pthread_join(t[i], NULL));
	munmap(p, BUF_BYTES);
	return ok;
}

/* ---- calls that do a part ------------------------------------------------ */

/* mprotect(2) as far as the hole; what is before it may be armed meanwhile. */
static bool half_protect(void)
{
	unsigned char *p = armed_buffer();

	CHECK(!munmap(p + BUF_BYTES - 4096, 4096));
	for (int i = 0; i < 10000; i++) {
		CHECK(mprotect(p, BUF_BYTES, PROT_READ | PROT_WRITE) == -1 &&
		      errno == ENOMEM);
		for (size_t k = 0; k < BUF_BYTES - 4096; k += 65536)
			((volatile unsigned char *)p)[k]++;
		for (size_t k = 0; k < BUF_BYTES - 4096; k += 65536)
			((volatile unsigned char *)p)[k]--;
	}
	CHECK(pattern_ok(p, BUF_BYTES - 4096));
	munmap(p, BUF_BYTES);
	return true;
}

/* ---- many threads -------------------------------------------------------- */

static void *read_zero(void *arg)
{
	return (void *)(intptr_t)(pread(*(int *)arg, (char *)arg + 64, 64, 0) !=
				  64);
}

/* More threads, one after the other, than there are slots. */
static bool many_threads(void)
{
	unsigned char *p = armed_buffer();
	int *fd = (int *)p;
	pthread_t t;
	void *ret;

	*fd = open("/dev/zero", O_RDONLY);
	for (int i = 0; i < 20000; i++) {
		CHECK(!pthread_create(&t, NULL, read_zero, p));
		CHECK(!pthread_join(t, &ret) && !ret);
	}
	close(*fd);
	munmap(p, BUF_BYTES);
	return true;
}

/* ---- stop and start ------------------------------------------------------ */

static bool again(void)
{
	int (*start)(void *) = (int (*)(void *))dlsym(NULL, "numabal_start");
	int (*stop)(void) = (int (*)(void))dlsym(NULL, "numabal_stop");
	unsigned char *p, *q;

	if (!start || !stop)
		return true; /* without numabal */
	p = armed_buffer();
	CHECK(start(NULL) <= 0 && !stop());
	CHECK(!munmap(p, BUF_BYTES));
	CHECK(mmap(p, BUF_BYTES, PROT_READ,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == p);
	for (size_t i = 0; i < BUF_BYTES; i += 4096)
		CHECK(!((volatile unsigned char *)p)[i]);
	CHECK(!start(NULL));
	q = armed_buffer();
	for (size_t i = 0; i < BUF_BYTES; i += 4096)
		CHECK(!is_armed(p + i) || i % (1 << 20));
	CHECK(!stop());
	munmap(q, BUF_BYTES);
	munmap(p, BUF_BYTES);
	return true;
}

/* ---- code made at run time ----------------------------------------------- */

/* From then on only large mappings may be armed. */
static bool tier_falls(void)
{
	unsigned char *large = armed_buffer(), *small = new_buffer(1 << 20);
	void *code;

	CHECK(wait_armed(small + (512 << 10)));
	code = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(code != MAP_FAILED);
	for (int i = 0; i < 20; i++) {
		CHECK(wait_armed(large));
		CHECK(!is_armed(small + (512 << 10)));
		CHECK(pattern_ok(large, BUF_BYTES));
		CHECK(pattern_ok(small, 1 << 20));
	}
	munmap(small, 1 << 20);
	munmap(large, BUF_BYTES);
	return true;
}

/* ---- others at work ------------------------------------------------------ */

/* Nothing is armed any more, however often it is used. */
static bool wait_open(const unsigned char *p, size_t bytes)
{
	time_t until = time(NULL) + WAIT_S;

	if (getenv("NB_PLAIN"))
		return true;
	for (int quiet = 0; quiet < 300; quiet++) {
		CHECK(time(NULL) <= until);
		if (is_armed(p + bytes / 2))
			quiet = 0;
		CHECK(pattern_ok(p, bytes));
	}
	return true;
}

/* A debugger of the simplest kind, until the pipe is closed. */
static int trace(pid_t pid, int ready, int until)
{
	int status, sig;
	char c;

	if (ptrace(PTRACE_SEIZE, pid, NULL, NULL) || write(ready, "", 1) != 1)
		return 1;
	fcntl(until, F_SETFL, O_NONBLOCK);
	while (read(until, &c, 1) != 0) {
		if (waitpid(pid, &status, __WALL | WNOHANG) != pid ||
		    !WIFSTOPPED(status))
			continue;
		sig = WSTOPSIG(status);
		ptrace(PTRACE_CONT, pid, NULL, sig == SIGTRAP ? 0L : (long)sig);
	}
	/* Only a thread that is stopped can be let go: so it is killed. */
	return 0;
}

static bool traced(void)
{
	unsigned char *p = armed_buffer();
	int ready[2], until[2];
	pid_t pid;
	char c;

	CHECK(!pipe(ready) && !pipe(until));
	pid = fork();
	if (!pid) {
		close(until[1]);
		_exit(trace(getppid(), ready[1], until[0]));
	}
	close(ready[1]);
	if (read(ready[0], &c, 1) != 1) {
		puts("absent: leave to trace the parent");
		return true;
	}
	CHECK(wait_open(p, BUF_BYTES));
	close(until[1]);
	CHECK(child_ok(pid));
	CHECK(wait_armed(p));
	munmap(p, BUF_BYTES);
	return true;
}

/* ---- small stacks -------------------------------------------------------- */

#define SMALL_STACK 16384
#define PAINT 0xa5

static ucontext_t here, there;
static int exec_fd;

static void deep_calls(void)
{
	struct sigaction act = {.sa_handler = SIG_IGN};
	unsigned char *p = new_buffer(1 << 20);
	pid_t pid;

	sigaction(SIGUSR2, &act, NULL);
	munmap(p + 4096, 4096);
	mprotect(p, 3 * 4096, PROT_READ | PROT_WRITE);
	mmap(p, 4096, PROT_READ, MAP_PRIVATE | MAP_FIXED, -1, 0);
	mmap(NULL, 1 << 20, PROT_READ | PROT_EXEC, MAP_PRIVATE, exec_fd, 0);
	pid = fork();
	if (!pid)
		_exit(0);
	waitpid(pid, NULL, 0);
	munmap(p, 1 << 20);
}

/* Coroutines have little stack: of 16 KiB the guard leaves enough. */
static bool small_stack(void)
{
	unsigned char *stack = new_buffer(SMALL_STACK);
	volatile size_t left = 0; /* getcontext(3) returns twice */

	memset(stack, PAINT, SMALL_STACK);
	exec_fd = open("/proc/self/exe", O_RDONLY);
	CHECK(exec_fd >= 0 && !getcontext(&there));
	there.uc_stack.ss_sp = stack;
	there.uc_stack.ss_size = SMALL_STACK;
	there.uc_link = &here;
	makecontext(&there, deep_calls, 0);
	CHECK(!swapcontext(&here, &there));
	while (left < SMALL_STACK && stack[left] == PAINT)
		left++;
	printf("%zu bytes of stack used\n", SMALL_STACK - left);
	CHECK(left >= SMALL_STACK / 4);
	close(exec_fd);
	munmap(stack, SMALL_STACK);
	return true;
}

int main(int argc, char **argv)
{
	static const struct armed_case cases[] = {
		{"ids", ids},
		{"namespace", namespace},
		{"fork-stacks", fork_stacks},
		{"half-protect", half_protect},
		{"many-threads", many_threads},
		{"again", again},
		{"tier-falls", tier_falls},
		{"traced", traced},
		{"small-stack", small_stack},
		{NULL, NULL},
	};

	return run_cases(cases, argc, argv);
}
