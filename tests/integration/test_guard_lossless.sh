#!/bin/bash
# SPDX-License-Identifier: MIT
#
# What the kernel throws away when it cannot store it: no datagram, connection,
# event, signal, child or message is lost while memory is armed all the time.
#
# test_guard_lossless.sh [SECONDS]: by hand, ten minutes.
# timeout: 300

# shellcheck source=tests/integration/preload.sh
. "$(dirname "$0")/preload.sh"
# shellcheck source=tests/integration/guard.sh
. tests/integration/guard.sh

seconds=${1:-5}
limit=$((seconds + 60))
plain_run "$progs/prog_lossless" 1
guarded_run 3000 "$progs/prog_lossless" "$seconds"
exit "$bad"
