#!/bin/bash
# SPDX-License-Identifier: MIT
#
# audit.sh [NAME...]: the cases of run.sh, guarded and followed by the tracer
# of tests/audit: no system call of their programs that hands over memory
# comes from a place that is not guarded, but for those in tests/audit/known.
#
# Cases of a tier below bracket are left out, where not all calls have to be
# guarded, and those with a header line "# audit: no, WHY". Closes with
# "N passed, N failed, N skipped"; exit 1 when one failed.
# timeout: 7200

set -u

export PREFIX='' LOGS=audit SLOWER=3
# shellcheck source=tests/compat/case.sh
. "$(dirname "$0")/case.sh"
# shellcheck source=tests/audit/unknown.sh
. tests/audit/unknown.sh
passed=0 failed=0 skipped=0 failures=()

cp "$out/tests/audit/audit" "$work/bin/" || exit 1
"$work/bin/audit" true > "$work/can" 2>&1 || {
	echo "no ptrace: $(tail -n 1 "$work/can")"
	exit 77
}

row() # NAME GUARDED UNGUARDED SECONDS VERDICT
{
	printf '%-14s %10s %10s %8s  %s\n' "$@"
}

skip_case() # NAME WHY
{
	skipped=$((skipped + 1))
	row "$1" - - - "skipped: $2"
}

run_case() # NAME
{
	local name=$1 file=$here/cases/$1.sh stats=$work/$1/stats start=$SECONDS
	local report=$work/$1.report wrong words verdict=passed

	[ "$(header "$file" tier bracket)" = bracket ] || {
		skip_case "$name" \
			"tier $(header "$file" tier -): $(whole_why "$file")"
		return
	}
	wrong=$(header "$file" audit yes)
	[ "$wrong" = yes ] || {
		skip_case "$name" "${wrong#no, }"
		return
	}
	mkdir -p "$stats"
	chmod 1777 "$stats"
	: > "$report"
	chmod 666 "$report"
	PREFIX="$work/bin/audit -o $report"
	words=$(run_words "$(header "$file" chunk 4)" "$stats")
	once "$name" audited "${words% --} -o trace=1 --"
	rm -rf "${work:?}/$name"
	cp "$report" "$logs/"
	if [ "$rc" = 77 ]; then
		skip_case "$name" "$(tail -n 1 "$logs/$name.audited.out")"
		return
	fi
	wrong=$(unknown "$report")
	[ "$rc" = 0 ] || wrong+=" exit $rc"
	[ "$(guarded "$report")" -gt 0 ] || wrong+=" nothing was guarded"
	[ -z "$wrong" ] || verdict=FAILED
	row "$name" "$(guarded "$report")" "$(grep -c ^unguarded "$report")" \
		$((SECONDS - start)) "$verdict"
	if [ $verdict = passed ]; then
		passed=$((passed + 1))
		return
	fi
	failed=$((failed + 1))
	failures+=("$name")
	printf '%s\n' "$wrong" | sed 's/^/      | /'
	tail -n 10 "$logs/$name.audited.err" | sed 's/^/      | /'
}

[ $# -gt 0 ] || set -- "$here"/cases/*.sh
row program guarded unguarded seconds verdict
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
