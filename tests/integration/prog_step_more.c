/* SPDX-License-Identifier: MIT */
/*
 * As prog_step.c: memory that other processes read, files that are mapped as
 * code, and what all goes on with.  Knows nothing of numabal; run by
 * test_step_back.sh.
 */
#define _GNU_SOURCE
#include "step.h"

#include <dlfcn.h>
#include <errno.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>

/* ---- memory that other processes read ----------------------------------- */

/* A child looks at our memory, which nobody touches meanwhile. */
static bool child_reads(bool (*look)(pid_t from, unsigned char *to))
{
	unsigned char *to = mmap(NULL, BUF_BYTES, PROT_READ | PROT_WRITE,
				 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int pipes[2];
	char ok = 0;
	pid_t pid;

	CHECK(to != MAP_FAILED && !pipe(pipes));
	pid = fork();
	if (!pid) {
		ok = look(getppid(), to);
		if (write(pipes[1], &ok, 1) == 1)
			for (;;)
				pause();
		_exit(1);
	}
	close(pipes[1]);
	CHECK(read(pipes[0], &ok, 1) == 1 && ok);
	CHECK(!kill(pid, SIGKILL) && waitpid(pid, NULL, 0) == pid);
	close(pipes[0]);
	munmap(to, BUF_BYTES);
	return true;
}

static ssize_t copy_from(pid_t pid, unsigned char *to)
{
	struct iovec here = {to, BUF_BYTES}, there = {large, BUF_BYTES};

	return process_vm_readv(pid, &here, 1, &there, 1, 0);
}

static bool look_all(pid_t from, unsigned char *to)
{
	ssize_t n = copy_from(from, to);

	if (n < 0 && errno == EPERM)
		return absent("leave to read a parent");
	CHECK(n == (ssize_t)BUF_BYTES && pattern_ok(to, BUF_BYTES));
	return true;
}

/* It reads from a child of its own, as ranks of a parallel program do. */
static bool vm_peer(void)
{
	unsigned char *to = new_buffer(BUF_BYTES);
	pid_t pid = fork();

	if (!pid)
		for (;;)
			pause();
	CHECK(copy_from(pid, to) != 0);
	CHECK(!kill(pid, SIGKILL) && waitpid(pid, NULL, 0) == pid);
	munmap(to, BUF_BYTES);
	return child_reads(look_all);
}

static bool ptracer(void)
{
	prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY, 0, 0, 0);
	return child_reads(look_all);
}

/*
 * What nobody has announced: as much as can be read is right, and all of it
 * where the kernel does not ask for the permissions of pages.
 */
static bool look_from_outside(pid_t from, unsigned char *to)
{
	ssize_t n = copy_from(from, to);
	char path[64];
	int fd;

	if (n < 0 && errno == EPERM)
		return absent("leave to read a parent");
	CHECK(n < 0 ? errno == EFAULT : pattern_ok(to, (size_t)n & ~511UL));
	printf("process_vm_readv: %zd bytes\n", n);
	snprintf(path, sizeof(path), "/proc/%d/mem", (int)from);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	CHECK(fd >= 0);
	CHECK(pread(fd, to, BUF_BYTES, (off_t)(uintptr_t)large) ==
	      (ssize_t)BUF_BYTES);
	CHECK(pattern_ok(to, BUF_BYTES));
	fflush(stdout);
	return true;
}

static bool outside(void)
{
	CHECK(wait_armed(large + BUF_BYTES / 2));
	return child_reads(look_from_outside) && pattern_ok(large, BUF_BYTES);
}

/* ---- what it goes on with ------------------------------------------------ */

static bool mdwe(void)
{
	if (prctl(65 /* PR_SET_MDWE */, 1UL, 0UL, 0UL, 0UL))
		return absent("PR_SET_MDWE");
	/* Its calls are guarded all the same: with what is armed. */
	dlopen("libgomp.so.1", RTLD_NOW);
	CHECK(wait_armed(large) && wait_armed(small));
	return write_all(large, BUF_BYTES) && write_all(small, SMALL);
}

