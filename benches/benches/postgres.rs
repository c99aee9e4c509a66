//! On PostgreSQL: handlers through the attribute, beside the same by hand through the same driver, in one run.
//!
//! `cargo bench --ignore-rust-version --bench postgres`

use std::time::Instant;

use idem_benches::load::{ROUNDS, id, rate, target};
use idem_benches::rounds::median;
use idem_benches::sql::{
    HAND_MANY, HAND_ONE, MANY, ONE, REPLAY_MANY, REPLAY_ONE, SELECT_MANY, SELECT_ONE, Subject, compare,
};
use idem_runtime::{Error, Outcome, PostgresStore, idempotent};
use idem_tests::server::Postgres;
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;

#[idempotent(key = "id", scope = "orders::charge", store = store)]
async fn charge(store: &PostgresStore, id: &str) -> Result<Outcome<String>, Error> {
    Ok("r".repeat(64).into())
}

#[derive(Clone)]
struct Database {
    store: PostgresStore,
    pool: PgPool,
}

impl Subject for Database {
    async fn execute(self, number: usize) {
        assert!(!charge(&self.store, &id(number)).await.unwrap().is_replayed());
    }

    async fn replay(self, number: usize) {
        assert!(charge(&self.store, &id(number)).await.unwrap().is_replayed());
    }

    async fn two_commits(self, number: usize) {
        two_commits(&self.pool, number).await;
    }

    async fn select(self, number: usize) {
        select(&self.pool, number).await;
    }
}

/// A claim and a completion, as one would write them: a commit each.
async fn two_commits(pool: &PgPool, number: usize) {
    let key = id(number).into_bytes();
    let row: (i64,) = sqlx::query_as(
        "INSERT INTO claims (scope, key, owner, fence, until) VALUES ($1, $2, $3, 1, now() + interval '1 minute')
         ON CONFLICT (scope, key) DO UPDATE SET owner = EXCLUDED.owner WHERE claims.until < now() AND claims.record IS NULL
         RETURNING fence",
    )
    .bind("orders::charge")
    .bind(&key)
    .bind(&[1_u8; 16][..])
    .fetch_one(pool)
    .await
    .unwrap();
    let sql = "UPDATE claims SET record = $4, until = now() + interval '7 days' WHERE scope = $1 AND key = $2 AND owner = $3 AND fence = $5";
    complete(pool, sql, &key, &[1; 16], row.0).await;
}

/// Completes a key that was claimed by hand.
async fn complete(pool: &PgPool, sql: &'static str, key: &[u8], owner: &[u8], fence: i64) {
    let done = sqlx::query(sql)
        .bind("orders::charge")
        .bind(key)
        .bind(owner)
        .bind(&[b'r'; 64][..])
        .bind(fence)
        .execute(pool)
        .await
        .unwrap();
    assert_eq!(done.rows_affected(), 1);
}

async fn select(pool: &PgPool, number: usize) {
    let _: (Vec<u8>,) = sqlx::query_as("SELECT record FROM claims WHERE scope = $1 AND key = $2")
        .bind("orders::charge")
        .bind(id(number).into_bytes())
        .fetch_one(pool)
        .await
        .unwrap();
}

/// The median time of a lone claim and completion, in microseconds.
async fn lone(database: &Database, from: usize) -> f64 {
    let mut times = Vec::new();
    for number in from..from + 1_000 {
        let begun = Instant::now();
        database.clone().execute(number).await;
        times.push(begun.elapsed().as_secs_f64() * 1e6);
    }
    median(times)
}

/// What first executions by 64 callers cost: processor time of the client and of the server, and bytes of the server's
/// log, beside the same rows by hand.
async fn costs(server: &Postgres, pool: &PgPool, url: &str) {
    println!("\n| first executions, 64 callers | client, us | server, us | WAL, bytes |\n|---|---|---|---|");
    let mut written = Vec::new();
    for (name, is_store) in [("store", true), ("the same rows by hand", false)] {
        let mut costs = [Vec::new(), Vec::new(), Vec::new()];
        for round in 0..ROUNDS {
            sqlx::raw_sql("DROP TABLE IF EXISTS idem_keys, idem_keys_schema CASCADE").execute(pool).await.unwrap();
            let database = Database { store: PostgresStore::open(url).await.unwrap(), pool: pool.clone() };
            let operation = move |number| {
                let database = database.clone();
                async move {
                    match is_store {
                        true => database.execute(number).await,
                        false => same_rows(&database.pool, number).await,
                    }
                }
            };
            rate(64, FEW, operation.clone()).await;
            sqlx::raw_sql("CHECKPOINT").execute(pool).await.unwrap();
            let before = so_far(server, pool).await;
            rate(64, MANY_EXECUTIONS, move |number| operation(FEW * (round + 1) + number)).await;
            let after = so_far(server, pool).await;
            for (costs, (after, before)) in costs.iter_mut().zip(after.into_iter().zip(before)) {
                costs.push((after - before) / MANY_EXECUTIONS as f64);
            }
        }
        let [client, server, log] = costs.map(median);
        println!("| {name} | {client:.0} | {server:.0} | {log:.0} |");
        written.push(log);
    }
    println!("\n| target | reach | measured |\n|---|---|---|");
    target("WAL of a first execution, in times of the same rows by hand", "at most 1.0", written[0] / written[1]);
}

const FEW: usize = 1_000;
const MANY_EXECUTIONS: usize = 20_032;

