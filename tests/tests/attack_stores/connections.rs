//! The connections of a store: they need no runtime that is driven, are replaced when the server closes them, and are closed with
//! the store.

use std::time::{Duration, Instant};

use idem_runtime::store::{ClaimAnswer, ClaimRequest, Owner, RenewRequest, WaitRequest};
use idem_runtime::{AnyStore, Error, IdempotencyStore, Outcome, PostgresStore, idempotent};
use idem_tests::server::{Kind, Postgres};
use sqlx::postgres::PgPoolOptions;
use sqlx::{Connection as _, Executor as _, PgConnection, Row as _};
use tokio::task::JoinSet;

use super::{LEASE, charge, key, runtime};

#[idempotent(key = "id", store = store, scope = "attack::sync", lease = "3s")]
fn charge_sync(store: &AnyStore, id: u32) -> Result<Outcome<u32>, Error> {
    Ok(id.into())
}

fn stands_still(kind: Kind) {
    let runtime = runtime();
    let (_server, store) = runtime.block_on(async {
        let server = kind.start().await;
        let store = idem_runtime::connect(&server.url()).await.unwrap();
        (server, store)
    });
    // The runtime still exists, but nobody drives it.
    for id in 0..3 {
        let started = Instant::now();
        assert_eq!(charge_sync(&store, id).unwrap(), Outcome::Executed(id));
        assert!(started.elapsed() < Duration::from_secs(1));
    }
}

#[test]
#[ignore = "starts PostgreSQL: run by tests/run"]
fn r20_postgres_needs_no_runtime_that_opened_it() {
    stands_still(Kind::Postgres);
}

#[test]
#[ignore = "starts MariaDB: run by tests/run"]
fn r20_mysql_needs_no_runtime_that_opened_it() {
    stands_still(Kind::MariaDb);
}

#[test]
#[ignore = "starts redis-server: run by tests/run"]
fn r20_redis_needs_no_runtime_that_opened_it() {
    stands_still(Kind::Redis);
}

/// A server that is stopped, or an administrator, ends each connection with an error message. The next call has to open a new one.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts PostgreSQL: run by tests/run"]
async fn r09_connections_that_the_server_ended_fail_no_call() {
    let server = Postgres::start().await;
    let store = idem_runtime::connect(&server.url()).await.unwrap();
    let held = key("held");
    let request = ClaimRequest::new("attack", &held, Owner::random(), LEASE);
    assert!(matches!(store.claim(request).await.unwrap(), ClaimAnswer::Acquired(_)));
    let mut at_once = JoinSet::new();
    for _ in 0..40 {
        let (store, held) = (store.clone(), held.clone());
        at_once.spawn(async move {
            store
                .renew(RenewRequest::new(&ClaimRequest::new("attack", &held, Owner::random(), LEASE), 1))
                .await
                .unwrap()
        });
    }
    at_once.join_all().await;
    let mut other = PgConnection::connect(&server.url()).await.unwrap();
    let ended = other.fetch_all("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'").await.unwrap();
    assert!(ended.len() > 3);
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(charge(&store, "1").await.unwrap(), Outcome::Executed(1));
}

/// A caller that waits listens for notifications. It must not hold the last connection of the user's pool.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts PostgreSQL: run by tests/run"]
async fn a_waiter_takes_no_connection_of_a_users_pool_for_good() {
    let server = Postgres::start().await;
    let pool = PgPoolOptions::new()
        .max_connections(1)
        .acquire_timeout(Duration::from_secs(2))
        .connect(&server.url())
        .await
        .unwrap();
    let store = AnyStore::new(PostgresStore::open_with(pool.clone()).await.unwrap());
    let held = key("held");
    let request = ClaimRequest::new("attack", &held, Owner::random(), LEASE);
    assert!(matches!(store.claim(request).await.unwrap(), ClaimAnswer::Acquired(_)));
    store.wait(WaitRequest::new("attack", &held, Duration::from_millis(500))).await.unwrap();
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(charge(&store, "1").await.unwrap(), Outcome::Executed(1));
}

/// The store's connections and tasks end when its last handle is dropped.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts PostgreSQL: run by tests/run"]
async fn a_store_that_is_dropped_leaves_no_connection() {
    let server = Postgres::start().await;
    let store = PostgresStore::open(&server.url()).await.unwrap();
    let held = key("held");
    let request = ClaimRequest::new("attack", &held, Owner::random(), LEASE);
    assert!(matches!(store.claim(request).await.unwrap(), ClaimAnswer::Acquired(_)));
    store.wait(WaitRequest::new("attack", &held, Duration::from_millis(500))).await.unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    drop(store);
    tokio::time::sleep(Duration::from_millis(1000)).await;
    let mut other = PgConnection::connect(&server.url()).await.unwrap();
    let rows = other
        .fetch_all(
            "SELECT query FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'",
        )
        .await
        .unwrap();
    let left: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    assert_eq!(left, Vec::<String>::new());
}
