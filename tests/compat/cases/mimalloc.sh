#!/bin/bash
# SPDX-License-Identifier: MIT
#
# A torture for malloc, with mimalloc preloaded beside numabal.
# packages: libmimalloc2.0 gcc
# tier: bracket
# min-faults: 3000
# timeout: 120

# shellcheck disable=SC2086 # NB_RUN is words
set -eu -o pipefail
type -P gcc > /dev/null || { echo "no gcc" && exit 77; }
lib=$(echo /usr/lib/*/libmimalloc.so.2.0)
[ -e "$lib" ] || { echo "no mimalloc" && exit 77; }
gcc -O1 -pthread -o prog "${0%/*}/../prog_malloc.c"
LD_PRELOAD=$lib $NB_RUN ./prog
