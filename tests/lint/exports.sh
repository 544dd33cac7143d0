#!/bin/bash
# SPDX-License-Identifier: MIT
#
# libnumabal.so exports what tests/abi/numabal.symbols lists, beside nb_hook_*,
# and that is what numabal.h declares. libnumabal-preload.so adds no name of
# ours to the program.

# shellcheck source=tests/lint/lib.sh
. "$(dirname "$0")/lib.sh"

out=${NB_OUT:-build}
so=$out/libnumabal.so.0
preload=$out/libnumabal-preload.so
want=tests/abi/numabal.symbols
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

[ -e "$so" ] || { echo "no $so (make all first)"; exit 1; }

nm -D --defined-only --with-symbol-versions "$so" |
	awk '$2 != "A" { sub(/@+/, " ", $3); print $3 }' |
	LC_ALL=C sort > "$tmp/has"
grep -v '^nb_hook_[a-z0-9_]* NUMABAL_PRIVATE$' "$tmp/has" > "$tmp/public"
grep -v '^#' "$want" | LC_ALL=C sort > "$tmp/want"
if ! diff -u --label "$want" "$tmp/want" --label "$so" "$tmp/public"; then
	lint_fail "$so: exports differ from $want"
fi

# NUMABAL_API [NUMABAL_CHECK] type name(
grep -A 1 '^NUMABAL_API' include/numabal.h |
	sed -n 's/.*[ *]\(numabal_[a-z_]*\)(.*/\1/p' |
	LC_ALL=C sort -u > "$tmp/header"
awk '{ print $1 }' "$tmp/want" > "$tmp/names"
if ! diff -u --label "$want" "$tmp/names" --label numabal.h "$tmp/header"; then
	lint_fail "numabal.h: functions differ from $want"
fi

soname=$(readelf -d "$so" | sed -n 's/.*SONAME.*\[\(.*\)\]/\1/p')
[ "$soname" = libnumabal.so.0 ] || lint_fail "$so: SONAME is '$soname'"
for f in "$so" "$preload"; do
	[ -e "$f" ] || continue
	readelf -d "$f" | grep -q NODELETE || lint_fail "$f: not -z nodelete"
	nm -D --defined-only "$f" | awk '{ print $3 }' |
		grep -E '^numa_' && lint_fail "$f: name of libnuma's"
done
if [ -e "$preload" ]; then
	nm -D --defined-only "$preload" | awk '{ print $3 }' |
		grep -E '^(nb|numabal)_' &&
		lint_fail "$preload: exports names of libnumabal"
fi
lint_end
