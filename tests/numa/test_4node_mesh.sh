#!/bin/bash
# SPDX-License-Identifier: MIT
# timeout: 900
#
# Topology 4node-mesh: the cases below, in one boot.

here=$(cd "$(dirname "$0")" && pwd)
cd "$here" || exit 1
exec ./run-guest.sh -t 240 4node-mesh -- \
	cases/private.sh \
	cases/record.sh \
	cases/pinned.sh
