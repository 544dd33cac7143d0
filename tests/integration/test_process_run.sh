#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Forks, started programs, threads and their CPU masks, on armed memory.
# timeout: 600

# shellcheck source=tests/integration/preload.sh
. "$(dirname "$0")/preload.sh"

run_cases prog_process forks fork-lives fork-threads fork-vfork spawns \
	execs exec-fails vfork-signals cancels thousand own-stack affinity

# Programs that are started have all CPUs, whatever their parent is pinned to.
all=$(nproc)
for how in nproc 'taskset -cp $$ | sed s/.*:.//' 'sh -c nproc' \
	'python3 -c "import os; print(len(os.sched_getaffinity(0)))"'; do
	type -P "${how%% *}" > /dev/null || continue
	want=$(sh -c "$how")
	got=$(balanced sh -c "$how")
	[ "$want" = "$got" ] || fail "$how: $got, want $want (nproc: $all)"
done
exit "$bad"
