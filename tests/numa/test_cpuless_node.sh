#!/bin/bash
# SPDX-License-Identifier: MIT
# timeout: 900
#
# Topology cpuless-node: the cases below, in one boot.

here=$(cd "$(dirname "$0")" && pwd)
cd "$here" || exit 1
exec ./run-guest.sh -t 300 cpuless-node -- \
	cases/any.sh cases/tier.sh
