#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Where the guard could be undermined, and where the library is installed.
# timeout: 600

# shellcheck source=tests/integration/preload.sh
. "$(dirname "$0")/preload.sh"

arming+=(NUMABAL_MIN_REGION_KB=4)
run_cases prog_guard_edge ids namespace fork-stacks half-protect \
	many-threads again tier-falls traced small-stack

NUMABAL_GUARD=conservative run_cases prog_guard_edge ids

# Threads that have ended leave room for others, also where nothing is armed
# and so nobody looks.
arming+=(NUMABAL_MIN_RSS_MB=100000 NUMABAL_STATS="$tmp/stats")
NB_PLAIN=1 run_cases prog_guard_edge many-threads
grep -q 'the process was smaller' "$tmp/stats" || fail "many threads: $(
	grep -o '"why":"[^"]*"' "$tmp/stats")"
arming+=(NUMABAL_MIN_RSS_MB=0 NUMABAL_STATS=)

# Our own variables are never armed, however long the way to them is.
long=$tmp/$(printf '%080d' 0)
mkdir "$long"
cp "$NB_OUT"/libnumabal*.so* "$long"
preload=$long/libnumabal-preload.so run_cases prog_guard send
exit "$bad"
