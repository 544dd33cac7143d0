#!/bin/bash
# SPDX-License-Identifier: MIT
#
# converge.sh [-p PERCENT] [-s SECONDS] [-t TOPOLOGY] [-T THREADS] [-m MB]
#
# Seconds until 90 % of the pages are on the node of the thread that uses them
# (and stay: three checks in a row), for work_private and work_shared, which
# start misplaced: with nothing, with numabal, with the kernel's balancing. In
# a QEMU guest of tests/numa, one boot, with the same short scan periods for
# both balancers. A guest's seconds compare with each other only.
#
# Exit: 0; 1 when numabal did not get work_private there; 2 when a run failed.

set -u
cd "$(dirname "$0")/.." || exit 2
pct=90 secs=30 topology=2node threads=4 mb=40

usage()
{
	sed -n '4s/^# /usage: /p' bench/converge.sh
}

while getopts ":hp:s:t:T:m:" o; do
	case $o in
	h) usage; exit 0 ;;
	p) pct=$OPTARG ;;
	s) secs=$OPTARG ;;
	t) topology=$OPTARG ;;
	T) threads=$OPTARG ;;
	m) mb=$OPTARG ;;
	*) usage >&2; exit 2 ;;
	esac
done
[[ $pct$secs$threads$mb =~ ^[0-9]+$ ]] || { usage >&2; exit 2; }

# In the guest: one line "@ PROGRAM BALANCER LOCAL% SECONDS STATUS" per run.
inside()
{
	local program balancer out rc cmd

	# shellcheck source=bench/demo_lib.sh
	. bench/demo_lib.sh
	kernel_periods 500 250 2000
	for program in work_private work_shared; do
		for balancer in none numabal kernel; do
			cmd=()
			case $balancer in
			none) kernel_balancing 0 ;;
			kernel) kernel_balancing 1 ;;
			numabal)
				kernel_balancing 0
				cmd=(build/numabal run -o scan_delay_ms=500
					-o scan_period_min_ms=250
					-o scan_period_max_ms=2000 --) ;;
			esac
			echo "$program, $balancer ..."
			out=$("${cmd[@]}" "build/bench/$program" -t "$threads" \
				-m "$mb" -s "$secs" -i 1 --until-local "$pct")
			rc=$?
			sed -n 's/^RESULT //p' <<< "$out" | tr ' ' '\n' |
			awk -F = -v head="@ $program $balancer" -v rc="$rc" '
			{ v[$1] = $2 }
			END { print head, v["local_pages_pct"] + 0,
				v["seconds"] + 0, rc }'
		done
	done
}

if [ "${CONVERGE_INSIDE:-0}" = 1 ]; then
	inside
	exit
fi
[ -x build/numabal ] || { echo "converge: run make first" >&2; exit 2; }

echo "$threads threads, $mb MiB each; guest $topology; up to $secs s per run"
tests/numa/guest "$topology" -t $((secs * 7 + 120)) -e CONVERGE_INSIDE=1 -- \
	"$PWD/bench/converge.sh" -p "$pct" -s "$secs" -T "$threads" -m "$mb" |
	awk -v pct="$pct" '
	$1 != "@" { print "  " $0; fflush(); next }
	{
		row[$2, $3] = $6 > 1 ? "failed" : $6 == 0 ? $5 " s" : "never"
		end[$2, $3] = $4 "%"
		bad += $6 > 1
		n++
	}
	$2 == "work_private" && $3 == "numabal" { reached = $6 == 0 }
	END {
		printf "\n%-14s %20s %20s %20s\n", "to " pct " % local",
			"none", "numabal", "kernel"
		for (i = 1; i <= 2; i++) {
			p = i == 1 ? "work_private" : "work_shared"
			printf "%-14s", p
			m = split("none numabal kernel", b, " ")
			for (j = 1; j <= m; j++)
				printf " %20s", row[p, b[j]] " (end " \
					end[p, b[j]] ")"
			print ""
		}
		exit bad || n < 6 ? 2 : !reached
	}'
