#!/bin/bash
# SPDX-License-Identifier: MIT
#
# As test_guard_signal.sh, in programs with a second thread, which has all
# signals blocked: what is sent goes to either.
# timeout: 300

NB_THREADS=1 exec "$(dirname "$0")/test_guard_signal.sh"
