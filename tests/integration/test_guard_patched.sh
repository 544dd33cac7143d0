#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Code that the guard has written and somebody else has changed since lowers
# the tier before anything more is armed; the program goes on. The guard needs
# no memory that is writable and executable, and no leave to make such.
# timeout: 120

# shellcheck source=tests/integration/preload.sh
. "$(dirname "$0")/preload.sh"

prog=$progs/prog_patched
[ -x "$prog" ] || skip "no $prog"
[ "$(uname -m)" = x86_64 ] || skip "code is patched on x86-64 alone"

# Nothing else runs under the library: it would write its statistics there, too.
run() # MODE...
{
	rm -f "$tmp/json"
	timeout -k 5 60 env "${arming[@]}" NUMABAL_STATS="$tmp/json" \
		LD_PRELOAD="$preload" "$prog" "$@"
}

value() # NAME
{
	grep -o "\"$1\": *\"[^\"]*\"" "$tmp/json" | head -n 1 |
		sed 's/.*: *"\(.*\)"/\1/'
}

expect() # TIER WHY
{
	[ "$(value tier)" = "$1" ] || fail "tier '$(value tier)', not '$1'"
	[[ "$(value why)" = *"$2"* ]] || fail "why '$(value why)', not '$2'"
}

plain "$prog" overwrite || fail "overwrite, without the library: $?"
run leave || fail "leave: $?"
expect bracket ""
[[ "$(value why)" = *changed* ]] && fail "nobody has changed anything"
run overwrite || fail "overwrite: $?"
expect conservative "changed the code of guarded system calls"
NUMABAL_GUARD=bracket run overwrite || fail "overwrite, bracket or nothing: $?"
expect off "changed the code of guarded system calls"

balanced "$prog" maps || fail "memory is writable and executable"
"$prog" mdwe true
if [ $? -ne 77 ]; then
	run mdwe "$prog" leave || fail "with PR_SET_MDWE: $?"
	expect bracket ""
fi
exit "$bad"
