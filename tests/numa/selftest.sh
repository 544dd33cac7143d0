#!/bin/bash
# SPDX-License-Identifier: MIT
#
# selftest.sh [TOPOLOGY...]: is the NUMA machine what its tests think it is?
#
# Boots each topology and compares what the guest's kernel shows with the
# file; then, in the first one, what `guest` and `run-guest.sh` promise about
# output, exit status, time-outs and guests that die. `ok` or `FAIL` a line.

set -u

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=topology.sh
. "$here/topology.sh"
# shellcheck source=selftest-nodes.sh
. "$here/selftest-nodes.sh"
failures=0
work=$(mktemp -d "${TMPDIR:-/tmp}/selftest.XXXXXX")
trap 'rm -rf "$work"' EXIT

check() # NAME EXPECTED ACTUAL
{
	if [ "$2" = "$3" ]; then
		echo "ok $1"
	else
		printf 'FAIL %s\n  expected: %s\n  actual:   %s\n' "$@"
		failures=$((failures + 1))
	fi
}

# A guest that had to fail leaves a log that nobody needs.
remove_log() # FILE
{
	rm -f "$(sed -n 's/.*; log: //p' "$1")"
}

matches() # NAME GREP_PATTERN FILE
{
	check "$1" yes "$(grep -q -e "$2" "$3" && echo yes ||
			  echo "no '$2' in: $(tail -n 3 "$3")")"
}

test_promises() # TOPOLOGY
{
	local g=$here/guest

	# shellcheck disable=SC2016 # expanded in the guest
	"$g" "$1" -b -e 'GREETING=it'\''s "here"' -- sh -c \
		'pwd; echo "$GREETING"; echo to-err >&2
		cat /proc/sys/kernel/numa_balancing; echo x > /usr/x
		exit 42' > "$work/out" 2> "$work/err"
	check "exit status passes" 42 $?
	check "standard output, directory, environment, balancing on" \
		"$(printf '%s\n' "$PWD" "it's \"here\"" 1)" "$(cat "$work/out")"
	check "standard error apart" to-err "$(cat "$work/err")"
	check "nothing written to the host" no "$([ -e /usr/x ] && echo yes ||
						  echo no)"
	"$g" "$1" -- seq 1 200000 > "$work/out"
	check "long output is whole" "$(seq 1 200000 | cksum)" \
		"$(cksum < "$work/out")"
	"$g" "$1" -t 12 -- sleep 100 2> "$work/err"
	check "time-out is 125" 125 $?
	matches "time-out is told" 'no end after 12 s; log: ' "$work/err"
	remove_log "$work/err"
	"$g" "$1" -- sh -c 'echo o > /proc/sysrq-trigger; sleep 60' \
		2> "$work/err"
	check "power off without a result is 125" 125 $?
	matches "power off is told" 'without a result' "$work/err"
	remove_log "$work/err"
	"$g" "$1" -- sh -c 'echo c > /proc/sysrq-trigger' 2> "$work/err"
	check "a kernel panic is 125" 125 $?
	matches "a kernel panic is told" 'Kernel panic' "$work/err"
	remove_log "$work/err"
	"$g" "$1" -a 'rdinit=/none root=/none' -- true 2> "$work/err"
	check "a boot that fails is 125" 125 $?
	remove_log "$work/err"
	"$g" "$1" -- no-such-command-here 2> "$work/err"
	check "an unknown command is 127" 127 $?
	"$g" no-such-topology -- true 2> "$work/err"
	check "an unknown topology is 125" 125 $?
}

test_run_guest() # TOPOLOGY
{
	local s

	printf '#!/bin/sh\nexit %s\n' 0 > "$work/good"
	printf '#!/bin/sh\necho why; exit %s\n' 3 > "$work/bad"
	printf '#!/bin/sh\nexit %s\n' 77 > "$work/skipped"
	printf '#!/bin/sh\nsleep 100\n' > "$work/slow"
	printf '#!/bin/sh\necho c > /proc/sysrq-trigger\n' > "$work/deadly"
	chmod +x "$work"/*
	"$here/run-guest.sh" -t 5 "$1" "$work"/{good,bad,skipped,slow,deadly} \
		> "$work/out" 2>&1
	check "run-guest.sh fails when a test does" 1 $?
	remove_log "$work/out"
	rm -f "$(sed -n "s/^  log: //p" "$work/out")"
	s=$(grep -E '^(ok|FAIL|skip) |^[0-9]' "$work/out")
	check "run-guest.sh reports each" "$(printf '%s\n' 'ok good' \
		'FAIL bad (exit status 3)' 'skip skipped' \
		'FAIL slow (no end after 5 s)' 'FAIL deadly (no result line)' \
		'1 passed, 3 failed, 1 skipped')" "$s"
}

if [ $# -eq 0 ]; then
	for f in "$here"/topologies/*.conf; do
		set -- "$@" "$(basename "$f" .conf)"
	done
fi
for t; do
	test_topology "$t"
done
test_promises "$1"
test_run_guest "$1"
[ "$failures" -eq 0 ]
