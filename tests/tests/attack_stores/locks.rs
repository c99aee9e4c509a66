//! A row that another transaction has locked holds up no other key.

use std::time::Duration;

use idem_runtime::store::{ClaimAnswer, ClaimRequest, Owner};
use idem_runtime::{AnyStore, Error, IdempotencyStore};
use idem_tests::server::{MariaDb, Postgres};
use sqlx::{Connection as _, Executor as _, PgConnection};
use tokio::task::JoinSet;

use super::{INSTANT, charge, key};

/// Another client's transaction has locked the row of a key, and duplicates of this key wait for it. Calls with other keys succeed.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts PostgreSQL: run by tests/run"]
async fn a_locked_row_holds_up_no_other_key_on_postgres() {
    let server = Postgres::start().await;
    let store = idem_runtime::connect(&server.url()).await.unwrap();
    let mut other = PgConnection::connect(&server.url()).await.unwrap();
    let held = key("held");
    let request = ClaimRequest::new("attack::charge", &held, Owner::random(), INSTANT);
    assert!(matches!(store.claim(request).await.unwrap(), ClaimAnswer::Acquired(_)));
    other.execute(sqlx::raw_sql("BEGIN; SELECT FROM idem_keys FOR UPDATE")).await.unwrap();
    stalls(&store).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts MariaDB: run by tests/run"]
async fn a_locked_row_holds_up_no_other_key_on_mysql() {
    let server = MariaDb::start().await;
    let store = idem_runtime::connect(&server.url()).await.unwrap();
    let mut other = sqlx::MySqlConnection::connect(&server.url()).await.unwrap();
    let held = key("held");
    let request = ClaimRequest::new("attack::charge", &held, Owner::random(), INSTANT);
    assert!(matches!(store.claim(request).await.unwrap(), ClaimAnswer::Acquired(_)));
    other
        .execute(sqlx::raw_sql(
            "START TRANSACTION; SELECT * FROM idem_keys WHERE scope = 'attack::charge' AND `key` = 'held' FOR UPDATE",
        ))
        .await
        .unwrap();
    stalls(&store).await;
}

/// Starts duplicates of the locked key, which occupy the store's lanes, and asserts that calls with other keys are not held up.
async fn stalls(store: &AnyStore) {
    let mut duplicates = JoinSet::new();
    for _ in 0..3 {
        let store = store.clone();
        duplicates.spawn(async move { charge(&store, "held").await });
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let mut others = JoinSet::new();
    for nth in 0..10 {
        let store = store.clone();
        others.spawn(async move { charge(&store, &format!("other-{nth}")).await });
    }
    let others = tokio::time::timeout(Duration::from_secs(8), others.join_all()).await;
    assert!(others.expect("others are not held up").into_iter().all(|answer| answer.is_ok()));
    let duplicates = tokio::time::timeout(Duration::from_secs(20), duplicates.join_all()).await;
    let refused = |answer: &Result<_, Error>| matches!(answer, Err(error) if error.is_retryable());
    assert!(duplicates.expect("a duplicate waits for ever").iter().all(refused));
}
