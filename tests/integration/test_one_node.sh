#!/bin/bash
# SPDX-License-Identifier: MIT
# timeout: 60
#
# On a machine with one node, and not forced: no thread, no handler, nothing
# armed, nothing said. Seen from outside, by strace.

set -eu

nodes=$(find /sys/devices/system/node -maxdepth 1 -name 'node[0-9]*' 2> \
	/dev/null | wc -l)
[ "$nodes" -le 1 ] || exit 77
[ "${NB_BUILD:-release}" = release ] || exit 77
type -P strace > /dev/null || exit 77
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
work=("$NB_OUT/bench/work_private" -t 2 -m 40 -s 1 -i 0)

traced() # FILE COMMAND...
{
	local file=$1

	shift
	strace -f -qq -o "$out/$file" \
		-e trace=clone,clone3,rt_sigaction,mprotect,move_pages \
		"$@" > "$out/$file.out" 2> "$out/$file.err" ||
		[ -s "$out/$file" ] || exit 77
}

count() # FILE REGEX
{
	grep -cE "$2" "$out/$1" || true
}

traced without "${work[@]}"
traced with "$NB_OUT/numabal" run -- "${work[@]}"
for what in 'clone3?\(' 'rt_sigaction\(SIGSEGV, \{' 'mprotect.*PROT_NONE'; do
	a=$(count without "$what") b=$(count with "$what")
	echo "$what: $a without, $b with"
	[ "$a" = "$b" ] || exit 1
done
[ ! -s "$out/with.err" ] || {
	cat "$out/with.err"
	exit 1
}

# The test sees what it looks for: forced, all of it is there.
export NUMABAL_FORCE=1 NUMABAL_SCAN_DELAY_MS=0 NUMABAL_SCAN_PERIOD_MIN_MS=10
traced forced "$NB_OUT/numabal" run -- "${work[@]}"
for what in 'clone3?\(' 'rt_sigaction\(SIGSEGV, \{' 'mprotect.*PROT_NONE'; do
	[ "$(count forced "$what")" -gt "$(count without "$what")" ] || {
		echo "forced: no $what more than without"
		exit 1
	}
done
