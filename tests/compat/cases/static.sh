#!/bin/bash
# SPDX-License-Identifier: MIT
#
# A statically linked program, started by a balanced shell: not loaded.
# packages: libc6-dev gcc
# tier: bracket
# min-faults: 0
# timeout: 60

# shellcheck disable=SC2086 # NB_RUN is words
set -eu -o pipefail
type -P gcc > /dev/null || { echo "no gcc" && exit 77; }
gcc -O1 -pthread -o dynamic "${0%/*}/../prog_malloc.c"
gcc -O1 -pthread -static -o static "${0%/*}/../prog_malloc.c" 2> /dev/null
# shellcheck disable=SC2016 # the inner shell's
$NB_RUN bash -c '
./static | grep -v "^malloc of"
echo "static $?"
./dynamic
echo "dynamic $?"'
