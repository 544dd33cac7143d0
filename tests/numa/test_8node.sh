#!/bin/bash
# SPDX-License-Identifier: MIT
# timeout: 900
#
# Topology 8node: the cases below, in one boot.

here=$(cd "$(dirname "$0")" && pwd)
cd "$here" || exit 1
exec ./run-guest.sh -t 240 8node -- \
	cases/any.sh
