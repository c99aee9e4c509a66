#!/usr/bin/env bash
# PostgreSQL: a query with `scope = 's' AND (scope, key) > ('s', 'k')` and an index on (scope, key). Its plan shows both conditions in
# the Index Cond, but the scan begins with the first key of the scope: so one page of results costs as much as all pages before it.
# With either condition alone, or with `scope = 's' AND key > 'k'`, the scan begins at the key.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
postgres_server

ask() { psql -qAt -h 127.0.0.1 -p "$postgres" -U postgres -c "$1"; }
ask "CREATE TABLE t (scope text COLLATE \"C\", key bytea, PRIMARY KEY (scope, key));
    INSERT INTO t SELECT 's', convert_to(lpad(n::text, 24, '0'), 'UTF8') FROM generate_series(1, 100000) n"
ask "VACUUM ANALYZE t"
key="convert_to(lpad('99000', 24, '0'), 'UTF8')"
page() {
    ask "SET enable_seqscan = off; SET enable_bitmapscan = off; EXPLAIN (ANALYZE, BUFFERS, COSTS off, TIMING off)
        SELECT * FROM t WHERE $1 ORDER BY scope, key LIMIT 10"
}
pages() { page "$1" | grep -om1 'hit=[0-9]*' | cut -d= -f2; }
both="scope = 's' AND (scope, key) > ('s', $key)"
page "$both" >/dev/null
cost=$(pages "$both")
row=$(pages "(scope, key) > ('s', $key)")
column=$(pages "scope = 's' AND key > $key")
said "$(ask 'SHOW server_version')"
said "$(page "$both" | grep 'Index Cond')"
said "pages for ten keys: $cost with both, $row by the row alone, $column by the column"
expect "$((cost > 100 && row < 20 && column < 20))" 1
