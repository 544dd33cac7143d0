# shellcheck shell=bash
# SPDX-License-Identifier: MIT
#
# unknown.sh: sourced by what runs the audit.

# Of the unguarded calls in FILE, those that are not in the list "known", as
# module and number: addresses differ from build to build.
unknown() # FILE
{
	local known=${BASH_SOURCE[0]%/*}/known

	sed -n 's|^unguarded .*/\([^/ ]*\)+[0-9a-f]* \([0-9]*\)$|\1 \2|p
		s|^unguarded \(\[.*\]\)+[0-9a-f]* \([0-9]*\)$|\1 \2|p
		s|^unguarded +*[0-9a-f]* \([0-9]*\)$|[anonymous] \1|p' "$1" |
		sort | uniq -c | while read -r n module nr; do
		sed 's/#.*//; s/[[:space:]]\+/ /g; s/ $//' "$known" |
			grep -qxF "$module $nr" ||
			echo "$module call $nr, $n times"
	done
}

# How many calls were guarded, all processes together.
guarded() # FILE
{
	awk '$1 == "guarded" { n += $2 } END { print n + 0 }' "$1"
}
