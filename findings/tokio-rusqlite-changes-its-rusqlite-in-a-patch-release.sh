#!/usr/bin/env bash
# tokio-rusqlite: 0.6.0 brings rusqlite 0.32, and the patch release 0.6.1 brings 0.37. Its errors and its connections are rusqlite's own
# types, so what `cargo update` takes breaks a program that names them, and the program's SQLite is another one.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

mkdir -p "$work/crate/src"
touch "$work/crate/src/lib.rs"
brings() {
    printf '[package]\nname = "crate"\nversion = "0.0.0"\nedition = "2021"\n[workspace]\n[dependencies]\ntokio-rusqlite = "=%s"\n' "$1" >"$work/crate/Cargo.toml"
    rm -f "$work/crate/Cargo.lock"
    cargo generate-lockfile --quiet --manifest-path "$work/crate/Cargo.toml"
    for name in rusqlite libsqlite3-sys; do
        grep -A1 "^name = \"$name\"\$" "$work/crate/Cargo.lock" | sed -n "s/^version = \"\([0-9]*\.[0-9]*\)\..*/$name \1/p"
    done | paste -sd, | sed 's/,/, /'
}
out="0.6.0: $(brings 0.6.0)
0.6.1: $(brings 0.6.1)"
said "$out"
expect "$out" '0.6.0: rusqlite 0.32, libsqlite3-sys 0.30
0.6.1: rusqlite 0.37, libsqlite3-sys 0.35'