static bool landlock(void)
{
	uint64_t attr[2] = {1 << 7 /* making folders */, 0};
	int fd = (int)syscall(444 /* landlock_create_ruleset */, attr, 8, 0);

	if (fd < 0)
		return absent("landlock");
	CHECK(!prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	CHECK(!syscall(446 /* landlock_restrict_self */, fd, 0));
	CHECK(mkdir("/tmp/landlock", 0700) < 0 && errno == EACCES);
	CHECK(wait_armed(large) && wait_armed(small));
	return write_all(large, BUF_BYTES) && write_all(small, SMALL);
}

/* ---- files that are mapped as code --------------------------------------- */

/* Three pages of text, with a `syscall` where two of our pieces meet. */
static void *map_text(bool call, int prot, int flags)
{
	static char text[3 * 4096];
	char name[] = "exec-XXXXXX";
	int fd = mkstemp(name);
	void *p;

	memset(text, 'x', sizeof(text));
	if (call)
		memcpy(text + 8191, "\x0f\x05", 2);
	if (fd < 0 || write(fd, text, sizeof(text)) != sizeof(text))
		exit(97);
	p = mmap(NULL, sizeof(text), prot, flags, fd, 0);
	unlink(name);
	close(fd);
	if (p == MAP_FAILED)
		exit(96);
	return p;
}

/* No call in it: all is armed as before. */
static bool exec_data(void)
{
	void *p = map_text(false, PROT_READ, MAP_PRIVATE);

	map_text(false, PROT_READ | PROT_EXEC, MAP_PRIVATE);
	CHECK(!mprotect(p, 3 * 4096, PROT_READ | PROT_EXEC));
	return wait_armed(small);
}

static bool exec_call(void)
{
	map_text(true, PROT_READ | PROT_EXEC, MAP_PRIVATE);
	return stays_open(small, SMALL);
}

static bool exec_shared(void)
{
	map_text(false, PROT_READ | PROT_EXEC, MAP_SHARED);
	return stays_open(small, SMALL);
}

static bool exec_later(void)
{
	void *p = map_text(true, PROT_READ, MAP_PRIVATE);

	CHECK(!mprotect(p, 3 * 4096, PROT_READ | PROT_EXEC));
	return stays_open(small, SMALL);
}

static bool exec_written(void)
{
	void *p = map_text(false, PROT_READ, MAP_PRIVATE);

	CHECK(!mprotect(p, 4096, PROT_READ | PROT_WRITE | PROT_EXEC));
	return stays_open(small, SMALL);
}

#ifdef __x86_64__
long bare_mmap(void *addr, size_t len, int prot, int flags, int fd, long off);

/* Another function begins right behind: there is no room for a way back. */
__asm__(".text\n"
	".type bare_mmap, @function\n"
	"bare_mmap:\n"
	".cfi_startproc\n"
	"	mov %rcx, %r10\n"
	"	mov $9, %eax\n"
	"	syscall\n"
	"	ret\n"
	".cfi_endproc\n"
	".size bare_mmap, . - bare_mmap\n"
	".type bare_next, @function\n"
	"bare_next:\n"
	".cfi_startproc\n"
	"	push %rbx\n"
	"	.cfi_adjust_cfa_offset 8\n"
	"	pop %rbx\n"
	"	.cfi_adjust_cfa_offset -8\n"
	"	jmp bare_next\n"
	".cfi_endproc\n"
	".size bare_next, . - bare_next\n");

static bool exec_bare(void)
{
	return bare_mmap(NULL, 4096, PROT_READ | PROT_EXEC,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) > 0;
}
#else
static bool exec_bare(void)
{
	return absent("x86-64");
}
#endif

int main(int argc, char **argv)
{
	static const struct step_case cases[] = {
		{"vm-peer", vm_peer, false},
		{"ptracer", ptracer, false},
		{"outside", outside, true},
		{"mdwe", mdwe, true},
		{"landlock", landlock, true},
		{"exec-bare", exec_bare, false},
		{"exec-data", exec_data, true},
		{"exec-call", exec_call, true},
		{"exec-shared", exec_shared, true},
		{"exec-later", exec_later, true},
		{"exec-written", exec_written, true},
		{0},
	};

	large = new_buffer(BUF_BYTES);
	return small_armed() ? run_step(cases, argc > 1 ? argv[1] : "") : 98;
}
