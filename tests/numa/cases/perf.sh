#!/bin/bash
# SPDX-License-Identifier: MIT
# timeout: 300
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

# The nodes of the threads of process @1, "N0 N1".
thread_nodes()
{
	local task comm stat nid nodes=

	for task in "/proc/$1/task"/*; do
		read -r comm < "$task/comm" || continue
		[ "${comm#thread}" != "$comm" ] || continue
		read -r stat < "$task/stat" || continue
		read -r -a stat <<< "${stat##*) }"
		nid=("/sys/devices/system/cpu/cpu${stat[36]}"/node*)
		nodes+=" N${nid##*/node}"
	done
	echo "$nodes"
}

# Share of the pages of both processes that are on the nodes of their threads,
# anonymous memory of 16 MiB and more; nothing unless all four threads were
# there to be asked.
local_share()
{
	local pid

	for pid in $(pgrep -x 'process [0-9]*'); do
		awk -v nodes="$(thread_nodes "$pid")" '
		/anon=/ && !/file=|heap|stack/ {
			all = 0
			split("", on)
			for (i = 1; i <= NF; i++)
				if (split($i, a, "=") == 2 && a[1] ~ /^N[0-9]/)
					all += on[a[1]] = a[2]
			if (all < 4096)
				next
			for (i = split(nodes, n, " "); i > 0; i--)
				print on[n[i]] + 0, all
		}' "/proc/$pid/numa_maps"
	done 2> /dev/null | awk '{ h += $1; a += $2 }
		END { if (NR >= 4) printf "%.1f\n", 100 * h / a }'
}

start() # COMMAND... that runs perf: four threads until stop()
{
	setsid "$@" "$perf" bench numa mem -p 2 -t 2 -P 96 -s 600 \
		-zZ0qc --thp 1 > "$out/perf" 2>&1 &
	pid=$!
}

stop()
{
	kill -KILL -- "-$pid"
	wait "$pid" 2> /dev/null || :
}

# The mean of ten looks: a thread may just be between two nodes.
mean_share()
{
	local looks=10

	for (( ; looks > 0; looks--)); do
		kill -0 "$pid" || die "ended by itself: $(cat "$out/perf")"
		local_share
		sleep 0.5
	done | awk '{ s += $1 } END { if (NR == 10) printf "%.1f\n", s / NR }'
}

"${NB[@]}" -- "$perf" bench numa mem -p 2 -t 2 -P 256 -s 60 -zZ0qcm --thp 1 \
	> "$out/on" 2>&1 || die "exit status $?: $(cat "$out/on")"
cat "$out/on"
took=$(sed -n 's/^ *\([0-9.]*\) secs latency to NUMA-converge.*/\1/p' "$out/on")
at_least "$took" 0.1 "numabal: seconds to convergence"
at_most "$took" 59 "numabal: seconds to convergence"

start
sleep 12
share=$(mean_share)
stop
at_most "$share" 80 "without: pages beside their threads"

start "${NB[@]}" --
for ((waited = 0; waited < 90; waited++)); do
	share=$(local_share)
	[ "${share%.*}" -lt 95 ] 2> /dev/null || [ -z "$share" ] || break
	sleep 1
done
share=$(mean_share)
stop
at_least "$share" 95 "numabal: pages beside their threads, $waited s later"
