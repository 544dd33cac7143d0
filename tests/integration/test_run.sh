#!/bin/bash
# SPDX-License-Identifier: MIT
#
# numabal run: exit statuses, messages, and what the program gets to see.
# A message is one line on standard error, and it is compared as a whole.
# shellcheck disable=SC2016 # what is quoted is for other shells
# shellcheck disable=SC2317 # try() calls run()

set -u

numabal=$NB_OUT/numabal
tmp=$(realpath "$(mktemp -d)")
trap 'rm -rf "$tmp"' EXIT
unset LD_PRELOAD "${!NUMABAL@}"
bad=0
mkdir -p "$tmp/a/bin" "$tmp/a/lib" "$tmp/b c"
cp "$numabal" "$tmp/a/bin/" && cp "$numabal" "$tmp/b c/"
gcc -shared -x c /dev/null -o "$tmp/empty.so"
case $NB_BUILD in
asan | tsan) # no plain program can load the real one
	export ASAN_OPTIONS=${ASAN_OPTIONS:-}:verify_asan_link_order=0
	numabal=$tmp/b/numabal
	mkdir "$tmp/b" && cp "$tmp/empty.so" "$tmp/b/libnumabal-preload.so"
	cp "$tmp/a/bin/numabal" "$tmp/b/"
	;;
esac
preload=$(realpath "${numabal%/*}/libnumabal-preload.so")

fail() # MESSAGE...
{
	echo "FAIL: $*"
	bad=1
}

# try STATUS STDERR COMMAND...: "$out" is its standard output
try()
{
	local want=$1 text=$2 rc got
	shift 2
	out=$("$@" 2> "$tmp/err")
	rc=$?
	got=$(cat "$tmp/err")
	[ "$rc:$got" = "$want:$text" ] ||
		fail "$*: '$rc:$got', not '$want:$text'"
}

expect() # STANDARD-OUTPUT of the last try
{
	[ "$out" = "$1" ] || fail "standard output is '$out', not '$1'"
}

run()
{
	"$numabal" run "$@"
}

# The command itself.
try 125 "numabal: no command; see numabal -h" "$numabal"
try 125 "numabal: unknown command 'rnu'; see numabal -h" "$numabal" rnu
for c in stat top map ctl advise report; do
	try 125 "numabal: '$c' is not part of this version" "$numabal" $c 1
done
try 0 "" "$numabal" --version
[[ $out =~ ^numabal\ [0-9]+\.[0-9]+\.[0-9]+$ ]] || fail "version: '$out'"
for c in -h --help {run,topo,doctor}\ -h "run --help" help "help run"; do
	read -ra words <<< "$c"
	try 0 "" "$numabal" "${words[@]}"
	[[ $out == Usage:* ]] || fail "numabal $c: '$out'"
done
try 125 "numabal: standard output: No space left on device" \
	sh -c '"$1" --version > /dev/full' sh "$numabal"

# Mistakes of the user: nothing runs.
no="see numabal run -h"
try 125 "numabal: no COMMAND; $no" run --observe --
try 125 "numabal: -z: unknown option; $no" run -z touch "$tmp/ran"
try 125 "numabal: --foo: unknown option; $no" run --foo true
try 125 "numabal: -o: needs a value; $no" run -o
try 125 "numabal: -o force: not OPTION=VALUE" run -o force true
try 125 "numabal: -o nonsense=1: no such option" run -o nonsense=1 true
try 125 "numabal: -o scan_size_mb=0: not in 1..1048576 (MiB)" \
	run -o force=1 -o scan_size_mb=0 touch "$tmp/ran"
try 125 "numabal: -o guard=x: not one of auto, bracket, conservative, off" \
	run -o guard=x true
try 125 "numabal: -o SCAN_PERIOD_MIN_MS=2000: above SCAN_PERIOD_MAX_MS=1500" \
	run -o scan_period_min_ms=2s -o scan_period_max_ms=1500 true
