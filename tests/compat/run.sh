#!/bin/bash
# SPDX-License-Identifier: MIT
#
# run.sh [NAME...]: real programs, once plainly and once balanced with memory
# being armed all the time: both runs must say and return the same.
#
# cases/NAME.sh is a script with header lines "# packages: P1 P2",
# "# tier: bracket|conservative|off" (but for bracket with "# why: TEXT"),
# "# min-faults: N", "# timeout: SECONDS" (for one run), "# chunk: KB" (4).
# It gets an empty working directory that everybody may write to, and $NB_RUN:
# nothing, or the words to put before each program that is to be balanced.
# Standard output is compared; it must end with status 0, or with 77 if a
# package is missing.
#
# A case fails with other output or another status, fewer hint faults than
# min-faults, a call that got EFAULT for armed memory, a tier below the one
# that is expected, or processes left behind. Closes with "N passed, N failed,
# N skipped"; exit 1 when one failed. Logs: build/test-logs/compat/.

set -u

# shellcheck source=tests/compat/case.sh
. "$(dirname "$0")/case.sh"
passed=0 failed=0 skipped=0 failures=()

seconds_since() # EPOCHREALTIME
{
	awk -v a="$1" -v b="$EPOCHREALTIME" 'BEGIN { printf "%.1f", b - a }'
}

version_of() # CASE_FILE: of the first package that it names
{
	# shellcheck disable=SC2016 # dpkg's, not ours
	dpkg-query -W -f '${Version}' \
		"$(header "$1" packages - | cut -d ' ' -f 1)" 2> /dev/null ||
		echo -
}

row() # NAME VERSION TIER PROCESSES FAULTS HOLES PLAIN BALANCED VERDICT
{
	printf '%-14s %-14.14s %-12s %5s %9s %5s %7s %8s  %s\n' "$@"
}

run_case() # NAME
{
	local name=$1 file=$here/cases/$1.sh stats=$work/$1/stats verdict=passed
	local want plain_rc plain_took took figures wrong version start

	want=$(header "$file" tier bracket)
	version=$(version_of "$file")
	mkdir -p "$stats"
	chmod 1777 "$stats"
	start=$EPOCHREALTIME
	once "$name" plain ""
	plain_rc=$rc plain_took=$(seconds_since "$start")
	if [ "$plain_rc" = 77 ]; then
		skipped=$((skipped + 1))
		row "$name" "$version" - - - - - - "skipped: $(tail -qn 1 \
			"$logs/$name".plain.{out,err} | tail -n 1)"
		return
	fi
	start=$EPOCHREALTIME
	once "$name" balanced \
		"$(run_words "$(header "$file" chunk 4)" "$stats")"
	took=$(seconds_since "$start")
	rm -rf "$logs/$name.stats"
	cp -r "$stats" "$logs/$name.stats"
	mapfile -t figures < <(python3 "$here/figures.py" "$stats" "$want" \
		"$(header "$file" min-faults 0)")
	wrong=("${figures[@]:1}")
	[ "$plain_rc" = 0 ] || wrong+=("plain run: exit $plain_rc")
	[ "$rc" = "$plain_rc" ] || wrong+=("balanced run: exit $rc")
	cmp -s "$logs/$name".{plain,balanced}.out || wrong+=("other output")
	[ "$want" = bracket ] || verdict="passed: $(whole_why "$file")"
	[ "$verdict" != "passed: " ] || wrong+=("no reason for tier $want")
	[ ${#wrong[@]} = 0 ] || verdict=FAILED
	# shellcheck disable=SC2086 # four words
	row "$name" "$version" ${figures[0]} "$plain_took" "$took" "$verdict"
	if [ "$verdict" != FAILED ]; then
		passed=$((passed + 1))
		rm -rf "${work:?}/$name"
		return
	fi
	failed=$((failed + 1))
	failures+=("$name")
	printf '      | %s\n' "${wrong[@]}"
	diff "$logs/$name".{plain,balanced}.out | head -n 20 | sed 's/^/      | /'
	tail -n 20 "$logs/$name.balanced.err" | sed 's/^/      | /'
	rm -rf "${work:?}/$name"
}

[ $# -gt 0 ] || set -- "$here"/cases/*.sh
row program version tier procs faults holes plain balanced verdict
for c; do
	c=${c##*/}
	run_case "${c%.sh}"
done
[ "$failed" = 0 ] || echo "failed: ${failures[*]}"
echo "$passed passed, $failed failed, $skipped skipped"
if [ -n "${NB_TOTALS:-}" ]; then
	echo "$passed $failed $skipped" >> "$NB_TOTALS"
fi
[ "$failed" = 0 ]
