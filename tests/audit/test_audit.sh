#!/bin/bash
# SPDX-License-Identifier: MIT
#
# make check-audit: every system call of a corpus of programs, once they run
# guarded, comes from a guarded site, or is in the list "known" beside this
# file.  Programs that are not installed are left out.
# timeout: 900

# shellcheck source=tests/integration/preload.sh
. "$(dirname "$0")/../integration/preload.sh"

audit=$NB_OUT/tests/audit/audit
[ -x "$audit" ] || skip "no $audit"
[ "$(uname -m)" = x86_64 ] || skip "code is patched on x86-64 alone"
"$audit" true > "$tmp/out" 2>&1 || skip "no ptrace: $(tail -n 1 "$tmp/out")"
# shellcheck source=tests/audit/unknown.sh
. tests/audit/unknown.sh
cd "$tmp" || exit 1

look() # COMMAND...
{
	local n what

	type -P "$1" > /dev/null || { echo "no $1"; return; }
	timeout -k 5 240 "$audit" env NUMABAL_FORCE=1 LD_PRELOAD="$preload" \
		"$@" < /dev/null > "$tmp/out" 2> "$tmp/err"
	n=$(guarded "$tmp/out")
	what=$(unknown "$tmp/out")
	echo "$1: ${n:-0} guarded, $(grep -c ^unguarded "$tmp/out") not"
	[ -z "$what" ] || fail "$*: $what"
	[ "${n:-0}" -gt 0 ] || fail "$*: nothing was guarded: $(cat "$tmp/err")"
}

seq 20000 > lines
echo 'int main(void) { return 0; }' > x.c
look ls -laR /usr/include/linux
look sort -R lines
look sha256sum lines
look cp lines copy
look find /usr/lib -maxdepth 1
# shellcheck disable=SC2016 # theirs to expand
look bash -c 'for i in 1 2 3; do echo $i | wc; done; (cd /; pwd) > text; wait'
look python3 -c 'import subprocess, threading, socket, ssl, sqlite3, tempfile
t = [threading.Thread(target=print, args=(i,)) for i in range(4)]
[x.start() for x in t]; [x.join() for x in t]
subprocess.run(["true"])
a, b = socket.socketpair(); a.send(b"x"); b.recv(1)
sqlite3.connect(tempfile.mktemp()).execute("create table t(a)")'
look git init -q repo
look git -C repo status
look gcc -O1 -o x x.c
look sqlite3 db 'create table t(a); insert into t values(1); select * from t'
# shellcheck disable=SC2016 # perl's own
look perl -e 'print `ls`; fork or exit; wait'
look tar czf a.tgz lines x.c
if type -P redis-server redis-cli > /dev/null; then
	# shellcheck disable=SC2016
	look bash -c 'redis-server --port 0 --unixsocket ./redis > log &
		until redis-cli -s ./redis ping; do :; done
		redis-cli -s ./redis set a 1
		redis-cli -s ./redis shutdown nosave
		wait'
fi
if type -P gcc > /dev/null && echo '#include <omp.h>
int main(void) { int s = 0;
for (int k = 0; k < 50; k++) {
#pragma omp parallel for reduction(+:s) num_threads(4)
for (int i = 0; i < 1000; i++) s += i; }
return s == 0; }' | gcc -fopenmp -x c -o omp - 2> /dev/null; then
	PATH=$tmp:$PATH look omp
fi
exit "$bad"
