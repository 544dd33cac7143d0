#!/bin/bash
# SPDX-License-Identifier: MIT
#
# A program's signals are as they are without the library, to the letter: what
# it prints of them, and how it ends.
# timeout: 300

# shellcheck source=tests/integration/preload.sh
. "$(dirname "$0")/preload.sh"

both() # PROGRAM CASE
{
	local prog=$progs/$1

	wanted "$2" || return
	[ -x "$prog" ] || skip "no $prog"
	for how in plain balanced; do
		"$how" timeout -k 5 60 "$prog" "$2" > "$tmp/$how" 2>&1
		echo "status $?" >> "$tmp/$how"
		# The shell's own word about a crash has its process id.
		sed -i '/preload.sh: line/d' "$tmp/$how"
	done
	# Numbers of processes and addresses are not printed: no difference.
	diff "$tmp/plain" "$tmp/balanced" > "$tmp/diff" && return
	fail "$1 $2: without the library (<) and with it (>):"
	cat "$tmp/diff"
}

for c in actions masks sent dropped waits stacks others; do
	both prog_sig_view "$c"
done
for c in returns jumps changes overflows others end-deferred end-overflow \
	end-overflow-onstack end-resethand; do
	both prog_sig_stack "$c"
done
for c in frames afterwards own-mask old-ways contexts unwinds by-fd by-thread \
	in-waits stays-pending; do
	both prog_sig_frames "$c"
done
# With several threads it is not pending for as long as it goes round them.
[ -n "${NB_THREADS:-}" ] || both prog_sig_frames by-others
exit "$bad"
