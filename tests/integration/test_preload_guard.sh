#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Memory that is armed goes through the kernel as if it were not: every kind of
# call that takes a pointer, blocked ones, stdio, paths.
# timeout: 300

# shellcheck source=tests/integration/preload.sh
. "$(dirname "$0")/preload.sh"

run_cases prog_guard receive send at-offset stdio paths waiting blocked \
	bad-address
exit "$bad"
