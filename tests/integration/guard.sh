# shellcheck shell=bash
# SPDX-License-Identifier: MIT
#
# guard.sh: sourced by tests of the guard, after preload.sh. Memory is armed
# page by page, and a run counts only if enough of it was armed and no system
# call met any.

# shellcheck disable=SC2154 # of preload.sh

arming+=(NUMABAL_CHUNK_KB=4 NUMABAL_MIN_REGION_KB=4)

counter() # NAME: of the last run
{
	sed -n 's/.*"'"$1"'":\([0-9]*\).*/\1/p' "$tmp/stats" 2> /dev/null | tail -n 1
}

# The program must do under the library what it does without.
guarded_run() # MIN-PAGES-ARMED COMMAND...
{
	local least=$1 rc armed

	shift
	[ -x "$1" ] || skip "no $1"
	rm -f "$tmp/stats"
	timeout -k 5 "${limit:-120}" env "${arming[@]}" LD_PRELOAD="$preload" \
		NUMABAL_STATS="$tmp/stats" "$@"
	rc=$?
	[ "$rc" = 0 ] || fail "${*##*/}: exit $rc"
	armed=$(counter numa_pte_updates)
	echo "${*##*/}: ${armed:-0} pages armed," \
		"$(counter numa_hint_faults) hint faults"
	[ "$(counter efault_holes)" = 0 ] || fail "a call met armed memory"
	[ "${armed:-0}" -ge "$least" ] || fail "fewer than $least: no proof"
	[ "$bad" = 0 ]
}

plain_run() # COMMAND...
{
	plain timeout -k 5 60 "$@" > "$tmp/out" 2>&1 || {
		fail "${*##*/}, without the library: exit $?"
		cat "$tmp/out"
	}
}
