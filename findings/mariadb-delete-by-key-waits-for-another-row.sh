#!/usr/bin/env bash
# MariaDB: a DELETE that names ten rows by their whole primary key waits for an eleventh row, which another transaction has locked;
# at READ COMMITTED too. In a small table the optimizer finds it cheaper to scan all rows with the first column's value than to look
# up ten keys, and the statement locks each row that it scans. FORCE INDEX (PRIMARY) changes nothing. Ten statements that each
# delete one row don't wait.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
mariadb_server

ask() { mariadb -N -h 127.0.0.1 -P "$mariadb" -u root test -e "$1" 2>&1 || true; }
ask "CREATE TABLE t (scope VARBINARY(1024), k VARBINARY(1024), PRIMARY KEY (scope, k));
    INSERT INTO t SELECT 's', LPAD(seq, 5, '0') FROM seq_1_to_30"
mariadb -h 127.0.0.1 -P "$mariadb" -u root test -e "START TRANSACTION; SELECT * FROM t WHERE scope = 's' AND k = '00001' FOR UPDATE; DO SLEEP(30)" >/dev/null &
eventually '[ "$(ask "SELECT trx_rows_locked > 0 FROM information_schema.innodb_trx")" = 1 ]'

session="SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED; SET SESSION innodb_lock_wait_timeout = 1;"
keys=$(printf "'%05d'," {11..20})
together=$(ask "$session DELETE t FROM t FORCE INDEX (PRIMARY) WHERE scope = 's' AND k IN (${keys%,})")
apart=$(ask "$session $(printf "DELETE FROM t WHERE scope = 's' AND k = '%05d';" {11..20}) SELECT COUNT(*) FROM t")
said "$(mariadbd --version)"
said "together: $(tail -1 <<<"$together")"
said "one by one, rows left: $apart"
expect "$(grep -o 'ERROR [0-9]*' <<<"$together")" "ERROR 1205"
expect "$apart" 20
