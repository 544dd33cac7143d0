/* SPDX-License-Identifier: MIT */
/*
 * A program with a system call of its own, which somebody writes over while
 * it runs; and one that may not make memory executable.  Knows nothing of
 * numabal; run by test_guard_patched.sh.
 *
 *	prog_patched overwrite | leave | mdwe COMMAND... | maps
 */
#include "armed.h"

#include <sys/prctl.h>

#ifndef PR_SET_MDWE
#define PR_SET_MDWE 65
#endif

long own_read(int fd, void *buf, size_t n);
extern const uint8_t own_read_start[];

/* read(2): 5 bytes that set the number, and the call. */
__asm__(".text\n"
	".globl own_read, own_read_start\n"
	".type own_read, @function\n"
	"own_read:\n"
	".cfi_startproc\n"
	"own_read_start:\n"
	"	.byte 0xb8, 0, 0, 0, 0\n"
	"	syscall\n"
	"	cmp $-4096, %rax\n"
	"	ret\n"
	".cfi_endproc\n"
	".size own_read, . - own_read\n");

static double cpu_seconds(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* Use all of it, again and again; is it still what was written? */
static int work(uint64_t *p, double seconds)
{
	double end = cpu_seconds() + seconds;
	uint64_t round = 0;

	for (size_t i = 0; i < BUF_BYTES / 8; i++)
		p[i] = i;
	while (cpu_seconds() < end) {
		for (size_t i = 0; i < BUF_BYTES / 8; i += 512)
			if (p[i]++ != i + round)
				return 1;
		round++;
	}
	return 0;
}

/* As a debugger does it: the bytes that the compiler has put there. */
static int overwrite(void)
{
	static const uint8_t mov[] = {0xb8, 0, 0, 0, 0};
	int fd = open("/proc/self/mem", O_RDWR);
	ssize_t n = pwrite(fd, mov, sizeof(mov), (off_t)own_read_start);

	close(fd);
	return n != sizeof(mov);
}

static int run(int change)
{
	uint64_t *p = mmap(NULL, BUF_BYTES, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int fd = open("/dev/zero", O_RDONLY);
	char small[64];

	if (p == MAP_FAILED || fd < 0)
		return 97;
	if (own_read(fd, small, sizeof(small)) != sizeof(small))
		return 2;
	/* numabal has written here: else there is nothing to overwrite. */
	if (!getenv("NB_PLAIN") && own_read_start[0] == 0xb8)
		return 3;
	if (work(p, 0) || !wait_armed(p) || (change && overwrite()))
		return 4;
	if (work(p, 1))
		return 6;
	if (own_read(fd, small, sizeof(small)) != sizeof(small))
		return 5;
	return 0;
}

static int maps(void)
{
	FILE *f = fopen("/proc/self/maps", "r");
	char line[512];
	int ret = 0;

	while (f && fgets(line, sizeof(line), f)) {
		const char *access = strchr(line, ' ');

		if (!access || access[2] != 'w' || access[3] != 'x')
			continue;
		printf("%s", line);
		ret = 1;
	}
	return ret;
}

int main(int argc, char **argv)
{
	if (argc < 2)
		return 2;
	if (!strcmp(argv[1], "maps"))
		return maps();
	if (!strcmp(argv[1], "mdwe") && argc > 2) {
		if (prctl(PR_SET_MDWE, 1UL, 0UL, 0UL, 0UL))
			return 77;
		execvp(argv[2], argv + 2);
		return 127;
	}
	return run(!strcmp(argv[1], "overwrite"));
}
