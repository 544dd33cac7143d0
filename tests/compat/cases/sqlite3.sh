#!/bin/bash
# SPDX-License-Identifier: MIT
#
# A database that is filled, changed, indexed, vacuumed and dumped.
# packages: sqlite3
# tier: bracket
# min-faults: 1000
# timeout: 180

# shellcheck disable=SC2086 # NB_RUN is words
set -eu -o pipefail
type -P sqlite3 > /dev/null || { echo "no sqlite3" && exit 77; }

$NB_RUN sqlite3 -bail t.db << 'SQL'
PRAGMA journal_mode = WAL;
PRAGMA cache_size = -64000;
CREATE TABLE t(id INTEGER PRIMARY KEY, k INT, s TEXT, b BLOB);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 200000)
INSERT INTO t SELECT i, i * 7919 % 100003, printf('row %08d of many', i),
	zeroblob(i % 64) FROM n;
CREATE INDEX tk ON t(k, s);
CREATE TABLE u AS SELECT k % 100 AS g, count(*) AS n, sum(id) AS s
	FROM t GROUP BY g ORDER BY g;
SELECT g, n, s FROM u WHERE g < 5;
BEGIN;
UPDATE t SET s = upper(s) || k WHERE id % 3 = 0;
DELETE FROM t WHERE k % 11 = 5;
COMMIT;
BEGIN;
DELETE FROM t WHERE id < 100000;
ROLLBACK;
SELECT count(*), sum(k), max(s), min(s) FROM t;
SELECT count(*) FROM t a JOIN t b ON a.k = b.k AND a.id < b.id;
VACUUM;
PRAGMA integrity_check;
SQL
$NB_RUN sqlite3 t.db .dump | sha256sum
$NB_RUN sqlite3 t.db .dump | $NB_RUN sqlite3 copy.db
$NB_RUN sqlite3 copy.db 'PRAGMA integrity_check; SELECT count(*) FROM t'
$NB_RUN sqlite3 copy.db .dump | sha256sum
