#!/usr/bin/env bash
# sqlx on SQLite: SQLite can end a transaction by itself, for example at ON CONFLICT ROLLBACK. The rollback that follows then fails, and
# the connection goes back to its pool marked as one in a transaction: `begin_with` fails on it from then on.
set -euo pipefail
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
program 'sqlx = { version = "=0.9.0", default-features = false, features = ["runtime-tokio", "sqlite"] }
tokio = { version = "1", features = ["macros", "rt"] }' <<'RUST'
use sqlx::Executor;
use sqlx::sqlite::SqlitePoolOptions;

#[tokio::main(flavor = "current_thread")]
async fn main() -> sqlx::Result<()> {
    let pool = SqlitePoolOptions::new().max_connections(1).connect("sqlite::memory:").await?;
    pool.execute("CREATE TABLE orders (id INTEGER NOT NULL)").await?;
    let mut tx = pool.begin_with("BEGIN IMMEDIATE").await?;
    let refused = tx.execute("INSERT OR ROLLBACK INTO orders VALUES (NULL)").await.unwrap_err();
    println!("the statement: {}", refused.into_database_error().unwrap().message());
    println!("rollback: {}", tx.rollback().await.unwrap_err().into_database_error().unwrap().message());
    for _ in 0..2 {
        println!("begin_with: {:?}", pool.begin_with("BEGIN IMMEDIATE").await.map(drop).unwrap_err());
    }
    Ok(())
}
RUST

answers=$("$work/program")
said "sqlx 0.9.0"
said "$answers"
expect "$answers" "the statement: NOT NULL constraint failed: orders.id
rollback: cannot rollback - no transaction is active
begin_with: InvalidSavePointStatement
begin_with: InvalidSavePointStatement"
