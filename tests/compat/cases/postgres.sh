#!/bin/bash
# SPDX-License-Identifier: MIT
#
# A cluster that is made, filled, worked on by clients at once, dumped, restarted and dumped again.
# packages: postgresql postgresql-client
# tier: bracket
# min-faults: 5000
# timeout: 180

# shellcheck disable=SC2086 # NB_RUN is words
set -eu -o pipefail
bin=$(compgen -G '/usr/lib/postgresql/*/bin' | tail -n 1)
PATH=$bin:$PATH
for p in postgres initdb pg_ctl pgbench pg_dump psql; do
	type -P $p > /dev/null || { echo "no $p" && exit 77; }
done
if [ "$(id -u)" = 0 ]; then
	id postgres > /dev/null 2>&1 || { echo "no user postgres" && exit 77; }
	exec setpriv --reuid postgres --regid postgres --clear-groups \
		env HOME="$PWD" bash "$0"
fi

export PGHOST=$PWD PGDATA=$PWD/data PGUSER=pg PGDATABASE=postgres
$NB_RUN initdb -U pg -A trust -E UTF8 --locale C --no-sync >&2
cat >> data/postgresql.conf << EOT
listen_addresses = ''
unix_socket_directories = '$PWD'
shared_buffers = 64MB
fsync = off
max_parallel_workers_per_gather = 2
min_parallel_table_scan_size = 0
EOT
trap 'pg_ctl -m immediate stop >&2 || true' EXIT

start()
{
	$NB_RUN pg_ctl -w -t 60 -l log start >&2
}

# Without what is there against injected commands: a random word.
dump()
{
	pg_dump "$@" | grep -v '^.\(un\)\?restrict ' | sha256sum
}

checks()
{
	psql -X -A -t << 'SQL'
SELECT count(*), sum(abalance) = (SELECT sum(delta) FROM pgbench_history)
	FROM pgbench_accounts;
SELECT count(*) FROM pgbench_history;
SELECT count(*), sum(k), md5(string_agg(s, ',' ORDER BY k)) FROM t;
SELECT k % 7 AS g, count(*), avg(length(s))::int FROM t GROUP BY g ORDER BY g;
SQL
	dump -t t
}

start
pgbench -i -s 2 -q >&2
psql -X -q -c "CREATE TABLE t AS SELECT i AS k, md5(i::text) AS s
	FROM generate_series(1, 100000) i; CREATE INDEX ON t(s);
	ALTER TABLE t ADD PRIMARY KEY (k)"
pgbench -n -c 4 -j 2 -t 300 >&2
checks
pg_ctl -m fast -w stop >&2
start
checks
psql -X -q -c 'VACUUM FULL ANALYZE t'
$NB_RUN pg_dump -F c -f t.dump -t t
$NB_RUN createdb copy
$NB_RUN pg_restore -j 2 -d copy t.dump
dump -t t copy
pg_ctl -m fast -w stop >&2
trap - EXIT
