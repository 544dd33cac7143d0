#!/bin/bash
# SPDX-License-Identifier: MIT
#
# demo_run.sh: the runs of demo.sh, on the machine that has the nodes.
#
# Prints for demo_show.awk, between the programs' own output:
#   @about WORKLOAD TEXT          @run WORKLOAD VARIANT SECONDS COMMAND
#   @skip WORKLOAD VARIANT WHY    @end STATUS
# From the environment: DEMO_LONG (1, 2), DEMO_GUEST (1: small and with short
# scan periods, for numabal and for the kernel alike), DEMO_ONLY (workloads).
# Leaves the machine's balancing as it was.

set -u
cd "$(dirname "$0")/.." || exit 1
# shellcheck source=bench/demo_lib.sh
. bench/demo_lib.sh

long=${DEMO_LONG:-1}
only=${DEMO_ONLY:-work_private work_shared perf}

if [ "${DEMO_GUEST:-0}" = 1 ]; then
	# more than NUMABAL_MIN_RSS_MB in all
	threads_per_node=2 mb=24 team_mb=40 secs=$((22 * long)) perf_mb=64
	fast=(-o scan_delay_ms=500 -o scan_period_min_ms=250
		-o scan_period_max_ms=2000)
	kernel_periods 500 250 2000
else
	threads_per_node=$(least_cpus 4) mb=$(fit_mb 256 "$threads_per_node")
	team_mb=$mb
	secs=$((40 * long)) perf_mb=$(fit_mb 512 "$NR_NODES")
	fast=()
fi
threads=$((threads_per_node * NR_NODES))
short=$((secs / 2))

run() # WORKLOAD VARIANT SECONDS COMMAND...
{
	local w=$1 v=$2 s=$3 pid rc

	shift 3
	echo "@run $w $v $s $*"
	"$@" 2>&1 &
	pid=$!
	if [ "$w" = perf ]; then
		watch_perf "$pid" "$perf_mb" "$threads" &
	fi
	wait "$pid"
	rc=$?
	wait
	# work_*: 1 is "not reached", which the table shows.
	[ "$w" = perf ] || [ "$rc" != 1 ] || rc=0
	echo "@end $rc"
}

# COMMAND with the kernel's balancing off or on; says so when that cannot be.
unbalanced() # WORKLOAD SECONDS COMMAND...
{
	if kernel_balancing 0; then
		run "$1" unbalanced "${@:2}"
	else
		echo "@skip $1 unbalanced the kernel's balancing is on, and" \
			"only root may switch it off"
	fi
}

by_kernel() # WORKLOAD SECONDS COMMAND...
{
	if kernel_balancing 1; then
		run "$1" kernel "${@:2}"
		kernel_balancing 0
	else
		echo "@skip $1 kernel the kernel's balancing is off, and" \
			"only root may switch it on"
	fi
}

by_numabal() # WORKLOAD SECONDS COMMAND...
{
	local w=$1 s=$2

	shift 2
	run "$w" numabal "$s" build/numabal run \
		${fast[@]+"${fast[@]}"} -- "$@"
}

# Balanced runs may end early: when 95 % was seen in three seconds in a row.
work() # WORKLOAD SECONDS OPTION...
{
	local w=$1 most=$2

	shift 2
	set -- "build/bench/$w" -t "$threads" -m "$mb" --map "$@"
	unbalanced "$w" "$short" "$@" -s "$short"
	by_numabal "$w" "$most" "$@" -s "$most" --until-local 95
	by_kernel "$w" "$most" "$@" -s "$most" --until-local 95
	run "$w" hand $((short / 2)) "$@" -s $((short / 2)) \
		--place right --pin right
}

case " $only " in *" work_private "*)
	echo "@about work_private $threads threads, each with $mb MiB of its" \
		"own, which starts on another node"
	work work_private $((secs * 2)) ;;
esac
case " $only " in *" work_shared "*)
	echo "@about work_shared $NR_NODES teams of $threads_per_node threads," \
		"each sharing $team_mb MiB, start mixed over the nodes"
	mb=$team_mb work work_shared "$secs" --teams "$NR_NODES" ;;
esac
case " $only " in *" perf "*)
	if ! type -P perf > /dev/null || ! perf bench numa mem -h 2>&1 |
		grep -q -- --thp; then
		echo "@skip perf all there is no perf with 'bench numa'" \
			"(Debian: linux-perf)"
		exit 0
	fi
	# With -m it would end at the first moment at which each process
	# happens to be on one node; what matters is that it stays so.
	set -- perf bench numa mem -p "$NR_NODES" -t "$threads_per_node" \
		-P "$perf_mb" --thp 1
	echo "@about perf $NR_NODES processes of $threads_per_node threads," \
		"each process with $perf_mb MiB, all starts on one node"
	most=$((secs * 3 / 2))
	unbalanced perf "$short" "$@" -s "$short" -zZ0qc
	by_numabal perf "$most" "$@" -s "$most" -zZ0qc
	by_kernel perf "$most" "$@" -s "$most" -zZ0qc
	# Not -0: that binds the memory to the first node.
	run perf hand $((short / 2)) "$@" -s $((short / 2)) -zZqc \
		-C "$(bind_list cpus "$threads_per_node")" \
		-M "$(bind_list nodes "$threads_per_node")" ;;
esac
