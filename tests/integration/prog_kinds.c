/* SPDX-License-Identifier: MIT */
/*
 * Every kind of private anonymous memory is armed, and what must not be never
 * is.  Knows nothing of numabal; run by test_aspace.sh, which passes the path
 * of lib_calls.so in NB_LIB.
 */
#define _GNU_SOURCE
#include "armed.h"

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/syscall.h>

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif
#define MADV_COLLAPSE_NR 25
#define MADV_GUARD_INSTALL_NR 102
#define PAGE 4096UL
/* As often is the memory next to it armed. */
#define CONTROL_ROUNDS 6

static unsigned char bss[4 << 20];

static bool bss_is_armed(void)
{
	memset(bss, 1, sizeof(bss));
	CHECK(wait_armed(bss + sizeof(bss) / 2));
	return bss[sizeof(bss) / 2] == 1;
}

static bool library_is_armed(void)
{
	void *lib = dlopen(getenv("NB_LIB"), RTLD_NOW);
	unsigned char *(*where)(size_t *), *p;
	size_t bytes;

	CHECK(lib);
	*(void **)&where = dlsym(lib, "lib_bss");
	CHECK(where);
	p = where(&bytes);
	memset(p, 1, bytes);
	CHECK(wait_armed(p + bytes / 2));
	return p[bytes / 2] == 1;
}

