//! R25: handlers that fail, are cancelled or unwind leave no claim that counts.

use idem_runtime::protocol::State;
use idem_runtime::store::{ClaimAnswer, ClaimRequest, Leave, Orphans, Owner, ReleaseRequest};
use idem_runtime::{IdempotencyStore as _, Outcome, idempotent};
use idem_tests::Gate;

use super::super::{Bench, Failed, Tx, effect};
use super::{LEASE, key};

#[idempotent(key = "id", tx = "tx")]
async fn decline(tx: &mut Tx<'_>, id: &str, declines: bool) -> Result<Outcome<()>, Failed> {
    effect(tx, id).await?;
    if declines { Err(Failed::Declined) } else { Ok(().into()) }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts servers: run by tests/run"]
async fn r25_an_err_leaves_no_claim_behind_even_if_the_caller_commits() {
    let bench = Bench::new().await;
    let mut tx = bench.begin().await;
    assert!(matches!(decline(&mut tx, "a", true).await, Err(Failed::Declined)));
    effect(&mut tx, "audit").await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!((bench.effects("audit").await, bench.rows(concat!(module_path!(), "::decline")).await), (1, 0));

    let mut tx = bench.begin().await;
    assert_eq!(decline(&mut tx, "a", false).await.unwrap(), Outcome::Executed(()));
    tx.commit().await.unwrap();
    let mut tx = bench.begin().await;
    assert_eq!(decline(&mut tx, "a", false).await.unwrap(), Outcome::Replayed(()));
}

#[idempotent(key = "id", tx = "tx")]
async fn book_or_skip(tx: &mut Tx<'_>, id: &str, skips: bool) -> Result<Outcome<u32>, Failed> {
    if skips {
        return Ok(Outcome::Skipped(0));
    }
    effect(tx, id).await?;
    Ok(1.into())
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts servers: run by tests/run"]
async fn a_body_that_did_nothing_leaves_no_claim_behind_and_the_caller_may_commit() {
    let bench = Bench::new().await;
    let mut tx = bench.begin().await;
    for id in ["a", "b"] {
        assert_eq!(book_or_skip(&mut tx, id, true).await.unwrap(), Outcome::Skipped(0));
    }
    assert_eq!(book_or_skip(&mut tx, "b", false).await.unwrap(), Outcome::Executed(1), "in the same transaction");
    effect(&mut tx, "audit").await.unwrap();
    idem_runtime::tx::commit(tx).await.unwrap();
    assert_eq!((bench.effects("audit").await, bench.rows(concat!(module_path!(), "::book_or_skip")).await), (1, 1));

    for expected in [Outcome::Executed(1), Outcome::Replayed(1)] {
        let mut tx = bench.begin().await;
        assert_eq!(book_or_skip(&mut tx, "a", false).await.unwrap(), expected);
        tx.commit().await.unwrap();
    }
    assert_eq!(bench.effects("a").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts servers: run by tests/run"]
async fn a_body_that_did_nothing_leaves_an_orphan_of_lease_mode_one() {
    let bench = Bench::new().await;
    let (store, scope, key) = (bench.store().await, concat!(module_path!(), "::book_or_skip"), key("a"));
    let dead = ClaimRequest::new(scope, &key, Owner::random(), LEASE);
    let ClaimAnswer::Acquired(grant) = store.claim(dead).await.unwrap() else { panic!("it is free") };
    store.release(ReleaseRequest::new(&dead, grant.fence, Leave::OutcomeUnknown)).await.unwrap();

    for _ in 0..2 {
        let mut tx = bench.begin().await;
        assert_eq!(book_or_skip(&mut tx, "a", true).await.unwrap(), Outcome::Skipped(0));
        idem_runtime::tx::commit(tx).await.unwrap();
        let (entry, _) = store.admin().unwrap().get(scope, &key).await.unwrap().expect("it is there");
        let row = entry.row;
        assert_eq!((row.state, row.doubt, row.attempt), (State::Unknown, Some(grant.fence), 1), "{row:?}");
    }
    let mut parking = ClaimRequest::new(scope, &key, Owner::random(), LEASE);
    parking.orphans = Orphans::Refuse;
    assert_eq!(store.claim(parking).await.unwrap(), ClaimAnswer::Orphaned);

    for expected in [Outcome::Executed(1), Outcome::Replayed(1)] {
        let mut tx = bench.begin().await;
        assert_eq!(book_or_skip(&mut tx, "a", false).await.unwrap(), expected);
        idem_runtime::tx::commit(tx).await.unwrap();
    }
    assert_eq!(bench.effects("a").await, 1);
}

#[idempotent(key = "id", tx = "tx")]
async fn pause(tx: &mut Tx<'_>, id: &str, gate: &Gate) -> Result<Outcome<()>, Failed> {
    gate.pass().await;
    effect(tx, id).await?;
    Ok(().into())
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts servers: run by tests/run"]
async fn r25_a_message_whose_handler_was_timed_out_and_committed_is_not_lost() {
    let bench = Bench::new().await;
    let gate = Gate::default();
    let mut tx = bench.begin().await;
    tokio::select! {
        biased;
        _ = pause(&mut tx, "a", &gate) => panic!("the gate is shut"),
        () = gate.started() => {}
    }
    effect(&mut tx, "unrelated").await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!((bench.effects("a").await, bench.effects("unrelated").await), (0, 1));
    assert_eq!(bench.rows(concat!(module_path!(), "::pause")).await, 1, "it was committed while it was pending");

    let mut tx = bench.begin().await;
    assert_eq!(pause(&mut tx, "a", &Gate::opened()).await.unwrap(), Outcome::Executed(()));
    tx.commit().await.unwrap();
    let mut tx = bench.begin().await;
    assert_eq!(pause(&mut tx, "a", &Gate::opened()).await.unwrap(), Outcome::Replayed(()));
    assert_eq!(bench.effects("a").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts servers: run by tests/run"]
async fn r25_a_handler_that_was_timed_out_can_be_called_again_in_the_same_transaction() {
    let bench = Bench::new().await;
    let gate = Gate::default();
    let mut tx = bench.begin().await;
    tokio::select! {
        biased;
        _ = pause(&mut tx, "a", &gate) => panic!("the gate is shut"),
        () = gate.started() => {}
    }
    assert_eq!(pause(&mut tx, "a", &Gate::opened()).await.unwrap(), Outcome::Executed(()));
    tx.commit().await.unwrap();
    assert_eq!(bench.effects("a").await, 1);
}

#[idempotent(key = "id", tx = "tx")]
async fn unwind(tx: &mut Tx<'_>, id: &str, panics: bool) -> Result<Outcome<()>, Failed> {
    assert!(!panics, "as it was told");
    effect(tx, id).await?;
    Ok(().into())
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts servers: run by tests/run"]
async fn r25_a_message_whose_handler_unwound_and_committed_is_not_lost() {
    let bench = Bench::new().await;
    let mut tx = bench.begin().await;
    let mut handler = Box::pin(unwind(&mut tx, "a", true));
    let unwound = std::future::poll_fn(|cx| {
        match std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| handler.as_mut().poll(cx))) {
            Ok(std::task::Poll::Pending) => std::task::Poll::Pending,
            Ok(std::task::Poll::Ready(_)) => panic!("it doesn't return"),
            Err(_) => std::task::Poll::Ready(true),
        }
    });
    assert!(unwound.await);
    drop(handler);
    tx.commit().await.unwrap();
    let mut tx = bench.begin().await;
    assert_eq!(unwind(&mut tx, "a", false).await.unwrap(), Outcome::Executed(()));
    tx.commit().await.unwrap();
    assert_eq!(bench.effects("a").await, 1);
}
