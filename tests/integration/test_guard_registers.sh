#!/bin/bash
# SPDX-License-Identifier: MIT
#
# At every site that is guarded, in libc, the dynamic linker and the libraries
# that have system calls of their own, the stubs change nothing that the
# instructions alone do not: no register but those that a system call changes,
# no flag that is looked at, no vector or x87 state, nothing on the stack.
# timeout: 300

# shellcheck source=tests/integration/preload.sh
. "$(dirname "$0")/preload.sh"

[ "$(uname -m)" = x86_64 ] || skip "code is patched on x86-64 alone"
"$NB_OUT/numabal" doctor -- true 2>&1 | grep -q '^tier.*bracket' ||
	skip "no site is guarded here: $("$NB_OUT/numabal" doctor -- true 2>&1 |
		grep '^tier')"

# Nothing is armed, so that nobody looks at the code that is changed back.
env NUMABAL_FORCE=1 NUMABAL_SCAN_DELAY_MS=3600000 NUMABAL_TRACE=1 \
	"$progs/prog_registers" "$preload" libgomp.so.1 libstdc++.so.6 \
	libcrypto.so.3 libZydis.so.4.0 > "$tmp/out" 2>&1
rc=$?
[ $rc != 77 ] || skip "$(tail -n 1 "$tmp/out")"
cat "$tmp/out"
[ $rc = 0 ] || fail "exit $rc"
n=$(sed -n 's/^module libc\.so\.6 //p' "$tmp/out")
[ "${n:-0}" -ge 200 ] || ldd --version 2>&1 | grep -qi musl ||
	fail "only ${n:-0} sites of libc: no proof"
exit "$bad"
