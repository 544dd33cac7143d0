#!/bin/bash
# SPDX-License-Identifier: MIT
# timeout: 900
#
# Topology one-node: the cases below, in one boot.

here=$(cd "$(dirname "$0")" && pwd)
cd "$here" || exit 1
exec ./run-guest.sh -t 240 one-node -- \
	cases/any.sh
