//! On MariaDB: handlers through the attribute, beside the same by hand through the same driver, in one run.
//!
//! `cargo bench --ignore-rust-version --bench mysql`

use idem_benches::load::{id, target};
use idem_benches::sql::{
    HAND_MANY, HAND_ONE, MANY, ONE, REPLAY_MANY, REPLAY_ONE, SELECT_MANY, SELECT_ONE, Subject, compare,
};
use idem_runtime::{Error, MySqlStore, Outcome, idempotent};
use idem_tests::server::MariaDb;
use sqlx::MySqlPool;
use sqlx::mysql::MySqlPoolOptions;

#[idempotent(key = "id", scope = "orders::charge", store = store)]
async fn charge(store: &MySqlStore, id: &str) -> Result<Outcome<String>, Error> {
    Ok("r".repeat(64).into())
}

#[derive(Clone)]
struct Database {
    store: MySqlStore,
    pool: MySqlPool,
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
async fn two_commits(pool: &MySqlPool, number: usize) {
    let key = id(number).into_bytes();
    let claimed = sqlx::query("INSERT IGNORE INTO claims (scope, k, owner, fence, until) VALUES (?, ?, ?, 1, UTC_TIMESTAMP(6) + INTERVAL 1 MINUTE)")
        .bind("orders::charge")
        .bind(&key)
        .bind(&[1_u8; 16][..])
        .execute(pool)
        .await
        .unwrap();
    assert_eq!(claimed.rows_affected(), 1);
    let done = sqlx::query(
        "UPDATE claims SET record = ?, until = UTC_TIMESTAMP(6) + INTERVAL 7 DAY WHERE scope = ? AND k = ? AND owner = ? AND fence = 1",
    )
    .bind(&[b'r'; 64][..])
    .bind("orders::charge")
    .bind(&key)
    .bind(&[1_u8; 16][..])
    .execute(pool)
    .await
    .unwrap();
    assert_eq!(done.rows_affected(), 1);
}

async fn select(pool: &MySqlPool, number: usize) {
    let _: (Vec<u8>,) = sqlx::query_as("SELECT record FROM claims WHERE scope = ? AND k = ?")
        .bind("orders::charge")
        .bind(id(number).into_bytes())
        .fetch_one(pool)
        .await
        .unwrap();
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let server = MariaDb::start().await;
    let url = server.url();
    let pool = MySqlPoolOptions::new().max_connections(16).test_before_acquire(false).connect(&url).await.unwrap();
    let by_hand =
        "DROP TABLE IF EXISTS claims; CREATE TABLE claims (scope VARBINARY(255), k VARBINARY(1024), owner BINARY(16),
        fence BIGINT, until DATETIME(6), record LONGBLOB, PRIMARY KEY (scope, k)) ENGINE = InnoDB";
    let rates = compare(async || {
        sqlx::raw_sql(by_hand).execute(&pool).await.unwrap();
        sqlx::raw_sql("DROP TABLE IF EXISTS idem_keys, idem_keys_schema").execute(&pool).await.unwrap();
        Database { store: MySqlStore::open(&url).await.unwrap(), pool: pool.clone() }
    })
    .await;
    rates.print("MariaDB");
    println!("\n| in times of the same by hand | | measured |\n|---|---|---|");
    let of = |name| rates.of(name);
    target("duplicate, 1 caller, in times of SELECT by key", "-", of(REPLAY_ONE) / of(SELECT_ONE));
    target("duplicate, 64 callers, in times of SELECT by key", "-", of(REPLAY_MANY) / of(SELECT_MANY));
    target("first execution, 64 callers, in times of two commits by hand", "-", of(MANY) / of(HAND_MANY));
    target("a lone caller's latency, in times of two commits by hand", "-", of(HAND_ONE) / of(ONE));
}
