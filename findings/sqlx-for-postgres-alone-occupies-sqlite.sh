#!/usr/bin/env bash
# sqlx 0.8 and Cargo: a program whose sqlx has PostgreSQL alone can't have rusqlite 0.37 beside it, once `migrate` or `json` is on. No build
# of it has a line of SQLite in it: `cargo tree` doesn't show libsqlite3-sys. But the lock file holds it, and Cargo allows one version of
# what has `links = "sqlite3"` in a lock file, whether it is compiled or not. With `macros` alone, it isn't in the lock file either.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

mkdir -p "$work/crate/src"
touch "$work/crate/src/lib.rs"
program_with() {
    printf '[package]\nname = "crate"\nversion = "0.0.0"\nedition = "2021"\n[workspace]\n[dependencies]\n%s\n' "$1" >"$work/crate/Cargo.toml"
    rm -f "$work/crate/Cargo.lock"
}
resolves() { cargo generate-lockfile --quiet --manifest-path "$work/crate/Cargo.toml" 2>"$work/error"; }
sqlx() { printf 'sqlx = { version = "=0.8.6", default-features = false, features = ["runtime-tokio", "postgres"%s] }' "$1"; }

program_with "$(sqlx ', "migrate"')"
resolves
locked=$(grep -c '^name = "libsqlite3-sys"$' "$work/crate/Cargo.lock")
built=$(cargo tree --quiet --target all --manifest-path "$work/crate/Cargo.toml" | grep -c libsqlite3-sys || true)
out="locked with migrate: $locked, in its tree: $built"
for feature in '' ', "macros"' ', "migrate"' ', "json"'; do
    program_with "$(sqlx "$feature")
rusqlite = \"=0.37.0\""
    if resolves; then answer=resolves; else answer=$(grep -o 'links to the native library `sqlite3`' "$work/error" | head -1); fi
    out+="
beside rusqlite 0.37 with \"postgres\"$feature: $answer"
done
said "sqlx 0.8.6, $(cargo --version)"
said "$out"
expect "$out" 'locked with migrate: 1, in its tree: 0
beside rusqlite 0.37 with "postgres": resolves
beside rusqlite 0.37 with "postgres", "macros": resolves
beside rusqlite 0.37 with "postgres", "migrate": links to the native library `sqlite3`
beside rusqlite 0.37 with "postgres", "json": links to the native library `sqlite3`'
