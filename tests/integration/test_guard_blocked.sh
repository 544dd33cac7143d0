#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Calls that block: what they hand over stays accessible until they return,
# however long that takes and whatever is armed around it.
# timeout: 600

# shellcheck source=tests/integration/preload.sh
. "$(dirname "$0")/preload.sh"

# Page by page, so that the neighbours of what is in use are armed, too.
arming+=(NUMABAL_CHUNK_KB=4 NUMABAL_MIN_REGION_KB=4)

for prog in prog_blocked_fd prog_blocked_ipc; do
	[ -x "$progs/$prog" ] || skip "no $prog"
	plain timeout -k 5 60 "$progs/$prog" > "$tmp/out" 2>&1 || {
		fail "$prog, without the library"
		cat "$tmp/out"
	}
	balanced timeout -k 5 240 "$progs/$prog" || fail "$prog: exit $?"
done
exit "$bad"
