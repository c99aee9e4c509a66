//! On MariaDB: handlers through the attribute, beside the same by hand through the same driver, in one run.
//!
//! `cargo bench --ignore-rust-version --bench mysql`

use idem_benches::load::{ROUNDS, Rates, id, rate, target};
use idem_runtime::{Error, MySqlStore, Outcome, idempotent};
use idem_tests::server::MariaDb;
use sqlx::MySqlPool;
use sqlx::mysql::MySqlPoolOptions;

#[idempotent(key = "id", scope = "orders::charge", store = store)]
async fn charge(store: &MySqlStore, id: &str) -> Result<Outcome<String>, Error> {
    Ok("r".repeat(64).into())
}

async fn execute(store: MySqlStore, number: usize) {
    assert!(!charge(&store, &id(number)).await.unwrap().is_replayed());
}

async fn replay(store: MySqlStore, number: usize) {
    assert!(charge(&store, &id(number)).await.unwrap().is_replayed());
}

/// A claim and a completion, as one would write them: a commit each.
async fn two_commits(pool: MySqlPool, number: usize) {
    let key = id(number).into_bytes();
    let claimed = sqlx::query("INSERT IGNORE INTO claims (scope, k, owner, fence, until) VALUES (?, ?, ?, 1, UTC_TIMESTAMP(6) + INTERVAL 1 MINUTE)")
        .bind("orders::charge")
        .bind(&key)
        .bind(&[1_u8; 16][..])
        .execute(&pool)
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
    .execute(&pool)
    .await
    .unwrap();
    assert_eq!(done.rows_affected(), 1);
}

async fn select(pool: MySqlPool, number: usize) {
    let _: (Vec<u8>,) = sqlx::query_as("SELECT record FROM claims WHERE scope = ? AND k = ?")
        .bind("orders::charge")
        .bind(id(number).into_bytes())
        .fetch_one(&pool)
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
    let mut rates = Rates::default();
    for _ in 0..ROUNDS {
        sqlx::raw_sql(by_hand).execute(&pool).await.unwrap();
        sqlx::raw_sql("DROP TABLE IF EXISTS idempotency, idempotency_schema").execute(&pool).await.unwrap();
        let store = MySqlStore::open(&url).await.unwrap();
        let (one, many) = (1_000, 20_000);
        let handle = pool.clone();
        rates.note(HAND_ONE, rate(1, one, move |n| two_commits(handle.clone(), n)).await);
        let handle = store.clone();
        rates.note(ONE, rate(1, one, move |n| execute(handle.clone(), n)).await);
        let handle = pool.clone();
        rates.note(HAND_MANY, rate(64, many / 4, move |n| two_commits(handle.clone(), one + n)).await);
        let handle = store.clone();
        rates.note(MANY, rate(64, many, move |n| execute(handle.clone(), one + n)).await);
        let handle = pool.clone();
        rates.note(SELECT_ONE, rate(1, 5_000, move |n| select(handle.clone(), n % 4_000)).await);
        let handle = store.clone();
        rates.note(REPLAY_ONE, rate(1, 5_000, move |n| replay(handle.clone(), n % 4_000)).await);
        let handle = pool.clone();
        rates.note(SELECT_MANY, rate(64, 40_000, move |n| select(handle.clone(), n % 4_000)).await);
        let handle = store.clone();
        rates.note(REPLAY_MANY, rate(64, 40_000, move |n| replay(handle.clone(), n % 4_000)).await);
    }
    rates.print("MariaDB");
    println!("\n| in times of the same by hand | | measured |\n|---|---|---|");
    let of = |name| rates.of(name);
    target("duplicate, 1 caller, in times of SELECT by key", "-", of(REPLAY_ONE) / of(SELECT_ONE));
    target("duplicate, 64 callers, in times of SELECT by key", "-", of(REPLAY_MANY) / of(SELECT_MANY));
    target("first execution, 64 callers, in times of two commits by hand", "-", of(MANY) / of(HAND_MANY));
    target("a lone caller's latency, in times of two commits by hand", "-", of(HAND_ONE) / of(ONE));
}

const ONE: &str = "store, 1 caller";
const MANY: &str = "store, 64 callers";
const HAND_ONE: &str = "by hand, 1 caller, two commits";
const HAND_MANY: &str = "by hand, 64 callers, two commits";
const REPLAY_ONE: &str = "duplicate, 1 caller";
const REPLAY_MANY: &str = "duplicate, 64 callers";
const SELECT_ONE: &str = "SELECT by key, 1 caller";
const SELECT_MANY: &str = "SELECT by key, 64 callers";
