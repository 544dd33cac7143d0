#!/bin/bash
# SPDX-License-Identifier: MIT
#
# The program's own SIGSEGV: handlers, masks and what it is told about them.
# timeout: 300

# shellcheck source=tests/integration/preload.sh
. "$(dirname "$0")/preload.sh"

run_cases prog_signal recovers nodefer resethand signal mprotect blocked sent \
	other-masks waiting-masks inherited altstack raw
exit "$bad"
