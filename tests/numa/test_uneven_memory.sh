#!/bin/bash
# SPDX-License-Identifier: MIT
# timeout: 900
#
# Topology uneven-memory: the cases below, in one boot.

here=$(cd "$(dirname "$0")" && pwd)
cd "$here" || exit 1
exec ./run-guest.sh -t 240 uneven-memory -- \
	cases/any.sh
