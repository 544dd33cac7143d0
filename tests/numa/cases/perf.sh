#!/bin/bash
# SPDX-License-Identifier: MIT
# timeout: 240
#
# perf bench numa mem forks two processes of two threads that share their
# process's memory, all of it on one node at first.
#
# With -m it stops at the first moment at which each process has its threads on
# one node: numabal gets there.  Without any balancing the scheduler gets there
# by chance now and then, with all memory still on the first node.  So both are
# also compared after a fixed time by where the pages are: under numabal beside
# their threads, without it where they were.

. "$(dirname "$0")/lib.sh"

perf=$(command -v perf) || exit 77

# Share of the processes' pages that are on the nodes of their threads.
local_share()
{
	local pid task cpu nid

	for pid in $(pgrep -x 'process [0-9]*' || pgrep -f 'numa mem'); do
		[ -r "/proc/$pid/numa_maps" ] || continue
		for task in "/proc/$pid/task"/*; do
			case $(cat "$task/comm") in
			thread*) ;;
			*) continue ;;
			esac
			cpu=$(sed 's/.*) //' "$task/stat" | cut -d ' ' -f 37)
			nid=$(basename "/sys/devices/system/cpu/cpu$cpu"/node*)
			# anonymous memory of 16 MiB and more
			awk -v n="N${nid#node}" '/anon=/ && !/file=|heap|stack/ {
				all = here = 0
				for (i = 1; i <= NF; i++)
					if (split($i, a, "=") == 2 &&
					    a[1] ~ /^N[0-9]+$/) {
						all += a[2]
						here += a[1] == n ? a[2] : 0
					}
				if (all >= 4096)
					print here, all
			}' "/proc/$pid/numa_maps"
		done
	done | awk '{ h += $1; a += $2 }
		END { printf "%.1f\n", a ? 100 * h / a : -1 }'
}

# The share after @1 seconds of a run of 4 more; the rest is the command.
share_after()
{
	local seconds=$1 share

	shift
	"$@" "$perf" bench numa mem -p 2 -t 2 -P 96 -s $((seconds + 4)) \
		-zZ0qc --thp 1 > "$out/perf" 2>&1 &
	sleep "$seconds"
	share=$(local_share)
	wait "$!" || die "exit status $?: $(cat "$out/perf")"
	echo "$share"
}

"${NB[@]}" -- "$perf" bench numa mem -p 2 -t 2 -P 256 -s 60 -zZ0qcm --thp 1 \
	> "$out/on" 2>&1 || die "exit status $?: $(cat "$out/on")"
cat "$out/on"
took=$(sed -n 's/^ *\([0-9.]*\) secs latency to NUMA-converge.*/\1/p' "$out/on")
at_least "$took" 0.1 "numabal: seconds to convergence"
at_most "$took" 59 "numabal: seconds to convergence"

at_most "$(share_after 12)" 80 "without: pages beside their threads"
at_least "$(share_after 45 "${NB[@]}" --)" 95 \
	"numabal: pages beside their threads"
