#!/bin/bash
# SPDX-License-Identifier: MIT
#
# What numabal steps back from: all memory is accessible from then on, for
# good, the program goes on, and the statistics say why.
# timeout: 600

# shellcheck source=tests/integration/preload.sh
. "$(dirname "$0")/preload.sh"

prog=$progs/prog_step
[ -x "$prog" ] || skip "no $prog"

arming+=(NUMABAL_MIN_REGION_KB=4 NUMABAL_CHUNK_KB=64)

# Some library, under another name.
lib_named() # NAME
{
	local from

	from=$(ldconfig -p 2> /dev/null | sed -n 's/.*libutil\.so\.1 .*=> //p' |
		head -n 1)
	[ -e "${from:-}" ] || from=$(find /lib/ -name libutil.so.1 | head -n 1)
	cp "$from" "$tmp/$1" && echo "$tmp/$1"
}

row() # STATE WHY CASE...: run it plainly and balanced
{
	local state=$1 why=$2 rc

	shift 2
	plain timeout -k 5 60 "$prog" "$@" > "$tmp/plain" 2>&1
	rc=$?
	[ "$rc" = 0 ] || {
		fail "$*: exit $rc without the library"
		cat "$tmp/plain"
	}
	if grep '^absent' "$tmp/plain"; then
		return
	fi
	rm -f "$tmp/stats"
	balanced timeout -k 5 60 env NUMABAL_STATS="$tmp/stats" \
		"$prog" "$@" > "$tmp/out" 2>&1
	rc=$?
	[ "$rc" = 0 ] || {
		fail "$*: exit $rc"
		cat "$tmp/out"
	}
	grep -q "\"state\":\"$state\",\"why\":\"[^\"]*$why" "$tmp/stats" ||
		fail "$*: $(grep -o '"state":"[^"]*","why":"[^"]*"' "$tmp/stats")"
	grep -q '"efault_holes":0' "$tmp/stats" || fail "$*: holes"
}

off=stood-down
row running "" nothing
row $off io_uring io_uring
for how in wide narrow tsync strict; do
	row $off "filters its system calls" seccomp-$how
done
row $off userfaultfd userfaultfd
row $off KVM kvm
row $off GPU dri
row $off "be traced" traceme
row $off "handles its system calls" user-dispatch
row $off "shares its memory with a process" shared-process
prog=$progs/prog_step_more
row $off "copies other processes' memory" vm-peer
row $off "lets others read its memory" ptracer
row running "" outside
row running "" mdwe
row running "" landlock
cd "$tmp" || exit 1
row $off "without a way back" exec-bare
row running "" exec-data
for how in call shared later written; do
	row running "cannot be guarded" exec-$how
done
prog=$progs/prog_step
row running "makes code at run time" anon-exec

# Libraries that are loaded later, by their names.
while IFS='|' read -r name why; do
	row $off "$why" load "$(lib_named "$name")"
done << END
libjvm.so|Java
libcoreclr.so|.NET
libnode.so.108|V8
libgc.so.1|Boehm
libasan.so.8|sanitizer
libtsan.so.2|sanitizer
libcuda.so.1|GPU
libibverbs.so.1|network adapter
libmpi.so.40|MPI
libwine.so.1|Wine
END
row running LuaJIT load-low "$(lib_named libluajit-5.1.so.2)"

# At the start: names of programs, what tools leave in the environment.
start_row() # WHY PROGRAM [VARIABLE=VALUE]
{
	local why=$1

	rm -f "$tmp/stats"
	balanced env NUMABAL_STATS="$tmp/stats" "${@:3}" "$2" start ||
		fail "$*: exit $?"
	grep -q "\"state\":\"idle\",\"why\":\"[^\"]*$why" "$tmp/stats" ||
		fail "$*: $(cat "$tmp/stats")"
	env "${@:3}" "$NB_OUT/numabal" doctor -- "$2" start 2>&1 |
		grep -q "^tier .*off: .*$why" || fail "$*: doctor does not say"
}

cp "$prog" "$tmp/deno"
start_row V8 "$tmp/deno"
start_row rr "$prog" RUNNING_UNDER_RR=1
start_row valgrind "$prog" VALGRIND_LAUNCHER=/x
start_row DynamoRIO "$prog" DYNAMORIO_CONFIGDIR=/x
start_row Boehm "$prog" LD_PRELOAD="$preload:$(lib_named libgc.so.1)"
start_row MPI "$prog" LD_PRELOAD="$preload:$(lib_named libmpi.so.40)"
exit "$bad"
