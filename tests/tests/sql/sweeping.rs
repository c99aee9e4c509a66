//! The sweeps that delete expired rows.

use std::time::Duration;

use idem_runtime::IdempotencyStore;
use idem_tests::steps::{execute, key, record};
use tokio::task::JoinSet;

use super::{CONNECTIONS, Server, Store, expired, number, open, sql, sweep_all};
use crate::SCOPE;

const ROWS: &str = "SELECT COUNT(*) FROM idem_keys";

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts a server: run by tests/run"]
async fn several_may_sweep_at_once() {
    let server = Server::start().await;
    let store = open(&server).await;
    sql(&server, &expired(20_000)).await;
    execute(&store, SCOPE, &key("new"), &record("r")).await;
    let mut sweeping = JoinSet::new();
    for _ in 0..4 {
        let admin = open(&server).await.admin().unwrap();
        sweeping.spawn(async move { sweep_all(&*admin).await });
    }
    let swept: Vec<_> = sweeping.join_all().await;
    assert_eq!(swept.iter().sum::<usize>(), 20_000, "{swept:?}");
    assert_eq!(number(&server, ROWS).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts a server: run by tests/run"]
async fn expired_rows_are_swept_in_the_background_until_the_store_is_closed() {
    let server = Server::start().await;
    let options = Store::options().sweep_interval(Some(Duration::from_millis(20))).sweep_batch(10);
    let store = options.open(&server.url()).await.unwrap();
    sql(&server, &expired(95)).await;
    while number(&server, ROWS).await > 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    drop(store);
    // The connection that is left is the one of this query.
    while number(&server, CONNECTIONS).await > 1 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
