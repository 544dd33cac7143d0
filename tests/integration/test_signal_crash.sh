#!/bin/bash
# SPDX-License-Identifier: MIT
#
# A real crash looks as it would without the library: status, core, si_code,
# si_addr.
# timeout: 300

# shellcheck source=tests/integration/preload.sh
. "$(dirname "$0")/preload.sh"

prog=$progs/prog_crash
[ -x "$prog" ] || skip "no $prog"
cd "$tmp" || exit 1
ulimit -c unlimited 2> /dev/null || echo "cores are not allowed here"

for c in null readonly none jump ignored blocked resethand kill raise thread abort; do
	want=$(plain timeout 60 "$prog" "$c" 2>&1; echo "status $?")
	got=$(balanced timeout 60 "$prog" "$c" 2>&1; echo "status $?")
	[ "$want" = "$got" ] || fail "$c: $got, want $want"
	case $got in
	*"status 139" | *"status 134") ;;
	*) fail "$c did not crash: $got" ;;
	esac
	rm -f core*
	want=$(plain timeout 60 "$prog" "$c" watched 2>&1; echo "status $?")
	got=$(balanced timeout 60 "$prog" "$c" watched 2>&1; echo "status $?")
	rm -f core*
	# No permission to trace: nothing to compare.
	[[ $want == *"signal -1"* ]] && continue
	echo "$c: $got"
	[ "$want" = "$got" ] || fail "$c: $got, want $want"
done
exit "$bad"
