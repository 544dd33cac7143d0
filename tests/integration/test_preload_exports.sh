#!/bin/bash
# SPDX-License-Identifier: MIT
#
# The preload library exports what preload/real.def lists and nothing else,
# and each is there once.

# shellcheck source=tests/integration/preload.sh
. "$(dirname "$0")/preload.sh"

sed -n 's/^NB_REAL(\([^,]*\),.*/\1/p' preload/real.def |
	LC_ALL=C sort > "$tmp/want"
nm -D --defined-only "$preload" | awk '{ print $3 }' |
	LC_ALL=C sort > "$tmp/has"
diff -u "$tmp/want" "$tmp/has" || fail "exports differ from preload/real.def"
uniq -d "$tmp/want" | grep . && fail "listed twice"
[ "$(wc -l < "$tmp/want")" -gt 200 ] || fail "preload/real.def is too short"
exit "$bad"
