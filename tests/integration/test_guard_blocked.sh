#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Calls that block: what they hand over stays accessible until they return,
# however long that takes and whatever is armed around it.
# timeout: 600

# shellcheck source=tests/integration/preload.sh
. "$(dirname "$0")/preload.sh"
# shellcheck source=tests/integration/guard.sh
. tests/integration/guard.sh

for prog in prog_blocked_fd prog_blocked_ipc; do
	plain_run "$progs/$prog"
	guarded_run 3000 "$progs/$prog"
done
exit "$bad"
