//! On PostgreSQL: handlers through the attribute, beside the same by hand through the same driver, in one run.
//!
//! `cargo bench --ignore-rust-version --bench postgres`

use std::time::Instant;

use idem_benches::load::{ROUNDS, id, target};
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
    let done = sqlx::query("UPDATE claims SET record = $4, until = now() + interval '7 days' WHERE scope = $1 AND key = $2 AND owner = $3 AND fence = $5")
        .bind("orders::charge")
        .bind(&key)
        .bind(&[1_u8; 16][..])
        .bind(&[b'r'; 64][..])
        .bind(row.0)
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

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let server = Postgres::start().await;
    let url = server.url();
    let pool = PgPoolOptions::new().max_connections(16).test_before_acquire(false).connect(&url).await.unwrap();
    let by_hand = "DROP TABLE IF EXISTS claims; CREATE TABLE claims (scope text COLLATE \"C\", key bytea, owner bytea,
        fence bigint, until timestamptz, record bytea, PRIMARY KEY (scope, key)) WITH (fillfactor = 70)";
    let rates = compare(async || {
        sqlx::raw_sql(by_hand).execute(&pool).await.unwrap();
        sqlx::raw_sql("DROP TABLE IF EXISTS idem_keys, idem_keys_schema").execute(&pool).await.unwrap();
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

    // A claim on an empty table, and beside a million completed keys.
    sqlx::raw_sql("DROP TABLE IF EXISTS idem_keys, idem_keys_schema").execute(&pool).await.unwrap();
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
