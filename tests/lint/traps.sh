#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Each of the fifteen traps of tests/traps.tsv has a test, and each test that
# is named there exists and has the case; so do the mutants, tests/mutants.tsv.

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

while IFS=$'\t' read -r mutant test word; do
	case $mutant in '' | \#*) continue ;; esac
	grep -q "ifdef NB_MUTANT_$mutant\$\|(NB_MUTANT_$mutant)" \
		lib/base/mutant.h ||
		lint_fail "tests/mutants.tsv: $mutant is no mutant"
	if [ ! -x "$test" ] && [ ! -e "$test.c" ]; then
		lint_fail "tests/mutants.tsv: $mutant: there is no $test"
	elif [[ $test == tests/integration/* ]] && ! grep -qF -e "$word" "$test"; then
		lint_fail "tests/mutants.tsv: $mutant: $test has no $word"
	fi
done < tests/mutants.tsv
while read -r mutant; do
	grep -q "\b${mutant#NB_MUTANT_}\b" tests/mutants.tsv \
		tests/torture/mutations.sh ||
		lint_fail "lib/base/mutant.h: nobody tests $mutant"
done < <(grep -o 'NB_MUTANT_NO_[A-Z_]*' lib/base/mutant.h)
lint_end
