#!/bin/bash
# SPDX-License-Identifier: MIT
#
# numpy: linear algebra, FFT and sorting with threads, and files.
# packages: python3-numpy
# tier: bracket
# min-faults: 2000
# timeout: 240

# shellcheck disable=SC2086 # NB_RUN is words
set -eu -o pipefail
/usr/bin/python3 -c 'import numpy' 2> /dev/null ||
	{ echo "no numpy" && exit 77; }
export OPENBLAS_NUM_THREADS=2
cat > t.py << 'P'
import hashlib
import threading
import numpy as np

def show(name, a):
    print(name, hashlib.sha256(np.ascontiguousarray(a).tobytes()).hexdigest())

r = np.random.default_rng(1)
a, b = r.standard_normal((500, 500)), r.standard_normal((500, 500))
exact = r.integers(-1000, 1000, (400, 400)).astype(float)
show("matmul", exact @ exact.T)
print("solve", np.allclose(a @ np.linalg.solve(a, b), b))
u, s, v = np.linalg.svd(a[:300])
print("svd", np.allclose((u * s) @ v[:300], a[:300]))
q, t = np.linalg.qr(a)
print("qr", np.allclose(q @ t, a))
w, x = np.linalg.eigh(a + a.T)
print("eigh", np.allclose((a + a.T) @ x, x * w))
big = r.integers(0, 1 << 40, 2000000)
show("sort", np.sort(big))
show("argsort", np.argsort(big[:300000], kind="stable"))
show("unique", np.unique(big % 100003))
f = np.fft.irfft(np.fft.rfft(a.ravel()))
print("fft", np.allclose(f, a.ravel()))
np.save("a.npy", big)
show("load", np.load("a.npy"))
m = np.memmap("a.bin", dtype=np.int64, mode="w+", shape=big.shape)
m[:] = big
m.flush()
show("fromfile", np.fromfile("a.bin", dtype=np.int64))
sums = [0] * 4

def work(n):
    for i in range(20):
        c = np.arange(200000) * (n + i)
        sums[n] += int(np.cumsum(c)[-1] + c[::7].sum())

threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
for t in threads:
    t.start()
for t in threads:
    t.join()
print("threads", sums)
P
$NB_RUN /usr/bin/python3 t.py
