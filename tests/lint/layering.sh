#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Who may include whom: the table "Layers" of lib/README.md, line by line
#
#	| `who` | `ours` ... | system headers |
#
# "who" and "ours" are path prefixes; system headers are "any", "any but" with
# names, or names. The longest prefix of a file is its row. A file without a
# row may include everything.

# shellcheck source=tests/lint/lib.sh
. "$(dirname "$0")/lib.sh"

# shellcheck disable=SC2016 # the backquotes are the table's
table=$(sed -n '/^## Layers/,/^## /p' lib/README.md |
	sed -n 's/^| *`\([^|]*\)` *|\([^|]*\)|\([^|]*\)|.*/\1|\2|\3/p' |
	tr -d '`')
[ -n "$table" ] || lint_fail "lib/README.md: no table under '## Layers'"

row_of() # FILE
{
	local who rest best="" found=""

	while IFS='|' read -r who rest; do
		[[ $1 == "$who"* ]] && [ ${#who} -gt ${#best} ] &&
			best=$who && found=$rest
	done <<< "$table"
	echo "$found"
}

resolve() # FILE INCLUDED: path from the top; -Iinclude comes last
{
	local dir

	dir=$(dirname "$1")
	if [ -e "$dir/$2" ]; then
		realpath -s --relative-to=. "$dir/$2"
	else
		echo "include/$2"
	fi
}

is_word() # WORD LIST
{
	[[ " $2 " == *" $1 "* ]]
}

check_ours() # FILE HEADER ALLOWED
{
	local prefix

	for prefix in $3; do
		[[ $2 == "$prefix"* ]] && return
	done
	lint_fail "$1: may not include $2 (allowed: ${3# })"
}

check_system() # FILE HEADER ALLOWED
{
	case $3 in
	any) return ;;
	"any but "*) is_word "$2" "${3#any but }" || return ;;
	*) is_word "$2" "$3" && return ;;
	esac
	lint_fail "$1: may not include <$2> (allowed: $3)"
}

for f in $(c_files); do
	row=$(row_of "$f")
	[ -n "$row" ] || continue
	ours=${row%%|*}
	system=$(echo "${row#*|}" | xargs)
	while read -r inc; do
		case $inc in
		'"'*) check_ours "$f" "$(resolve "$f" "${inc//\"/}")" "$ours" ;;
		'<numabal.h>') check_ours "$f" include/numabal.h "$ours" ;;
		'<'*) check_system "$f" "${inc//[<>]/}" "$system" ;;
		esac
	done < <(sed -n \
		's/^[ \t]*#[ \t]*include[ \t]*\(["<][^">]*[">]\).*/\1/p' "$f")
done
lint_end
