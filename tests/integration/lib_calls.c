/* SPDX-License-Identifier: MIT */
/*
 * A library with memory and system calls of its own, for programs to load: a
 * large .bss, thread-local storage that is made when it is first used, and a
 * call that does not pass by libc.
 */
#include <stddef.h>

#define EXPORT __attribute__((visibility("default")))
#define BSS_BYTES ((size_t)1 << 20)

static __thread unsigned char tls[16384];
static unsigned char bss[BSS_BYTES];

EXPORT unsigned char *lib_bss(size_t *bytes);
EXPORT unsigned char *lib_tls(size_t *bytes);
EXPORT long lib_pread(int fd, void *buf, size_t n, long off);

unsigned char *lib_bss(size_t *bytes)
{
	*bytes = sizeof(bss);
	return bss;
}

unsigned char *lib_tls(size_t *bytes)
{
	*bytes = sizeof(tls);
	return tls;
}

long lib_pread(int fd, void *buf, size_t n, long off)
{
	long ret;
#ifdef __x86_64__
	register long r10 __asm__("r10") = off;

	__asm__ volatile("syscall"
			 : "=a"(ret)
			 : "0"(17), "D"(fd), "S"(buf), "d"(n), "r"(r10)
			 : "rcx", "r11", "memory");
#else
	(void)fd;
	(void)buf;
	(void)off;
	ret = (long)n;
#endif
	return ret;
}
