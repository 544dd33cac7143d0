#!/bin/bash
# SPDX-License-Identifier: MIT
#
# A server that is installed, filled, queried by clients at once and dumped, restarted and checked.
# packages: mariadb-server mariadb-client
# tier: bracket
# min-faults: 5000
# timeout: 180

# shellcheck disable=SC2086 # NB_RUN is words
set -eu -o pipefail
PATH=$PATH:/usr/sbin
for p in mariadbd mariadb-install-db mariadb mariadb-dump; do
	type -P $p > /dev/null || { echo "no $p" && exit 77; }
done
if [ "$(id -u)" = 0 ]; then
	id mysql > /dev/null 2>&1 || { echo "no user mysql" && exit 77; }
	exec setpriv --reuid mysql --regid mysql --clear-groups \
		env HOME="$PWD" bash "$0"
fi

# Its own asynchronous I/O would be io_uring: see mariadb-uring.
cat > my.cnf << EOT
[mysqld]
datadir = $PWD/data
socket = $PWD/s
pid-file = $PWD/pid
log-error = $PWD/log
skip-networking
skip-name-resolve
innodb-buffer-pool-size = 48M
innodb-flush-log-at-trx-commit = 2
innodb-use-native-aio = ${NB_NATIVE_AIO:-0}
EOT

sql()
{
	mariadb --no-defaults -S s -u root -N -B "$@"
}

start()
{
	$NB_RUN mariadbd --defaults-file="$PWD/my.cnf" >&2 &
	server=$!
	until sql -e 'SELECT 1' > /dev/null 2>&1; do
		kill -0 $server || { cat log >&2 && exit 1; }
		sleep 0.1
	done
}

stop()
{
	mariadb-admin --no-defaults -S s -u root shutdown
	wait $server
}

trap 'kill $server 2> /dev/null || true; tail -n 30 log >&2' EXIT
$NB_RUN mariadb-install-db --defaults-file="$PWD/my.cnf" \
	--auth-root-authentication-method=normal --skip-test-db >&2
start
sql << 'SQL'
CREATE DATABASE d; USE d;
CREATE TABLE t(id INT PRIMARY KEY, k INT, s VARCHAR(80), KEY(k)) ENGINE=InnoDB;
CREATE TABLE a(id INT PRIMARY KEY, s VARCHAR(80)) ENGINE=Aria;
INSERT INTO t SELECT seq, seq * 7919 % 1009, md5(seq) FROM seq_1_to_60000;
INSERT INTO a SELECT seq, sha1(seq) FROM seq_1_to_20000;
SELECT count(*), sum(k), bit_xor(crc32(s)) FROM t;
SQL
for c in 1 2 3 4; do
	for ((i = 0; i < 300; i++)); do
		echo "UPDATE t SET k = k + 1 WHERE id = $((c * 10000 + i * 7));"
		echo "INSERT INTO a VALUES(100000 + $c * 1000 + $i, md5($i));"
		((i % 50)) || echo "SELECT bit_xor(crc32(s)) FROM t WHERE k < 9;"
	done | sql d >&2 &
	clients[c]=$!
done
for c in 1 2 3 4; do wait "${clients[c]}"; done
check()
{
	sql d -e 'SELECT count(*), sum(k), bit_xor(crc32(s)) FROM t;
		SELECT count(*), bit_xor(crc32(s)) FROM a;
		SELECT k % 5 AS g, count(*), max(s) FROM t GROUP BY g ORDER BY g;
		CHECK TABLE t, a'
	mariadb-dump --no-defaults -S s -u root --skip-comments \
		--skip-dump-date --order-by-primary d | sha256sum
}
check
stop
start
check
stop
trap - EXIT
