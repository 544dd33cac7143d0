# shellcheck shell=bash
# SPDX-License-Identifier: MIT
#
# Turns what topology.sh read into arguments; sourced by guest.
#
# topology_args fills topo_args[] (QEMU's arguments) and topo_append (the
# kernel's).

# The input is set by topology.sh, the output read by guest.
# shellcheck disable=SC2034,SC2154

# A Linux guest numbers nodes as their first processor appears in the firmware
# tables, so a node that is to be missing has a socket without processor; its
# memory is taken away by the kernel's memmap=. Nodes with memory come in the
# order of their addresses: the place of a hidden one is the sum of those before
# it (all files stay below the 2 GiB where the machine's memory has a hole of
# its own, or hide none). The other processors are plugged in one by one, which
# keeps their numbers as the file has them.
topology_holes() # MODEL
{
	local n c start=0 sockets=0

	for ((n = 0; n < topo_nodes; n++)); do
		if [ "${topo_hidden[n]:-0}" = 1 ]; then
			topo_append+=" memmap=${topo_memory[n]}M\$${start}M"
			topo_args+=(-numa "cpu,node-id=$n,socket-id=$sockets")
			sockets=$((sockets + 1))
		fi
		for c in $(cpu_numbers "${topo_cpulist[n]-}"); do
			topo_args+=(-numa "cpu,node-id=$n,socket-id=$sockets")
			[ "$c" -eq 0 ] || topo_args+=(-device
"$1-x86_64-cpu,socket-id=$sockets,core-id=0,thread-id=0")
			sockets=$((sockets + 1))
		done
		start=$((start + ${topo_memory[n]:-0}))
	done
	topo_append+=" possible_cpus=$topo_cpus"
	topo_args+=(-smp "1,maxcpus=$sockets,sockets=$sockets")
}

# QEMU's arguments for the topology, into the array topo_args, and the
# kernel's, into topo_append. MODEL is the processor model of -cpu.
topology_args() # MODEL
{
	local n c arg total=0 mb row i

	topo_args=()
	topo_append=
	for ((n = 0; n < topo_nodes; n++)); do
		mb=${topo_memory[n]:-0}
		total=$((total + mb))
		arg="node,nodeid=$n"
		if [ "$mb" -gt 0 ]; then
			topo_args+=(-object
				    "memory-backend-ram,id=m$n,size=${mb}M")
			arg="$arg,memdev=m$n"
		fi
		[ "${#topo_hidden[@]}" -gt 0 ] ||
			for c in $(cpu_numbers "${topo_cpulist[n]-}"); do
				arg="$arg,cpus=$c"
			done
		topo_args+=(-numa "$arg")
	done
	for ((n = 0; n < topo_nodes; n++)); do
		read -r -a row <<< "${topo_distance[n]}"
		for i in "${!row[@]}"; do
			topo_args+=(-numa "dist,src=$n,dst=$i,val=${row[i]}")
		done
	done
	topo_args+=(-m "${total}M")
	if [ "${#topo_hidden[@]}" -gt 0 ]; then
		topology_holes "$1"
	else
		topo_args+=(-smp "$topo_cpus,sockets=$topo_cpus")
	fi
}
