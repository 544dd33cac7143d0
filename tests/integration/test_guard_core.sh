#!/bin/bash
# SPDX-License-Identifier: MIT
#
# The core of a crash is that of a run without the library: the thread, the
# registers, the place, the address, and the memory, armed or not.
# timeout: 200

# shellcheck source=tests/integration/preload.sh
. "$(dirname "$0")/preload.sh"

prog=$progs/prog_core
[ -x "$prog" ] || skip "no $prog"
[ "$(uname -m)" = x86_64 ] || skip "x86-64 only"
[ "$(cat /proc/sys/kernel/core_pattern)" = core ] ||
	skip "cores go elsewhere: $(cat /proc/sys/kernel/core_pattern)"
ulimit -c unlimited 2> /dev/null || skip "cores are not allowed here"

# Which thread it strikes, and that nothing is armed in the core.
mkdir "$tmp/own" && cd "$tmp/own" || exit 1
run_cases prog_crash_core alone beside-others
cd - > /dev/null || exit 1
only_cases
type -P gdb > /dev/null || skip "no gdb"

# shellcheck disable=SC2016 # $ is gdb's
for how in plain balanced; do
	mkdir "$tmp/$how" && cd "$tmp/$how" || exit 1
	"$how" timeout -k 5 60 "$prog" > out 2>&1
	rc=$?
	set -- core*
	[ -e "$1" ] || skip "no core was written"
	gdb -q -batch -ex 'info registers rip rax rbx rcx rdx rsi rdi rbp r8 r9' \
		-ex 'info registers r10 r11 r12 r13 r14 r15 eflags' \
		-ex 'p $xmm3.uint128' -ex 'x/i $rip' \
		-ex 'p $_siginfo.si_signo' -ex 'p $_siginfo.si_code' \
		-ex 'p $_siginfo._sifields._sigfault.si_addr' -ex bt \
		-ex 'dump binary memory mem buf buf+8388608' "$prog" "$1" 2>&1 |
		sed -n '/^rip/,$p' | sed 's/0x0*5[0-9a-f]\{11\}/ADDRESS/g' > seen
	echo "status $rc" >> seen
	rm -f core*
	cd - > /dev/null || exit 1
done
cat "$tmp/plain/seen"
grep -q '^rip.*<main' "$tmp/plain/seen" || fail "no register was seen"
diff "$tmp/plain/seen" "$tmp/balanced/seen" || fail "the cores differ"
[ -s "$tmp/plain/mem" ] || fail "no memory was seen"
cmp "$tmp/plain/mem" "$tmp/balanced/mem" || fail "the memory differs"
exit "$bad"
