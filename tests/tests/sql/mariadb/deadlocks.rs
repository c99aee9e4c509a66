//! Locks that InnoDB takes on rows that no statement named.

use idem_runtime::IdempotencyStore;
use idem_tests::steps::{execute, key, record};
use tokio::task::JoinSet;

use crate::SCOPE;
use crate::databases::mariadb::{Server, connect, expired, open, sql, status};

/// New keys beside each other, endings and sweeps, all at once. No statement locks the rows or gaps of another key, so there is no
/// deadlock.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts MariaDB: run by tests/run"]
async fn neighbours_and_sweeps_cause_no_deadlocks() {
    let server = Server::start().await;
    let mut stores = Vec::new();
    for _ in 0..4 {
        stores.push(open(&server).await);
    }
    // The rows that the sweeps delete are between the new keys.
    sql(&server, &expired(4_000)).await;
    let mut watch = connect(&server).await;
    let before = status(&mut watch, "Innodb_deadlocks").await;
    let mut racers = JoinSet::new();
    for racer in 0..64 {
        let store = stores[racer % stores.len()].clone();
        racers.spawn(async move {
            for nth in 0..30 {
                execute(&store, SCOPE, &key(format!("{:05}", nth * 64 + racer)), &record("r")).await;
            }
            0
        });
    }
    for store in &stores {
        let admin = store.admin().unwrap();
        racers.spawn(async move {
            let mut swept = 0;
            loop {
                match admin.sweep(50).await.unwrap() {
                    0 => return swept,
                    more => swept += more,
                }
            }
        });
    }
    let swept: usize = racers.join_all().await.into_iter().sum();
    assert_eq!(swept, 4_000);
    let deadlocks = status(&mut watch, "Innodb_deadlocks").await - before;
    assert!(deadlocks <= 1, "{deadlocks} deadlocks in 3,840 statements");
}
