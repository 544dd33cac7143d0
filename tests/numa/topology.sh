# shellcheck shell=bash
# SPDX-License-Identifier: MIT
#
# Reads a topology file; sourced by guest and selftest.sh.
#
# A file has lines `key=value`, and `#` starts a comment:
#
#   about=TEXT             one line for people
#   nodeN.memory=MB        0 or missing: no memory
#   nodeN.cpus=LIST        0-1 or 0,2; missing: no CPUs
#   nodeN.distance=D ...   row N of the distance table
#   nodeN.hidden=1         the guest does not see this node, which leaves a
#                          hole in its numbering of the nodes. The node needs
#                          memory and no CPUs, is not node 0, and the CPUs of
#                          such a file are numbered in the order of the nodes
#
# topology_read FILE fills topo_nodes (count), topo_cpus (count),
# topo_memory[], topo_cpulist[], topo_distance[] and topo_hidden[], and fails
# with a line on standard error for anything else it finds.

# topo_cpulist is read by the scripts that source this one.
# shellcheck disable=SC2034

topology_error() # FILE MESSAGE
{
	echo "topology $(basename "$1" .conf): $2" >&2
	return 1
}

cpu_numbers() # LIST: one number per line
{
	local part

	for part in ${1//,/ }; do
		seq "${part%-*}" "${part#*-}"
	done
}

topology_line() # FILE KEY VALUE
{
	local n field

	[ "$2" = about ] && return 0
	[[ $2 =~ ^node([0-9]+)\.([a-z]+)$ ]] ||
		{ topology_error "$1" "unknown key '$2'"; return 1; }
	n=${BASH_REMATCH[1]}
	field=${BASH_REMATCH[2]}
	[ "$n" -lt "$topo_nodes" ] || topo_nodes=$((n + 1))
	case $field:$3 in
	memory:*[!0-9]* | hidden:*[!01]* | cpus:*[!0-9,-]* | distance:*[!0-9\ ]*)
		topology_error "$1" "bad value '$3' for '$2'" ;;
	memory:*) topo_memory[n]=$3 ;;
	cpus:*) topo_cpulist[n]=$3 ;;
	distance:*) topo_distance[n]=$3 ;;
	hidden:*) topo_hidden[n]=$3 ;;
	*) topology_error "$1" "unknown key '$2'" ;;
	esac
}

topology_check() # FILE: whole, and each CPU in one node
{
	local n row all

	all=
	for ((n = 0; n < topo_nodes; n++)); do
		read -r -a row <<< "${topo_distance[n]-}"
		[ "${#row[@]}" -eq "$topo_nodes" ] ||
			{ topology_error "$1" "node$n.distance needs" \
			  "$topo_nodes numbers"; return 1; }
		all="$all $(cpu_numbers "${topo_cpulist[n]-}")"
	done
	# shellcheck disable=SC2086 # split on purpose
	all=$(printf '%s\n' $all | sort -n)
	topo_cpus=$(wc -l <<< "$all")
	[ "$all" = "$(seq 0 $((topo_cpus - 1)))" ] ||
		topology_error "$1" "the CPUs are not 0 to N-1, each once"
}

topology_read() # FILE
{
	local line key

	topo_nodes=0
	topo_cpus=0
	topo_memory=() topo_cpulist=() topo_distance=() topo_hidden=()
	[ -r "$1" ] || { topology_error "$1" "no such topology"; return 1; }
	# shellcheck disable=SC2094 # topology_line only names the file
	while read -r line || [ -n "$line" ]; do
		line=${line%%#*}
		key=${line%%=*}
		[ -n "${line// /}" ] || continue
		topology_line "$1" "$key" "${line#*=}" || return 1
	done < "$1"
	topology_check "$1"
}

# Scales the memory to a total of MB, keeping the nodes' shares.
topology_scale() # MB
{
	local n sum=0

	for n in "${!topo_memory[@]}"; do
		sum=$((sum + topo_memory[n]))
	done
	for n in "${!topo_memory[@]}"; do
		topo_memory[n]=$((topo_memory[n] * $1 / sum / 2 * 2))
	done
}
