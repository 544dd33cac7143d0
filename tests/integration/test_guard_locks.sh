#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Locks of libc in memory that is armed all the time: no wait fails, none is
# missed, a dead owner is noticed.
#
# test_guard_locks.sh [SECONDS]
# timeout: 300

# shellcheck source=tests/integration/preload.sh
. "$(dirname "$0")/preload.sh"
# shellcheck source=tests/integration/guard.sh
. tests/integration/guard.sh

seconds=${1:-5}
limit=$((seconds + 60))
plain_run "$progs/prog_locks" 1
guarded_run 300 "$progs/prog_locks" "$seconds"
exit "$bad"
