#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Programs that change what their memory may be used for, code among it.
# packages: stress-ng
# tier: conservative
# why: memory becomes executable; code that is made at run time is not guarded
# min-faults: 0
# timeout: 60

# shellcheck disable=SC2086 # NB_RUN is words
set -eu -o pipefail
type -P stress-ng > /dev/null || { echo "no stress-ng" && exit 77; }

for s in 'mprotect 2 --mprotect-ops 3000' 'funccall 1 --funccall-ops 5' \
	'dynlib 1 --dynlib-ops 200'; do
	status=0
	$NB_RUN stress-ng --verify --temp-path . --no-rand-seed \
		-t 40 --$s >&2 || status=$?
	echo "${s%% *}: $status"
done
