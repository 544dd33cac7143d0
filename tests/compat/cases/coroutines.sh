#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Coroutines (makecontext) on stacks from malloc, and signals on them.
# packages: libc6 gcc
# tier: bracket
# min-faults: 100
# timeout: 120

# shellcheck disable=SC2086 # NB_RUN is words
set -eu -o pipefail
type -P gcc > /dev/null || { echo "no gcc" && exit 77; }
gcc -O1 -pthread -o prog "${0%/*}/../prog_coroutine.c"
$NB_RUN ./prog
