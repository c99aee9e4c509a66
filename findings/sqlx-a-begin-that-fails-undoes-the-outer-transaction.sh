#!/usr/bin/env bash
# sqlx: a nested `begin` that fails, or is dropped before its answer, rolls back the transaction around it, and says nothing.
# Dropping what was begun by half takes the outer transaction for its own. What the outer one writes from then on is committed
# statement by statement, and its `commit()` is Ok: it sends nothing, as sqlx then knows of no transaction. So what was written
# before is gone, what was written behind is kept, and nobody is told. Seen on PostgreSQL, and the same on MySQL and SQLite.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
postgres_server

program 'sqlx = { version = "=0.9.0", default-features = false, features = ["runtime-tokio", "postgres"] }
tokio = { version = "=1.49.0", features = ["macros", "rt-multi-thread"] }' <<'RS'
use std::future::poll_fn;
use std::task::Poll;

use sqlx::{Connection, PgConnection};

/// Writes a row, fails to begin within the transaction, writes another row, and commits.
async fn written(url: &str, dropped: bool) -> Result<Vec<String>, sqlx::Error> {
    let mut connection = PgConnection::connect(url).await?;
    sqlx::raw_sql("DROP TABLE IF EXISTS entry; CREATE TABLE entry (id TEXT)").execute(&mut connection).await?;
    let mut tx = connection.begin().await?;
    sqlx::query("INSERT INTO entry VALUES ('before')").execute(&mut *tx).await?;
    if dropped {
        let mut begin = Box::pin(tx.begin());
        assert!(poll_fn(|context| Poll::Ready(begin.as_mut().poll(context).is_pending())).await);
    } else {
        assert!(tx.begin_with("BEGIN ISOLATION LEVEL SERIALIZABLE").await.is_err());
    }
    sqlx::query("INSERT INTO entry VALUES ('behind')").execute(&mut *tx).await?;
    tx.commit().await?;
    let mut other = PgConnection::connect(url).await?;
    sqlx::query_scalar("SELECT id FROM entry").fetch_all(&mut other).await
}

#[tokio::main]
async fn main() -> Result<(), sqlx::Error> {
    let url = std::env::args().nth(1).unwrap();
    println!("failed {:?}, dropped {:?}", written(&url, false).await?, written(&url, true).await?);
    Ok(())
}
RS
out=$("$work/program" "postgres://postgres@127.0.0.1:$postgres/postgres")
said "sqlx 0.9.0, $(postgres --version)"
said "rows behind a commit that is Ok: $out"
expect "$out" 'failed ["behind"], dropped ["behind"]'
