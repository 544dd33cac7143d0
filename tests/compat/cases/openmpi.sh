#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Open MPI on one host as it comes: ranks read each other's memory.
# packages: openmpi-bin libopenmpi-dev
# tier: off
# min-faults: 0
# timeout: 240
# why: other ranks read a rank's memory, which no guard of that rank sees

# shellcheck disable=SC2086 # NB_RUN is words
set -eu -o pipefail
type -P mpicc mpirun > /dev/null || { echo "no Open MPI" && exit 77; }
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
export OMPI_MCA_rmaps_base_oversubscribe=1 OMPI_MCA_plm_rsh_agent=false
export OMPI_MCA_mpi_yield_when_idle=1 OMPI_MCA_btl=self,vader
mpicc -O1 -o prog "${0%/*}/../prog_mpi.c"
mpirun -n 3 $NB_RUN ./prog
