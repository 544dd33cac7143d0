/* SPDX-License-Identifier: MIT */
/*
 * What programs do with protections and mappings of their own: write barriers,
 * libraries that come and go, many mappings, huge pages, and a call that no
 * guard can find.  Knows nothing of numabal; run by test_aspace_maps.sh, which
 * passes the path of lib_calls.so in NB_LIB.
 */
#define _GNU_SOURCE
#include "armed.h"

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/syscall.h>

#define PAGE 4096UL
#define HUGE (2UL << 20)

/* ---- write barriers ------------------------------------------------------ */

#define HEAP_PAGES 1024U

static volatile unsigned char *heap;
static volatile unsigned char dirty[HEAP_PAGES];
static volatile unsigned long traps, wrong;

/* A collector's: notes the page, opens it, and the write is made again. */
static void barrier(int sig, siginfo_t *info, void *uc)
{
	uintptr_t at = (uintptr_t)info->si_addr - (uintptr_t)heap;

	(void)uc;
	if (at >= HEAP_PAGES * PAGE || dirty[at / PAGE] ||
	    info->si_code != SEGV_ACCERR) {
		wrong++;
		signal(sig, SIG_DFL);
		return;
	}
	traps++;
	dirty[at / PAGE] = 1;
	mprotect((void *)(heap + at / PAGE * PAGE), PAGE,
		 PROT_READ | PROT_WRITE);
}

static bool barriers(void)
{
	struct sigaction sa = {.sa_sigaction = barrier, .sa_flags = SA_SIGINFO};
	unsigned long expected = 0;
	unsigned int rng = 1;

	heap = new_buffer(HEAP_PAGES * PAGE);
	CHECK(wait_armed((void *)heap) && !sigaction(SIGSEGV, &sa, NULL));
	for (int round = 0; round < 60; round++) {
		unsigned int from = round * 37U % 512, nr = 512;

		CHECK(!mprotect((void *)heap, HEAP_PAGES * PAGE,
				PROT_READ | PROT_WRITE));
		CHECK(!mprotect((void *)(heap + from * PAGE), nr * PAGE,
				PROT_READ));
		for (unsigned int i = 0; i < HEAP_PAGES; i++)
			dirty[i] = i < from || i >= from + nr;
		for (int n = 0; n < 2000; n++) {
			unsigned int page;

			rng = rng * 1103515245 + 12345;
			page = rng >> 8 & (HEAP_PAGES - 1);
			expected += !dirty[page];
			CHECK(heap[page * PAGE + 512] ==
			      (unsigned char)((page * 8 + 1) * 7));
			heap[page * PAGE + 7]++;
			CHECK(traps == expected && !wrong && dirty[page]);
		}
	}
	CHECK(traps > 10000);
	return true;
}

/* ---- code that comes and goes -------------------------------------------- */

static bool libraries(void)
{
	unsigned char *p = armed_buffer();
	int fd = open("/proc/self/exe", O_RDONLY);

	for (long i = 0; i < 200; i++) {
		long (*call)(int, void *, size_t, long);
		unsigned char *(*where)(size_t *), *data;
		unsigned char *at = p + i * 37 % 1024 * (long)PAGE;
		void *lib = dlopen(getenv("NB_LIB"), RTLD_NOW);
		size_t bytes;

		CHECK(lib);
		*(void **)&call = dlsym(lib, "lib_pread");
		*(void **)&where = dlsym(lib, "lib_bss");
		CHECK(call && where);
		data = where(&bytes);
		for (size_t k = 0; k < bytes; k += PAGE) {
			CHECK(!data[k]);
			data[k] = 1;
		}
		CHECK(i % 20 || wait_armed(at));
		CHECK(call(fd, at + 100, 3000, 0) == 3000);
		CHECK(!memcmp(at + 100, "\177ELF", 4));
		CHECK(!dlclose(lib));
	}
	return true;
}

#ifdef __x86_64__
static sigjmp_buf out;

static void get_out(int sig)
{
	(void)sig;
	siglongjmp(out, 1);
}

