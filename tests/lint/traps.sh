#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Each of the fifteen traps of tests/traps.tsv has a test, and each test that
# is named there exists and has the case.

# shellcheck source=tests/lint/lib.sh
. "$(dirname "$0")/lib.sh"

seen=' '
while IFS=$'\t' read -r nr test word defence; do
	case $nr in '' | \#*) continue ;; esac
	seen+="$nr "
	[ -n "$defence" ] || lint_fail "tests/traps.tsv: $nr: no defence"
	if [ ! -x "$test" ]; then
		lint_fail "tests/traps.tsv: $nr: there is no $test"
	elif ! grep -qF -e "$word" "$test"; then
		lint_fail "tests/traps.tsv: $nr: $test has no $word"
	fi
done < tests/traps.tsv
for nr in {1..15}; do
	[[ $seen == *" $nr "* ]] || lint_fail "tests/traps.tsv: $nr has no test"
done
lint_end
