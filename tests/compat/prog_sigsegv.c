/* SPDX-License-Identifier: MIT */
/*
 * What libsigsegv is for: a stack that is used up is noticed and left, again
 * and again; and pages that are protected are opened at their first use, as a
 * collector or a database would.  The heap is used meanwhile.  Run by
 * cases/sigsegv.sh.
 */
#include <setjmp.h>
#include <sigsegv.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>

#define PAGE 4096UL
#define PAGES 512UL
#define HEAP (8UL << 20)
#define OVERFLOWS 20

static unsigned char *heap;
static sigjmp_buf main_loop;
static volatile int emergencies, overflows, passes;

static int heap_ok(void)
{
	for (size_t i = 0; i < HEAP; i += PAGE)
		if (heap[i]++ != (unsigned char)(i / PAGE + (size_t)passes))
			return 0;
	passes++;
	return 1;
}

static void go_on(void *a, void *b, void *c)
{
	(void)a;
	(void)b;
	(void)c;
	siglongjmp(main_loop, 1);
}

static void on_overflow(int emergency, stackoverflow_context_t scp)
{
	(void)scp;
	if (!emergency)
		overflows++;
	emergencies += emergency;
	sigsegv_leave_handler(go_on, NULL, NULL, NULL);
}

static volatile int endless = 1;

static __attribute__((noinline)) int recurse(int n)
{
	volatile char room[512];

	room[0] = (char)n;
	return endless ? recurse(n + 1) + room[0] : n;
}

static int stacks(void)
{
	const size_t bytes = 128 * 1024; /* in armed memory, too */
	char *own = malloc(bytes);

	if (stackoverflow_install_handler(on_overflow, own, bytes))
		return 0;
	for (volatile int i = 0; i < OVERFLOWS; i++) {
		if (!sigsetjmp(main_loop, 1))
			recurse(0);
		if (!heap_ok())
			return 0;
	}
	return overflows == OVERFLOWS && !emergencies;
}

static sigsegv_dispatcher areas;
static int opened;

static int open_page(void *at, void *arg)
{
	(void)arg;
	opened++;
	return !mprotect((void *)((uintptr_t)at & ~(PAGE - 1)), PAGE,
			 PROT_READ | PROT_WRITE);
}

static int on_fault(void *at, int serious)
{
	(void)serious;
	return sigsegv_dispatch(&areas, at);
}

static int pages(void)
{
	unsigned char *p = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE,
				MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	sigsegv_init(&areas);
	sigsegv_register(&areas, p, PAGES * PAGE, open_page, NULL);
	if (p == MAP_FAILED || sigsegv_install_handler(on_fault))
		return 0;
	for (int round = 0; round < 8; round++) {
		mprotect(p, PAGES * PAGE, PROT_READ);
		for (size_t i = 0; i < PAGES; i++)
			p[i * PAGE + 8]++;
		if (!heap_ok())
			return 0;
	}
	return opened == 8 * (int)PAGES && p[8] == 8;
}

int main(void)
{
	const struct rlimit stack = {1 << 20, 1 << 20};

	setrlimit(RLIMIT_STACK, &stack);
	heap = malloc(HEAP);
	for (size_t i = 0; i < HEAP; i++)
		heap[i] = (unsigned char)(i / PAGE);
	printf("pages: %s\n", pages() ? "ok" : "FAILED");
	printf("%d opened\n", opened);
	printf("stacks: %s\n", stacks() ? "ok" : "FAILED");
	printf("%d overflows, %d emergencies\n", overflows, emergencies);
	return 0;
}
