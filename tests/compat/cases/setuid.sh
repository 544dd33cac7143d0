#!/bin/bash
# SPDX-License-Identifier: MIT
#
# A set-user-ID program, started by a balanced shell: not loaded there.
# packages: libc6-dev gcc
# tier: bracket
# min-faults: 0
# timeout: 60

# shellcheck disable=SC2086 # NB_RUN is words
set -eu -o pipefail
type -P gcc > /dev/null || { echo "no gcc" && exit 77; }
[ "$(id -u)" = 0 ] || { echo "not root" && exit 77; }
cat > who.c << 'C'
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int main(void)
{
	FILE *f = fopen("/proc/self/maps", "r");
	char line[4096];
	int found = 0;

	while (f && fgets(line, sizeof(line), f))
		found |= !!strstr(line, "numabal");
	printf("uid %d euid %d, a library of ours: %s\n", (int)getuid(),
	       (int)geteuid(), found ? "yes" : "no");
	return malloc(100000) ? 0 : 1;
}
C
gcc -O1 -o who who.c
chmod 4755 who
chmod 755 .
$NB_RUN setpriv --reuid 65534 --clear-groups bash -c './who; echo "end $?"'
