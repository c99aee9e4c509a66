//! Waits for the result of another call: the server notifies the waiter of the ending.

use std::time::{Duration, Instant};

use idem_runtime::IdempotencyStore;
use idem_runtime::store::{CompleteRequest, Leave, ReleaseRequest, WaitRequest};
use idem_tests::steps::{DAY, acquire, key, record};
use sqlx::postgres::PgListener;

use crate::databases::postgres::{CHANGE_PASSWORD, Server, Store, app, number, open, pool, sql};
use crate::{SCOPE, ask};

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts PostgreSQL: run by tests/run"]
async fn r03_a_waiter_is_woken_by_the_server() {
    let server = Server::start().await;
    let (here, there) = (open(&server).await, open(&server).await);
    for (round, how) in [None, Some(Leave::Failed), Some(Leave::OutcomeUnknown), None].into_iter().enumerate() {
        let key = key(format!("{round}"));
        let request = ask(&key);
        let grant = acquire(&here, request).await;
        // The first wait of a store begins to listen; it may not be notified itself.
        there.wait(WaitRequest::new(SCOPE, &key, Duration::from_millis(300))).await.unwrap();
        let waiting = tokio::spawn({
            let (there, key) = (there.clone(), key.clone());
            async move {
                let begun = Instant::now();
                there.wait(WaitRequest::new(SCOPE, &key, Duration::from_secs(30))).await.unwrap();
                begun.elapsed()
            }
        });
        let awaited = format!("SELECT count(*) FROM idem_keys WHERE key = '{round}' AND awaited");
        while number(&server, &awaited).await == 0 {
            tokio::task::yield_now().await;
        }
        match how {
            None => {
                let record = record("r");
                here.complete(CompleteRequest::new(&request, grant.fence, &record, DAY)).await.unwrap()
            }
            Some(how) => here.release(ReleaseRequest::new(&request, grant.fence, how)).await.unwrap(),
        };
        let waited = waiting.await.unwrap();
        assert!(
            waited < Duration::from_millis(900),
            "round {round}: a waiter polls once a second, and waited {waited:?}"
        );
    }
}

/// The channel has the table's name.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts PostgreSQL: run by tests/run"]
async fn an_ending_is_told_to_those_who_wait_on_its_table() {
    let server = Server::start().await;
    let tables = ["order", "order_keys"];
    let mut listener = PgListener::connect(&server.url()).await.unwrap();
    listener.listen_all(tables).await.unwrap();
    let (key, record) = (key("k"), record("r"));
    for table in tables {
        let store = Store::options().table(table).open(&server.url()).await.unwrap();
        let request = ask(&key);
        let grant = acquire(&store, request).await;
        store.wait(WaitRequest::new(SCOPE, &key, Duration::from_millis(1))).await.unwrap();
        store.complete(CompleteRequest::new(&request, grant.fence, &record, DAY)).await.unwrap();
        assert_eq!(listener.recv().await.unwrap().channel(), table);
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts PostgreSQL: run by tests/run"]
async fn a_password_that_the_pool_was_told_is_the_listeners_too() {
    let server = Server::start().await;
    let options = app(&server).await;
    let pool = pool(1).connect_with(options("one")).await.unwrap();
    let store = Store::open_with(pool.clone()).await.unwrap();
    let key = key("awaited");
    acquire(&store, ask(&key)).await;
    store.wait(WaitRequest::new(SCOPE, &key, Duration::from_millis(10))).await.unwrap();
    listens(&server).await;
    sql(&server, CHANGE_PASSWORD).await;
    pool.set_connect_options(options("two"));
    server.restart().await;
    listens(&server).await;
}

async fn listens(server: &Server) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while number(server, "SELECT count(*) FROM pg_stat_activity WHERE usename = 'app' AND query LIKE 'LISTEN%'").await
        == 0
    {
        assert!(Instant::now() < deadline, "it doesn't listen");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
