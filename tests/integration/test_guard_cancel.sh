#!/bin/bash
# SPDX-License-Identifier: MIT
#
# A thread that is cancelled in a system call, or on its way there or back,
# unwinds as without the library: cleanup handlers in C, destructors in C++.
# timeout: 400

# shellcheck source=tests/integration/preload.sh
. "$(dirname "$0")/preload.sh"

cases=(read write recv poll accept select epoll sem_wait nanosleep wait4
	sigwait cond_wait pause)
run_cases prog_cancel "${cases[@]}"

# Threads are cancelled between calls, too, where C++ does not expect it unless
# told to. NB_CANCEL_CXX: made elsewhere.
if [ -x "${NB_CANCEL_CXX:-}" ]; then
	cp "$NB_CANCEL_CXX" "$tmp/cxx"
	progs=$tmp run_cases cxx "${cases[@]}"
elif type -P "${CXX:-g++}" > /dev/null &&
	"${CXX:-g++}" -w -O2 -fnon-call-exceptions -x c++ -o "$tmp/cxx" \
		tests/integration/prog_cancel.c -lpthread; then
	progs=$tmp run_cases cxx "${cases[@]}"
else
	cp "$progs/prog_cancel" "$tmp/cxx"
fi

# At random points; without armed memory as well, for the quick way.
for prog in "$progs/prog_cancel" "$tmp/cxx"; do
	for how in deferred async; do
		plain timeout -k 5 60 "$prog" "$how" 200 ||
			fail "$how, without the library"
		balanced timeout -k 5 60 "$prog" "$how" "${ROUNDS:-1000}" ||
			fail "$how: $?"
		NUMABAL_FORCE=1 LD_PRELOAD=$preload timeout -k 5 60 "$prog" \
			"$how" "${ROUNDS:-1000}" || fail "$how, nothing armed: $?"
	done
done

# As close to one call as can be. 77: this libc loses what was read.
race() # WORD...
{
	local rc

	plain timeout -k 5 60 "$progs/prog_cancel_race" "$@"
	rc=$?
	[ $rc != 77 ] || return 0
	[ $rc = 0 ] || fail "race, $*, without the library: $rc"
	balanced timeout -k 5 60 "$progs/prog_cancel_race" "$@" ||
		fail "race, $*: $?"
}
race blocks "${ROUNDS:-1000}"
race blocks "${ROUNDS:-1000}" async
race keeps "${ROUNDS:-1000}"
exit "$bad"