static bool small_is_armed(void)
{
	unsigned char *p = mmap(NULL, 3 * PAGE, PROT_READ | PROT_WRITE,
				MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	CHECK(p != MAP_FAILED);
	/* A neighbour that cannot be joined, on either side. */
	CHECK(!mprotect(p, PAGE, PROT_READ));
	CHECK(!mprotect(p + 2 * PAGE, PAGE, PROT_NONE));
	p[PAGE] = 7;
	CHECK(wait_armed(p + PAGE));
	CHECK(!is_armed(p));
	return p[PAGE] == 7;
}

static bool brk_is_armed(void)
{
	unsigned char *block[64];

	for (int i = 0; i < 64; i++) {
		block[i] = malloc(16384);
		memset(block[i], i, 16384);
	}
	CHECK(block[32] < (unsigned char *)sbrk(0));
	CHECK(wait_armed(block[32] + 8192));
	for (int i = 0; i < 64; i++) {
		CHECK(block[i][8192] == i);
		free(block[i]);
	}
	return true;
}

static void *use_arena(void *arg)
{
	unsigned char *block[64];

	*(bool *)arg = false;
	for (int i = 0; i < 64; i++) {
		block[i] = malloc(16384);
		memset(block[i], i, 16384);
	}
	if (!wait_armed(block[32] + 8192))
		return NULL;
	for (int i = 0; i < 64; i++) {
		if (block[i][8192] != i)
			return NULL;
		free(block[i]);
	}
	*(bool *)arg = true;
	return NULL;
}

static bool arena_is_armed(void)
{
	pthread_t t;
	bool ok;

	CHECK(!pthread_create(&t, NULL, use_arena, &ok));
	CHECK(!pthread_join(t, NULL));
	return ok;
}

/* While other memory is armed again and again, this is not. */
static bool stays_open(const unsigned char *p, size_t bytes)
{
	static unsigned char *control;

	if (!control)
		control = new_buffer(64 * PAGE);
	for (int i = 0; i < CONTROL_ROUNDS; i++) {
		control[PAGE] = (unsigned char)i;
		CHECK(wait_armed(control + PAGE));
		for (size_t at = 0; at < bytes; at += PAGE)
			CHECK(!is_armed(p + at));
	}
	return true;
}

static bool advice_is_heeded(void)
{
	static const int advice[] = {MADV_DONTFORK, MADV_WIPEONFORK};
	unsigned char *p = armed_buffer();

	for (size_t i = 0; i < sizeof(advice) / sizeof(advice[0]); i++) {
		CHECK(!madvise(p, 16 * PAGE, advice[i]));
		memset(p, 3, 16 * PAGE);
		CHECK(stays_open(p, 16 * PAGE));
		p += 64 * PAGE;
	}
	/* The guard pages, and what is between them. */
	if (!madvise(p, PAGE, MADV_GUARD_INSTALL_NR)) {
		memset(p + PAGE, 3, 15 * PAGE);
		CHECK(stays_open(p, PAGE));
		CHECK(syscall(SYS_madvise, p, PAGE, 103) == 0);
		CHECK(*p == 0);
	}
	return true;
}

static bool whole_process_advice(void)
{
	unsigned char *p = armed_buffer();
	struct {
		void *base;
		size_t len;
	} iov = {p + PAGE, 4 * PAGE};
	int fd = (int)syscall(434, getpid(), 0);

	if (fd < 0 || syscall(440, fd, &iov, 1, MADV_GUARD_INSTALL_NR, 0) < 0)
		return true; /* Linux 6.13 has it */
	CHECK(stays_open(p + PAGE, PAGE));
	CHECK(syscall(440, fd, &iov, 1, 103, 0) == (long)iov.len);
	CHECK(p[PAGE] == 0 && p[0] == 0 && p[8 * PAGE] == 8 * 8 * 7 % 256);
	close(fd);
	return true;
}

/* These fail on memory without access, at whatever moment that comes. */
static bool populate_and_lock(void)
{
	/* Nothing is there yet, so this one is not armed. */
	void *empty = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	bool known = !madvise(empty, PAGE, MADV_POPULATE_WRITE), ok = true;
	unsigned char *p = armed_buffer();

	for (int i = 0; ok && i < 300; i++) {
		unsigned char *at = p + (i * 37 % 1024) * PAGE;

		ok = !madvise(at, 256 * PAGE, MADV_POPULATE_WRITE) || !known;
		ok &= !mlock(at, 8 * PAGE) && !munlock(at, 8 * PAGE);
		at[0]++;
		at[0]--;
	}
	CHECK(ok);
	madvise(p, BUF_BYTES, MADV_COLLAPSE_NR);
	CHECK(pattern_ok(p, BUF_BYTES));
	CHECK(!mlockall(MCL_CURRENT) || errno == ENOMEM || errno == EPERM);
	CHECK(!munlockall());
	CHECK(wait_armed(p));
	return pattern_ok(p, BUF_BYTES);
}

static bool keys_and_seals(void)
{
	unsigned char *p = armed_buffer();

	CHECK(!syscall(SYS_pkey_mprotect, p, 4 * PAGE, PROT_READ | PROT_WRITE,
		       -1));
	CHECK(stays_open(p, 4 * PAGE));
	p += 16 * PAGE;
	if (!syscall(462, p, 4 * PAGE, 0)) {
		memset(p, 9, 4 * PAGE);
		CHECK(stays_open(p, 4 * PAGE));
		/* Sealed as what it was: to read and write. */
		CHECK(mprotect(p, PAGE, PROT_NONE) == -1 && errno == EPERM);
		CHECK(p[3 * PAGE] == 9);
	}
	return true;
}

static bool locked_in_future(void)
{
	unsigned char *p;

	if (mlockall(MCL_FUTURE | 4 /* MCL_ONFAULT */)) {
		CHECK(errno == ENOMEM || errno == EPERM);
		return true;
	}
	p = new_buffer(16 * PAGE);
	CHECK(!mlock(p, 16 * PAGE) && !munlockall());
	return pattern_ok(p, 16 * PAGE);
}

int main(int argc, char **argv)
{
	static const struct armed_case cases[] = {
		{"bss", bss_is_armed},
		{"library", library_is_armed},
		{"small", small_is_armed},
		{"brk", brk_is_armed},
		{"arena", arena_is_armed},
		{"advice", advice_is_heeded},
		{"process-advice", whole_process_advice},
		{"populate", populate_and_lock},
		{"sealed", keys_and_seals},
		{"future", locked_in_future},
		{NULL, NULL},
	};

	return run_cases(cases, argc, argv);
}
