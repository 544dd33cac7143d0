#!/bin/bash
# SPDX-License-Identifier: MIT
# timeout: 400
#
# Threads that share a buffer, dealt out over the nodes: numabal brings each
# team to one node, and its buffer with it, wherever the buffers were.

. "$(dirname "$0")/lib.sh"

for place in wrong interleave; do
	"${NB[@]}" --stats="$out/json" -- "$B/bench/work_shared" -m 40 \
		--place "$place" -s 120 --until-local 95 > "$out/on" ||
		die "$place: exit status $?: $(cat "$out/on" "$out/json")"
	cat "$out/on"
	cat "$out/json"
	at_least "$(result local_pages_pct "$out/on")" 95 "$place: local"
	grep -q '"groups":\[{"gid":' "$out/json" || die "$place: no groups"
done
