/* SPDX-License-Identifier: MIT */
/*
 * A program with a SIGSEGV handler of its own: numabal_handle_sigsegv().
 *
 * Garbage collectors, guard pages and crash reporters handle SIGSEGV. One that
 * was installed before numabal_start() needs nothing: numabal hands on what
 * is not a hint fault. One that is installed later, behind numabal's back,
 * offers each signal to numabal first, as here. (A preloaded numabal sees
 * sigaction(2) and chains by itself.)
 *
 * The program protects a page itself and uses it, over and over, while the
 * rest of its memory takes hint faults: each side has to get its own signals,
 * all of them and nothing else.
 *
 * Build: cc own_sigsegv.c $(pkg-config --cflags --libs numabal)
 */
#define _GNU_SOURCE
#include <numabal.h>

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define SIZE ((size_t)32 << 20)
#define PATIENCE_S 30

static char *guard_page;
static long page_size;
static atomic_int own_faults;

static void on_sigsegv(int sig, siginfo_t *info, void *ucontext)
{
	char *addr = info->si_addr;

	if (numabal_handle_sigsegv(sig, info, ucontext))
		return;
	if (addr >= guard_page && addr < guard_page + page_size) {
		atomic_fetch_add(&own_faults, 1);
		mprotect(guard_page, page_size, PROT_READ | PROT_WRITE);
		return;
	}
	/* A real crash: let it happen, with the default action. */
	signal(sig, SIG_DFL);
}

static void *map(size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

int main(void)
{
	struct numabal_opts opts = {
		.sz = sizeof(opts),
		.flags = NUMABAL_F_FORCE,
		.scan_delay_ms = 10,
		.scan_period_min_ms = 10,
		.min_rss_mb = 1,
	};
	/* SA_NODEFER: a handler that uses balanced memory may fault again. */
	struct sigaction sa = {
		.sa_sigaction = on_sigsegv,
		.sa_flags = SA_SIGINFO | SA_NODEFER | SA_ONSTACK,
	};
	struct numabal_stats st = {.sz = sizeof(st)};
	time_t end = time(NULL) + PATIENCE_S;
	int rounds = 0, err;
	char *mem;

	page_size = sysconf(_SC_PAGESIZE);
	mem = map(SIZE);
	guard_page = map(page_size);
	if (!mem || !guard_page)
		return 1;
	err = numabal_start(&opts);
	err = err ? err : numabal_include(mem, SIZE);
	if (err) {
		fprintf(stderr, "own_sigsegv: %s\n", strerror(-err));
		return 1;
	}
	sigaction(SIGSEGV, &sa, NULL);
	do {
		mprotect(guard_page, page_size, PROT_NONE);
		*(volatile char *)guard_page = 1;
		memset(mem, ++rounds, SIZE);
		err = numabal_get_stats(&st);
	} while (!err && st.numa_hint_faults < 8 && time(NULL) < end);
	printf("%d of %d faults of the program's own, %llu hint faults\n",
	       atomic_load(&own_faults), rounds,
	       (unsigned long long)st.numa_hint_faults);
	err = err ? err : numabal_stop();
	return err || st.numa_hint_faults < 8 ||
	       atomic_load(&own_faults) != rounds;
}
