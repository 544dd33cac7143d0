#!/bin/bash
# SPDX-License-Identifier: MIT
#
# cppcheck, with the findings that do not depend on seeing system headers. Not
# over the tests: it follows the wrong values that they pass on purpose.

# shellcheck source=tests/lint/lib.sh
. "$(dirname "$0")/lib.sh"

type -P cppcheck > /dev/null || lint_skip "no cppcheck"
mapfile -t files < <(c_files lib preload tools examples bench |
	grep '\.c$')
cppcheck --quiet -j "$(nproc)" --std=c11 --language=c -Iinclude -D__linux__ \
	-D__x86_64__ -D__GNUC__=12 --max-configs=2 --error-exitcode=1 \
	--enable=warning,portability --inline-suppr \
	--suppress=missingIncludeSystem --suppress=preprocessorErrorDirective \
	--template='{file}:{line}: {id}: {message}' "${files[@]}" || lint_bad=1
lint_end
