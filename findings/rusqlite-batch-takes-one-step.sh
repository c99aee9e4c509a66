#!/usr/bin/env bash
# rusqlite: `execute_batch` takes one step of each statement. `PRAGMA incremental_vacuum(100)` frees one page with each step, and each
# step returns a row without columns. So the call is Ok, and one page is freed instead of a hundred.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

program 'rusqlite = { version = "=0.39.0", features = ["bundled"] }' <<'RS'
fn main() -> rusqlite::Result<()> {
    let db = rusqlite::Connection::open(std::env::args().nth(1).unwrap())?;
    db.execute_batch("PRAGMA auto_vacuum = INCREMENTAL; VACUUM; CREATE TABLE t (b)")?;
    db.execute("INSERT INTO t SELECT zeroblob(4000) FROM (WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 1000) SELECT n FROM n)", [])?;
    db.execute("DELETE FROM t", [])?;
    let pages = || db.query_row("PRAGMA page_count", [], |row| row.get::<_, i64>(0));
    let before = pages()?;
    db.execute_batch("PRAGMA incremental_vacuum(100)")?;
    let batch = before - pages()?;
    let mut vacuum = db.prepare("PRAGMA incremental_vacuum(100)")?;
    let mut steps = vacuum.query([])?;
    while steps.next()?.is_some() {}
    println!("{}: {batch} page freed by execute_batch, {} by its steps", rusqlite::version(), before - batch - pages()?);
    Ok(())
}
RS
out=$("$work/program" "$work/db.sqlite")
said "rusqlite 0.39.0 with SQLite $out"
expect "${out#*: }" "1 page freed by execute_batch, 100 by its steps"
