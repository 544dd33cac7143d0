#!/bin/bash
# SPDX-License-Identifier: MIT
#
# LATENCY_THREADS: a thread of such a name takes no hint fault on what it maps,
# and one for each chunk at most elsewhere; when it has another name, or has
# ended, the memory is armed as any other.
# timeout: 300

# shellcheck source=tests/integration/preload.sh
. "$(dirname "$0")/preload.sh"
# shellcheck source=tests/integration/guard.sh
. tests/integration/guard.sh

prog=$progs/prog_latency
[ -x "$prog" ] || skip "no prog_latency"
arming+=("NUMABAL_LATENCY_THREADS=no,rt-[0-9]")

taken() # CASE LEAST MOST: hint faults of the thread
{
	local n

	guarded_run 2000 "$prog" "$1" || return
	n=$(counter latency_hint_faults)
	echo "$1: $n of them by the latency-critical thread"
	if [ "${n:-999999}" -lt "$2" ] || [ "$n" -gt "$3" ]; then
		fail "$1: not $2 to $3"
	fi
}

plain_run "$prog" heap
taken own 0 0
# It is 8 MiB: five blocks of 2 MiB, or four.
taken heap 4 5
exit "$bad"
