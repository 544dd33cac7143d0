#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Coverage of what the unit and sim tests just ran (make cov). Fails unless
# every branch of lib/policy was taken; the rest is only reported. The pages
# are in build/cov/html. Branches of NB_ASSERT() do not count.

set -u

cd "$(dirname "$0")/.." || exit 1
obj=build/obj/cov
out=build/cov
# An object of coverage data that no test has run leaves no .gcda.
find "$obj/lib" -name '*.gcda' 2> /dev/null | grep -q . ||
	{ echo "no coverage data: make cov"; exit 1; }

with_gcovr()
{
	local common=(-r . "$obj" --exclude-unreachable-branches
		--exclude-branches-by-pattern '.*NB_ASSERT.*')

	mkdir -p "$out/html"
	gcovr "${common[@]}" -f 'lib/' --branches -s \
		--html-details "$out/html/index.html" > "$out/all.txt"
	cat "$out/all.txt"
	echo "lib/policy must be at 100 % (lines missing are listed):"
	gcovr "${common[@]}" -f 'lib/policy/' --branches \
		--fail-under-branch 100 --fail-under-line 100
}

# Without gcovr: gcov's own summary of each source.
with_gcov()
{
	local src summary bad=0

	for src in lib/policy/*.c; do
		summary=$(gcov -b -n -o "$obj/${src%.c}.o" "$src" |
			awk -v f="File '$src'" '$0 == f { on = 1 }
				on && /^Taken|^No branches/ { print; exit }')
		echo "$src: $summary"
		case $summary in
		*:100.00%* | No*) ;;
		*) bad=1 ;;
		esac
	done
	return "$bad"
}

if type -P gcovr > /dev/null; then
	with_gcovr
else
	with_gcov
fi
