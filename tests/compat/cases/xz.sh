#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Packing and unpacking by threads, which block all signals.
# packages: xz-utils
# tier: bracket
# min-faults: 200
# timeout: 180

# shellcheck disable=SC2086 # NB_RUN is words
set -eu -o pipefail
type -P xz > /dev/null || { echo "no xz" && exit 77; }

seq -f 'number %.0f, and what else is in a line' 700000 > in
for opts in '-T 4 -0 --block-size=1MiB' '-T 2 -3 --block-size=4MiB' -1; do
	$NB_RUN xz -k -c $opts in > in.xz
	sha256sum < in.xz
	$NB_RUN xz -t -T 4 in.xz
	$NB_RUN xz -d -c -T 4 in.xz | cmp - in
done
head -c 3000000 in | $NB_RUN xz -T 3 -2 | $NB_RUN xz -d | sha256sum
