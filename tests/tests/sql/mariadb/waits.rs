//! Waits for the result of another call: callers in the same process are notified, and those in other processes poll.

use std::time::{Duration, Instant};

use idem_runtime::IdempotencyStore;
use idem_runtime::store::{CompleteRequest, WaitRequest};
use idem_tests::steps::{DAY, acquire, key, record};
use sqlx::Executor as _;
use tokio::task::JoinSet;

use crate::databases::mariadb::{Server, Store, connect, number, open};
use crate::{SCOPE, ask};

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts MariaDB: run by tests/run"]
async fn r03_a_waiter_is_woken_in_its_process_and_polls_for_others() {
    let server = Server::start().await;
    let (here, there) = (open(&server).await, open(&server).await);
    let mut rounds = Vec::new();
    for nth in 0..5 {
        let (key, record) = (key(format!("{nth}")), record("r"));
        let request = ask(&key);
        let grant = acquire(&here, request).await;
        let begun = Instant::now();
        there.wait(WaitRequest::new(SCOPE, &key, DAY)).await.unwrap();
        assert!(begun.elapsed() >= Duration::from_millis(50), "a lease is waited for");
        let mut waiting = Box::pin(async {
            let mut wait = WaitRequest::new(SCOPE, &key, DAY);
            wait.round = 9;
            let mut rounds = 0;
            loop {
                let begun = Instant::now();
                here.wait(wait).await.unwrap();
                rounds += 1;
                if begun.elapsed() < Duration::from_millis(240) {
                    return rounds;
                }
            }
        });
        // By then the waiter is waiting for a notification.
        assert!(tokio::time::timeout(Duration::from_millis(50), &mut waiting).await.is_err());
        here.complete(CompleteRequest::new(&request, grant.fence, &record, DAY)).await.unwrap();
        rounds.push(waiting.await);
        let begun = Instant::now();
        there.wait(WaitRequest::new(SCOPE, &key, DAY)).await.unwrap();
        assert!(begun.elapsed() < Duration::from_secs(5), "a wait for a completed key lasts too long");
    }
    // A waiter that is notified returns in its first round. If the machine stalls, some of them are told too late and find the
    // result in their second round.
    assert!(rounds.contains(&1), "{rounds:?}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts MariaDB: run by tests/run"]
async fn who_waits_for_a_connection_in_vain_is_told_so() {
    const STUCK: &str = "SELECT COUNT(*) FROM information_schema.processlist WHERE state LIKE 'Waiting for table%'";
    let server = Server::start().await;
    let admin = Store::options().max_connections(2).open(&server.url()).await.unwrap().admin().unwrap();
    let mut other = connect(&server).await;
    other.execute(sqlx::raw_sql("LOCK TABLES idem_keys WRITE")).await.unwrap();
    let mut looks = JoinSet::new();
    for _ in 0..4 {
        let admin = admin.clone();
        looks.spawn(async move { admin.get(SCOPE, &key("k")).await });
    }
    while number(&server, STUCK).await < 4 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let error = admin.get(SCOPE, &key("k")).await.unwrap_err();
    assert!(error.is_unanswered());
    assert!(error.to_string().contains("all connections of the store were in use for 5s"), "{error}");
    other.execute(sqlx::raw_sql("UNLOCK TABLES")).await.unwrap();
    for look in looks.join_all().await {
        assert!(look.unwrap().is_none());
    }
}
