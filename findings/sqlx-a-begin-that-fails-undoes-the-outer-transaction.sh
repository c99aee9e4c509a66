#!/usr/bin/env bash
# sqlx: a nested `begin` that fails, or that is dropped before its answer, silently rolls back the outer transaction: when the
# unfinished savepoint is dropped, sqlx rolls back one level, which is the outer transaction. From then on each statement of the outer
# transaction is committed by itself. Its `commit()` sends nothing, as sqlx knows of no transaction any more, and is Ok. So the writes
# before are lost, the writes after are kept, and no error says so. Seen on PostgreSQL; MySQL and SQLite behave in the same way.
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
