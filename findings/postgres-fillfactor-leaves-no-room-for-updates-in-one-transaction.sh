#!/usr/bin/env bash
# PostgreSQL: with `fillfactor = 70`, rows that are updated once, each in a transaction of its own, are all updated in place (heap-only).
# Where one transaction updates many of them, a good part isn't, and writes to every index. The room that a page keeps free holds less
# than one more version of its rows. A single update makes more room, as it prunes what earlier updates left; within one transaction,
# nothing that it left may be pruned.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
postgres_server -c autovacuum=off

sql() { psql -q -A -t -X -h 127.0.0.1 -p "$postgres" -U postgres "$@"; }

# `share FILLFACTOR ROWS-A-TRANSACTION`: how much of 3,000 updates is heap-only, in percent.
share() {
    sql -c 'DROP TABLE IF EXISTS entry' -c "CREATE TABLE entry (id BIGINT PRIMARY KEY, state INT, note TEXT) WITH (fillfactor = $1)"
    sql -c "INSERT INTO entry SELECT n, 0, repeat('x', 80) FROM generate_series(1, 3000) n"
    for first in $(seq 1 "$2" 3000); do
        echo "UPDATE entry SET state = 1 WHERE id BETWEEN $first AND $((first + $2 - 1));"
    done | sql
    sql -c "SELECT pg_stat_force_next_flush()" -c "SELECT 100 * n_tup_hot_upd / n_tup_upd FROM pg_stat_user_tables" | tail -1
}
out="one row a transaction: $(share 70 1) %"
some=$(share 70 300)
out+=", with room for one more version of each row: $(share 45 300) %"
said "$(postgres --version)"
said "$out; with fillfactor 70 and 300 rows a transaction: $some %"
expect "$out" 'one row a transaction: 100 %, with room for one more version of each row: 100 %'
[ "$some" -lt 60 ] || { echo "the behaviour has changed: $some % are heap-only" >&2; exit 1; }
