#!/bin/bash
# SPDX-License-Identifier: MIT
#
# The table of options and numabal(7) have the same options, in the same
# order, with the same defaults and bounds; run and numabal(1) the same flags.

set -u

bad=0
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

same() # WHAT: $tmp/a is the code, $tmp/b the page
{
	[ -s "$tmp/a" ] || { echo "FAIL: $1: nothing to compare" && bad=1; }
	diff -u --label code --label "$1" "$tmp/a" "$tmp/b" || bad=1
}

# Names and defaults, as the program prints them.
[ "$NB_BUILD" = release ] || { echo "needs the plain build"; exit 77; }
env -i NUMABAL_DISPLAY_ENV=1 "$NB_OUT/numabal" run /bin/true 2>&1 |
	sed -e 's/ (default)$//' -e 's/=$/=empty/' > "$tmp/a"
awk '/^\.SH OPTIONS/ { on = 1 } /^Known, but refused/ { on = 0 }
	on && /^\.B NUMABAL/ { name = $2 }
	on && /^Default / { sub(/[.;]$/, "", $2); print name "=" $2 }' \
	man/numabal.7 > "$tmp/b"
same "numabal(7): defaults"

# Bounds, as an error says them.
while IFS="=" read -r name _; do
	"$NB_OUT/numabal" run -o "${name#NUMABAL_}=x" /no/such 2>&1 |
		sed -n "s/.* in \([0-9]*\)\.\.\([0-9]*\) .*/$name \1 \2/p"
done < "$tmp/b" | grep -v NODES > "$tmp/a"
awk '/^\.B NUMABAL/ { name = $2 }
	/^Default .* to / && match($0, /[0-9]+ to [0-9]+/) {
		split(substr($0, RSTART, RLENGTH), n, " to ")
		print name, n[1], n[2]
	}' man/numabal.7 > "$tmp/b"
same "numabal(7): bounds"

# Options that are refused.
sed -n 's/.*NB_LATER(\([A-Z_]*\),.*/NUMABAL_\1/p' lib/option.h > "$tmp/a"
sed -n '/^Known, but refused/,/^\.SS/s/^\.BR \(NUMABAL_[A-Z_]*\) .*/\1/p' \
	man/numabal.7 > "$tmp/b"
same "numabal(7): refused"

# Long options of run.
"$NB_OUT/numabal" run -h | grep -o -e '--[a-z]\+' | sort -u > "$tmp/a"
sed -n '/^\.SS numabal run/,/^\.PP/p' man/numabal.1 | sed 's/\\-/-/g' |
	grep -o -e '--[a-z]\+' | sort -u > "$tmp/b"
same "numabal(1): options of run"

# Counters.
sed -n 's/^\tX(\(numa_[a-z_]*\),.*/\1/p' include/numabal.h > "$tmp/a"
sed -n '/^\.B counters/,/^\.RE/s/^\.B \(numa_[a-z_]*\)$/\1/p' \
	man/numabal.1 > "$tmp/b"
same "numabal(1): counters"
exit "$bad"
