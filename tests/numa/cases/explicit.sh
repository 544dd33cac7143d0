#!/bin/bash
# SPDX-License-Identifier: MIT
# timeout: 150
#
# What the program or the user placed by hand is left alone.

. "$(dirname "$0")/lib.sh"

# mbind by the program
# The tier without the heap, whose pages may move.
"${NB[@]}" -o guard=conservative --stats="$out/json" -- \
	"$B/bench/work_private" --mbind --pin wrong \
	-m 24 -s 10 > "$out/mbind" || die "exit status $?"
at_most "$(result local_pages_pct "$out/mbind")" 5 "mbind: local at the end"
[ "$(pages "$out/mbind")" = "$(pages_at_start "$out/mbind")" ] ||
	die "memory with a policy was moved"
at_most "$(counter numa_pages_migrated "$out/json")" 0 "mbind: pages moved"

# numactl --membind: the whole program has a policy
"${NB[@]}" --stats="$out/json" -- numactl --membind=1 \
	"$B/bench/work_private" --place first-touch -m 24 -s 8 \
	> "$out/membind" || die "exit status $?"
cat "$out/json"
grep -q '"why":"the memory policy was set explicitly"' "$out/json" ||
	die "numactl --membind: not noticed"
case $(pages "$out/membind") in
"[0,"*) ;;
*) die "numactl --membind=1: pages $(pages "$out/membind")" ;;
esac

# numactl --cpunodebind: threads stay on the node, memory comes to them
"${NB[@]}" --stats="$out/json" -- numactl --cpunodebind=0 \
	"$B/bench/work_private" -t 2 --place node:1 -m 40 -s 30 \
	> "$out/cpubind" || die "exit status $?"
cat "$out/cpubind"
at_least "$(result local_pages_pct "$out/cpubind")" 95 "cpunodebind: local"
at_most "$(result task_node_moves "$out/cpubind")" 0 "cpunodebind: moves"
