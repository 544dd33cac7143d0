#!/bin/bash
# SPDX-License-Identifier: MIT
#
# demo.sh [-g TOPOLOGY] [-l]: numabal's main job, shown; `make demo`.
#
# Three programs whose memory and threads start on different nodes, each run
# four times: unbalanced, under `numabal run`, under the kernel's own
# balancing, and placed by hand. Runs here when there are two nodes or more,
# else in a QEMU guest of tests/numa; -g always takes a guest, -l is longer.
#
# demo_run.sh does the runs, where the nodes are; demo_show.awk makes tables
# and maps of what it prints. Exit: 0; 1 when numabal did not bring
# work_private to 95 % local pages; 2 when a run failed.

set -u

usage()
{
	cat <<-END
	usage: demo.sh [-g TOPOLOGY] [-l]
	  -g TOPOLOGY  run in this guest of tests/numa (2node, 4node, ...)
	  -l           runs twice as long
	NO_COLOR=1 for no colour.
	END
}

top=$(cd "$(dirname "$0")/.." && pwd)
bench=$top/bench
topology='' long=1
while getopts ":g:lh" o; do
	case $o in
	g) topology=$OPTARG ;;
	l) long=2 ;;
	h) usage; exit 0 ;;
	*) usage >&2; exit 2 ;;
	esac
done
cd "$top" || exit 2

for f in numabal libnumabal-preload.so bench/work_private bench/work_shared; do
	[ -e "build/$f" ] || {
		echo "demo: build/$f is not there: run make first" >&2
		exit 2
	}
done

# Nodes that have both CPUs and memory.
nodes=0
for n in /sys/devices/system/node/node[0-9]*; do
	[ -s "$n/cpulist" ] && [ -n "$(cat "$n/cpulist")" ] &&
		! grep -q 'MemTotal: *0 kB' "$n/meminfo" && nodes=$((nodes + 1))
done

tty=0 color=0
if [ -t 1 ] && [ "${TERM:-dumb}" != dumb ]; then
	tty=1
	[ -n "${NO_COLOR:-}" ] || color=1
fi

guest=0
if [ -z "$topology" ] && [ "$nodes" -lt 2 ]; then
	topology=2node
	echo "This machine has one memory node. The demo therefore runs in" \
		"a QEMU guest with"
	echo "two, by emulation: it shows where pages and threads end up," \
		"not how fast it is."
elif [ -z "$topology" ]; then
	echo "This machine has $nodes memory nodes: the demo runs on it."
fi
if [ -n "$topology" ]; then
	guest=1
	limit=$((600 * long))
	echo "Guest: tests/numa/guest $topology -- bench/demo_run.sh;" \
		"about $((5 * long)) minutes."
	run=(tests/numa/guest "$topology" -t "$limit" -e "DEMO_LONG=$long"
		-e DEMO_GUEST=1 -- "$bench/demo_run.sh")
else
	run=(env "DEMO_LONG=$long" DEMO_GUEST=0 "$bench/demo_run.sh")
fi
echo

# mawk would otherwise wait for 4 KiB before it shows anything.
awk=(awk)
[[ $(awk -W version 2>&1 < /dev/null) != mawk* ]] || awk=(awk -W interactive)
"${run[@]}" 2>&1 | "${awk[@]}" -v tty="$tty" -v color="$color" -v guest="$guest" \
	-f "$bench/demo_show.awk"
status=("${PIPESTATUS[@]}")
if [ "${status[0]}" != 0 ]; then
	echo "demo: the runs ended with exit status ${status[0]}" >&2
	exit 2
fi
exit "${status[1]}"