try 125 "numabal: --sites: not supported by this version" run --sites true
try 125 "numabal: --record: needs a value; $no" run --record
try 125 "numabal: --stats=: no file name" run --stats= touch "$tmp/ran"
try 125 "numabal: --record=: no file name" run --record= touch "$tmp/ran"
[ ! -e "$tmp/ran" ] || fail "the program ran after a bad option"

# Programs that cannot be executed.
printf 'x' > "$tmp/data"
printf '#!/no/such/shell\n' > "$tmp/lost"
chmod 755 "$tmp/lost"
enoent="No such file or directory"
try 127 "numabal: no-such-program: $enoent" env PATH=/bin "$numabal" run no-such-program
try 127 "numabal: $tmp/lost: its interpreter /no/such/shell: $enoent" \
	run "$tmp/lost"
try 126 "numabal: $tmp: Is a directory" run "$tmp"
try 126 "numabal: $tmp/data: Permission denied" run "$tmp/data"

# What the program gets, and gives.
try 143 "" bash -c '"$@" & wait $!' sh "$numabal" run sh -c 'kill -TERM $$'
try 0 "" run -- printf '<%s>' "a  b" "" -o '$x *'
expect '<a  b><><-o><$x *>'
show='echo "$LD_PRELOAD:${NUMABAL-}:${NUMABAL_SCAN_SIZE_MB-}:${NUMABAL_LOG-}"
[ "$NUMABAL_ROOT_PID" = $$ ] || echo "not $$"'
try 7 "" run sh -c "$show; exit 7"
expect "$preload:::"
try 0 "" run --observe -o Scan_Size_MB=4M -o log=error sh -c "$show"
expect "$preload:observe:4M:error"
try 0 "" env LD_PRELOAD="libdl.so.2" "$numabal" run sh -c "$show"
expect "$preload:libdl.so.2:::"
try 0 "" env LD_PRELOAD="libdl.so.2 $preload" "$numabal" run sh -c "$show"
expect "libdl.so.2 $preload:::"
try 0 "" env -C "$tmp" "$numabal" run --stats=%p.json printenv NUMABAL_STATS
expect "$tmp/%p.json"

# Programs that cannot be preloaded: they run all the same.
why="preloading cannot work, it runs unbalanced"
echo 'int main(int c, char **v) { return c == 2 ? *v[1] - 48 : 99; }' \
	> "$tmp/p.c"
if gcc -static -o "$tmp/static" "$tmp/p.c" 2> /dev/null; then
	try 5 "numabal: $tmp/static: statically linked: $why" \
		run "$tmp/static" 5
	echo "#!$tmp/static 3" > "$tmp/script" && chmod 755 "$tmp/script"
	try 99 "numabal: $tmp/script: its interpreter $tmp/static: $(
		)statically linked: $why" run "$tmp/script"
fi
gcc -o "$tmp/suid" "$tmp/p.c"
if [ "$(id -u)" = 0 ] && chown 12345 "$tmp/suid" && chmod 4755 "$tmp/suid" &&
	! findmnt -no OPTIONS -T "$tmp" | grep -q nosuid; then
	chmod 755 "$tmp"
	try 5 "numabal: $tmp/suid: setuid: $why" run "$tmp/suid" 5
fi

# Where the library is found, and where it is not.
out=$("$tmp/a/bin/numabal" run true 2>&1)
[ "$?:${out%%: *}" = 125:numabal ] || fail "without a library: '$out'"
cp "$tmp/empty.so" "$tmp/a/lib/libnumabal-preload.so"
try 0 "" "$tmp/a/bin/numabal" run printenv LD_PRELOAD
expect "$tmp/a/lib/libnumabal-preload.so"
cp "$tmp/empty.so" "$tmp/b c/libnumabal-preload.so"
try 0 "numabal: $tmp/b c/libnumabal-preload.so: a path with a space or $(
	)colon cannot be preloaded, echo runs unbalanced" \
	"$tmp/b c/numabal" run echo hi
expect hi
exit "$bad"
