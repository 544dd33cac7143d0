#!/bin/bash
# SPDX-License-Identifier: MIT
#
# The traps of tests/traps.tsv that have no test of their own: shared mappings
# are never armed, and what is armed of a hot working set follows the ceiling.
# timeout: 240

# shellcheck source=tests/integration/preload.sh
. "$(dirname "$0")/preload.sh"

run_cases prog_traps shared
only_cases

pages() # PERCENT: how many are armed with that ceiling
{
	rm -f "$tmp/stats"
	balanced env NUMABAL_MAX_OVERHEAD_PCT="$1" NUMABAL_STATS="$tmp/stats" \
		"$progs/prog_traps" hot > /dev/null || fail "hot: exit $?"
	sed -n 's/.*"numa_pte_updates":\([0-9]*\).*/\1/p' "$tmp/stats"
}

free=$(pages 100) bound=$(pages 1)
echo "armed: $free pages without a ceiling, $bound with 1 %"
[ "${free:-0}" -gt $((2 * ${bound:-0})) ] || fail "the ceiling does not hold"
exit "$bad"
