#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Memory: mapping, moving, copying, locking; each stressor checks what it reads.
# packages: stress-ng
# tier: bracket
# min-faults: 2000
# timeout: 180

# shellcheck disable=SC2086 # NB_RUN is words
set -eu -o pipefail
type -P stress-ng > /dev/null || { echo "no stress-ng" && exit 77; }

# None that maps code: see pcre-jit. Each a number of rounds: what is reported must not depend on the time.
for s in 'vm 2 --vm-bytes 32M --vm-ops 300' 'malloc 2 --malloc-ops 30000' \
	'bigheap 1 --bigheap-ops 500 --bigheap-growth 64K' \
	'mremap 2 --mremap-bytes 4M --mremap-ops 300' \
	'brk 1 --brk-ops 20000' 'memcpy 2 --memcpy-ops 200' \
	'memrate 1 --memrate-bytes 4M --memrate-ops 4' \
	'madvise 1 --madvise-ops 30' \
	'stack 1 --stack-ops 3' 'mlock 1 --mlock-ops 500' \
	'shm 1 --shm-ops 30' 'matrix 1 --matrix-ops 200' \
	'qsort 1 --qsort-ops 2' 'tree 1 --tree-ops 1'; do
	status=0
	$NB_RUN stress-ng --verify --temp-path . --no-rand-seed --oomable \
		-t 40 --$s >&2 || status=$?
	echo "${s%% *}: $status"
done