/// This process's processor time and the server's, in microseconds, and the bytes of the server's log.
async fn so_far(server: &Postgres, pool: &PgPool) -> [f64; 3] {
    let (log,): (i64,) =
        sqlx::query_as("SELECT (pg_current_wal_insert_lsn() - '0/0')::bigint").fetch_one(pool).await.unwrap();
    let pid = std::fs::read_to_string(server.directory().join("data/postmaster.pid")).unwrap();
    let postmaster: u32 = pid.lines().next().unwrap().parse().unwrap();
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let of_server = processes
        .filter_map(|process| std::fs::read_to_string(process.path().join("stat")).ok())
        .filter(|stat| field(stat, 3) == f64::from(postmaster));
    let cpu = |stat: &str| (field(stat, 13) + field(stat, 14)) * 10_000.0;
    let own = std::fs::read_to_string("/proc/self/stat").unwrap();
    [cpu(&own), of_server.map(|stat| cpu(&stat)).sum(), log as f64]
}

/// A number of `/proc/PID/stat`.
fn field(stat: &str, nth: usize) -> f64 {
    // The second field is the program's name, in parentheses.
    let behind = stat.rsplit_once(')').map_or("", |(_, behind)| behind);
    behind.split_whitespace().nth(nth - 2).and_then(|number| number.parse().ok()).unwrap_or(0.0)
}

/// A claim and a completion by hand in the store's own table, with all of its columns.
async fn same_rows(pool: &PgPool, number: usize) {
    let key = id(number).into_bytes();
    let owner = [u128::from(number as u64).to_be_bytes()];
    let row: (i64,) = sqlx::query_as(
        "INSERT INTO idem_keys (scope, key, state, owner, fence, until, previous, attempt, ended, purge_at)
         SELECT $1, $2, 1, $3, c.now, c.now + 30000000, 1, 1, '', c.now + 172800000000
         FROM (SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint AS now) c
         ON CONFLICT (scope, key) DO UPDATE SET owner = EXCLUDED.owner
             WHERE idem_keys.until < EXCLUDED.fence AND idem_keys.record IS NULL
         RETURNING fence",
    )
    .bind("orders::charge")
    .bind(&key)
    .bind(&owner[0][..])
    .fetch_one(pool)
    .await
    .unwrap();
    let sql = "UPDATE idem_keys SET state = 5, record = $4, until = fence + 86400000000
         WHERE scope = $1 AND key = $2 AND owner = $3 AND fence = $5";
    complete(pool, sql, &key, &owner[0], row.0).await;
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let server = Postgres::start().await;
    let url = server.url();
    let pool = PgPoolOptions::new().max_connections(16).test_before_acquire(false).connect(&url).await.unwrap();
    let by_hand = "DROP TABLE IF EXISTS claims; CREATE TABLE claims (scope text COLLATE \"C\", key bytea, owner bytea,
        fence bigint, until timestamptz, record bytea, PRIMARY KEY (scope, key)) WITH (fillfactor = 70)";
    let rates = compare(async || {
        sqlx::raw_sql(by_hand).execute(&pool).await.unwrap();
        sqlx::raw_sql("DROP TABLE IF EXISTS idem_keys, idem_keys_schema CASCADE").execute(&pool).await.unwrap();
        Database { store: PostgresStore::open(&url).await.unwrap(), pool: pool.clone() }
    })
    .await;
    rates.print("PostgreSQL");
    println!("\n| target | reach | measured |\n|---|---|---|");
    let of = |name| rates.of(name);
    target("duplicate, 1 caller, in times of SELECT by key", "at least 0.8", of(REPLAY_ONE) / of(SELECT_ONE));
    target("duplicate, 64 callers, in times of SELECT by key", "at least 0.8", of(REPLAY_MANY) / of(SELECT_MANY));
    target("first execution, 64 callers, in times of two commits by hand", "at least 4", of(MANY) / of(HAND_MANY));
    target("a lone caller's latency, in times of two commits by hand", "at most 1.1", of(HAND_ONE) / of(ONE));

    costs(&server, &pool, &url).await;

    // A claim on an empty table, and beside a million completed keys.
    sqlx::raw_sql("DROP TABLE IF EXISTS idem_keys, idem_keys_schema CASCADE").execute(&pool).await.unwrap();
    let database = Database { store: PostgresStore::open(&url).await.unwrap(), pool: pool.clone() };
    let empty = lone(&database, 0).await;
    let million = "INSERT INTO idem_keys (scope, key, fence, until, purge_at, attempt, state, previous, owner, ended, record)
        SELECT 'orders::charge', convert_to('order-' || lpad(n::text, 18, '0'), 'UTF8'), 1, 1::bigint << 60, 1::bigint << 60,
        1, 5, 1, decode(md5(n::text), 'hex'), '', convert_to(repeat('r', 64), 'UTF8') FROM generate_series(1000001, 2000000) n;
";
    sqlx::raw_sql(million).execute(&pool).await.unwrap();
    // What the loading left to be done is done, and each page's first change after a checkpoint is written.
    for rest in ["VACUUM ANALYZE idem_keys", "CHECKPOINT"] {
        sqlx::raw_sql(rest).execute(&pool).await.unwrap();
    }
    lone(&database, 3_000_001).await;
    let mut full = Vec::new();
    for round in 0..ROUNDS {
        full.push(lone(&database, 2_000_001 + round * 1_000).await);
    }
    let full = median(full);
    println!("\na lone execution: {empty:.0} us on an empty table, {full:.0} us after 1,000,000 completed keys");
    target("an execution after 1,000,000 keys, in times of one on an empty table", "at most 1.3", full / empty);
}
