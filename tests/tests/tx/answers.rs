//! A commit whose answer is lost, on one server: `super` says which.

use idem_runtime::{Error, Outcome, tx};
use idem_tests::Count;
use idem_tests::proxy::{Proxy, holding};
use sqlx::Connection as _;

use super::{Bench, Db, book};

/// A pool whose connections go through a proxy, which can cut them.
async fn through_a_proxy(bench: &Bench) -> (Proxy, sqlx::Pool<Db>) {
    let port = bench.url.split(['/', ':']).find_map(|part| part.parse().ok()).expect("a port");
    let proxy = Proxy::start(port).await;
    let pool = sqlx::Pool::connect(&proxy.url(&bench.url)).await.unwrap();
    (proxy, pool)
}

/// Asserts that the error says that the outcome is unknown, and that a redelivery finds out whether the commit took place.
async fn is_unknown(bench: &Bench, error: Error, redelivered: Outcome<u64>) {
    let is_unknown = matches!(error, Error::NotRecorded { key: None, in_transaction: true, .. });
    assert!(is_unknown && error.executed() && error.is_retryable(), "{error:?}");
    assert!(error.to_string().contains("deliver again"), "{error}");
    let mut tx = bench.begin().await;
    assert_eq!(book(&mut tx, "a", 2).await.unwrap(), redelivered);
    tx::commit(tx).await.unwrap();
    assert_eq!(bench.effects("a").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts servers: run by tests/run"]
async fn r22_a_commit_that_was_carried_out_and_not_answered_is_not_known_and_replays() {
    let bench = Bench::new().await;
    let (proxy, pool) = through_a_proxy(&bench).await;
    let mut tx = pool.begin().await.unwrap();
    book(&mut tx, "a", 1).await.unwrap();
    let cut = proxy.cut_after(holding(b"COMMIT"));
    let error = tx::commit(tx).await.unwrap_err();
    cut.struck().await;
    is_unknown(&bench, error, Outcome::Replayed(1)).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts servers: run by tests/run"]
async fn r22_a_commit_that_never_arrived_is_not_known_and_runs_again() {
    let bench = Bench::new().await;
    let (proxy, pool) = through_a_proxy(&bench).await;
    let mut tx = pool.begin().await.unwrap();
    book(&mut tx, "a", 1).await.unwrap();
    let cut = proxy.delay(holding(b"COMMIT"));
    let error = tx::commit(tx).await.unwrap_err();
    drop(cut.struck().await);
    is_unknown(&bench, error, Outcome::Executed(2)).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts servers: run by tests/run"]
async fn r22_a_commit_takes_two_round_trips() {
    let bench = Bench::new().await;
    let (proxy, pool) = through_a_proxy(&bench).await;
    // Not in the pool any more: a pool sends a request of its own on a connection that is given back.
    let mut connection = pool.acquire().await.unwrap().detach();
    let mut tx = connection.begin().await.unwrap();
    book(&mut tx, "a", 1).await.unwrap();
    let trips = Count::default();
    let counted = trips.clone();
    let _uncut = proxy.cut_after(move |_| {
        counted.up();
        false
    });
    tx::commit(tx).await.unwrap();
    assert_eq!(trips.get(), 2);
}
