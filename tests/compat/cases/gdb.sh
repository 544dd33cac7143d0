#!/bin/bash
# SPDX-License-Identifier: MIT
#
# gdb: a balanced program is started in it, and another one attached to.
# packages: gdb gcc
# audit: no, it traces its programs itself
# tier: bracket
# min-faults: 300
# timeout: 120

# shellcheck disable=SC2086 # NB_RUN is words
set -eu -o pipefail
type -P gdb gcc > /dev/null || { echo "no gdb or gcc" && exit 77; }
gcc -g -Og -pthread -o prog "${0%/*}/../prog_debug.c"
cat > look.gdb << 'G'
set pagination off
set confirm off
handle SIGSEGV nostop noprint pass
set var go = 1
break tick if step == 40
continue
printf "step %ld\n", step
up
printf "in main, steps %ld\n", steps
down
printf "head %s, %lu\n", head->name, head->values[3]
printf "next %s\n", head->next->next->next->name
finish
printf "now %s\n", head->name
watch head
continue
printf "changed %s\n", head->next->name
delete
thread apply all -q printf "thread\n"
G
{ cat look.gdb; echo "detach"; } > attach.gdb
{ sed '/^set var/d; 0,/^continue$/s//run/' look.gdb; echo "continue"; } > run.gdb

# numabald is one thread more.  Stops that say where the processor was are not
# the same twice.  A line of the program may come within one of gdb's.
said()
{
	tee log | grep -oE \
		'^(step|in|head|next|now|changed|thread).*|sum [0-9a-f]{16}' |
		uniq
	grep -qE 'sum [0-9a-f]{16}|detached' log || cat err log >&2
}

mkfifo out
$NB_RUN ./prog 100 wait > out &
exec 3< out
until pid=$(pgrep -P $$ -x prog); do :; done
gdb -q -batch -p "$pid" -x attach.gdb 2> err | said
cat <&3
wait

sh='set startup-with-shell off'
$NB_RUN gdb -q -batch -ex "$sh" -ex "set args 60" -x run.gdb ./prog 2> err | said
