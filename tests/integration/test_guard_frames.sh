#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Handlers of signals run where they would without the library, with the frame
# that they would have; and no signal is lost that comes to a stack which is
# armed.
#
# test_guard_frames.sh [SIGNALS]: by hand, 200000.
# timeout: 400

# shellcheck source=tests/integration/preload.sh
. "$(dirname "$0")/preload.sh"
# shellcheck source=tests/integration/guard.sh
. tests/integration/guard.sh

prog=$progs/prog_sig_move
[ -x "$prog" ] || skip "no $prog"
[ "$(uname -m)" = x86_64 ] || skip "x86-64 only"
ulimit -c 0
limit=300
for c in where order waits registers jumps switches no-room; do
	for how in plain balanced; do
		"$how" timeout -k 5 60 "$prog" "$c" > "$tmp/$how" 2>&1
		echo "status $?" >> "$tmp/$how"
		sed -i '/preload.sh: line/d' "$tmp/$how"
	done
	diff "$tmp/plain" "$tmp/balanced" > "$tmp/diff" && continue
	fail "$c: without the library (<) and with it (>):"
	cat "$tmp/diff"
done
# A call that is left by a jump, too, must not keep memory from being armed.
plain_run "$progs/prog_sig_abandon"
guarded_run 1000 "$progs/prog_sig_abandon"
# Nor may one thread's exec change what another's finds.
plain_run "$progs/prog_sig_beside"
guarded_run 100 "$progs/prog_sig_beside"
plain_run "$progs/prog_sig_small"
guarded_run 1000 "$progs/prog_sig_small"
plain_run "$progs/prog_sig_fibers" 200
guarded_run 1000 "$progs/prog_sig_fibers" "${1:-20000}"
[ "$(counter lost_signals)" = 0 ] || fail "the kernel threw signals away"
exit "$bad"
