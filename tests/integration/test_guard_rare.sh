#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Rare things that real programs do and that a hint fault must survive.
# timeout: 300

# shellcheck source=tests/integration/preload.sh
. "$(dirname "$0")/preload.sh"

run_cases prog_guard_rare stack-gone stack-protected no-clock \
	call-filter lowest-number end-of-pipe brief-child named-probe \
	no-code waited-copy
exit "$bad"
