#!/bin/bash
# SPDX-License-Identifier: MIT
# timeout: 1500
#
# Topology 2node: the cases below, in one boot.

here=$(cd "$(dirname "$0")" && pwd)
cd "$here" || exit 1
exec ./run-guest.sh -t 300 2node -- \
	cases/private.sh \
	cases/locked.sh \
	cases/full.sh \
	cases/pinned.sh \
	cases/explicit.sh \
	cases/affinity.sh \
	cases/phase.sh \
	cases/shared.sh \
	cases/processes.sh \
	cases/record.sh \
	cases/perf.sh
