//! Which requests write, and which don't.

use std::time::Duration;

use idem_runtime::IdempotencyStore;
use idem_tests::steps::{acquire, execute, key, record};
use tokio::task::JoinSet;

use crate::databases::postgres::{Server, number, open, sql};
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

/// A claim and a completion of 2,560 keys, a commit each. The rows have the store's columns.
const BY_HAND: &str = "\
    DO $$ BEGIN FOR n IN 1..2560 LOOP
        INSERT INTO idem_keys AS t (scope, key, state, owner, fence, until, previous, attempt, ended, purge_at)
            SELECT 'orders::charge', convert_to('order-' || n, 'UTF8'), 1, decode(md5(n::text), 'hex'), c.now, c.now + 1,
                1, 1, '', c.now + 2
            FROM (SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint AS now) c
            ON CONFLICT (scope, key) DO UPDATE SET owner = EXCLUDED.owner WHERE t.until < EXCLUDED.fence;
        COMMIT;
        UPDATE idem_keys SET state = 5, until = fence + 3, record = convert_to('charged order-' || n, 'UTF8')
            WHERE scope = 'orders::charge' AND key = convert_to('order-' || n, 'UTF8');
        COMMIT;
    END LOOP; END $$";

/// Executions by 64 callers at a time go in batches. All completions of a batch have room beside their claims, so they
/// are heap-only updates.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts PostgreSQL: run by tests/run"]
async fn a_batch_leaves_the_indexes_alone_and_writes_no_more_than_by_hand() {
    let server = Server::start_with(&["-c", "autovacuum=off"]).await;
    let store = open(&server).await;
    let before = number(&server, WRITTEN).await;
    let mut calls = JoinSet::new();
    for caller in 0..64 {
        let store = store.clone();
        calls.spawn(async move {
            for nth in 0..40 {
                charge(&store, &format!("{caller}-{nth}")).await.unwrap();
            }
        });
    }
    calls.join_all().await;
    let written = number(&server, WRITTEN).await - before;
    // The connections write their statistics when they end. The loop below waits for the last one.
    drop(store);
    let updates = "SELECT n_tup_upd FROM pg_stat_user_tables WHERE relname = 'idem_keys'";
    while number(&server, updates).await < 2_560 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let hot = number(&server, "SELECT n_tup_hot_upd FROM pg_stat_user_tables WHERE relname = 'idem_keys'").await;
    assert!(hot >= 2_535, "{hot} of 2,560 completions were heap-only");

    sql(&server, "TRUNCATE idem_keys").await;
    let before = number(&server, WRITTEN).await;
    sql(&server, BY_HAND).await;
    let by_hand = number(&server, WRITTEN).await - before;
    assert!(written <= by_hand, "2,560 executions wrote {written} bytes, and {by_hand} by hand");
}
