#!/usr/bin/env bash
# SQLite: a program that opens a file in WAL mode read-only (`?mode=ro`) leaves two files beside it, `-shm` and an empty `-wal`. A
# program that opens it with `?mode=rw`, and only reads, leaves none, and deletes those two.
set -euo pipefail
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
debian sqlite3

mkdir "$work/data"
db="$work/data/db"
files() { (cd "$work/data" && echo *); }
read_by() { sqlite3 "file:$db?mode=$1" 'SELECT count(*) FROM t'; }

sqlite3 "$db" 'PRAGMA journal_mode = WAL; CREATE TABLE t (x)' >/dev/null
before=$(files)
rows=$(read_by ro)
by_ro=$(files)
rows+=$(read_by rw)
by_rw=$(files)

said "SQLite $(sqlite3 --version | cut -d ' ' -f 1)"
said "at first: $before; after reading with mode=ro: $by_ro; then with mode=rw: $by_rw"
expect "$rows" 00
expect "$before" db
expect "$by_ro" 'db db-shm db-wal'
expect "$by_rw" db
