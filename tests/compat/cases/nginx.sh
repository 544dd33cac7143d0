#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Static files from two workers, to many connections at once, and byte by byte what curl gets.
# packages: nginx-light wrk curl
# tier: bracket
# min-faults: 300
# timeout: 180

# shellcheck disable=SC2086 # NB_RUN is words
set -eu -o pipefail
PATH=$PATH:/usr/sbin
for p in nginx curl wrk; do
	type -P $p > /dev/null || { echo "no $p" && exit 77; }
done

port=$((20000 + RANDOM % 10000))
mkdir www tmp
for i in 1 10 100 1000 10000; do
	seq -f "line %g of file $i" $((i * 20)) > www/$i.txt
done
user=
[ "$(id -u)" != 0 ] || user='user root;'
cat > conf << EOT
$user
worker_processes 2;
daemon off;
pid $PWD/pid;
error_log $PWD/error.log;
events { worker_connections 256; }
http {
	access_log $PWD/access.log combined buffer=64k;
	client_body_temp_path tmp/b; proxy_temp_path tmp/p;
	fastcgi_temp_path tmp/f; uwsgi_temp_path tmp/u; scgi_temp_path tmp/s;
	gzip on; gzip_types text/plain; gzip_min_length 100;
	output_buffers 2 64k;
	server {
		listen 127.0.0.1:$port;
		root $PWD/www;
		location /sf/ { alias $PWD/www/; sendfile on; }
		location /px/ { proxy_pass http://127.0.0.1:$port/; }
	}
}
EOT
$NB_RUN nginx -p "$PWD" -e "$PWD/error.log" -c "$PWD/conf" >&2 &
server=$!
trap 'kill $server 2> /dev/null || true' EXIT
until curl -s -o /dev/null "http://127.0.0.1:$port/1.txt"; do
	kill -0 $server
	sleep 0.05
done
fetch()
{
	local where i

	for where in '' sf/ px/; do
		for i in 1 10 100 1000 10000; do
			curl -sf "http://127.0.0.1:$port/$where$i.txt" |
				sha256sum
			curl -sf --compressed \
				"http://127.0.0.1:$port/$where$i.txt" | cmp - www/$i.txt
		done
	done
}
fetch
for path in 10 1000 sf/1000 px/100; do
	wrk -t 2 -c 20 -d 2 "http://127.0.0.1:$port/$path.txt" > wrk.out
	cat wrk.out >&2
	grep -q '^Requests/sec' wrk.out
	if grep -E 'Non-2xx|Socket errors' wrk.out; then exit 1; fi
done
kill -HUP $server
fetch
kill -QUIT $server
wait $server
if grep -E '\[(alert|crit|emerg|error)\]' error.log; then exit 1; fi
trap - EXIT
