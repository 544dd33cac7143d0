#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Unwinding out of a guarded call finds its callers: from a signal handler in a
# blocked thread, and from every instruction on the way into the kernel and
# back but the few of a stub, which is in no module.  gdb agrees.

# shellcheck source=tests/integration/preload.sh
. "$(dirname "$0")/preload.sh"

prog=$progs/prog_unwind
[ -x "$prog" ] || skip "no $prog"
[ "$(uname -m)" = x86_64 ] || skip "code is patched on x86-64 alone"

guarded() # COMMAND...
{
	NUMABAL_FORCE=1 LD_PRELOAD=$preload "$@"
}

want=$(plain "$prog" blocked) || fail "blocked, without the library"
got=$(guarded timeout 60 "$prog" blocked) || fail "blocked: $?"
[ "$want" = "$got" ] || fail "blocked: $got, without the library $want"
[[ "$want" = *seen* ]] || fail "blocked, without the library: $want"

plain "$prog" step > "$tmp/plain" || fail "step, without the library"
guarded timeout 60 "$prog" step > "$tmp/guarded" || fail "step: $?"
paste "$tmp/plain" "$tmp/guarded" | awk '
	$5 + 0 != 0 { print "lost without the library: " $0; bad = 1 }
	# It does pass by us, and not through many instructions of stubs.
	$8 + 0 <= $3 + 0 || $10 + 0 == 0 || $10 + 0 > 24 { print "odd: " $0; bad = 1 }
	END { exit bad || NR != 4 }' || fail "step: see above"

# A debugger steps through a call, and looks at the stack at each step.  What
# has a name has its callers, too; then the program goes on.
type -P gdb > /dev/null || exit "$bad"
cat > "$tmp/gdb" << 'END'
set confirm off
set pagination off
set debuginfod enabled off
break do_read
run
delete
set $n = 0
while $n < 120
  stepi
  printf "STEP\n"
  x/i $pc
  backtrace
  set $n = $n + 1
end
continue
END
timeout 100 gdb -q -batch -nx -ex "set exec-wrapper env NUMABAL_FORCE=1 \
	LD_PRELOAD=$preload" -x "$tmp/gdb" --args "$prog" call > "$tmp/log" 2>&1
grep -q 'exited normally' "$tmp/log" || fail "gdb: $(tail -n 3 "$tmp/log")"
awk '
	function judge() {
		if (named && !main) { print "gdb lost it: " top; bad = 1 }
		named = main = 0
	}
	/^STEP/ { judge(); steps++; next }
	# There, gdb believes in a return address, not in what it is told.
	/^=> .*\tret/ { main = 1 }
	/^#0 / { top = $0; named = !/ in \?\? /; unnamed += !named }
	/nb_guard_/ { ours++ }
	/^#.* main / { main = 1 }
	END {
		judge()
		if (steps < 120 || !ours || !unnamed) {
			print steps " steps, " ours " in us, " unnamed " in stubs"
			bad = 1
		}
		exit bad
	}' "$tmp/log" || fail "gdb: see above"
exit "$bad"
