#!/bin/bash
# SPDX-License-Identifier: MIT
#
# run-guest.sh [-t SECONDS] TOPOLOGY [GUEST_OPTIONS] -- TEST...
#
# Boots TOPOLOGY once and runs test programs in it, one after another. A test
# is a program or script of the host, found as is or as tests/numa/TEST; exit
# status 77 means skipped, 0 passed. -t is each test's time-out (120). Prints
# `ok`, `FAIL` or `skip` and the name for each, the last 30 lines of a failed
# one (the whole log is kept in build/guest/), and at the end
# `N passed, N failed, N skipped`. A test without a result line has failed.
#
# Exit status: 0 when none failed, 1 otherwise, 125 for a wrong call.

set -eu

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
build=$(realpath -m "${NUMABAL_BUILD:-$here/../../build}")/guest

die()
{
	echo "run-guest: $*" >&2
	exit 125
}

# The part that runs in the guest: results and logs go to the share at once,
# so that a guest that dies takes along only the test that it died in.
# It is a script for the guest's /bin/sh, hence the single quotes.
# shellcheck disable=SC2016
in_guest='
limit=$1
shift
n=0
for t; do
	n=$((n + 1))
	echo "begin $n" >> /mnt/share/results
	timeout -k 5 "$limit" "$t" > "/run/log.$n" 2>&1 < /dev/null
	s=$?
	cat "/run/log.$n" > "/mnt/share/log.$n"
	echo "end $n $s" >> /mnt/share/results
done
echo done >> /mnt/share/results'

find_test() # NAME: its path
{
	local p

	for p in "$1" "$here/$1"; do
		[ -x "$p" ] || continue
		[ ! -d "$p" ] || continue
		echo "$(cd "$(dirname "$p")" && pwd)/$(basename "$p")"
		return 0
	done
	return 1
}

failed_log() # NUMBER NAME WHY
{
	local log

	echo "FAIL $2 ($3)"
	failed=$((failed + 1))
	log=$build/$topology-$(basename "$2").log
	[ -s "$share/log.$1" ] || return 0
	cp "$share/log.$1" "$log"
	tail -n 30 "$log" | sed 's/^/  | /'
	echo "  log: $log"
}

report() # NUMBER NAME
{
	local status

	status=$(sed -n "s/^end $1 //p" "$share/results" 2> /dev/null)
	case $status in
	0) echo "ok $2"; passed=$((passed + 1)) ;;
	77) echo "skip $2"; skipped=$((skipped + 1))
	    tail -n 1 "$share/log.$1" | sed 's/^/  | /' ;;
	124 | 137) failed_log "$1" "$2" "no end after $limit s" ;;
	'') failed_log "$1" "$2" "no result line" ;;
	*) failed_log "$1" "$2" "exit status $status" ;;
	esac
}

limit=120
if [ "${1-}" = -t ]; then
	limit=${2-}
	[[ $limit =~ ^[1-9][0-9]*$ ]] || die "-t needs a number of seconds"
	shift 2
fi
[ $# -gt 0 ] || die "usage: run-guest.sh [-t S] TOPOLOGY [OPTIONS] -- TEST..."
topology=$1
shift
options=()
for arg; do
	[ "$arg" != -- ] || break
	options+=("$arg")
done
# Without `--` everything after the topology is a test.
if [ "${#options[@]}" -eq $# ]; then options=(); else shift; fi
shift "${#options[@]}"
[ $# -gt 0 ] || die "no tests"

share=$(mktemp -d "${TMPDIR:-/tmp}/run-guest.XXXXXX")
trap 'rm -rf "$share"' EXIT
paths=()
for t; do
	paths+=("$(find_test "$t")") || die "no test $t"
done
status=0
"$here/guest" "$topology" -t $((60 + $# * (limit + 10))) "${options[@]}" \
	-s "$share" -- /bin/sh -c "$in_guest" sh "$limit" "${paths[@]}" ||
	status=$?
passed=0 failed=0 skipped=0 n=0
for t; do
	report $((n += 1)) "$(basename "$t")"
done
if [ "$failed" -eq 0 ] && ! grep -q '^done$' "$share/results"; then
	echo "FAIL $topology guest (status $status, no end of the results)"
	failed=1
fi
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
