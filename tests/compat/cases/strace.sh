#!/bin/bash
# SPDX-License-Identifier: MIT
#
# strace: attached to a balanced program and detached; a traced program.
# packages: strace gcc
# audit: no, it traces its programs itself
# tier: bracket
# min-faults: 300
# timeout: 120

# shellcheck disable=SC2086 # NB_RUN is words
set -eu -o pipefail
type -P strace gcc > /dev/null || { echo "no strace or gcc" && exit 77; }
gcc -g -O1 -pthread -o prog "${0%/*}/../prog_debug.c"

mkfifo out
$NB_RUN ./prog 800 > out &
exec 3< out
until pid=$(pgrep -P $$ -x prog); do :; done
for _ in 1 2 3; do
	strace -f -o log -p "$pid" 2> err &
	until grep -q nanosleep log 2> err; do :; done
	kill -INT $!
	wait $! || true
	: > log
done
cat <&3
wait
strace -f -o log $NB_RUN ./prog 50
grep -c 'nanosleep.*tv_nsec=2000000' log | awk '{ print ($1 >= 50) }'
strace -f -c -o log $NB_RUN ./prog 50
