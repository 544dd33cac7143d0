#!/bin/bash
# SPDX-License-Identifier: MIT
# timeout: 400
#
# Two programs at once, each with half as many threads as there are CPUs, and
# one buffer that all of them use; then with a slice of it for each thread,
# all of them on the node where the first thread runs. Neither knows of the
# other: each finds its own part of the machine.

. "$(dirname "$0")/lib.sh"

cpus=$(nproc)

both() # NAME LIMIT COMMAND...: --until-local makes each end
{
	local name=$1 limit=$2 i pid=()

	shift 2
	for i in 1 2; do
		"${NB[@]}" --stats="$out/json$i" -- "$@" > "$out/on$i" &
		pid[i]=$!
	done
	for i in 1 2; do
		wait "${pid[i]}" || die "$name, program $i: exit status $?:" \
			"$(cat "$out"/on? "$out"/json?)"
		cat "$out/on$i"
		at_least "$(result local_pages_pct "$out/on$i")" "$limit" \
			"$name, program $i: local"
	done
}

both "one buffer" 95 "$B/bench/work_shared" --teams 1 -t $((cpus / 2)) -m 72 \
	-s 150 --until-local 95
both "slices" 95 "$B/bench/work_private" -t $((cpus / 2)) -m 40 \
	--place node:0 -s 120 --until-local 95
