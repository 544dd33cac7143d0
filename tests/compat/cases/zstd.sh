#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Packing and unpacking by threads, long windows, dictionaries.
# packages: zstd
# tier: bracket
# min-faults: 500
# timeout: 180

# shellcheck disable=SC2086 # NB_RUN is words
set -eu -o pipefail
type -P zstd > /dev/null || { echo "no zstd" && exit 77; }

seq -f 'number %.0f, and what else is in a line' 500000 > in
for opts in '-T4 -3' '-T2 -6' '-T3 -1 --long=24' '--single-thread -5'; do
	$NB_RUN zstd -q -f $opts in -o in.zst
	sha256sum < in.zst
	$NB_RUN zstd -q -t in.zst
	$NB_RUN zstd -q -d -c in.zst | cmp - in
done
split -a 3 -l 5000 in part.
$NB_RUN zstd -q --train part.* -o dict --maxdict=65536
sha256sum < dict
$NB_RUN zstd -q -T0 -D dict part.*
rm part.???
$NB_RUN zstd -q -d -D dict --rm part.*.zst
cat part.??? | sha256sum
$NB_RUN zstd -q -b1 -e4 -i1 -T2 in >&2
head -c 9000000 in | $NB_RUN zstd -T4 -q | $NB_RUN zstd -d -q | sha256sum
