#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Nothing grows past what one reads in one go: lines of files and functions,
# parameters of functions (then a struct).

# shellcheck source=tests/lint/lib.sh
. "$(dirname "$0")/lib.sh"

limit_of() # FILE
{
	case $1 in
	include/numabal.h) echo 300 ;;
	*.h) echo 200 ;;
	lib/policy/*) echo 300 ;;
	tests/*.c | tests/*.cc) echo 500 ;;
	*.c) echo 600 ;;
	Makefile) echo 200 ;;
	*) echo 150 ;;
	esac
}

# Kernel style: a function's braces are alone at the start of their lines.
functions() # FILE
{
	local mirror=0

	# Those of the calls that they stand for; tables of cases.
	case $1 in lib/plat/sys.c | preload/* | tests/*) mirror=1 ;; esac
	awk -v file="$1" -v mirror="$mirror" '
	function params(s,	i, c, depth, n) {
		n = 1
		for (i = 1; i <= length(s); i++) {
			c = substr(s, i, 1)
			depth += (c == "(") - (c == ")")
			n += (c == "," && depth == 1)
		}
		return n
	}
	/^}/ && start {
		if (NR - start - 1 > 60)
			printf "%s:%d: function of %d lines, limit 60\n",
				file, start, NR - start - 1
		start = 0
	}
	/^{/ {
		start = NR
		if (decl !~ /=[ \t]*$/ && params(decl) > 5 && !mirror)
			printf "%s:%d: more than 5 parameters\n", file, NR
	}
	/^[a-zA-Z_]/ { decl = "" }
	{ decl = decl $0 }
	/^[#}]/ || /;$/ || /^$/ { decl = "" }
	' "$1"
}

for f in Makefile $(c_files) $(script_files); do
	[ -e "$f" ] || continue
	lines=$(wc -l < "$f")
	limit=$(limit_of "$f")
	[ "$lines" -le "$limit" ] || lint_fail "$f: $lines lines, limit $limit"
done
for f in $(c_files); do
	found=$(functions "$f")
	[ -z "$found" ] || lint_fail "$found"
done
lint_end
