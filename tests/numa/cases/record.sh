#!/bin/bash
# SPDX-License-Identifier: MIT
# timeout: 150
#
# A recorded run in which pages and threads move: replayed, every decision is
# the same, and they are those that the statistics count.

. "$(dirname "$0")/lib.sh"

replay=$B/tests/sim/numabal-replay
for work in "work_shared -t 4 -m 16 -s 12" "work_phase -m 16 -s 16" \
	"work_private -m 16 -s 8 -i 0"; do
	rm -f "$out/json" "$out/run"
	# shellcheck disable=SC2086 # several words
	"${NB[@]}" -o min_rss_mb=0 -o migrate_rate_mbps=4 -o max_overhead_pct=100 \
		--stats="$out/json" --record "$out/run" -- "$B/bench/"$work \
		> "$out/on" || die "exit status $?: $(cat "$out/on")"
	"$replay" "$out/run" > "$out/replay" ||
		die "exit status $?: $(cat "$out/replay")"
	cat "$out/replay"
	awk 'NF == 3 && $1 ~ /^(PAGE|TASK)_/ { print $1, $2 }' "$out/replay" |
		sort > "$out/recorded"
	grep -o '"decisions":{[^}]*}' "$out/json" | tr -d '{}"' |
		sed 's/^decisions://' | tr ',:' '\n ' | sort > "$out/counted"
	diff -u "$out/counted" "$out/recorded" ||
		die "the statistics say otherwise"
	cat "$out/recorded" >> "$out/all"
done

# Were there decisions at all?
for why in PAGE_LOCAL PAGE_TWO_STAGE TASK_PREFERRED TASK_STAY; do
	grep -q "^$why " "$out/all" || die "no $why: no proof"
done
grep -qE '^PAGE_(EARLY|PRIVATE|SHARED) ' "$out/all" ||
	die "no page was moved: no proof"
