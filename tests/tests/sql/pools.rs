//! A user's pool that is used up, broken or closed: the store isn't affected, as it has connections of its own.

use std::time::Duration;

use idem_runtime::{Error, Outcome, idempotent};
use idem_tests::Gate;
use sqlx::Executor as _;
use tokio::task::JoinSet;

use super::{Db, Pool, Server, Store, number, open, pool};
use crate::charge;

/// A lease that is short enough for the test to wait for, and long enough to be renewed in time on a busy machine.
const LEASE: Duration = Duration::from_secs(3);

/// Leaves a connection of the pool in a transaction, as `pool.begin()` does if it is dropped while its BEGIN is under way.
async fn abandon_transaction(pool: &Pool) {
    pool.acquire().await.unwrap().execute(sqlx::raw_sql("BEGIN")).await.unwrap();
}

/// Holds a connection of the pool until the gate is opened.
#[idempotent(key = "id", store = store, lease = "3s")]
async fn book(store: &Store, pool: &Pool, gate: &Gate, id: &str) -> Result<Outcome<u32>, Error> {
    let mut tx = pool.begin().await.unwrap();
    gate.pass().await;
    tx.execute("SELECT 1").await.unwrap();
    tx.commit().await.unwrap();
    Ok(1.into())
}

/// Calls another handler within its transaction.
#[idempotent(key = "id", tx = "tx")]
async fn order(tx: &mut sqlx::Transaction<'_, Db>, store: &Store, id: &str) -> Result<Outcome<String>, Error> {
    tx.execute("SELECT 1").await.unwrap();
    charge(store, id).await
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts a server: run by tests/run"]
async fn a_transaction_that_the_pool_was_left_with_takes_no_claim_in() {
    let server = Server::start().await;
    let pool = pool(1).connect(&server.url()).await.unwrap();
    let store = Store::open_with(pool.clone()).await.unwrap();
    abandon_transaction(&pool).await;
    assert!(!charge(&store, "order").await.unwrap().is_replayed());
    assert!(charge(&open(&server).await, "order").await.unwrap().is_replayed(), "others see what was recorded");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts a server: run by tests/run"]
async fn a_transaction_that_the_pool_was_left_with_takes_no_table_in() {
    let server = Server::start().await;
    let pool = pool(1).connect(&server.url()).await.unwrap();
    abandon_transaction(&pool).await;
    Store::migrate(pool.clone()).await.unwrap();
    let unmigrated = Store::options().migrate(false).open(&server.url()).await.unwrap();
    charge(&unmigrated, "order").await.unwrap();
    charge(&Store::open_with(pool.clone()).await.unwrap(), "order").await.unwrap();

    // The pool's only connection is in a failed transaction. The store can't ask it where it leads, and opens all the same.
    abandon_transaction(&pool).await;
    pool.acquire().await.unwrap().execute("no statement").await.unwrap_err();
    assert!(charge(&Store::open_with(pool).await.unwrap(), "order").await.unwrap().is_replayed());
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts a server: run by tests/run"]
async fn r06_handlers_that_hold_every_connection_of_the_pool_keep_their_leases() {
    let server = Server::start().await;
    let pool = pool(4).connect(&server.url()).await.unwrap();
    let store = Store::open_with(pool.clone()).await.unwrap();
    let gates: [Gate; 4] = Default::default();
    let mut calls = JoinSet::new();
    for (nth, gate) in gates.iter().cloned().enumerate() {
        let (store, pool) = (store.clone(), pool.clone());
        calls.spawn(async move { book(&store, &pool, &gate, &format!("{nth}")).await });
    }
    for gate in &gates {
        gate.started().await;
    }
    // By now each lease would be over, if it were not renewed.
    tokio::time::sleep(LEASE * 3 / 2).await;
    let (other, others) = (open(&server).await, Pool::connect(&server.url()).await.unwrap());
    for nth in 0..4 {
        let duplicate = book(&other, &others, &Gate::opened(), &format!("{nth}")).await;
        assert!(matches!(duplicate, Err(Error::InProgress { .. })), "{duplicate:?}");
    }
    gates.iter().for_each(Gate::open);
    for call in calls.join_all().await {
        assert!(!call.unwrap().is_replayed());
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts a server: run by tests/run"]
async fn many_short_handlers_on_a_small_pool_are_all_recorded() {
    #[idempotent(key = "id", store = store, lease = "3s")]
    async fn pause(store: &Store, pool: &Pool, id: u32) -> Result<Outcome<u32>, Error> {
        let _used = pool.acquire().await.unwrap();
        tokio::time::sleep(LEASE / 8).await;
        Ok(id.into())
    }
    let server = Server::start().await;
    let pool = pool(4).acquire_timeout(LEASE * 20).connect(&server.url()).await.unwrap();
    let store = Store::open_with(pool.clone()).await.unwrap();
    for is_redelivery in [false, true] {
        let mut calls = JoinSet::new();
        for id in 0..64 {
            let (store, pool) = (store.clone(), pool.clone());
            calls.spawn(async move { pause(&store, &pool, id).await });
        }
        for call in calls.join_all().await {
            assert_eq!(call.unwrap().is_replayed(), is_redelivery);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts a server: run by tests/run"]
async fn a_handler_in_a_transaction_can_call_one_of_a_store_on_its_pool() {
    let server = Server::start().await;
    let pool = pool(4).connect(&server.url()).await.unwrap();
    let store = Store::open_with(pool.clone()).await.unwrap();
    let mut begun = Vec::new();
    for _ in 0..4 {
        begun.push(pool.begin().await.unwrap());
    }
    let mut calls = JoinSet::new();
    for (nth, mut tx) in begun.into_iter().enumerate() {
        let store = store.clone();
        calls.spawn(async move {
            let outcome = order(&mut tx, &store, &format!("{nth}")).await;
            tx.commit().await.unwrap();
            outcome
        });
    }
    for call in calls.join_all().await {
        assert!(!call.unwrap().is_replayed());
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts a server: run by tests/run"]
async fn a_pool_that_is_closed_before_its_handlers_have_ended_takes_no_ending_along() {
    let server = Server::start().await;
    let pool = pool(2).connect(&server.url()).await.unwrap();
    let store = Store::open_with(pool.clone()).await.unwrap();
    let (gate, closing) = (Gate::default(), pool.clone());
    let (called, shut) = (store.clone(), gate.clone());
    let call = tokio::spawn(async move { book(&called, &pool, &shut, "order").await });
    gate.started().await;
    // Closing the pool waits for the connection that the handler holds.
    let closed = tokio::spawn(async move { closing.close().await });
    gate.open();
    closed.await.unwrap();
    assert!(!call.await.unwrap().unwrap().is_replayed());
    let others = Pool::connect(&server.url()).await.unwrap();
    let redelivered = book(&open(&server).await, &others, &Gate::opened(), "order").await.unwrap();
    assert!(redelivered.is_replayed(), "{redelivered:?}");
    assert!(!charge(&store, "another").await.unwrap().is_replayed(), "the store goes on");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts a server: run by tests/run"]
async fn a_pool_without_a_connection_to_spare_does_not_hold_up_the_opening_for_ever() {
    let server = Server::start().await;
    let pool = pool(1).acquire_timeout(Duration::from_secs(600)).connect(&server.url()).await.unwrap();
    let used = pool.acquire().await.unwrap();
    let opened = tokio::time::timeout(Duration::from_secs(60), Store::open_with(pool.clone())).await;
    let error = opened.expect("it gives up").unwrap_err();
    assert!(matches!(error, Error::Config { .. }), "{error:?}");
    assert!(error.to_string().contains("the pool gave no connection within"), "{error}");
    drop(used);
    pool.close().await;
    let error = Store::open_with(pool).await.unwrap_err();
    assert!(error.to_string().contains("the pool is closed"), "{error}");
    assert_eq!(
        number(&server, "SELECT count(*) FROM information_schema.tables WHERE table_name = 'idem_keys'").await,
        0
    );
}
