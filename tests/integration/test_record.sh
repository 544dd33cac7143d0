#!/bin/bash
# SPDX-License-Identifier: MIT
# timeout: 120
#
# A recorded run: has each decision that the statistics count, with its reason,
# and replays to the same ones; so does what is left of a program that was
# killed. What cannot be written, or is no recorded run, is told in one line.

# shellcheck source=tests/integration/preload.sh
. "$(dirname "$0")/preload.sh"

numabal=$NB_OUT/numabal
replay=$NB_OUT/tests/sim/numabal-replay
work=("$NB_OUT/bench/work_private" -t 2 -m 8 -i 0)
opts=(-o force=1 -o scan_delay_ms=0 -o scan_period_min_ms=1
	-o scan_period_max_ms=1 -o min_rss_mb=0 -o min_region_kb=4
	-o chunk_kb=4 -o max_overhead_pct=100)
[ -x "$replay" ] || skip "no $replay"

replayed() # FILE: its counts, "REASON N" a line; both are the same
{
	"$replay" "$1" > "$tmp/replay" || fail "replay of $1: exit $?"
	grep -q '^all decisions are the same$' "$tmp/replay" ||
		fail "$(cat "$tmp/replay")"
	awk 'NF == 3 && $1 ~ /^(PAGE|TASK)_/ { print $1, $2
		if ($2 != $3) print "differs" }' "$tmp/replay" | sort
}

samples() # of the last replay
{
	sed -n 's/.* \([0-9]*\) samples.*/\1/p' "$tmp/replay"
}

# To its end: the statistics count the same. Threads that come and go, too.
(cd "$tmp" && exec "$numabal" run "${opts[@]}" --stats=stats.json \
	--record %e.run -- "${work[@]}" -s 2) > "$tmp/out" 2>&1 ||
	fail "exit $?: $(cat "$tmp/out")"
grep -o '"decisions":{[^}]*}' "$tmp/stats.json" | tr -d '{}"' |
	sed 's/^decisions://' | tr ',:' '\n ' | sort > "$tmp/counted"
replayed "$tmp/work_private.run" > "$tmp/recorded"
echo "$(samples) samples: $(tr '\n' ' ' < "$tmp/recorded")"
[ -s "$tmp/counted" ] || fail "no decisions in the statistics"
diff -u "$tmp/counted" "$tmp/recorded" || fail "the statistics say otherwise"
grep -q ', complete$' "$tmp/replay" || fail "no end: $(cat "$tmp/replay")"
[ "$(samples)" -ge 1000 ] || fail "$(samples) samples: no proof"
[ "$(stat -c %a "$tmp/work_private.run")" = 600 ] || fail "others may read it"
"$replay" -d "$tmp/work_private.run" | grep -c '^sample .* why=PAGE_' |
	grep -qx "$(samples)" || fail "the dump has other samples"

# Killed when there is something in the file.
"$numabal" run "${opts[@]}" --record "$tmp/killed" -- "${work[@]}" -s 60 \
	> "$tmp/out" 2>&1 &
pid=$!
for ((i = 0; i < 600; i++)); do
	[ "$(stat -c %s "$tmp/killed" 2> /dev/null || echo 0)" -lt 100000 ] ||
		break
	sleep 0.05
done
kill -KILL "$pid"
wait "$pid" 2> /dev/null
replayed "$tmp/killed" > "$tmp/recorded"
echo "killed, $(samples) samples: $(tr '\n' ' ' < "$tmp/recorded")"
[ "$(samples)" -ge 1000 ] || fail "killed: $(samples) samples: no proof"
grep -q complete "$tmp/replay" && fail "complete, though it was killed"

# What is cut off or damaged.
try() # EXIT-STATUS TEXT FILE
{
	"$replay" "$3" > "$tmp/out" 2> "$tmp/err"
	[ $? = "$1" ] || fail "$3: exit $?"
	# shellcheck disable=SC2053 # a pattern
	[[ $(< "$tmp/err") == $2 ]] || fail "$3: '$(cat "$tmp/err")'"
}
head -c 20001 "$tmp/killed" > "$tmp/cut"
try 0 "" "$tmp/cut"
head -c 300 "$tmp/killed" > "$tmp/short"
try 1 "numabal-replay: $tmp/short: it ends before its start" "$tmp/short"
(cat "$tmp/cut" && yes) 2> /dev/null | head -c 60000 > "$tmp/bad"
try 1 "numabal-replay: $tmp/bad: *damaged at byte *" "$tmp/bad"
: > "$tmp/none"
try 1 "numabal-replay: $tmp/none: empty" "$tmp/none"
try 1 "numabal-replay: $0: not a recorded run" "$0"

# A full disk: one line, and the program goes on as if nothing were.
timeout 60 "$numabal" run "${opts[@]}" --record /dev/full -- "${work[@]}" \
	-s 2 > "$tmp/out" 2> "$tmp/err" || fail "/dev/full: exit $?"
if [ "$(wc -l < "$tmp/err")" != 1 ] ||
	! grep -q 'cannot write /dev/full' "$tmp/err"; then
	fail "/dev/full: $(cat "$tmp/err")"
fi
exit "$bad"
