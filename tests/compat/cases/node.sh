#!/bin/bash
# SPDX-License-Identifier: MIT
#
# node (V8): numabal steps back, the program runs unharmed.
# packages: nodejs
# tier: off
# min-faults: 0
# timeout: 120
# why: V8 makes code at run time and protects its memory itself

# shellcheck disable=SC2086 # NB_RUN is words
set -eu -o pipefail
type -P node > /dev/null || { echo "no node" && exit 77; }
cat > t.js << 'J'
const { Worker, isMainThread, parentPort, workerData } = require('worker_threads');
const { spawnSync } = require('child_process');
const fs = require('fs'), crypto = require('crypto'), zlib = require('zlib');
const net = require('net');
if (!isMainThread) {
	let m = new Map();
	for (let i = 0; i < 300000; i++) m.set('k' + i % 5003, (m.get('k' + i % 5003) || 0) + i * workerData);
	let s = 0; for (const v of m.values()) s += v;
	parentPort.postMessage(s);
} else {
	(async () => {
		const all = [1, 2, 3].map(n => new Promise((ok, no) => {
			const w = new Worker(__filename, { workerData: n });
			w.on('message', ok); w.on('error', no);
		}));
		console.log('workers', await Promise.all(all));
		const big = Buffer.alloc(5000000, 'some text ');
		fs.writeFileSync('f', zlib.gzipSync(big));
		console.log(zlib.gunzipSync(fs.readFileSync('f')).equals(big));
		console.log(crypto.createHash('sha256').update(big).digest('hex'));
		console.log(spawnSync('sh', ['-c', 'cat | wc -c; exit 3'], { input: big }).stdout.toString().trim());
		const srv = net.createServer(c => c.pipe(c)).listen('s', () => {
			let got = 0;
			const c = net.connect('s', () => c.end(big));
			c.on('data', d => got += d.length).on('end', () => { console.log('echo', got); srv.close(); });
		});
	})();
}
J
$NB_RUN node t.js
