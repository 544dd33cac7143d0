#!/bin/bash
# SPDX-License-Identifier: MIT
#
# A torture for malloc, with jemalloc preloaded beside numabal.
# packages: libjemalloc2 gcc
# tier: bracket
# min-faults: 3000
# timeout: 120

# shellcheck disable=SC2086 # NB_RUN is words
set -eu -o pipefail
type -P gcc > /dev/null || { echo "no gcc" && exit 77; }
lib=$(echo /usr/lib/*/libjemalloc.so.2)
[ -e "$lib" ] || { echo "no jemalloc" && exit 77; }
gcc -O1 -pthread -o prog "${0%/*}/../prog_malloc.c"
LD_PRELOAD=$lib $NB_RUN ./prog
