#!/bin/bash
# SPDX-License-Identifier: MIT
# timeout: 120
#
# A container or machine that refuses what numabal needs: one clear line, and
# the program runs as if numabal had not been there.

set -eu

case $NB_BUILD in
asan | tsan)
	echo "sanitizers cannot be preloaded into plain programs"
	exit 77
	;;
esac

out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
refuse=$NB_OUT/tests/integration/prog_refuse
run=("$NB_OUT/numabal" run)
work=("$NB_OUT/bench/work_private" -t 2 -m 40 -s 2 -i 0)

export NUMABAL_FORCE=1 NUMABAL_SCAN_DELAY_MS=0 NUMABAL_SCAN_PERIOD_MIN_MS=10
export NUMABAL_MIN_RSS_MB=0

die()
{
	echo "FAILED: $*"
	cat "$out/err"
	exit 1
}

lines() # N: so many lines of numabal's on standard error
{
	[ "$(grep -c '^numabal: ' "$out/err")" = "$1" ] || die "want $1 line(s)"
}

says() # TEXT FILE
{
	grep -q -- "$1" "$2" || die "not said: $1"
}

# move_pages refused: nothing can be known, nothing is armed
"$refuse" move_pages "${run[@]}" --stats="$out/json" -- "${work[@]}" \
	> "$out/o" 2> "$out/err" || die "exit status $?"
lines 1
says '^numabal: move_pages(2) is refused' "$out/err"
says '"state":"idle","why":"move_pages(2) is refused"' "$out/json"
says '"numa_pte_updates":0' "$out/json"
says '^RESULT' "$out/o"

# sched_setaffinity refused: balanced, but threads stay
"$refuse" sched_setaffinity "${run[@]}" --stats="$out/json" -- \
	"$NB_OUT/examples/minimal" > "$out/o" 2> "$out/err" ||
	die "exit status $?"
[ "$(grep -c '^numabal: ' "$out/err")" -le 1 ] || die "too many words"
says '"numa_task_migrated":0' "$out/json"
says '"state":"running"' "$out/json"

# membarrier refused: the tier in which none is needed
"$refuse" membarrier "${run[@]}" --stats="$out/json" -- "${work[@]}" \
	> "$out/o" 2> "$out/err" || die "exit status $?"
lines 0
says '"state":"running"' "$out/json"
says '"tier":"conservative"' "$out/json"
says '"numa_hint_faults":[1-9]' "$out/json"

# what Docker's default profile refuses
"$refuse" move_pages,mbind,set_mempolicy,get_mempolicy "${run[@]}" -- true \
	2> "$out/err" || die "exit status $?"
lines 1

# exit status and signals go through
"$refuse" move_pages "${run[@]}" -- sh -c 'exit 42' 2> "$out/err" && die "42"
[ "$("$refuse" move_pages "${run[@]}" -- sh -c 'exit 42' 2> /dev/null
	echo $?)" = 42 ] || die "exit status is not the program's"

# no /proc
if unshare -m true 2> /dev/null; then
	unshare -m sh -c 'umount -l /proc && exec "$@"' sh \
		"${run[@]}" -- echo ran > "$out/o" 2> "$out/err" ||
		die "no /proc: exit status $?"
	says '^ran' "$out/o"
	says '^numabal: .*/proc is not there' "$out/err"
	[ "$(sort -u "$out/err" | wc -l)" = 1 ] || die "want one line"
else
	echo "not tried without /proc: no right to unshare"
fi
echo ok
