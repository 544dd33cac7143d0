/* SPDX-License-Identifier: MIT */
/*
 * Crashes with known values in all registers, while memory is armed that the
 * core is to show.  Knows nothing of numabal; run by test_guard_core.sh.
 */
#define _GNU_SOURCE
#include "armed.h"

#include <sys/resource.h>

unsigned char *buf;

int main(void)
{
	const struct rlimit all = {RLIM_INFINITY, RLIM_INFINITY};

	if (setrlimit(RLIMIT_CORE, &all))
		return 77;
	buf = new_buffer(BUF_BYTES);
	if (!wait_armed(buf + BUF_BYTES / 2))
		return 1;
#ifdef __x86_64__
	__asm__ volatile("xor %eax, %eax; pcmpeqd %xmm3, %xmm3\n"
			 "mov $0x1001, %eax; mov $0x1002, %ebx\n"
			 "mov $0x1003, %ecx; mov $0x1004, %edx\n"
			 "mov $0x1005, %esi; mov $0x1006, %edi\n"
			 "mov $0x1007, %ebp; mov $0x1008, %r8d\n"
			 "mov $0x1009, %r9d; mov $0x100a, %r10d\n"
			 "mov $0x100b, %r11d; mov $0x100c, %r12d\n"
			 "mov $0x100d, %r13d; mov $0x100e, %r14d\n"
			 "mov $0x100f, %r15d\n"
			 "movb $1, 0x123(%r15)\n");
#endif
	return 2;
}
