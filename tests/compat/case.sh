# shellcheck shell=bash
# SPDX-License-Identifier: MIT
#
# case.sh: sourced by what runs the cases. Sets here, out, logs and work, a
# folder with copies of all that a run needs: cases that run programs as
# another user must get at everything. PREFIX: words before numabal; SLOWER:
# how many times a run may take its time.

cd "${BASH_SOURCE[0]%/*}/../.." || exit 1
here=$PWD/tests/compat
out=${NB_OUT:-$PWD/build}
logs=$PWD/build/test-logs/${LOGS:-compat}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export LC_ALL=C TZ=UTC

umask 022
chmod 755 "$work"
mkdir -p "$logs" "$work/bin"
cp -r "$here"/* "$work/"
cp "$out"/numabal "$out"/libnumabal{-preload.so,.so.0} "$work/bin/" || exit 1

header() # FILE KEY DEFAULT
{
	local v

	v=$(sed -n "s/^# $2: *//p" "$1" | head -n 1)
	echo "${v:-$3}"
}

whole_why() # FILE: why its tier is not bracket; perhaps several lines
{
	sed -n 's/^# why: *//p' "$1" | tr '\n' ' ' | sed 's/ $//'
}

run_words() # CHUNK_KB STATS_FOLDER: what NB_RUN is
{
	local o

	printf '%s%s run' "${PREFIX:+$PREFIX }" "$work/bin/numabal"
	for o in force=1 scan_delay_ms=0 scan_period_min_ms=1 \
		scan_period_max_ms=1 min_rss_mb=0 min_region_kb=4 \
		chunk_kb="$1" max_overhead_pct=100 stats="$2/%p.json"; do
		printf ' -o %s' "$o"
	done
	printf ' --'
}

once() # NAME KIND NB_RUN: sets rc
{
	local name=$1 kind=$2 words=$3 dir

	dir=$work/$name/$kind
	mkdir -p "$dir"
	chmod 1777 "$dir"
	(
		cd "$dir" || exit 1
		NB_RUN=$words HOME=$dir exec python3 "$here/contain.py" \
			$((${SLOWER:-1} * $(header "$here/cases/$name.sh" \
				timeout 60))) \
			bash "$work/cases/$name.sh"
	) > "$logs/$name.$kind.out" 2> "$logs/$name.$kind.err" < /dev/null
	# shellcheck disable=SC2034 # theirs
	rc=$?
}
