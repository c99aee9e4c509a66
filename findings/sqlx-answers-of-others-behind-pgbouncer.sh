#!/usr/bin/env bash
# sqlx behind PgBouncer with pool_mode = transaction: queries succeed with the answer to another client's query. One would expect them
# to fail with "prepared statement does not exist", as most drivers do there. `persistent(false)`, with which sqlx uses unnamed
# statements, makes it worse, as no query fails any more: sqlx sends Parse and Bind separately, each with a Sync, and in between the
# Parse of another client replaces the unnamed statement of the server's connection.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
postgres_server
debian pgbouncer
pooler=$(free_port)
cat >"$work/pgbouncer.ini" <<INI
[databases]
postgres = host=127.0.0.1 port=$postgres user=postgres
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = $pooler
auth_type = any
pool_mode = transaction
default_pool_size = 2
ignore_startup_parameters = extra_float_digits
unix_socket_dir =
INI
unprivileged pgbouncer -q "$work/pgbouncer.ini" 2>/dev/null &
eventually 'psql -h 127.0.0.1 -p "$pooler" -U postgres -c "SELECT 1" postgres'

program 'sqlx = { version = "=0.9.0", default-features = false, features = ["runtime-tokio", "postgres"] }
tokio = { version = "=1.49.0", features = ["macros", "rt-multi-thread"] }' <<'RS'
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions};

/// Of 8 clients, each with two statements of its own: how many answers were another statement's, and how many were errors.
async fn ask(url: &str, persistent: bool) -> (u32, u32, u32) {
    let mut clients = Vec::new();
    for client in 0..8_i64 {
        let options: PgConnectOptions = url.parse().unwrap();
        clients.push(tokio::spawn(async move {
            let (mut right, mut wrong, mut failed) = (0, 0, 0);
            let mut connection = options.connect().await.unwrap();
            for round in 0..600_i64 {
                let own = client * 2 + round % 2;
                let sql = format!("SELECT {own}::bigint WHERE $1::bigint >= 0");
                let query = sqlx::query_scalar::<_, i64>(AssertSqlSafe(sql)).bind(round).persistent(persistent);
                match query.fetch_one(&mut connection).await {
                    Ok(answer) if answer == own => right += 1,
                    Ok(_) => wrong += 1,
                    Err(_) => failed += 1,
                }
            }
            (right, wrong, failed)
        }));
    }
    let mut sum = (0, 0, 0);
    for client in clients {
        let (right, wrong, failed) = client.await.unwrap();
        sum = (sum.0 + right, sum.1 + wrong, sum.2 + failed);
    }
    sum
}

#[tokio::main]
async fn main() {
    let url = std::env::args().nth(1).unwrap();
    for persistent in [true, false] {
        let (right, wrong, failed) = ask(&url, persistent).await;
        println!("{persistent} {right} {wrong} {failed}");
    }
}
RS
"$work/program" "postgres://postgres@127.0.0.1:$pooler/postgres" | tee "$work/out"
said "sqlx 0.9.0, $(pgbouncer --version | head -n 1), $(postgres --version)"
said "persistent, right answers, answers of another statement, errors: above"
wrong=$(cut -d ' ' -f 3 "$work/out" | sort -n | head -n 1)
expect "$([ "$wrong" -gt 0 ] && echo answers of others)" "answers of others"
expect "$(sed -n 's/^false .* //p' "$work/out")" 0
