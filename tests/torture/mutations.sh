#!/bin/bash
# SPDX-License-Identifier: MIT
#
# mutations.sh: a numabal that lacks one of its defences must be noticed: the
# publication of ranges and the hooks of the mmap family by the torture
# program, the barrier in every thread, which lets wrong things through far
# more rarely, by the litmus program. Each mutant is a build of its own
# (lib/base/mutant.h).
#
# MUTATION_S: seconds that a mutant may survive.
# timeout: 900

set -u

cd "$(dirname "$0")/../.." || exit 1
NB_OUT=${NB_OUT:-$PWD/build}
secs=${MUTATION_S:-60}
bad=0
log=$(mktemp)
trap 'rm -f "$log"' EXIT

[ "${NB_BUILD:-release}" = release ] || {
	echo "mutants are made of the release build"
	exit 77
}

build() # MUTANT PRODUCT...
{
	local mutant=$1

	shift
	make --no-print-directory -s BUILD="mutant-$mutant" \
		"${@/#/build/mutant-$mutant/}" \
		> "$log" 2>&1 && return
	cat "$log"
	echo "FAIL $mutant cannot be built"
	exit 1
}

# It is not enough that nothing was armed, or that the mutant did not start.
noticed()
{
	grep -q -e '^WRONG' -e 'exit status \(124\|13[0-9]\)' \
		-e 'met armed memory' -e 'state stood-down' "$log"
}

# A child whose parent was killed may go on for ever.
reap() # MUTANT
{
	local p

	for p in /proc/[0-9]*; do
		grep -qsz "^LD_PRELOAD=.*/mutant-$1/" "$p/environ" &&
			kill -9 "${p#/proc/}" 2> /dev/null
	done
}

torture() # MUTANT [GROUP]
{
	local progs=$NB_OUT

	NB_OUT=$PWD/build/mutant-$1 NB_PROGS=$progs TORTURE_S=5 \
		TORTURE_ROUNDS=1 TORTURE_FAULTS=0 TORTURE_SEED=$RANDOM \
		TORTURE_FIRST=1 TORTURE_ONLY=${2:-} \
		timeout 60 tests/torture/run.sh > "$log" 2>&1
	reap "$1"
	noticed
}

litmus() # MUTANT
{
	timeout 60 "build/mutant-$1/tests/integration/test_litmus" 8 barrier \
		> "$log" 2>&1
	grep -q 'was shut' "$log"
}

run() # MUTANT
{
	case $1 in
	NO_MEMBARRIER) litmus "$1" ;;
	NO_MM_HOOK) torture "$1" maps ;;
	*) torture "$1" ;;
	esac
}

try() # MUTANT
{
	local start=$SECONDS

	while [ $((SECONDS - start)) -lt "$secs" ]; do
		run "$1" || continue
		echo "$1: noticed after $((SECONDS - start)) s:" \
			"$(grep -e WRONG -e FAIL -e shut "$log" | head -n 1)"
		return
	done
	cat "$log"
	echo "FAIL $1: not noticed for $secs s"
	bad=1
}

for m in NO_PUBLISH NO_MM_HOOK; do
	build $m numabal libnumabal-preload.so
	try $m
done
build NO_MEMBARRIER tests/integration/test_litmus
try NO_MEMBARRIER
# The model of the address space has to notice as well.
if type -P clang > /dev/null; then
	FUZZ_MUTANT=NO_MM_HOOK FUZZ_ONLY=fuzz_mm FUZZ_S=$secs \
		tests/fuzz/run.sh > "$log" 2>&1
	if grep -q '^FAIL  fuzz_mm' "$log" && grep -q 'deadly signal' "$log"
	then
		echo "NO_MM_HOOK: noticed by fuzz_mm"
	else
		tail -n 5 "$log"
		echo "FAIL NO_MM_HOOK: not noticed by fuzz_mm for $secs s"
		bad=1
	fi
fi
exit $bad
