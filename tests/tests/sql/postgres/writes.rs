//! Which requests write, and which don't.

use std::time::Duration;

use idem_runtime::IdempotencyStore;
use idem_tests::steps::{acquire, execute, key, record};

use crate::databases::postgres::{Server, number, open};
use crate::{SCOPE, ask, charge, duplicates};

/// How much the server has written to its log.
const WRITTEN: &str = "SELECT (pg_current_wal_insert_lsn() - '0/0')::bigint";

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts PostgreSQL: run by tests/run"]
async fn a_duplicate_writes_nothing() {
    let server = Server::start_with(&["-c", "autovacuum=off"]).await;
    let store = open(&server).await;
    let (done, running) = (key("done"), key("running"));
    execute(&store, SCOPE, &done, &record("r")).await;
    acquire(&store, ask(&running)).await;
    // The first readers of a row set its hint bits, which is a write: not counted.
    store.claim(ask(&done)).await.unwrap();
    store.claim(ask(&running)).await.unwrap();
    let before = number(&server, WRITTEN).await;
    duplicates(&store, [&done, &running]).await;
    // The server itself logs its running transactions now and then, in fewer than a hundred bytes.
    let written = number(&server, WRITTEN).await - before;
    assert!(written < 1_000, "200 duplicates wrote {written} bytes");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts PostgreSQL: run by tests/run"]
async fn a_completion_leaves_the_indexes_alone() {
    let server = Server::start().await;
    let store = open(&server).await;
    for nth in 0..2_000 {
        charge(&store, &format!("order-{nth}")).await.unwrap();
    }
    // The connections write their statistics when they end. The loop below waits for the last one.
    drop(store);
    let updates = "SELECT n_tup_upd FROM pg_stat_user_tables WHERE relname = 'idem_keys'";
    while number(&server, updates).await < 2_000 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let hot = number(&server, "SELECT n_tup_hot_upd FROM pg_stat_user_tables WHERE relname = 'idem_keys'").await;
    assert!(hot > 1_900, "{hot} of 2,000 completions were heap-only");
}
