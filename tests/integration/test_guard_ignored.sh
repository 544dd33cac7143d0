#!/bin/bash
# SPDX-License-Identifier: MIT
#
# A signal that is ignored interrupts nobody, whatever the thread is at that it
# was sent to; and it may be given a handler at any time.
#
# test_guard_ignored.sh [SECONDS]: by hand, longer.
# timeout: 200

# shellcheck source=tests/integration/preload.sh
. "$(dirname "$0")/preload.sh"
# shellcheck source=tests/integration/guard.sh
. tests/integration/guard.sh

seconds=${1:-3}
limit=$((2 * seconds + 60))
plain_run "$progs/prog_sig_ignored" 1
guarded_run 1000 "$progs/prog_sig_ignored" "$seconds"
exit "$bad"
