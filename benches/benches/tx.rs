//! Tx mode on PostgreSQL, beside an inbox written by hand through the same driver, in one run.
//!
//! `cargo bench --ignore-rust-version --bench tx`

use idem_benches::load::{ROUNDS, Rates, id, rate, target};
use idem_runtime::tx::{Database, schema};
use idem_runtime::{Error, Outcome, idempotent};
use idem_tests::server::Postgres;
use sqlx::PgPool;
use sqlx::postgres::{PgConnection, PgPoolOptions, PgTransaction};

/// The effect of both.
async fn effect(connection: &mut PgConnection, id: &str) -> String {
    let inserted = sqlx::query("INSERT INTO orders (id, cents) VALUES ($1, 500)").bind(id).execute(connection).await;
    assert_eq!(inserted.unwrap().rows_affected(), 1);
    "r".repeat(64)
}

#[idempotent(key = "id", tx = "tx")]
async fn charge(tx: &mut PgTransaction<'_>, id: &str) -> Result<Outcome<String>, Error> {
    Ok(effect(tx, id).await.into())
}

async fn ours(pool: PgPool, number: usize) -> bool {
    let mut tx = pool.begin().await.unwrap();
    let outcome = charge(&mut tx, &id(number)).await.unwrap();
    tx.commit().await.unwrap();
    outcome.is_replayed()
}

/// The same as one would write it: claim, effect, record.
async fn by_hand(pool: PgPool, number: usize) -> bool {
    let id = id(number);
    let mut tx = pool.begin().await.unwrap();
    let (is_new, _record): (bool, Option<Vec<u8>>) = sqlx::query_as(
        "WITH mine AS (INSERT INTO inbox (scope, key) VALUES ($1, $2) ON CONFLICT (scope, key) DO NOTHING RETURNING key)
         SELECT true, NULL::bytea FROM mine UNION ALL
         SELECT false, record FROM inbox WHERE scope = $1 AND key = $2 AND NOT EXISTS (SELECT FROM mine)",
    )
    .bind("orders::charge")
    .bind(id.as_bytes())
    .fetch_one(&mut *tx)
    .await
    .unwrap();
    if is_new {
        let result = effect(&mut tx, &id).await;
        sqlx::query(
            "UPDATE inbox SET record = $3, expires_at = now() + interval '7 days' WHERE scope = $1 AND key = $2",
        )
        .bind("orders::charge")
        .bind(id.as_bytes())
        .bind(result.as_bytes())
        .execute(&mut *tx)
        .await
        .unwrap();
    }
    tx.commit().await.unwrap();
    !is_new
}

const HAND_ONE: &str = "by hand, first execution, 1 caller";
const ONE: &str = "tx mode, first execution, 1 caller";
const HAND_MANY: &str = "by hand, first execution, 64 callers";
const MANY: &str = "tx mode, first execution, 64 callers";
const HAND_REPLAY_ONE: &str = "by hand, duplicate, 1 caller";
const REPLAY_ONE: &str = "tx mode, duplicate, 1 caller";
const HAND_REPLAY_MANY: &str = "by hand, duplicate, 64 callers";
const REPLAY_MANY: &str = "tx mode, duplicate, 64 callers";

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    const FEW: usize = 1_000;
    const MUCH: usize = 10_000;
    let server = Postgres::start().await;
    let pool =
        PgPoolOptions::new().max_connections(16).test_before_acquire(false).connect(&server.url()).await.unwrap();
    let tables = "DROP TABLE IF EXISTS orders, inbox, idem_keys, idem_keys_schema;
        CREATE TABLE orders (id text NOT NULL, cents bigint NOT NULL);
        CREATE TABLE inbox (scope text COLLATE \"C\", key bytea, record bytea, expires_at timestamptz,
            PRIMARY KEY (scope, key)) WITH (fillfactor = 70)";
    let mut rates = Rates::default();
    for _ in 0..ROUNDS {
        sqlx::raw_sql(tables).execute(&pool).await.unwrap();
        sqlx::raw_sql(schema(Database::Postgres)).execute(&pool).await.unwrap();
        for (name, callers, from, count, replays, is_by_hand) in [
            (HAND_ONE, 1, 0, FEW, false, true),
            (ONE, 1, 0, FEW, false, false),
            (HAND_MANY, 64, FEW, MUCH, false, true),
            (MANY, 64, FEW, MUCH, false, false),
            (HAND_REPLAY_ONE, 1, 0, 2 * FEW, true, true),
            (REPLAY_ONE, 1, 0, 2 * FEW, true, false),
            (HAND_REPLAY_MANY, 64, 0, MUCH, true, true),
            (REPLAY_MANY, 64, 0, MUCH, true, false),
        ] {
            let pool = pool.clone();
            let operation = move |number| {
                let pool = pool.clone();
                async move {
                    let number = from + number;
                    let replayed = if is_by_hand { by_hand(pool, number).await } else { ours(pool, number).await };
                    assert_eq!(replayed, replays);
                }
            };
            rates.note(name, rate(callers, count, operation).await);
        }
    }
    rates.print("PostgreSQL, tx mode");
    println!("\n| target | reach | measured |\n|---|---|---|");
    let times = |hand, ours| rates.of(hand) / rates.of(ours);
    target("a first execution, 1 caller, in times of the time by hand", "at most 1.15", times(HAND_ONE, ONE));
    target("a first execution, 64 callers, in times of the time by hand", "at most 1.15", times(HAND_MANY, MANY));
    target("a duplicate, 1 caller, in times of the time by hand", "-", times(HAND_REPLAY_ONE, REPLAY_ONE));
    target("a duplicate, 64 callers, in times of the time by hand", "-", times(HAND_REPLAY_MANY, REPLAY_MANY));
}