static bool writable(volatile unsigned char *p)
{
	if (sigsetjmp(out, 1))
		return false;
	*p = 1;
	return true;
}

/*
 * Written, made executable, run, and written again: as a JIT does.  It is armed
 * when it is made executable, and is then just what the program has made it.
 */
static bool flips(void)
{
	static const unsigned char code[] = {0xb8, 0, 0, 0, 0, 0xc3};
	unsigned char *p = armed_buffer();

	CHECK(signal(SIGSEGV, get_out) != SIG_ERR);
	for (unsigned int i = 0; i < 200; i++) {
		unsigned char *at = p + i % 64 * PAGE;
		unsigned int (*fn)(void);

		memcpy(at, code, sizeof(code));
		memcpy(at + 1, &i, sizeof(i));
		CHECK(wait_armed(at));
		CHECK(!mprotect(at, PAGE, PROT_READ | PROT_EXEC));
		*(void **)&fn = at;
		CHECK(!writable(at) && fn() == i);
		/* Of no use to anybody, as a collector's free page. */
		CHECK(i % 2 || !mprotect(at, PAGE, PROT_NONE));
		CHECK(!writable(at));
		CHECK(!mprotect(at, PAGE, PROT_READ | PROT_WRITE));
	}
	return true;
}

/*
 * A system call in the middle of another instruction: 0f 05 c3 is "syscall;
 * ret", found by nobody who decodes the function from its start.
 */
long hidden_call(long nr, long a, long b, long c, long d, long e, long f);
__asm__(".text\n"
	".globl hidden_call\n"
	".type hidden_call, @function\n"
	"hidden_call:\n"
	"	.cfi_startproc\n"
	"	mov %rdi, %rax\n"
	"	mov %rsi, %rdi\n"
	"	mov %rdx, %rsi\n"
	"	mov %rcx, %rdx\n"
	"	mov %r8, %r10\n"
	"	mov %r9, %r8\n"
	"	mov 8(%rsp), %r9\n"
	"	lea 1f+2(%rip), %rcx\n"
	"	jmp *%rcx\n"
	"1:	movabs $0x9090909090c3050f, %r11\n"
	"	nop\n"
	"	ret\n"
	"	.cfi_endproc\n"
	".size hidden_call, .-hidden_call\n");

#define STEP_BYTES ((size_t)8 << 20) /* that are verified at a time */

/* Memory that the program has made read-only behind everybody's back. */
static bool hidden(void)
{
	unsigned char *room = new_buffer(3 * STEP_BYTES), *p;
	int fd = open("/proc/self/exe", O_RDONLY);
	time_t until = time(NULL) + 6;

	/* What is found first is not all that there is to find. */
	p = room + STEP_BYTES;
	p += -(uintptr_t)p & (STEP_BYTES - 1);
	p -= 256 * PAGE;
	CHECK(wait_armed(p) && wait_armed(p + 1023 * PAGE));
	CHECK(hidden_call(SYS_getppid, 0, 0, 0, 0, 0, 0) == getppid());
	CHECK(hidden_call(SYS_mmap, (long)p, 256 * PAGE, PROT_READ,
			  MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS, -1,
			  0) == (long)p);
	CHECK(hidden_call(SYS_munmap, (long)(p + 256 * PAGE), 64 * PAGE, 0, 0,
			  0, 0) == 0);
	CHECK(signal(SIGSEGV, get_out) != SIG_ERR);
	/* Long enough for anybody to look. */
	while (time(NULL) < until)
		for (size_t i = 400; i < 1024; i++)
			p[i * PAGE + 9]++;
	for (size_t i = 0; i < 256; i++)
		CHECK(p[i * PAGE] == 0 && !writable(p + i * PAGE));
	CHECK(!writable(p + 256 * PAGE));
	CHECK(pread(fd, p + 500 * PAGE, 100, 0) == 100);
	return true;
}
#endif

/* ---- many mappings, huge pages ------------------------------------------- */

