#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Processes and threads: fork, vfork, exec, clone, kill, wait; each stressor checks.
# Not "resources", which sends SIGALRM to processes that are not its own.
# packages: stress-ng
# tier: bracket
# min-faults: 500
# timeout: 180

# shellcheck disable=SC2086 # NB_RUN is words
set -eu -o pipefail
type -P stress-ng > /dev/null || { echo "no stress-ng" && exit 77; }

for s in 'fork 2 --fork-ops 150' 'vfork 2 --vfork-ops 500' \
	'exec 1 --exec-ops 200' 'clone 1 --clone-ops 100' \
	'pthread 2 --pthread-ops 500' 'kill 1 --kill-ops 20000' \
	'wait 1 --wait-ops 200' 'zombie 1 --zombie-ops 300' \
	'daemon 1 --daemon-ops 100' 'switch 2 --switch-ops 20000' \
	'sigchld 1 --sigchld-ops 300' 'context 1 --context-ops 300' \
	'nanosleep 1 --nanosleep-ops 100' \
	'vforkmany 1 --vforkmany-ops 200 -t 2' \
	'affinity 2 --affinity-ops 2000'; do
	status=0
	$NB_RUN stress-ng --verify --temp-path . --no-rand-seed \
		-t 40 --$s >&2 || status=$?
	echo "${s%% *}: $status"
done
