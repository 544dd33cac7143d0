#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Programs that change their address space while it is armed: at random, against
# a model; by write barriers, libraries, code made at run time; with every
# malloc(3) there is; up to the limit of mappings; huge pages; and by a call that
# is not guarded. ASPACE_S seconds for each of the random ones.
# timeout: 400

# shellcheck source=tests/integration/preload.sh
. "$(dirname "$0")/preload.sh"

[ -x "$progs/prog_maps" ] || skip "no $progs/prog_maps"
secs=${ASPACE_S:-6}
seed=${ASPACE_SEED:-$RANDOM}
page_by_page=(NUMABAL_MIN_REGION_KB=4 NUMABAL_CHUNK_KB=4)
export NB_LIB=$progs/lib_calls.so

# What the statistics say: a counter, or a text.
stat_of() # NAME
{
	sed -n "s/^.*\"$1\": *\"\{0,1\}\([^\",}]*\).*/\1/p" "$tmp/json" |
		head -n 1
}

# Under arming, with its statistics: nothing may have gone wrong unseen.
watched() # MIN_HINT_FAULTS WHAT COMMAND...
{
	local min=$1 what=$2 faults

	shift 2
	rm -f "$tmp/json"
	timeout -k 5 $((secs + 60)) env "${arming[@]}" "${page_by_page[@]}" \
		NUMABAL_STATS="$tmp/json" LD_PRELOAD="$preload" "$@" \
		> "$tmp/out" 2>&1 || {
		fail "$what: $?"
		cat "$tmp/out"
		return
	}
	faults=$(stat_of numa_hint_faults)
	[ "${faults:-0}" -ge "$min" ] || fail "$what: ${faults:-no} hint faults"
	[ "$(stat_of efault_holes)" = 0 ] || fail "$what: a hole"
	echo "ok   $what: $faults hint faults, $(tail -n 1 "$tmp/out")"
}

allocators() # the path of each that is installed
{
	local name

	for name in libjemalloc.so libtcmalloc_minimal.so libmimalloc.so; do
		find /usr/lib /usr/local/lib -name "$name*" 2> /dev/null |
			sort | head -n 1
	done
}

normal=("${arming[@]}")
arming+=("${page_by_page[@]}")
run_cases prog_maps barriers libraries flips hidden
run_cases prog_maps_more segment segment-read-only rearranged devices huge-table
arming+=(NUMABAL_SCAN_SIZE_MB=512)
run_cases prog_maps mappings
arming=("${normal[@]}")
run_cases prog_maps huge
only_cases

watched 100 "a call that is not guarded" "$progs/prog_maps" hidden
[ "$(stat_of state)" = stood-down ] || fail "hidden: $(stat_of state)"

"$progs/prog_mapfuzz" 1 "$seed" > /dev/null || fail "mapfuzz, seed $seed"
watched 500 mapfuzz "$progs/prog_mapfuzz" "$secs" "$seed"
[ "$(stat_of tier)" = bracket ] || fail "mapfuzz: $(stat_of why)"

watched 500 malloc "$progs/prog_malloc" "$secs"
for lib in $(allocators); do
	preload="$NB_OUT/libnumabal-preload.so $lib"
	watched 100 "${lib##*/}" "$progs/prog_malloc" "$secs"
done
exit "$bad"
