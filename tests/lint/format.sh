#!/bin/bash
# SPDX-License-Identifier: MIT
#
# clang-format 14 would change nothing (another version would: it skips then).

# shellcheck source=tests/lint/lib.sh
. "$(dirname "$0")/lib.sh"

for cf in clang-format-14 clang-format; do
	"$cf" --version 2> /dev/null | grep -q 'version 14\.' && break
	cf=
done
[ -n "$cf" ] || lint_skip "no clang-format 14"
mapfile -t files < <(c_files)
for f in "${files[@]}"; do
	"$cf" --style=file "$f" | cmp -s - "$f" && continue
	lint_fail "$f: not as clang-format makes it (make format)"
	"$cf" --style=file "$f" | diff -u "$f" - | sed -n '3,12p'
done
lint_end
