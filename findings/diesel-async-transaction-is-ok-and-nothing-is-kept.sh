#!/usr/bin/env bash
# diesel-async: `transaction` is Ok, and nothing is kept, in two ways. Where the closure passes over an error of a statement, PostgreSQL
# answers the `COMMIT` with `ROLLBACK`, and diesel-async doesn't look at that answer. Where the future of a `transaction` was dropped, the
# connection stays in its transaction: the next `transaction` on it is a savepoint, whose Ok commits nothing.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
postgres_server

program 'diesel = { version = "=2.3.14", default-features = false }
diesel-async = { version = "=0.9.2", default-features = false, features = ["postgres"] }
tokio = { version = "=1.49.0", features = ["macros", "rt-multi-thread", "time"] }' <<'RS'
use std::error::Error;
use std::future::poll_fn;
use std::task::Poll;

use diesel::result::Error as Refused;
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl};

async fn write(connection: &mut AsyncPgConnection, id: &str) -> Result<usize, Refused> {
    diesel::sql_query(format!("INSERT INTO entry VALUES ('{id}')")).execute(connection).await
}

/// How many rows another connection sees.
async fn rows(url: &str) -> Result<usize, Box<dyn Error>> {
    let mut other = AsyncPgConnection::establish(url).await?;
    Ok(diesel::sql_query("DELETE FROM entry").execute(&mut other).await?)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let url = &std::env::args().nth(1).unwrap();
    let mut connection = AsyncPgConnection::establish(url).await?;
    diesel::sql_query("CREATE TABLE entry (id TEXT PRIMARY KEY)").execute(&mut connection).await?;

    let passed_over = connection
        .transaction(async |c| {
            write(c, "a").await?;
            assert!(write(c, "a").await.is_err());
            Ok::<_, Refused>(())
        })
        .await;
    println!("an error is passed over: {passed_over:?}, {} rows", rows(url).await?);

    let mut dropped = Box::pin(connection.transaction(async |c| {
        write(c, "b").await?;
        std::future::pending::<Result<(), Refused>>().await
    }));
    let until = tokio::time::timeout(std::time::Duration::from_secs(1), poll_fn(|context| match dropped.as_mut().poll(context) {
        Poll::Pending => Poll::<()>::Pending,
        Poll::Ready(_) => unreachable!("it hangs"),
    }));
    assert!(until.await.is_err());
    drop(dropped);
    let next = connection.transaction(async |c| write(c, "c").await).await;
    drop(connection);
    println!("behind a dropped one: {next:?}, {} rows", rows(url).await?);
    Ok(())
}
RS
out=$("$work/program" "postgres://postgres@127.0.0.1:$postgres/postgres")
said "diesel-async 0.9.2, diesel 2.3.14, $(postgres --version)"
said "$out"
expect "$out" 'an error is passed over: Ok(()), 0 rows
behind a dropped one: Ok(1), 0 rows'
