#!/bin/bash
# SPDX-License-Identifier: MIT
#
# The library as it was built here with newer glibcs, which make all calls that
# can be cancelled at one place (2.41 and later): Debian trixie, with programs
# of its own, and sid. Every call is guarded there, the guard's tests pass,
# those of signals as well with a second thread (without one, nothing is
# cancelled, and that place is not used), and so do torture and programs.
#
# SUITES, NB_DEBIAN; TORTURE_S: seconds of torture (20).
# timeout: 7200

# shellcheck source=tests/libc/debian.sh
. "$(dirname "$0")/debian.sh"

out=${NB_OUT:-$PWD/build}
tools=(bash coreutils dash sed grep diffutils mawk findutils procps util-linux
	libc6 libnuma1 libstdc++6 libgcc-s1)
programs=(python3 libpython3.13-testsuite perl redis-server redis-tools sqlite3
	gawk)
cases=(redis perl sqlite3 gawk bash python-io python-socket python-signal)
tests=(guard_{cancel,blocked,nested,lossless,matrix,signal,edge,locks}
	signal_handler process_run)
threaded=(guard_signal guard_cancel signal_handler)
tests=("${tests[@]/#/tests/integration/test_}" tests/audit/test_audit)
threaded=("${threaded[@]/#/tests/integration/test_}")
ran=0

for f in numabal libnumabal-preload.so tests/integration/prog_cancel_race \
	tests/torture/torture; do
	[ -x "$out/$f" ] || skip "no $out/$f"
done

inside() # FOLDER NAME=VALUE... COMMAND...
{
	local folder=$1

	shift
	# Not on a terminal, in the background: groups of their own are killed.
	tests/libc/root.sh "$folder" "$out" "$@"
}

# What the library needs beside libc is this machine's own.
our_libraries() # FOLDER
{
	local lib

	for lib in /usr/lib/x86_64-linux-gnu /usr/lib64; do
		cp -a "$lib"/libZydis.so.* "$lib"/libZycore.so* \
			"$1/usr/lib/x86_64-linux-gnu/" 2> /dev/null
	done
	compgen -G "$1/usr/lib/x86_64-linux-gnu/libZydis.so.*" > /dev/null
}

make_root() # SUITE FOLDER PACKAGE...
{
	local suite=$1 folder=$2

	shift 2
	unpack "$suite" "$folder" install "$@" || return
	our_libraries "$folder" || skip "no libZydis"
	printf '%s\n' 'root:x:0:0:root:/root:/bin/bash' \
		'nobody:x:65534:65534:nobody:/nonexistent:/bin/sh' \
		> "$folder/etc/passwd"
	printf '%s\n' root:x:0: nogroup:x:65534: > "$folder/etc/group"
	cp /etc/hosts /etc/protocols /etc/services "$folder/etc/" 2> /dev/null
	ln -sf mawk "$folder/usr/bin/awk"
	type -P "${CXX:-g++}" > /dev/null && "${CXX:-g++}" -w -O2 \
		-fnon-call-exceptions -o "$folder/cancel-cxx" \
		-x c++ tests/integration/prog_cancel.c
}

# Every call of a program is guarded, and the programs run there at all.
check_tier() # FOLDER
{
	local tier

	tier=$(inside "$1" /out/numabal doctor -- /usr/bin/sleep 0 |
		sed -n 's/^tier *//p')
	echo "    tier $tier"
	[ "$tier" = "bracket: every system call is guarded" ] ||
		fail "not all is guarded"
}

check_suite() # SUITE PACKAGE...
{
	local folder=$cache/root/$1 suite=$1

	shift
	suite "$suite" || return
	make_root "$suite" "$folder" "$@" || return
	inside "$folder" /out/numabal --version > /dev/null || {
		echo "$suite: what was built here does not run there"
		return
	}
	ran=$((ran + 1))
	echo "== $suite, glibc $(version "$suite" libc6)"
	check_tier "$folder"
	set -- NB_CANCEL_CXX=/cancel-cxx "ROUNDS=${ROUNDS:-300}"
	inside "$folder" "$@" NB_BUILD="libc-$suite" /nb/tests/run.sh \
		"${tests[@]/%/.sh}" || fail "$suite: tests"
	inside "$folder" "$@" NB_BUILD="libc-$suite-threads" NB_THREADS=1 \
		/nb/tests/run.sh "${threaded[@]/%/.sh}" ||
		fail "$suite: tests with a second thread"
	inside "$folder" "TORTURE_S=${TORTURE_S:-20}" TORTURE_FAULTS=10000 \
		NB_BUILD="libc-$suite" /nb/tests/run.sh tests/torture/run.sh ||
		fail "$suite: torture"
	[ "$suite" != trixie ] || inside "$folder" /nb/tests/compat/run.sh \
		"${cases[@]}" || fail "$suite: programs"
}

for s in ${SUITES:-trixie sid}; do
	case $s in
	trixie) check_suite "$s" "${tools[@]}" "${programs[@]}" ;;
	*) check_suite "$s" "${tools[@]}" ;;
	esac
done
[ "$ran" -gt 0 ] || skip "no newer libc could be had, or run"
exit "$bad"
