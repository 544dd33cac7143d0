#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Memory that is in its place, used in the same way all the time: after some
# quick passes at the start there are few. A change of ways that is none would
# have all of it scanned several times a second, for good.
# timeout: 120

# shellcheck source=tests/integration/preload.sh
. "$(dirname "$0")/preload.sh"

prog=$progs/prog_settled
[ -x "$prog" ] || skip "no $prog"

# The default options: passes of 1 s at the shortest, a quarter when quick.
env NUMABAL_FORCE=1 NUMABAL_SCAN_DELAY_MS=0 NUMABAL_STATS="$tmp/stats" \
	LD_PRELOAD="$preload" "$prog" 256 10 > "$tmp/out" ||
	fail "exit status $?"
value()
{
	grep -o "\"$1\":[0-9.]*" "$tmp/stats" | head -n 1 | cut -d: -f2
}

passes=$(value numa_scan_seq) faults=$(value numa_hint_faults)
echo "$passes passes, $faults hint faults, $(value pct) % overhead"
[ "${faults:-0}" -ge 1000 ] || fail "hardly anything was armed"
[ "${passes:-0}" -ge 4 ] || fail "no quick passes"
# Four quick ones, and then each is longer than the one before.
[ "${passes:-999}" -le 16 ] || fail "it does not settle"
exit "$bad"
