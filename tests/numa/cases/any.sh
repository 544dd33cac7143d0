#!/bin/bash
# SPDX-License-Identifier: MIT
# timeout: 150
#
# On a machine of any shape: nothing breaks, and most memory ends up local.

. "$(dirname "$0")/lib.sh"

"$B/numabal" topo
nodes=$(find /sys/devices/system/node -maxdepth 1 -name 'node[0-9]*' | wc -l)
how=(-s 90 --until-local 95)
[ "$nodes" != 1 ] || how=(-s 4)
"${NB[@]}" --stats="$out/json" -- "$B/bench/work_private" -m 20 "${how[@]}" \
	> "$out/on" || die "exit status $?: $(cat "$out/on")"
cat "$out/on"
cat "$out/json"
if [ "$nodes" = 1 ]; then
	grep -q '"state":"idle","why":"one node"' "$out/json" ||
		die "one node: not idle"
	exit 0
fi
at_least "$(result local_pages_pct "$out/on")" 95 "local at the end"
