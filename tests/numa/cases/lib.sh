#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Sourced by the cases: small helpers to run a workload in the guest and to
# judge its own measurement.
#
# shellcheck disable=SC2034

set -eu

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../../.." && pwd)
B=${NB_OUT:-$top/build}
P=${NB_PROGS:-$B} # programs that know nothing of numabal
out=$(mktemp -d)
# Default options, but for shorter periods: a test should not take minutes.
NB=("$B/numabal" run -o scan_delay_ms=200 -o scan_period_min_ms=200)

die()
{
	echo "FAILED: $*"
	exit 1
}

result() # KEY FILE: a value of the RESULT line
{
	sed -n "s/^RESULT.* $1=\([^ ]*\).*/\1/p; s/^RESULT $1=\([^ ]*\).*/\1/p" \
		"$2" | head -n 1
}

at_least() # VALUE LIMIT WHAT
{
	awk -v v="$1" -v l="$2" 'BEGIN {
		exit !(v ~ /^[0-9.]+$/ && v + 0 >= l) }' ||
		die "$3: $1, want at least $2"
	echo "$3: $1 (at least $2)"
}

at_most() # VALUE LIMIT WHAT
{
	awk -v v="$1" -v l="$2" 'BEGIN {
		exit !(v ~ /^[0-9.]+$/ && v + 0 <= l) }' ||
		die "$3: $1, want at most $2"
	echo "$3: $1 (at most $2)"
}

# The last N progress lines must all be at or above a share: it stays there.
stays() # FILE N LIMIT
{
	local worst

	worst=$(sed -n 's/^time=.* local_pages_pct=\([^ ]*\).*/\1/p' "$1" |
		tail -n "$2" | sort -n | head -n 1)
	at_least "$worst" "$3" "lowest share of the last $2 intervals"
}

pages() # FILE: pages per node at the end
{
	sed -n 's/^RESULT.* pages=\(\[[^]]*\]\).*/\1/p' "$1" | head -n 1
}

pages_at_start() # FILE
{
	sed -n 's/^time=0.0 .* pages=\(\[[^]]*\]\).*/\1/p' "$1" | head -n 1
}

counter() # NAME FILE.json
{
	sed -n "s/.*\"$1\":\([0-9]*\).*/\1/p" "$2" | head -n 1
}
