# shellcheck shell=bash
# SPDX-License-Identifier: MIT
#
# The part of selftest.sh that compares a guest's nodes with its topology
# file; sourced by it, and uses its check, here and work.

# These are set by selftest.sh and topology.sh.
# shellcheck disable=SC2154

# One line per node: number, CPUs, distances, "memory" or "none". MemTotal is
# what the kernel leaves of a node, so it is compared apart, with a margin.
expected_nodes()
{
	local n d

	for ((n = 0; n < topo_nodes; n++)); do
		[ "${topo_hidden[n]:-0}" = 0 ] || continue
		d=$(visible_distances "$n")
		echo "node$n cpus=$(cpu_numbers "${topo_cpulist[n]-}" |
			paste -sd,) distance=$d"
	done
}

visible_distances() # NODE: its row without the columns of hidden nodes
{
	local row i out=

	read -r -a row <<< "${topo_distance[$1]}"
	for i in "${!row[@]}"; do
		[ "${topo_hidden[i]:-0}" = 1 ] || out="$out ${row[i]}"
	done
	echo "${out# }"
}

# Runs in the guest.
# shellcheck disable=SC2016 # expanded there
facts='for d in /sys/devices/system/node/node[0-9]*; do
	cpus=
	for c in $(ls -d $d/cpu[0-9]* 2> /dev/null | sed "s,.*/cpu,," | sort -n); do
		cpus=$cpus${cpus:+,}$c
	done
	echo "${d##*/} cpus=$cpus distance=$(cat $d/distance)"
done
grep -h MemTotal /sys/devices/system/node/node*/meminfo
cat /proc/sys/kernel/numa_balancing'

memory_fits() # FILE: each node has at least 75 % of what the topology says
{
	local n got want

	for ((n = 0; n < topo_nodes; n++)); do
		[ "${topo_hidden[n]:-0}" = 0 ] || continue
		got=$(sed -n "s/^Node $n MemTotal: *\([0-9]*\) kB/\1/p" "$1")
		want=$((${topo_memory[n]:-0} * 1024))
		if [ "${got:-0}" -gt $want ] ||
		   [ "${got:-0}" -lt $((want * 3 / 4)) ]; then
			echo "node $n: ${got:-0} kB of $want"
			return
		fi
	done
	echo fits
}

test_topology() # NAME
{
	local start=$SECONDS

	topology_read "$here/topologies/$1.conf" ||
		{ check "$1: file" whole broken; return; }
	"$here/guest" "$1" -- sh -c "$facts" > "$work/facts"
	check "$1: boots ($((SECONDS - start)) s)" 0 $?
	check "$1: nodes, CPUs, distances" "$(expected_nodes)" \
		"$(grep ^node "$work/facts")"
	check "$1: memory" fits "$(memory_fits "$work/facts")"
	check "$1: kernel balancing off" 0 "$(tail -n 1 "$work/facts")"
}
