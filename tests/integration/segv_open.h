/* SPDX-License-Identifier: MIT */
/*
 * For plain programs that have SIGSEGV blocked or ignored: that the kernel has
 * neither, as long as memory may be armed.
 */
#ifndef SEGV_OPEN_H
#define SEGV_OPEN_H

#include "armed.h"

#include <signal.h>

static inline bool segv_is_open(void)
{
	const unsigned long long segv = 1ULL << (SIGSEGV - 1);
	unsigned long long blocked = 0, ignored = 0;
	char text[4096], *at;
	int fd = open("/proc/thread-self/status", O_RDONLY);
	ssize_t n = read(fd, text, sizeof(text) - 1);

	close(fd);
	text[n > 0 ? n : 0] = '\0';
	at = strstr(text, "\nSigBlk:");
	if (!at ||
	    sscanf(at, "\nSigBlk: %llx\nSigIgn: %llx", &blocked, &ignored) != 2)
		return false;
	return getenv("NB_PLAIN") || !((blocked | ignored) & segv);
}

#endif /* SEGV_OPEN_H */
