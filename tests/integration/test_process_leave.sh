#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Functions that start programs are left by jumps of handlers, and used by two
# threads at the same time: with the guard, and where interposers do its work.
# timeout: 400

# shellcheck source=tests/integration/preload.sh
. "$(dirname "$0")/preload.sh"

run_cases prog_leave_spawn system exec threads
NUMABAL_GUARD=conservative run_cases prog_leave_spawn system exec threads
exit "$bad"
