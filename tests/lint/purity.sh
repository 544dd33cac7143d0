#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Policy and base decide from their arguments alone: their objects may call
# each other and the four mem* functions, nothing else, and hold no variables.
# lib/policy has no floating point.

# shellcheck source=tests/lint/lib.sh
. "$(dirname "$0")/lib.sh"

allowed='memcpy memset memmove memcmp __stack_chk_fail'
shopt -s nullglob
objs=()
for src in lib/base/*.c lib/policy/*.c; do
	obj=$lint_obj/${src%.c}.o
	if [ -e "$obj" ]; then
		objs+=("$obj")
	else
		lint_fail "$src: no $obj (make all first)"
	fi
done
[ ${#objs[@]} -gt 0 ] || lint_fail "no objects of lib/base and lib/policy"

own=" $(nm --defined-only -f posix "${objs[@]}" 2> /dev/null |
	awk '$2 ~ /[TW]/ { printf "%s ", $1 }')"

for obj in "${objs[@]}"; do
	src=${obj#"$lint_obj"/}
	src=${src%.o}.c
	for sym in $(nm -u -f posix "$obj" | awk '{ print $1 }'); do
		[[ " $allowed " == *" $sym "* ]] && continue
		[[ $sym == nb_* && $own == *" $sym "* ]] && continue
		lint_fail "$src: calls $sym(); policy and base may call only" \
			"each other and: $allowed"
	done
	# Constant tables of pointers are in .data.rel.ro: no variables.
	for sym in $(objdump -t "$obj" | awk -F '\t' '
		$1 ~ / O / && $1 ~ / (\.data|\.bss|\.tdata|\.tbss|\*COM\*)/ &&
		$1 !~ /\.data\.rel\.ro/ { sub(/.* /, "", $2); print $2 }'); do
		lint_fail "$src: variable $sym; state belongs to the caller"
	done
done
for f in lib/policy/*.[ch]; do
	# Words of comments do not count.
	sed -e 's|/\*.*\*/||' -e '/\/\*/,/\*\//d' -e 's|//.*||' "$f" |
		grep -qwE 'float|double' &&
		lint_fail "$f: floating point; policy is integers only"
done
lint_end
