#!/bin/bash
# SPDX-License-Identifier: MIT
# timeout: 120
#
# Threads that the program pinned stay where they are: their memory comes.

. "$(dirname "$0")/lib.sh"

"${NB[@]}" --stats="$out/json" -- "$B/bench/work_private" --pin wrong -m 24 \
	-s 30 > "$out/on" || die "exit status $?: $(cat "$out/on")"
cat "$out/on"
cat "$out/json"
at_most "$(result start_pct "$out/on")" 5 "local at the start"
at_least "$(result local_pages_pct "$out/on")" 95 "local at the end"
stays "$out/on" 5 95
at_most "$(result task_node_moves "$out/on")" 0 "threads that changed nodes"
at_most "$(counter numa_task_migrated "$out/json")" 0 "threads re-pinned"
