#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Nonsense in the environment: one line, and the program runs. Switched off or
# not wanted: no line, no thread, nothing armed.

# shellcheck source=tests/integration/preload.sh
. "$(dirname "$0")/preload.sh"

lines() # WANTED SETTING...: lines on standard error
{
	local want=$1 out n

	shift
	out=$(env "$@" LD_PRELOAD="$preload" echo fine 2> "$tmp/err")
	[ "$out" = fine ] || fail "$*: printed '$out'"
	n=$(wc -l < "$tmp/err")
	[ "$n" = "$want" ] || fail "$*: $n lines, want $want: $(cat "$tmp/err")"
}

lines 0 NUMABAL=1
lines 0 NUMABAL=0
lines 1 NUMABAL=perhaps
lines 1 NUMABAL_SCAN_PERIOD_MIN_MS=soon
lines 1 NUMABAL_SCAN_SIZE_MB=-1
lines 1 NUMABAL_MAX_OVERHEAD_PCT=1000
lines 1 NUMABAL_CONF=scan_size_mb:x
lines 1 NUMABAL_NO_SUCH_OPTION=1
lines 1 NUMABAL_NODES=9999

prog=$progs/prog_guard
for off in NUMABAL=0 NUMABAL_SKIP=prog_guard NUMABAL_ONLY=other \
	NUMABAL_SCAN_SIZE_MB=junk; do
	# Nothing is waited for, and nothing may be written.
	env "${arming[@]}" NB_PLAIN=1 "$off" LD_PRELOAD="$preload" \
		timeout 60 "$prog" > "$tmp/out" 2>&1 ||
		fail "$off: $(cat "$tmp/out")"
done
exit "$bad"
