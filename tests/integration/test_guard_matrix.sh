#!/bin/bash
# SPDX-License-Identifier: MIT
#
# System calls with all that they are handed in armed memory, over a page's
# end, with only the last byte armed: they return and write what they do
# without the library.
# timeout: 600

# shellcheck source=tests/integration/preload.sh
. "$(dirname "$0")/preload.sh"
# shellcheck source=tests/integration/guard.sh
. tests/integration/guard.sh

in_folder() # COMMAND...: with an empty folder to work in
{
	rm -rf "$tmp/folder"
	mkdir "$tmp/folder"
	(cd "$tmp/folder" && "$@")
}

limit=200
for prog in prog_matrix_fs prog_matrix_sys; do
	[ -x "$progs/$prog" ] || skip "no $prog"
	in_folder plain "$progs/$prog" > "$tmp/plain" || fail "$prog, plain"
	in_folder guarded_run 500 "$progs/$prog" > "$tmp/guarded" ||
		fail "$prog"
	grep "pages armed," "$tmp/guarded"
	sed -i '/pages armed,/d' "$tmp/guarded"
	echo "$(wc -l < "$tmp/plain") calls"
	diff "$tmp/plain" "$tmp/guarded" ||
		fail "$prog: without the library (<) and with it (>)"
done
exit "$bad"
