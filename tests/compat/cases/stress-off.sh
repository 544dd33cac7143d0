#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Programs that do what cannot be balanced: they stop being so, and do not
# notice.
# packages: stress-ng
# tier: off
# why: they forbid themselves to read the clock; share memory with a process
# why: that is no thread; filter system calls; use io_uring, userfaultfd
# min-faults: 0
# timeout: 180

# shellcheck disable=SC2086 # NB_RUN is words
set -eu -o pipefail
type -P stress-ng > /dev/null || { echo "no stress-ng" && exit 77; }

for s in 'sigsegv 1 --sigsegv-ops 5000' \
	'vm-rw 1 --vm-rw-bytes 1M --vm-rw-ops 50' \
	'seccomp 1 --seccomp-ops 100' 'io-uring 1 --io-uring-ops 1000' \
	'userfaultfd 1 --userfaultfd-bytes 1M --userfaultfd-ops 100' \
	'ptrace 1 --ptrace-ops 200'; do
	status=0
	$NB_RUN stress-ng --verify --temp-path . --no-rand-seed \
		-t 40 --$s >&2 || status=$?
	echo "${s%% *}: $status"
done
