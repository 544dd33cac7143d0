#!/bin/bash
# SPDX-License-Identifier: MIT
#
# `make bench`: prints medians; every figure is a ratio of two sides that ran
# in turn on this machine.  See README.md beside this file.

set -eu

top=$(cd "$(dirname "$0")/.." && pwd)
build=${NB_OUT:-$top/build}

median() # one number a line
{
	sort -n | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'
}

spent() # COMMAND...: wall milliseconds
{
	local t0=${EPOCHREALTIME/./}

	"$@" > /dev/null 2>&1
	echo $((${EPOCHREALTIME/./} - t0))
}

echo "# $(uname -sr), $(nproc) CPUs, $(grep -m 1 'model name' /proc/cpuinfo |
	cut -d : -f 2)"
echo
echo "## a hint fault against a bare loop of mprotect and SIGSEGV"
"$build/bench/bench_fault" "${ROUNDS:-101}"

echo
echo "## system calls and start-up, guarded against alone (limit of the ratio)"
"$build/bench/bench_guard" "$build/numabal" "${GUARD_ROUNDS:-15}"

echo
echo "## start-up: true, alone and under numabal run (microseconds)"
true=$(type -P true) # not the shell's own
alone=() under=()
for ((i = 0; i < 40; i++)); do
	alone+=("$(spent "$true")")
	under+=("$(spent "$build/numabal" run -- "$true")")
done
a=$(printf '%s\n' "${alone[@]}" | median)
u=$(printf '%s\n' "${under[@]}" | median)
echo "true: $a   numabal run -- true: $u   added: $((u - a))"

echo
echo "## memory that is local already: work per second with / without"
ratios=()
rate() # COMMAND...
{
	"$@" | sed -n 's/^RESULT.* ops_per_s=\([^ ]*\).*/\1/p'
}
for ((i = 0; i < ${PAIRS:-5}; i++)); do
	work=("$build/bench/work_private" -i 0 -s 5 -m 64)
	x=$(rate "${work[@]}")
	y=$(NUMABAL_FORCE=1 rate "$build/numabal" run -- "${work[@]}")
	ratios+=("$(awk -v x="$x" -v y="$y" 'BEGIN { printf "%.3f", y / x }')")
done
echo "ratios: ${ratios[*]}   median: $(printf '%s\n' "${ratios[@]}" | median)"
