//! Which requests write, and which don't.

use std::time::Duration;

use idem_runtime::IdempotencyStore;
use idem_runtime::store::{ClaimAnswer, CompleteRequest};
use idem_tests::steps::{DAY, acquire, execute, key, record};
use sqlx::{Connection as _, Executor as _};

use crate::databases::mariadb::{Server, connect, number, open, status};
use crate::{SCOPE, ask, charge, charge_all, duplicates};

const WRITES: [&str; 5] =
    ["Handler_update", "Handler_delete", "Innodb_row_lock_waits", "Innodb_lsn_current", "Binlog_bytes_written"];

/// How much this counter of writes may grow.
fn most(counter: &str) -> i64 {
    if counter.contains("lsn") { 1_000 } else { 0 }
}

/// The log doesn't grow, no row is written, and no request waits for a lock.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts MariaDB: run by tests/run"]
async fn a_duplicate_writes_nothing_and_locks_nothing() {
    let server = Server::start_with(&["--log-bin"]).await;
    let store = open(&server).await;
    let (done, running) = (key("done"), key("running"));
    execute(&store, SCOPE, &done, &record("r")).await;
    acquire(&store, ask(&running)).await;

    // Another transaction has locked both rows.
    let mut holder = connect(&server).await;
    holder.execute(sqlx::raw_sql("START TRANSACTION; SELECT * FROM idem_keys FOR UPDATE")).await.unwrap();
    let mut watch = connect(&server).await;
    let mut written = Vec::new();
    // The server also logs its own statistics and purges, but not all the time: so one of five tries without them is enough.
    for _ in 0..5 {
        written.clear();
        for name in WRITES {
            written.push((name, status(&mut watch, name).await));
        }
        let answers = duplicates(&store, [&done, &running]);
        let answers =
            tokio::time::timeout(Duration::from_secs(4), answers).await.expect("a duplicate waits for a lock");
        assert!(answers.iter().all(|answer| !matches!(answer, ClaimAnswer::Acquired(_))));
        for (name, written) in &mut written {
            *written = status(&mut watch, name).await - *written;
        }
        if written.iter().all(|(name, written)| *written <= most(name)) {
            break;
        }
    }
    for (name, written) in written {
        assert!(written <= most(name), "200 duplicates: {name} + {written}");
    }
    holder.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts MariaDB: run by tests/run"]
async fn who_waits_shares_a_commit_and_who_is_alone_does_not_wait() {
    let server = Server::start().await;
    let store = open(&server).await;
    let mut watch = connect(&server).await;
    charge(&store, "first").await.unwrap();
    let before = status(&mut watch, "Innodb_log_writes").await;
    assert!(charge_all(&store, 64).await.iter().all(|outcome| !outcome.is_replayed()));
    let syncs = status(&mut watch, "Innodb_log_writes").await - before;
    assert!(syncs < 48, "64 executions took {syncs} writes of the log, and 128 one by one");
    let batches = status(&mut watch, "Com_begin").await;
    for nth in 0..10 {
        charge(&store, &format!("alone-{nth}")).await.unwrap();
    }
    assert_eq!(status(&mut watch, "Com_begin").await, batches, "one at a time needs no transaction");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts MariaDB: run by tests/run"]
async fn a_completion_leaves_the_secondary_index_alone() {
    let server = Server::start().await;
    let store = open(&server).await;
    let mut before = None;
    for nth in 0..50 {
        let key = key(format!("{nth}"));
        let request = ask(&key);
        let grant = acquire(&store, request).await;
        let at = format!("SELECT purge_at FROM idem_keys WHERE `key` = '{nth}'");
        before.replace(number(&server, &at).await);
        let record = record("r");
        let complete = CompleteRequest::new(&request, grant.fence, &record, 7 * DAY);
        store.complete(complete).await.unwrap();
        assert_eq!(Some(number(&server, &at).await), before);
    }
}
