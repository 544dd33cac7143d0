#!/bin/bash
# SPDX-License-Identifier: MIT
#
# mutants.sh [MUTANT...]: each defence of mutants.tsv is taken out, one at a
# time (lib/base/mutant.h): the tests that are named there must fail then, for
# a reason of their own, and pass otherwise. The case of a test in tests/numa/ is
# the topology of the guest.
# timeout: 1800

set -u

cd "$(dirname "$0")/.." || exit 1
whole=${NB_OUT:-$PWD/build}
bad=0
declare -A done_with
log=$(mktemp)
trap 'rm -f "$log"' EXIT
ulimit -c unlimited 2> /dev/null

[ "${NB_BUILD:-release}" = release ] || {
	echo "mutants are made of the release build"
	exit 77
}

build() # MUTANT PRODUCT...
{
	local mutant=$1

	shift
	make --no-print-directory -s BUILD="mutant-$mutant" \
		"${@/#/build/mutant-$mutant/}" > "$log" 2>&1 && return
	cat "$log"
	echo "FAIL $mutant cannot be built"
	exit 1
}

run() # OUT TEST CASE
{
	case $2 in
	tests/numa/*)
		type -P qemu-system-x86_64 > /dev/null || return 77
		tests/numa/run-guest.sh -t 200 "$3" -e "NB_OUT=$1" \
			-e "NB_PROGS=$whole" -- "${2#tests/numa/}"
		;;
	*.sh)
		NB_OUT=$1 NB_PROGS=$whole NB_CASES=$3 timeout -k 5 200 "$2"
		;;
	*) timeout -k 5 60 "$1/$2" ;;
	esac > "$log" 2>&1 < /dev/null
}

# Not that nothing was armed, or that something was not there.
own_reason() # STATUS
{
	[ "$1" != 77 ] && [ "$1" != 126 ] && [ "$1" != 127 ] &&
		! grep -q 'was never armed' "$log"
}

# Once is enough.
whole() # TEST CASE
{
	local key="$1 $2"

	[ -n "${done_with[$key]:-}" ] ||
		run "$whole" "$1" "$2" || return
	done_with[$key]=1
}

check() # MUTANT TEST CASE
{
	local what="$1: ${2##*/}${3:+ $3}" out=$PWD/build/mutant-$1 rc=0

	whole "$2" "$3" || rc=$?
	if [ "$rc" = 77 ]; then
		echo "$what: skipped: $(tail -n 1 "$log")"
		return
	fi
	if [ "$rc" != 0 ]; then
		cat "$log"
		echo "FAIL $what: fails with its defence, too"
		bad=1
		return
	fi
	rc=0
	run "$out" "$2" "$3" || rc=$?
	if [ "$rc" != 0 ] && own_reason "$rc"; then
		echo "$what: noticed: $(grep -m 1 -e 'not true' -e 'FAILED:' \
			"$log" || grep -m 1 FAIL "$log")"
		return
	fi
	cat "$log"
	echo "FAIL $what: not noticed (exit status $rc)"
	bad=1
}

built=
while IFS=$'\t' read -r mutant test case; do
	[[ $mutant == '#'* ]] && continue
	[ $# = 0 ] || [[ " $* " == *" $mutant "* ]] || continue
	if [ "$mutant" != "$built" ]; then
		build "$mutant" numabal libnumabal-preload.so
		built=$mutant
	fi
	[[ $test == *.sh ]] || build "$mutant" "$test"
	check "$mutant" "$test" "$case"
done < tests/mutants.tsv
exit "$bad"
