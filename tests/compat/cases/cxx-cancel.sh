#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Exceptions across threads; threads cancelled in blocking calls.
# packages: libstdc++6 g++
# tier: bracket
# min-faults: 100
# timeout: 120

# shellcheck disable=SC2086 # NB_RUN is words
set -eu -o pipefail
type -P g++ > /dev/null || { echo "no g++" && exit 77; }
g++ -O1 -std=c++17 -pthread -o prog "${0%/*}/../prog_cancel.cc"
$NB_RUN ./prog
