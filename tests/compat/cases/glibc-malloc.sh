#!/bin/bash
# SPDX-License-Identifier: MIT
#
# A torture for malloc, as libc has it: arenas, trimming, large mappings.
# packages: libc6 gcc
# tier: bracket
# min-faults: 3000
# timeout: 120

# shellcheck disable=SC2086 # NB_RUN is words
set -eu -o pipefail
type -P gcc > /dev/null || { echo "no gcc" && exit 77; }
gcc -O1 -pthread -o prog "${0%/*}/../prog_malloc.c"
$NB_RUN ./prog
