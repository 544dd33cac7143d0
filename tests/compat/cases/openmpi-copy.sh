#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Open MPI on one host with single copy switched off.
# packages: openmpi-bin libopenmpi-dev
# tier: bracket
# min-faults: 30
# timeout: 240

# shellcheck disable=SC2086 # NB_RUN is words
set -eu -o pipefail
type -P mpicc mpirun > /dev/null || { echo "no Open MPI" && exit 77; }
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
export OMPI_MCA_rmaps_base_oversubscribe=1 OMPI_MCA_plm_rsh_agent=false
export OMPI_MCA_mpi_yield_when_idle=1 OMPI_MCA_btl=self,vader
# This messaging layer alone: others load libraries of network adapters.
export OMPI_MCA_pml=ob1
export OMPI_MCA_btl_vader_single_copy_mechanism=none OMPI_MCA_smsc=^cma
mpicc -O1 -o prog "${0%/*}/../prog_mpi.c"
mpirun -n 3 $NB_RUN ./prog