static long nr_mappings(void)
{
	FILE *f = fopen("/proc/self/maps", "r");
	char line[512];
	long n = 0;

	while (f && fgets(line, sizeof(line), f))
		n++;
	if (f)
		fclose(f);
	return n;
}

static long max_mappings(void)
{
	FILE *f = fopen("/proc/sys/vm/max_map_count", "r");
	long n = 65530;

	if (f) {
		if (fscanf(f, "%ld", &n) != 1)
			n = 65530;
		fclose(f);
	}
	return n;
}

/* Every other page is used: each makes a mapping more, if it may. */
static bool many_mappings(void)
{
	const size_t bytes = 320UL << 20;
	long limit = max_mappings() / 2, most = 0;
	unsigned char *p, *own;

	if (limit > 40000)
		return true; /* more than this memory can make */
	p = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(p != MAP_FAILED);
	for (size_t i = 0; i < bytes; i += PAGE)
		p[i] = (unsigned char)(i / PAGE);
	for (int round = 0; round < 4; round++) {
		CHECK(wait_armed(p) && wait_armed(p + bytes - PAGE));
		for (size_t i = 0; i < bytes; i += 2 * PAGE)
			CHECK(p[i] == (unsigned char)(i / PAGE));
		most = nr_mappings() > most ? nr_mappings() : most;
		/* There is room for the program's own. */
		own = mmap(NULL, 2048 * PAGE, PROT_READ,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		CHECK(own != MAP_FAILED);
		for (size_t i = 0; i < 2048; i += 2)
			CHECK(!mprotect(own + i * PAGE, PAGE, PROT_NONE));
		CHECK(!munmap(own, 2048 * PAGE));
	}
	fprintf(stderr, "%ld mappings at most, of %ld\n", most, 2 * limit);
	CHECK(most < limit + 6000);
	for (size_t i = 0; i < bytes; i += PAGE)
		CHECK(p[i] == (unsigned char)(i / PAGE));
	return true;
}

/* AnonHugePages of the mapping that holds @p, in kB; all parts of it. */
static long huge_kb(const void *p, size_t bytes)
{
	FILE *f = fopen("/proc/self/smaps", "r");
	char line[512];
	bool in = false;
	long sum = 0;

	while (f && fgets(line, sizeof(line), f)) {
		unsigned long start, end;
		long kb;

		if (sscanf(line, "%lx-%lx ", &start, &end) == 2)
			in = start < (uintptr_t)p + bytes && end > (uintptr_t)p;
		else if (in && sscanf(line, "AnonHugePages: %ld", &kb) == 1)
			sum += kb;
	}
	if (f)
		fclose(f);
	return sum;
}

static bool huge_pages(void)
{
	const size_t bytes = 8 * HUGE;
	unsigned char *p = mmap(NULL, bytes + HUGE, PROT_READ | PROT_WRITE,
				MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	long before;

	CHECK(p != MAP_FAILED);
	p = (void *)(((uintptr_t)p + HUGE - 1) & ~(HUGE - 1));
	/* In small pieces at first; huge later. */
	memset(p, 1, 4 * PAGE);
	CHECK(wait_armed(p));
	CHECK(!madvise(p, bytes, MADV_DONTNEED));
	CHECK(!madvise(p, bytes, MADV_HUGEPAGE));
	memset(p, 1, bytes);
	before = huge_kb(p, bytes);
	if (before < 4 * 2048) {
		fprintf(stderr, "no huge pages here\n");
		return true;
	}
	for (int round = 0; round < 5; round++)
		for (size_t i = 0; i < bytes; i += HUGE) {
			CHECK(wait_armed(p + i));
			p[i + HUGE / 2]++;
		}
	CHECK(huge_kb(p, bytes) >= before);
	return true;
}

int main(int argc, char **argv)
{
	static const struct armed_case cases[] = {
		{"barriers", barriers},
		{"libraries", libraries},
		{"mappings", many_mappings},
		{"huge", huge_pages},
#ifdef __x86_64__
		{"flips", flips},
		{"hidden", hidden},
#endif
		{NULL, NULL},
	};

	return run_cases(cases, argc, argv);
}
