#!/bin/bash
# SPDX-License-Identifier: MIT
# timeout: 150
#
# The node of a thread is full: its memory cannot come, so the thread goes.

. "$(dirname "$0")/lib.sh"

"${NB[@]}" --stats="$out/json" -- "$B/bench/work_private" -t 2 -m 96 -s 45 \
	--place node:1 --hold-free-mb 0:56 > "$out/on" ||
	die "exit status $?: $(cat "$out/on")"
cat "$out/on"
cat "$out/json"
at_least "$(result local_pages_pct "$out/on")" 95 "local at the end"
stays "$out/on" 5 95
free=$(awk '/MemFree/ { print $4 }' /sys/devices/system/node/node0/meminfo)
echo "free on node 0: $free kB"
