#!/bin/bash
# SPDX-License-Identifier: MIT
# timeout: 150
#
# Private buffers on the wrong node: under numabal they end up beside their
# threads and stay; without it they stay where they are.

. "$(dirname "$0")/lib.sh"

"$B/bench/work_private" -m 24 -s 6 > "$out/off"
at_most "$(result start_pct "$out/off")" 5 "without: local at the start"
at_most "$(result local_pages_pct "$out/off")" 75 "without: local at the end"

"${NB[@]}" --stats="$out/json" -- "$B/bench/work_private" -m 24 -s 40 \
	> "$out/on" || die "exit status $?: $(cat "$out/on")"
cat "$out/on"
cat "$out/json"
at_most "$(result start_pct "$out/on")" 5 "numabal: local at the start"
at_least "$(result local_pages_pct "$out/on")" 95 "numabal: local at the end"
stays "$out/on" 5 95
at_least "$(counter numa_hint_faults "$out/json")" 10 "hint faults"
