#!/bin/bash
# SPDX-License-Identifier: MIT
#
# OpenMP, with threads that spin and threads that sleep in libgomp's futexes.
# packages: libgomp1 gcc
# tier: bracket
# min-faults: 2000
# timeout: 120

# shellcheck disable=SC2086 # NB_RUN is words
set -eu -o pipefail
type -P gcc > /dev/null || { echo "no gcc" && exit 77; }
gcc -O2 -fopenmp -o prog "${0%/*}/../prog_openmp.c"
echo "spinning"
OMP_WAIT_POLICY=active GOMP_SPINCOUNT=10000 $NB_RUN ./prog
echo "sleeping"
OMP_WAIT_POLICY=passive $NB_RUN ./prog
