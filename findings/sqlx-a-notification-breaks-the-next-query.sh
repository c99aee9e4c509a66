#!/usr/bin/env bash
# sqlx on PostgreSQL: a connection has sent LISTEN as a plain query, without a `PgListener`. When it is notified, its next query fails,
# though a server may send notifications at any time. Behind a pooler by transaction, the LISTEN of one client makes the queries of
# other clients fail.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
postgres_server

program 'sqlx = { version = "=0.9.0", default-features = false, features = ["runtime-tokio", "postgres"] }
tokio = { version = "=1.49.0", features = ["macros", "rt-multi-thread", "time"] }' <<'RS'
use sqlx::{Connection, Executor, PgConnection};

#[tokio::main]
async fn main() {
    let url = std::env::args().nth(1).unwrap();
    let mut listening = PgConnection::connect(&url).await.unwrap();
    let mut other = PgConnection::connect(&url).await.unwrap();
    for listens in [false, true] {
        if listens {
            listening.execute("LISTEN news").await.unwrap();
        }
        other.execute("NOTIFY news").await.unwrap();
        // The notification has arrived once it was read; nothing tells of that.
        tokio::time::sleep(std::time::Duration::from_millis(500)).await;
        match sqlx::query("SELECT 1").execute(&mut listening).await {
            Ok(_) => println!("{listens} ok"),
            Err(error) => println!("{listens} {error}"),
        }
    }
}
RS
"$work/program" "postgres://postgres@127.0.0.1:$postgres/postgres" | tee "$work/out"
said "sqlx 0.9.0; whether it listens, and what a query says: above"
expect "$(sed -n 's/^false //p' "$work/out")" ok
expect "$(grep -c '^true .*NotificationResponse' "$work/out")" 1
