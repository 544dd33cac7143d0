#!/bin/bash
# SPDX-License-Identifier: MIT
# timeout: 120
#
# Memory that the program locked does not move: its threads move to it.

. "$(dirname "$0")/lib.sh"

# The tier without the heap, whose pages may move.
"${NB[@]}" -o guard=conservative --stats="$out/json" -- \
	"$B/bench/work_private" --mlock -m 24 -s 30 \
	> "$out/on" || die "exit status $?: $(cat "$out/on")"
cat "$out/on"
cat "$out/json"
at_least "$(result local_pages_pct "$out/on")" 95 "local at the end"
stays "$out/on" 5 95
[ "$(pages "$out/on")" = "$(pages_at_start "$out/on")" ] ||
	die "locked pages were moved"
at_most "$(counter numa_pages_migrated "$out/json")" 0 "pages migrated"
