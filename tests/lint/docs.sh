#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Each function of numabal.h has its kernel-doc there; each other function of
# the library that is not static has one, with Context: and (unless void)
# Return:, before its definition or its declaration. Man pages are sound.

# shellcheck source=tests/lint/lib.sh
. "$(dirname "$0")/lib.sh"

while read -r fn; do
	grep -q "^ \* $fn() - " include/numabal.h ||
		lint_fail "numabal.h: $fn() has no kernel-doc"
done < <(grep -A 1 '^NUMABAL_API' include/numabal.h |
	sed -n 's/.*[ *]\(numabal_[a-z_]*\)(.*/\1/p')

# Lines "FUNCTION context|- return|-" of all kernel-doc comments.
documented=$(c_files lib | xargs cat | awk '
	/^\/\*\*$/ { inside = 1; name = ""; ctx = ret = "-"; next }
	inside && name == "" && match($0, /[a-z0-9_]+\(\)/) {
		name = substr($0, RSTART, RLENGTH - 2)
	}
	inside && /^ \* Context:/ { ctx = "context" }
	inside && /^ \* Return:/ { ret = "return" }
	inside && /\*\// { print name, ctx, ret; inside = 0 }')

# Lines "FUNCTION void|value" of the definitions that are not static.
defined() # FILE
{
	awk '
	/^[a-z]/ { decl = "" }
	{ decl = decl " " $0 }
	/^{/ && decl !~ /^ (static|extern|struct [a-z_]+ *{)/ &&
	match(decl, /nb_[a-z0-9_]+\(/) {
		type = decl ~ /^ (__attribute__[^v]*)?void nb_/ ? "void" : "value"
		print substr(decl, RSTART, RLENGTH - 1), type
	}
	/^[#}]/ || /;$/ || /^$/ { decl = "" }' "$1"
}

for f in $(c_files lib); do
	[[ $f == *.c ]] || continue
	while read -r fn type; do
		doc=$(grep "^$fn " <<< "$documented" | tail -n 1)
		case $type:$doc in
		*:"") lint_fail "$f: $fn() has no kernel-doc" ;;
		*:*" - "*) lint_fail "$f: $fn(): kernel-doc without Context:" ;;
		value:*" -") lint_fail "$f: $fn(): kernel-doc without Return:" ;;
		esac
	done < <(defined "$f")
done

if type -P groff > /dev/null; then
	for f in man/*.[1-9]; do
		[ -e "$f" ] || continue
		warn=$(groff -ww -man -Tutf8 -z "$f" 2>&1)
		[ -z "$warn" ] || lint_fail "$f: $warn"
	done
fi
lint_end
