#!/bin/bash
# SPDX-License-Identifier: MIT
#
# A server with threads, filled and read by three clients at once, with values that it moves and evicts.
# packages: memcached python3
# tier: bracket
# min-faults: 500
# timeout: 180

# shellcheck disable=SC2086 # NB_RUN is words
set -eu -o pipefail
for p in memcached python3; do
	type -P $p > /dev/null || { echo "no $p" && exit 77; }
done

user=()
[ "$(id -u)" != 0 ] || user=(-u "$(id -un)")
$NB_RUN memcached "${user[@]}" -s "$PWD/s" -m 512 -t 4 &
server=$!
trap 'kill $server 2> /dev/null || true' EXIT
until [ -S s ]; do
	kill -0 $server
	sleep 0.05
done
python3 - << 'PY'
import hashlib, socket, threading

def value(i, rev):
    return hashlib.sha256(b"%d.%d" % (i, rev)).digest() * (1 + i % 200)

def client(me, out):
    s = socket.socket(socket.AF_UNIX)
    s.connect("s")
    f = s.makefile("rwb", buffering=1 << 16)
    for rev in range(2):
        for i in range(me, 9000, 3):
            v = value(i, rev)
            f.write(b"set k%d %d 0 %d\r\n%s\r\n" % (i, i, len(v), v))
            f.flush()
            assert f.readline() == b"STORED\r\n"
    f.write(b"set n%d 0 0 1\r\n0\r\n" % me)
    f.flush()
    assert f.readline() == b"STORED\r\n"
    for i in range(3000):
        f.write(b"incr n%d 7\r\n" % me)
    f.flush()
    for i in range(3000):
        last = f.readline()
    good = 0
    for at in range(me, 9000, 60):
        keys = range(at, min(at + 60, 9000), 3)
        f.write(b"gets " + b" ".join(b"k%d" % i for i in keys) + b"\r\n")
        f.flush()
        while (line := f.readline()) != b"END\r\n":
            _, key, flags, size, _ = line.split()
            data = f.read(int(size) + 2)[:-2]
            good += data == value(int(key[1:]), 1) and key[1:] == flags
    out[me] = good, last.strip().decode()

out = {}
threads = [threading.Thread(target=client, args=(i, out)) for i in range(3)]
[t.start() for t in threads]
[t.join() for t in threads]
print(sorted(out.items()))
s = socket.socket(socket.AF_UNIX)
s.connect("s")
s.sendall(b"stats\r\n")
f = s.makefile("rb")
for line in iter(f.readline, b"END\r\n"):
    name, v = line.split()[1:]
    if name in (b"curr_items", b"cmd_set", b"get_hits", b"get_misses"):
        print(name.decode(), v.decode())
s.sendall(b"shutdown\r\n")
PY
kill -INT $server
wait $server || [ $? = 130 ]
