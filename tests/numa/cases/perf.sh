#!/bin/bash
# SPDX-License-Identifier: MIT
# timeout: 240
#
# perf bench numa mem forks two processes of two threads that share 256 MiB
# each, all of it on node 0 at first: it converges when each process has its
# threads on one node.  It does so under numabal, and not without.

. "$(dirname "$0")/lib.sh"

perf=$(command -v perf) || exit 77
args=(bench numa mem -p 2 -t 2 -P 256 -s 60 -zZ0qcm --thp 1)

latency() # FILE
{
	sed -n 's/^ *\([0-9.]*\) secs latency to NUMA-converge.*/\1/p' "$1"
}

"${NB[@]}" -- "$perf" "${args[@]}" > "$out/on" 2>&1 || die "exit status $?"
cat "$out/on"
at_most "$(latency "$out/on")" 59 "numabal: seconds to convergence"
at_least "$(latency "$out/on")" 0.1 "numabal: seconds to convergence"

"$perf" "${args[@]}" > "$out/off" 2>&1 || die "exit status $?"
cat "$out/off"
at_least "$(latency "$out/off")" 60 "without: seconds, the whole run"
