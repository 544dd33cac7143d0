#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Every script is clean under shellcheck.

# shellcheck source=tests/lint/lib.sh
. "$(dirname "$0")/lib.sh"

type -P shellcheck > /dev/null || lint_skip "no shellcheck"
mapfile -t files < <(script_files)
shellcheck -x -P SCRIPTDIR -f gcc "${files[@]}" || lint_bad=1
lint_end
