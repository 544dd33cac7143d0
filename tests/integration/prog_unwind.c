/* SPDX-License-Identifier: MIT */
/*
 * Who called whom, as seen from a signal handler: in a thread that is blocked
 * in the kernel, and at each single instruction of a system call.  Knows
 * nothing of numabal; run by test_guard_unwind.sh.
 *
 *	prog_unwind blocked | step | call
 *
 * step: prints how many instructions there were of which the caller was found
 * and how many others.  These must be in memory that is no module's.
 */
#define _GNU_SOURCE
#include <execinfo.h>
#include <fcntl.h>
#include <link.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#define MAX_FRAMES 64
#define TF 0x100UL

struct caller {
	const char *name;
	void (*fn)(void);
};

static char buf[4096];
static int zero_fd, ends[2];

/* ---- the frames, from a handler ------------------------------------------ */

static uint64_t wanted_start, wanted_end; /* who is looked for */
static int outer; /* frames from there on: within, numabal may have one */

static bool look(void)
{
	void *frames[MAX_FRAMES];
	int depth = backtrace(frames, MAX_FRAMES);

	outer = 0;
	for (int i = 0; i < depth; i++)
		if ((uint64_t)frames[i] >= wanted_start &&
		    (uint64_t)frames[i] < wanted_end) {
			outer = depth - i;
			return true;
		}
	return false;
}

/* ---- blocked ------------------------------------------------------------- */

static _Atomic int tid, seen;

static void on_usr1(int sig)
{
	(void)sig;
	seen = look() ? 1 : 2;
}

__attribute__((noinline)) static void block(void)
{
	if (read(ends[0], buf, 1) != 1)
		exit(3);
}

static void *blocked_thread(void *arg)
{
	(void)arg;
	tid = (int)syscall(SYS_gettid);
	block();
	return NULL;
}

/* Until the kernel says that it is in read(2). */
static void wait_blocked(void)
{
	char path[64], text[512] = "";
	ssize_t n;
	int fd;

	while (!tid)
		;
	snprintf(path, sizeof(path), "/proc/self/task/%d/syscall", tid);
	do {
		fd = open(path, O_RDONLY);
		n = read(fd, text, sizeof(text) - 1);
		close(fd);
		text[n > 0 ? n : 0] = '\0';
	} while (strncmp(text, "0 ", 2) != 0);
}

static int blocked(void)
{
	struct sigaction sa = {.sa_handler = on_usr1, .sa_flags = SA_RESTART};
	pthread_t th;

	wanted_start = (uint64_t)block;
	wanted_end = wanted_start + 64;
	sigaction(SIGUSR1, &sa, NULL);
	if (pipe(ends) || pthread_create(&th, NULL, blocked_thread, NULL))
		return 97;
	wait_blocked();
	pthread_kill(th, SIGUSR1);
	while (!seen)
		;
	printf("caller %s, %d frames\n", seen == 1 ? "seen" : "lost", outer);
	if (write(ends[1], buf, 1) != 1)
		return 97;
	pthread_join(th, NULL);
	return 0;
}

static void step(void (*fn)(void));

/* ---- step by step -------------------------------------------------------- */

static unsigned long found, lost, inside; /* inside: lost, but in a module */

static int holds(struct dl_phdr_info *info, size_t size, void *arg)
{
	uint64_t at = *(uint64_t *)arg - info->dlpi_addr;

	(void)size;
	for (int i = 0; i < info->dlpi_phnum; i++)
		if (info->dlpi_phdr[i].p_type == PT_LOAD &&
		    at - info->dlpi_phdr[i].p_vaddr <
			    info->dlpi_phdr[i].p_memsz)
			return 1;
	return 0;
}

static void on_trap(int sig, siginfo_t *info, void *ucv)
{
	ucontext_t *uc = ucv;
	uint64_t ip = (uint64_t)uc->uc_mcontext.gregs[REG_RIP];

	(void)sig;
	(void)info;
	/* Where the flags are changed, on the stack. */
	if (ip - (uint64_t)step < 64)
		return;
	if (look()) {
		found++;
	} else if (dl_iterate_phdr(holds, &ip)) {
		if (!inside++)
			fprintf(stderr, "lost at %lx\n", (unsigned long)ip);
	} else {
		lost++;
	}
}

static inline void set_tf(bool on)
{
	uint64_t flags = __builtin_ia32_readeflags_u64();

	__builtin_ia32_writeeflags_u64(on ? flags | TF : flags & ~TF);
}

__attribute__((noinline)) static void do_read(void)
{
	if (read(zero_fd, buf, 64) != 64)
		exit(3);
}

static void do_readv(void)
{
	struct iovec v[2] = {{buf, 10}, {buf + 100, 20}};

	if (readv(zero_fd, v, 2) != 30)
		exit(3);
}

static void do_poll(void)
{
	struct pollfd p = {.fd = zero_fd, .events = POLLIN};

	if (poll(&p, 1, 0) != 1)
		exit(3);
}

static void do_sleep(void)
{
	struct timespec none = {0, 0};

	if (nanosleep(&none, NULL))
		exit(3);
}

/* Its return address is what is looked for. */
__attribute__((noinline)) static void step(void (*fn)(void))
{
	set_tf(true);
	fn();
	set_tf(false);
}

__attribute__((noinline)) static int steps(void)
{
	static const struct caller calls[] = {
		{"read", do_read},
		{"readv", do_readv},
		{"poll", do_poll},
		{"nanosleep", do_sleep},
	};
	struct sigaction sa = {
		.sa_sigaction = on_trap,
		.sa_flags = SA_SIGINFO | SA_RESTART,
	};

	wanted_start = (uint64_t)steps;
	wanted_end = wanted_start + 512;
	sigaction(SIGTRAP, &sa, NULL);
	look();
	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		calls[i].fn();
		found = lost = 0;
		step(calls[i].fn);
		printf("%s: found %lu, lost %lu\n", calls[i].name, found, lost);
		if (!found || inside)
			return 1;
	}
	return 0;
}

int main(int argc, char **argv)
{
	void *frames[2];

	backtrace(frames, 2); /* opens libgcc_s */
	zero_fd = open("/dev/zero", O_RDONLY);
	if (argc < 2 || zero_fd < 0)
		return 97;
	if (!strcmp(argv[1], "call")) {
		do_read();
		return 0;
	}
	return !strcmp(argv[1], "step") ? steps() : blocked();
}
