#!/bin/bash
# SPDX-License-Identifier: MIT
#
# What runs inside the SIGSEGV handler, or before and after each system call of
# the program, calls no libc: a thread may be interrupted anywhere, in malloc
# and stdio too. The files named here call only each other, base, and a short
# list.

# shellcheck source=tests/lint/lib.sh
. "$(dirname "$0")/lib.sh"

files='mech/hint_fault mech/fault_ring mech/arm mech/keep mech/chunk mech/protect mech/sigchain
mech/sigmask mech/sigframe mech/sigmove mech/altstack mech/inflight mech/slot mech/slot_end guard/guard
guard/syscall guard/subcall guard/hole guard/entry plat/sys plat/line_reader plat/maps plat/lock plat/arena
guard/record guard/xsave'
allowed='memcpy memset memmove memcmp memchr __stack_chk_fail _GLOBAL_OFFSET_TABLE_'

# Beyond that, by file, with the reason.
also() # FILE
{
	case $1 in
	# getcpu(3) reads a register; errno is saved around what may set it;
	# strncmp touches its arguments alone.
	plat/sys) echo getcpu __errno_location strncmp ;;
	# Reads the auxiliary vector, which nobody writes.
	plat/arena) echo getauxval ;;
	esac
}

objs=()
for f in lib/base/*.c; do
	[ -e "$lint_obj/${f%.c}.o" ] && objs+=("$lint_obj/${f%.c}.o")
done
for f in $files; do
	[ -e "$lint_obj/lib/$f.o" ] && objs+=("$lint_obj/lib/$f.o")
done
own=" $(nm --defined-only -f posix "${objs[@]}" 2> /dev/null |
	awk 'NF > 2 { printf "%s ", $1 }')"

for f in $files; do
	obj=$lint_obj/lib/$f.o
	if [ ! -e "$obj" ]; then
		lint_fail "lib/$f.c: no $obj (make all first)"
		continue
	fi
	for sym in $(nm -u -f posix "$obj" | awk '{ print $1 }'); do
		[[ " $allowed $(also "$f") " == *" $sym "* ]] && continue
		[[ $sym == nb_* && $own == *" $sym "* ]] && continue
		lint_fail "lib/$f.c: uses $sym, which is not safe in a" \
			"signal handler (allowed: $allowed)"
	done
done
lint_end
