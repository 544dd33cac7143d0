#!/bin/bash
# SPDX-License-Identifier: MIT
# timeout: 150
#
# Half-way the threads exchange their buffers: numabal notices and follows.

. "$(dirname "$0")/lib.sh"

"${NB[@]}" -o scan_period_max_ms=2000 -- "$B/bench/work_phase" -m 24 -s 70 \
	> "$out/on" || die "exit status $?: $(cat "$out/on")"
cat "$out/on"
at_least "$(result local_pages_pct "$out/on")" 95 "local at the end"
