#!/bin/bash
# SPDX-License-Identifier: MIT
#
# lib.mk lists the library's sources by hand, in pipeline order: each .c file
# of lib/ is there, and each one there exists.

# shellcheck source=tests/lint/lib.sh
. "$(dirname "$0")/lib.sh"

# shellcheck disable=SC2016 # make's variables, not the shell's
listed=$(awk '
	/\\$/ { sub(/\\$/, ""); line = line $0; next }
	{ print line $0; line = "" }' lib/lib.mk |
	sed -n -e 's/^LIB_[A-Z]* := \$(addprefix \([a-z]*\/\),\(.*\))$/\1 \2/p' \
		-e 's/^LIB_[A-Z]* := \([a-z].*\)$/- \1/p' |
	while read -r dir files; do
		for f in $files; do
			echo "lib/${dir#-}$f"
		done
	done | grep '\.c$')
found=$(find lib -name '*.c')
for f in $found; do
	grep -qx "$f" <<< "$listed" || lint_fail "$f: not listed in lib/lib.mk"
done
for f in $listed; do
	[ -e "$f" ] || lint_fail "$f: listed in lib/lib.mk, does not exist"
done
for f in $found; do
	grep -q "\`$(basename "$f")\`" lib/README.md ||
		lint_fail "$f: not mentioned in lib/README.md"
done
lint_end
