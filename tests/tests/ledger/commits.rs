//! Transactions that conflict with others, or whose end is unknown.

use std::time::Duration;

use idem_runtime::{Error, idempotent};
use idem_tests::proxy::{Proxy, holding};
use sqlx::Connection as _;

use super::{Home, Service, transfer};

/// A handler of another process with the same keys.
#[idempotent(key = "key", scope = "ledger/transfers", tx = "tx")]
async fn elsewhere(tx: &mut sqlx::PgTransaction<'_>, key: &str) -> Result<(), Error> {
    let _ = (tx, key);
    Ok(())
}

#[tokio::test]
#[ignore = "starts PostgreSQL: run by tests/run"]
async fn a_key_that_stays_in_use_is_a_conflict() {
    let home = Home::postgres().await;
    let service = Service::start(&home);
    let Home::Server(server) = &home else { unreachable!() };
    let mut connection = sqlx::PgConnection::connect(&server.url()).await.unwrap();
    let mut tx = connection.begin().await.unwrap();
    elsewhere(&mut tx, "k").await.unwrap();
    let client = service.client.clone();
    let post = move || client.post("k", &transfer("alice", "bob", 1));
    let answer = tokio::task::spawn_blocking(post.clone()).await.unwrap();
    answer.assert_refused(409, "idempotency-key-in-use");
    assert_eq!(answer.header("Retry-After"), Some("1"));
    tx.rollback().await.unwrap();
    let answer = tokio::task::spawn_blocking(post).await.unwrap();
    assert_eq!((answer.status, answer.is_replayed()), (201, false), "{answer:?}");
    service.client.assert_holds("alice", 9_999);
}

#[tokio::test]
#[ignore = "starts PostgreSQL: run by tests/run"]
async fn a_transaction_that_failed_is_run_again() {
    let home = Home::postgres().await;
    let service = Service::start(&home);
    let Home::Server(server) = &home else { unreachable!() };
    let [mut holder, mut admin] = [
        sqlx::PgConnection::connect(&server.url()).await.unwrap(),
        sqlx::PgConnection::connect(&server.url()).await.unwrap(),
    ];
    let mut tx = holder.begin().await.unwrap();
    sqlx::query("SELECT FROM accounts WHERE id = 'alice' FOR UPDATE").execute(&mut *tx).await.unwrap();
    let client = service.client.clone();
    let asked = tokio::task::spawn_blocking(move || client.post("k", &transfer("alice", "bob", 1)));
    // The connection is cut while the request waits for the account. It has claimed its key by then.
    let cut = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE wait_event_type = 'Lock'";
    while sqlx::query_scalar::<_, i64>(cut).fetch_one(&mut admin).await.unwrap() == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    tx.rollback().await.unwrap();
    let answer = asked.await.unwrap();
    assert_eq!((answer.status, answer.is_replayed()), (201, false), "{answer:?}");
    service.client.assert_holds("alice", 9_999);
}

/// The transaction is committed, but the answer to the commit is lost. The request finds the record and replays it.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts PostgreSQL: run by tests/run"]
async fn r22_a_commit_whose_answer_is_lost_is_replayed() {
    let home = Home::postgres().await;
    let Home::Server(server) = &home else { unreachable!() };
    let port = server.url().split(['/', ':']).find_map(|part| part.parse().ok()).expect("a port");
    let proxy = Proxy::start(port).await;
    let arguments = ["--store".to_owned(), proxy.url(&server.url())];
    let service = tokio::task::spawn_blocking(move || Service::start_with(&arguments, 0)).await.unwrap();
    // Matches `COMMIT`, but not the `READ COMMITTED` at the beginning of the transaction.
    let cut = proxy.cut_after(holding(b"COMMIT\0"));
    let client = service.client.clone();
    let asked = tokio::task::spawn_blocking(move || client.post("k", &transfer("alice", "bob", 1)));
    cut.struck().await;
    let answer = asked.await.unwrap();
    assert_eq!((answer.status, answer.is_replayed()), (201, true), "{answer:?}");
    let client = service.client.clone();
    tokio::task::spawn_blocking(move || client.assert_holds("alice", 9_999)).await.unwrap();
}
