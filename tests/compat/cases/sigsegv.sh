#!/bin/bash
# SPDX-License-Identifier: MIT
#
# libsigsegv: stacks that are used up, left by a jump, and pages opened at their
# first use.
# packages: libsigsegv-dev gcc
# tier: bracket
# min-faults: 20
# timeout: 60

# shellcheck disable=SC2086 # NB_RUN is words
set -eu -o pipefail
[ -e /usr/include/sigsegv.h ] || { echo "no libsigsegv" && exit 77; }
gcc -O1 -o prog "${0%/*}/../prog_sigsegv.c" -lsigsegv
ulimit -s 1024
$NB_RUN ./prog
