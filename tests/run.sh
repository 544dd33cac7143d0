#!/bin/bash
# SPDX-License-Identifier: MIT
#
# run.sh [-t SECONDS] TEST...: run tests one after the other.
#
# A test is a program or a script: exit 0 passed, 77 skipped (its last line
# says why), anything else failed, and then its output is shown. A test may
# hold a line "# timeout: SECONDS" of its own. Closes with
# "N passed, N failed, N skipped"; exit 1 when one failed.
#
# From the environment: NB_BUILD and NB_OUT (the kind of build and the folder
# of its products; handed on to the tests), NB_TOTALS (a file that one line of
# counts is added to).

set -u

limit=120
[ "${1:-}" = -t ] && limit=$2 && shift 2
cd "$(dirname "$0")/.." || exit 1
export NB_BUILD=${NB_BUILD:-release}
export NB_OUT=${NB_OUT:-$PWD/build}
export NB_TOP=$PWD
export LC_ALL=C

# A report must fail the test. Handlers of ours replace the sanitizer's own.
# No search for leaks: the library has no malloc, and libnuma leaks of itself.
export ASAN_OPTIONS=${ASAN_OPTIONS:-allow_user_segv_handler=1:detect_leaks=0}
export UBSAN_OPTIONS=${UBSAN_OPTIONS:-print_stacktrace=1}
export TSAN_OPTIONS=${TSAN_OPTIONS:-exitcode=66 suppressions=$PWD/tests/tsan.supp}

# TSan's shadow memory wants the address space in its old order, which kernels
# that randomise more bits do not give.
prefix=()
if [ "$NB_BUILD" = tsan ] && setarch -R true 2> /dev/null; then
	prefix=(setarch -R)
fi

passed=0 failed=0 skipped=0 failures=()
logs=build/test-logs/$NB_BUILD
mkdir -p "$logs"

is_script()
{
	[ "$(head -c 2 "$1" 2> /dev/null | tr -d '\0')" = '#!' ]
}

run_test() # PATH
{
	local name=${1#"$NB_OUT"/} secs=$limit own log rc start took

	name=${name#build/} name=${name#"$NB_BUILD"/} name=${name#tests/}
	log=$logs/${name//\//-}.log
	if is_script "$1"; then
		own=$(sed -n 's/^# timeout: \([0-9]*\)$/\1/p' "$1" | head -n 1)
		secs=${own:-$secs}
	fi
	start=$SECONDS
	timeout -k 10 "$secs" "${prefix[@]}" "./${1#./}" \
		> "$log" 2>&1 < /dev/null
	rc=$?
	took=$((SECONDS - start))
	case $rc in
	0)
		passed=$((passed + 1))
		printf 'ok    %s' "$name"
		;;
	77)
		skipped=$((skipped + 1))
		printf 'skip  %s: %s' "$name" "$(tail -n 1 "$log")"
		;;
	*)
		failed=$((failed + 1))
		failures+=("$name")
		printf 'FAIL  %s: ' "$name"
		case $rc in
		124 | 137) printf 'no end after %s s' "$secs" ;;
		12[89] | 1[3-9]?) printf 'signal %s' $((rc - 128)) ;;
		*) printf 'exit %s' "$rc" ;;
		esac
		;;
	esac
	[ "$took" -ge 5 ] && printf ' (%s s)' "$took"
	echo
	case $rc in 0 | 77) return ;; esac
	tail -n 60 "$log" | sed 's/^/      | /'
}

for t; do
	run_test "$t"
done
[ "$failed" = 0 ] || printf 'failed: %s\n' "${failures[*]}"
echo "$passed passed, $failed failed, $skipped skipped"
if [ -n "${NB_TOTALS:-}" ]; then
	echo "$passed $failed $skipped" >> "$NB_TOTALS"
fi
[ "$failed" = 0 ]
