//! Waiting for another's key: the process tells its own, and others look.

use std::time::{Duration, Instant};

use idem_runtime::IdempotencyStore;
use idem_runtime::store::{CompleteRequest, WaitRequest};
use idem_tests::steps::{DAY, acquire, key, record};

use crate::databases::mariadb::{Server, open};
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
        // Until it listens.
        assert!(tokio::time::timeout(Duration::from_millis(50), &mut waiting).await.is_err());
        here.complete(CompleteRequest::new(&request, grant.fence, &record, DAY)).await.unwrap();
        rounds.push(waiting.await);
        let begun = Instant::now();
        there.wait(WaitRequest::new(SCOPE, &key, DAY)).await.unwrap();
        assert!(begun.elapsed() < Duration::from_secs(5), "who is done isn't waited for");
    }
    // Who isn't told sees it in the second round; a machine that stalls makes that of some.
    assert!(rounds.contains(&1), "{rounds:?}");
}
