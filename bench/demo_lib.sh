# shellcheck shell=bash
# SPDX-License-Identifier: MIT
#
# What demo_run.sh and converge.sh know about the machine: its nodes, the
# kernel's own balancing, and where the threads and pages of a process are.
#
# Sets NODES (those with CPUs and memory) and NR_NODES. Sourcing it sets a trap
# that leaves the kernel's balancing as it was.

SYSFS_NODE=/sys/devices/system/node
BALANCING=/proc/sys/kernel/numa_balancing
KERNEL_PERIODS=/sys/kernel/debug/sched/numa_balancing

NODES=()
for n in $(cd "$SYSFS_NODE" && echo node[0-9]*); do
	n=${n#node}
	[ -n "$(cat "$SYSFS_NODE/node$n/cpulist")" ] &&
		! grep -q 'MemTotal: *0 kB' "$SYSFS_NODE/node$n/meminfo" &&
		NODES+=("$n")
done
# shellcheck disable=SC2034 # for those that source this
NR_NODES=${#NODES[@]}

node_cpus() # NODE: one CPU per line
{
	tr ',' '\n' < "$SYSFS_NODE/node$1/cpulist" |
		while IFS=- read -r first last; do
			seq "$first" "${last:-$first}"
		done
}

# CPUs of the node that has fewest, at most MAX.
least_cpus() # MAX
{
	local n c least=$1

	for n in "${NODES[@]}"; do
		c=$(node_cpus "$n" | wc -l)
		[ "$c" -ge "$least" ] || least=$c
	done
	echo "$least"
}

# MiB for each of NR buffers on one node, at most MAX, using half of it.
fit_mb() # MAX NR
{
	cat "$SYSFS_NODE"/node*/meminfo | awk -v max="$1" -v nr="$2" '
	/MemFree:/ && $4 > 65536 && (!least || $4 < least) { least = $4 }
	END { mb = int(least / 2048 / nr); print mb < max ? mb : max }'
}

# For perf bench numa: the CPU or node of each thread in turn.
bind_list() # cpus|nodes THREADS-PER-NODE
{
	local n cpu

	for n in "${NODES[@]}"; do
		node_cpus "$n" | head -n "$2" |
			while read -r cpu; do
				[ "$1" = cpus ] && echo "$cpu" || echo "$n"
			done
	done | paste -sd ,
}

balancing_was=$(cat "$BALANCING" 2> /dev/null || echo 0)
trap '[ ! -w "$BALANCING" ] || echo "$balancing_was" > "$BALANCING"' EXIT

kernel_balancing() # 0|1; fails when it is not so and cannot be made so
{
	[ "$(cat "$BALANCING" 2> /dev/null || echo 0)" != "$1" ] || return 0
	[ -w "$BALANCING" ] && { echo "$1" > "$BALANCING"; } 2> /dev/null
}

# The kernel's balancing with the same periods as numabal: guests only.
kernel_periods() # DELAY MIN MAX
{
	mkdir -p /sys/kernel/debug
	mount -t debugfs debug /sys/kernel/debug 2> /dev/null
	[ -w "$KERNEL_PERIODS/scan_delay_ms" ] || return 0
	echo "$1" > "$KERNEL_PERIODS/scan_delay_ms"
	echo "$2" > "$KERNEL_PERIODS/scan_period_min_ms"
	echo "$3" > "$KERNEL_PERIODS/scan_period_max_ms"
}

# Lines "THREAD CPU PROCESS PAGES..." of the workers of a perf bench.
sample_workers() # PID
{
	local pid kids=() files=()

	read -r -a kids < "/proc/$1/task/$1/children" || true
	for pid in ${kids[@]+"${kids[@]}"}; do
		files+=("/proc/$pid/numa_maps" "/proc/$pid/task/"*/stat)
	done
	[ ${#files[@]} = 0 ] || awk -f bench/demo_perf.awk \
		-v nodes="$(cd "$SYSFS_NODE" && echo node[0-9]*/cpulist)" \
		"${files[@]}" 2> /dev/null
}

# Every two seconds, as work_* --map does, until the process ends. Only while
# all threads and all memory are there.
watch_perf() # PID MB THREADS
{
	local start=$SECONDS

	while sleep 2 && [ -d "/proc/$1/task" ]; do
		sample_workers "$1" | awk -v t=$((SECONDS - start)) \
			-v need=$(($2 * 230)) -v threads="$3" '
		$1 == "MAP" { map[n++] = $0; if ($NF < need) small = 1 }
		END {
			for (i = 0; n == threads && i < n && !small; i++) {
				sub(/ total=.*/, "", map[i])
				sub(/when=-/, "when=" t, map[i])
				print map[i]
			}
		}'
	done
}
