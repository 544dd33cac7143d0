# shellcheck shell=bash
# SPDX-License-Identifier: MIT
#
# preload.sh: sourced by tests of libnumabal-preload.so. Sets NB_OUT, skips
# where the library cannot be preloaded, and has what runs a program under it
# with memory being armed all the time, on a machine of one node as well.
#
# NB_PROGS: where the programs are, if not in NB_OUT. NB_CASES: only these
# cases, and nothing that has no case.

set -u

cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1
NB_OUT=${NB_OUT:-$PWD/build}
preload=$NB_OUT/libnumabal-preload.so
progs=${NB_PROGS:-$NB_OUT}/tests/integration
bad=0

skip() # WHY
{
	echo "$*"
	exit 77
}

fail() # WHAT
{
	echo "FAIL $*"
	# shellcheck disable=SC2034 # theirs
	bad=1
}

case ${NB_BUILD:-release} in
asan | tsan) skip "sanitizers cannot be preloaded into plain programs" ;;
esac
[ -e "$preload" ] || skip "no $preload"

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

# A scan every 3 ms of the program's CPU time, 8 MiB each, without a ceiling.
arming=(NUMABAL_FORCE=1 NUMABAL_SCAN_DELAY_MS=0 NUMABAL_MIN_RSS_MB=0
	NUMABAL_SCAN_PERIOD_MIN_MS=1 NUMABAL_SCAN_PERIOD_MAX_MS=1
	NUMABAL_SCAN_SIZE_MB=8 NUMABAL_MAX_OVERHEAD_PCT=100)

balanced() # COMMAND...: run it under the library
{
	env "${arming[@]}" LD_PRELOAD="$preload" "$@"
}

plain() # COMMAND...: without
{
	env NB_PLAIN=1 "$@"
}

wanted() # CASE
{
	[ -z "${NB_CASES:-}" ] || [[ " $NB_CASES " == *" $1 "* ]]
}

only_cases() # nothing more, if it is cases alone that are wanted
{
	[ -z "${NB_CASES:-}" ] || exit "$bad"
}

# Each case of a program, first without the library: is the test right at all?
run_cases() # PROGRAM CASE...
{
	local prog=$progs/$1 c

	shift
	[ -x "$prog" ] || skip "no $prog"
	for c; do
		wanted "$c" || continue
		plain timeout -k 5 60 "$prog" "$c" > "$tmp/out" 2>&1 || {
			fail "$c, without the library"
			cat "$tmp/out"
		}
		balanced timeout -k 5 60 "$prog" "$c" || fail "$c: exit $?"
	done
}
