#!/bin/bash
# SPDX-License-Identifier: MIT
# timeout: 240
#
# Node 2 has no CPU: hot memory there comes to its user, and when the user's
# node is full, cold memory of it makes room. What is cold on node 2 may stay.

. "$(dirname "$0")/lib.sh"

prog=$B/tests/numa/prog_tier

# Room enough.
"${NB[@]}" -- "$prog" 0 2 120 32 60 > "$out/room" ||
	die "exit status $?: $(cat "$out/room")"
cat "$out/room"
at_least "$(result hot_pct "$out/room")" 95 "room: hot memory on node 0"
at_least "$(result cold_pct "$out/room")" 95 "room: cold memory on node 0"
at_most "$(result corrupt "$out/room")" 0 "room: pages corrupt"

# None: without numabal the hot memory stays where it is.
"$prog" 0 2 24 48 4 > "$out/off"
at_most "$(result hot_pct "$out/off")" 5 "without: hot memory on node 0"

"${NB[@]}" --stats="$out/json" -- "$prog" 0 2 24 48 120 > "$out/on" ||
	die "exit status $?: $(cat "$out/on")"
cat "$out/on"
cat "$out/json"
at_least "$(result hot_pct "$out/on")" 95 "full: hot memory on node 0"
at_least "$(counter PAGE_DEMOTED "$out/json")" 1 "full: chunks demoted"
at_least "$(counter PAGE_HOT "$out/json")" 1 "full: chunks promoted"
at_most "$(result corrupt "$out/on")" 0 "full: pages corrupt"
# Not more than is needed: 48 MiB of some 400.
at_least "$(result cold_pct "$out/on")" 70 "full: cold memory on node 0"
