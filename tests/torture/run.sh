#!/bin/bash
# SPDX-License-Identifier: MIT
#
# run.sh: the torture program alone, then for TORTURE_S seconds (60) under
# numabal that arms all the time, page by page. Both must find nothing wrong
# and come to the same checksum; there must have been so many hint faults that
# this means something, and nothing that numabal stepped back from.
#
# NB_OUT: where the libraries and programs are; TORTURE_SEED, TORTURE_ROUNDS,
# TORTURE_THREADS; TORTURE_ONLY: a group of operations, or one; TORTURE_FAULTS:
# how many hint faults are enough; TORTURE_FIRST=1: end with the first error,
# and without the run alone.
# timeout: 7200

set -u

cd "$(dirname "$0")/../.." || exit 1
NB_OUT=${NB_OUT:-$PWD/build}
torture=${NB_PROGS:-$NB_OUT}/tests/torture/torture
secs=${TORTURE_S:-60}
args=(-t "${TORTURE_THREADS:-16}" -r "${TORTURE_ROUNDS:-10}"
	-x "${TORTURE_SEED:-1}")
[ -z "${TORTURE_ONLY:-}" ] || args+=(-o "$TORTURE_ONLY")
[ -z "${TORTURE_FIRST:-}" ] || args+=(-e)
bad=0

case ${NB_BUILD:-release} in
asan | tsan)
	echo "sanitizers cannot be preloaded into plain programs"
	exit 77
	;;
esac

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
export TMPDIR=$tmp
ulimit -c 0

fail() # WHAT
{
	echo "FAIL $*"
	bad=1
}

sum() # FILE
{
	sed -n 's/^checksum //p' "$1"
}

value() # NAME: from the statistics
{
	sed -n "s/.*\"$1\": *\"\{0,1\}\([^\",}]*\)\"\{0,1\}.*/\1/p" \
		"$tmp/stats" | head -n 1
}

# A group of its own: what a program that crashed leaves behind ends, too.
limited() # SECONDS COMMAND...
{
	local pid rc

	timeout -k 10 "$@" &
	pid=$!
	wait "$pid"
	rc=$?
	kill -KILL -- "-$pid" 2> /dev/null
	return $rc
}

if [ -z "${TORTURE_FIRST:-}" ]; then
	limited 600 "$torture" "${args[@]}" > "$tmp/plain" 2>&1
	rc=$?
	cat "$tmp/plain"
	[ $rc = 0 ] || fail "without numabal: exit status $rc"
fi

arming=(force=1 scan_delay_ms=0 scan_period_min_ms=1 scan_period_max_ms=1
	min_rss_mb=0 min_region_kb=4 chunk_kb=4 max_overhead_pct=100)
limited $((secs * 2 + 120)) "$NB_OUT/numabal" run \
	"${arming[@]/#/-o}" -o "stats=$tmp/stats" -- \
	"$torture" "${args[@]}" -s "$secs" > "$tmp/guarded" 2>&1
rc=$?
cat "$tmp/guarded"
[ $rc = 0 ] || fail "under numabal: exit status $rc"
[ -n "${TORTURE_FIRST:-}" ] ||
	[ "$(sum "$tmp/plain")" = "$(sum "$tmp/guarded")" ] ||
	fail "the checksums differ"
[ -e "$tmp/stats" ] || fail "no statistics"
[ $bad = 0 ] || exit 1

faults=$(value numa_hint_faults)
echo "hint faults $faults, holes $(value efault_holes)," \
	"tier $(value tier), state $(value state)"
[ "${faults:-0}" -ge "${TORTURE_FAULTS:-100000}" ] ||
	fail "$faults hint faults: too few to mean anything"
[ "$(value efault_holes)" = 0 ] || fail "system calls met armed memory"
[ "$(value tier)" = bracket ] || fail "tier $(value tier)"
[ "$(value state)" = running ] || fail "state $(value state): $(value why)"
exit $bad
