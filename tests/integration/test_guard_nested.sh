#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Calls made by signal handlers while another call is blocked, and calls that
# a handler jumps out of.
# timeout: 300

# shellcheck source=tests/integration/preload.sh
. "$(dirname "$0")/preload.sh"
# shellcheck source=tests/integration/guard.sh
. tests/integration/guard.sh

plain_run "$progs/prog_calls_nested"
guarded_run 3000 "$progs/prog_calls_nested"
exit "$bad"
