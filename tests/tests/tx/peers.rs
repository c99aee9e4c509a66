//! Cases in which other libraries of this kind fail, in tx mode on one database: `super` says which. The test binary `peers` has
//! those of lease mode.

use std::sync::Arc;
use std::time::Duration;

use idem_runtime::{Outcome, idempotent};
use tokio::task::JoinSet;

use super::{Bench, Failed, Tx, effect};

const PATIENCE: Duration = Duration::from_secs(60);
/// How often a body fails.
const FAILURES: u32 = 1_000;

#[idempotent(key = "id", tx = "tx", ttl = "3s")]
async fn charge(tx: &mut Tx<'_>, id: &str, run: u32, fails: bool) -> Result<Outcome<u32>, Failed> {
    effect(tx, id).await?;
    if fails { Err(Failed::Declined) } else { Ok(run.into()) }
}

/// A call fails, its transaction is committed or rolled back, and the next call follows at once.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts servers: run by tests/run"]
async fn r25_a_call_right_behind_a_failure_is_let_through() {
    let bench = Bench::new().await;
    for run in 1..=FAILURES {
        let mut tx = bench.begin().await;
        let failed = charge(&mut tx, "a", run, true).await;
        assert!(matches!(failed, Err(Failed::Declined)), "call {run}: {failed:?}");
        if run % 2 == 0 { tx.commit().await.unwrap() } else { tx.rollback().await.unwrap() }
    }
    let mut tx = bench.begin().await;
    let last = charge(&mut tx, "a", FAILURES + 1, false).await.unwrap();
    assert_eq!(last, Outcome::Executed(FAILURES + 1));
    tx.commit().await.unwrap();
}

/// Calls again and again, each time in a new transaction, until the answer is no longer the first result.
async fn until_it_expires(bench: Arc<Bench>) -> Outcome<u32> {
    loop {
        let mut tx = bench.begin().await;
        let told = charge(&mut tx, "a", 2, false).await.unwrap();
        tx.commit().await.unwrap();
        if told != Outcome::Replayed(1) {
            return told;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts servers: run by tests/run"]
async fn r17_one_body_runs_where_a_record_expires_under_two_calls() {
    let bench = Arc::new(Bench::new().await);
    let mut tx = bench.begin().await;
    assert_eq!(charge(&mut tx, "a", 1, false).await.unwrap(), Outcome::Executed(1));
    tx.commit().await.unwrap();
    let mut callers = JoinSet::new();
    for _ in 0..2 {
        callers.spawn(until_it_expires(Arc::clone(&bench)));
    }
    let mut told = tokio::time::timeout(PATIENCE, callers.join_all()).await.expect("it expires");
    told.sort_by_key(Outcome::is_replayed);
    assert_eq!(told, [Outcome::Executed(2), Outcome::Replayed(2)]);
    assert_eq!(bench.effects("a").await, 2);
}
