#!/bin/bash
# SPDX-License-Identifier: MIT
#
# all.sh: what `make test` does once the packages are there. Every stage is a
# make target and runs even when one before it failed; the last line is the
# total of all: "N passed, N failed, N skipped". A stage that fails without
# having run a test (it did not build) counts as one failed test.
#
# STAGES="check lint" chooses; MAKE is the make to call.

set -u

cd "$(dirname "$0")/.." || exit 1
make=${MAKE:-make}
stages=${STAGES:-all check check-torture lint asan tsan cov check-numa}
jobs=()
case " ${MAKEFLAGS:-} " in
*" -j"* | *jobserver*) ;;
*) jobs=("-j$(nproc)") ;;
esac

mkdir -p build
export NB_TOTALS=$PWD/build/test-totals
: > "$NB_TOTALS"
status=0

for stage in $stages; do
	start=$SECONDS
	echo "== $stage"
	before=$(wc -l < "$NB_TOTALS")
	if ! $make --no-print-directory "${jobs[@]}" "$stage"; then
		status=1
		counted=$(tail -n +$((before + 1)) "$NB_TOTALS" |
			awk '{ n += $2 } END { print n + 0 }')
		if [ "$counted" = 0 ]; then
			echo "FAIL  make $stage"
			echo "0 1 0" >> "$NB_TOTALS"
		fi
	fi
	echo "== $stage took $((SECONDS - start)) s"
done

echo "== total, $SECONDS s"
awk '{ p += $1; f += $2; s += $3 } END {
	printf "%d passed, %d failed, %d skipped\n", p, f, s }' "$NB_TOTALS"
exit "$status"
