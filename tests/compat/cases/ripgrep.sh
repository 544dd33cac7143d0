#!/bin/bash
# SPDX-License-Identifier: MIT
#
# A program in Rust, with many threads: ripgrep over the header files.
# packages: ripgrep
# tier: bracket
# min-faults: 100
# timeout: 60

# shellcheck disable=SC2086 # NB_RUN is words
set -eu -o pipefail
type -P rg > /dev/null || { echo "no ripgrep" && exit 77; }
for _ in 1 2 3; do
	$NB_RUN rg -j 4 -c --sort path 'define|struct' /usr/include | sha256sum
	$NB_RUN rg -j 4 --no-heading -n 'int +[a-z_]+\(.*unsigned' /usr/include |
		sort | sha256sum
done
$NB_RUN rg -j 4 --json 'sigaction' /usr/include |
	grep -c '"type":"match"'
