#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Programs of the system: same output and same exit status as without.
# shellcheck disable=SC2016 # the single quotes hold other programs' code
# timeout: 300

# shellcheck source=tests/integration/preload.sh
. "$(dirname "$0")/preload.sh"

export LC_ALL=C
seq 1 300000 | awk '{ print ($1 * 7919) % 1000003, $1 }' > "$tmp/in"

# Our own shell says which process crashed, with a number.
sum_of()
{
	grep -av 'Segmentation fault' | md5sum
}

same() # COMMAND...
{
	local want got

	type -P "$1" > /dev/null || return
	want=$(plain timeout -k 5 60 "$@" 2>&1 < "$tmp/in" | sum_of
		echo "${PIPESTATUS[0]}")
	got=$(balanced timeout -k 5 60 "$@" 2>&1 < "$tmp/in" | sum_of
		echo "${PIPESTATUS[0]}")
	[ "$want" = "$got" ] || fail "$*: $got, want $want"
}

python='
import mmap, os, subprocess, threading
m = mmap.mmap(-1, 32 << 20, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
for i in range(0, len(m), 4096):
    m[i] = i // 4096 % 251
def check():
    for _ in range(3):
        for i in range(0, len(m), 4096):
            assert m[i] == i // 4096 % 251
ts = [threading.Thread(target=check) for _ in range(4)]
[t.start() for t in ts]
print(subprocess.check_output(["echo", "hello"]), os.cpu_count())
[t.join() for t in ts]
r, w = os.pipe()
for _ in range(50):
    os.write(w, memoryview(m)[0:4096])
    assert os.read(r, 4096)[0] == 0
pid = os.fork()
if pid == 0:
    check()
    os._exit(7)
print(os.WEXITSTATUS(os.waitpid(pid, 0)[1]))
'

same true
same false
same ls -l /usr/bin
same cat
same grep -c '99$'
same grep -r include preload
same sort -n
same sort --parallel=4 -S 64M -k2,2r
same uniq -c
same sha256sum
same wc
same dd bs=1M status=none
same dd bs=16M status=none iflag=fullblock
same tar cf - --mtime=@0 preload
same gzip -c
same xz -T2 -1 -c
same find preload -type f -size +1k
same xargs -n 1000 echo
same bash -c 'x=0; while read -r a b; do x=$((x + a % 3)); [ "$b" = 500 ] && break; done; echo $x $(echo sub) | tr a-z A-Z; exit 3'
same sh -c 'kill -SEGV $$'
same env -i PATH="$PATH" sh -c 'nproc; ulimit -a'
same perl -e 'my $x = "a" x (1 << 25); print length($x), "\n"; print `echo sub`; exit 5'
same python3 -c "$python"
same python3 -c 'import ctypes; ctypes.string_at(8)'
same awk '{ s += $1 } END { print s }'
same sleep 0.01
same timeout 5 cat
exit "$bad"
