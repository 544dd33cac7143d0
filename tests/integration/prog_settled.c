/* SPDX-License-Identifier: MIT */
/*
 * prog_settled MB SECONDS: one thread that uses memory of its own, always in
 * the same way, for so many seconds of its CPU time.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

int main(int argc, char **argv)
{
	size_t bytes = argc > 1 ? strtoul(argv[1], NULL, 10) << 20 : 0;
	long secs = argc > 2 ? strtol(argv[2], NULL, 10) : 0;
	unsigned long sum = 0;
	char *p = malloc(bytes);

	if (!bytes || secs <= 0 || !p)
		return 2;
	memset(p, 1, bytes);
	while (clock() < secs * CLOCKS_PER_SEC)
		for (size_t i = 0; i < bytes; i += 256)
			sum += (unsigned char)p[i];
	printf("%s\n", sum ? "used" : "not used");
	return 0;
}
