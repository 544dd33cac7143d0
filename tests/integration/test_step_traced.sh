#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Tracers and debuggers: while one is there all memory is accessible and
# nothing is armed, afterwards it goes on.  What they read is what there is,
# armed or not.
# timeout: 300

# shellcheck source=tests/integration/preload.sh
. "$(dirname "$0")/preload.sh"

prog=$progs/prog_step
[ -x "$prog" ] || skip "no $prog"
arming+=(NUMABAL_MIN_REGION_KB=4 NUMABAL_CHUNK_KB=64)
tools=0

ask() # WHAT: to the program; is the answer yes?
{
	local answer

	echo "$1" >&"${PROG[1]}"
	read -r -t 90 answer <&"${PROG[0]}" && [ "$answer" = yes ]
}

begin() # a program with armed memory; its id in $pid
{
	coproc PROG { balanced "$prog" serve; }
	read -r -t 90 pid <&"${PROG[0]}" || fail "no program"
	ask armed || fail "never armed"
}

end()
{
	local job=$PROG_PID

	eval "exec ${PROG[1]}>&-"
	wait "$job" || fail "the program: exit $?"
}

# Attached all the time between two questions.
if type -P strace > /dev/null; then
	begin
	strace -f -qq -o "$tmp/strace" -p "$pid" 2> "$tmp/err" &
	tracer=$!
	if ask open; then
		tools=$((tools + 1))
	elif kill -0 $tracer 2> /dev/null; then
		fail "armed while strace is there"
	fi
	kill $tracer 2> /dev/null
	wait $tracer 2> /dev/null
	ask armed || fail "armed no more when strace has left"
	end
	# Started by it: the same from the beginning.
	balanced strace -f -qq -o "$tmp/strace" "$prog" start ||
		fail "armed under strace from the start"
	# ... unless the user wants it.
	balanced env NUMABAL_TRACE=1 strace -f -qq -o "$tmp/strace" "$prog" \
		nothing || fail "NUMABAL_TRACE=1: not armed under strace"
fi

if type -P gdb > /dev/null; then
	begin
	gdb -q -batch -p "$pid" -ex 'handle SIGSEGV nostop noprint pass' \
		-ex 'p large[512]' -ex 'p large[1024 * 1024 + 1024]' \
		-ex 'bt 1' -ex detach > "$tmp/gdb" 2>&1
	# 512 / 512 * 7; (1 MiB / 512 + 2) * 7, of 256
	if grep -q "= 7 " "$tmp/gdb" && grep -q "= 14 " "$tmp/gdb"; then
		tools=$((tools + 1))
	else
		fail "gdb reads something else"
		cat "$tmp/gdb"
	fi
	ask armed || fail "armed no more when gdb has left"
	if type -P gcore > /dev/null; then
		gcore -o "$tmp/core" "$pid" > "$tmp/gcore" 2>&1
		gdb -q -batch -ex 'p large[512]' "$prog" "$tmp/core.$pid" \
			> "$tmp/gdb" 2>&1
		grep -q "= 7 " "$tmp/gdb" || fail "gcore: $(cat "$tmp/gdb")"
		ask armed || fail "armed no more after gcore"
	fi
	end
fi
[ "$tools" -gt 0 ] || [ "$bad" = 1 ] || skip "needs strace or gdb, and ptrace"
exit "$bad"
