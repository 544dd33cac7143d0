#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Fibers of Boost.Context on stacks from the heap, and once more while signals are
# handled on them.
# packages: libboost-context1.74.0 libboost-context1.74-dev g++
# tier: bracket
# min-faults: 20
# timeout: 120

# shellcheck disable=SC2086 # NB_RUN is words
set -eu -o pipefail
type -P g++ > /dev/null || { echo "no g++" && exit 77; }
[ -e /usr/include/boost/context/fiber.hpp ] ||
	{ echo "no Boost.Context" && exit 77; }
g++ -O1 -std=c++17 -pthread -o prog "${0%/*}/../prog_fiber.cc" -lboost_context
$NB_RUN ./prog
$NB_RUN ./prog storm
