#!/bin/bash
# SPDX-License-Identifier: MIT
#
# A program maps, moves, protects and unmaps memory while it is being armed.
# timeout: 300

# shellcheck source=tests/integration/preload.sh
. "$(dirname "$0")/preload.sh"

run_cases prog_memory moves replaced reused locked advised policies \
	churns counts
exit "$bad"
