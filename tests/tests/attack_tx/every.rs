//! Attacks on one database: `super` says which.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use idem_runtime::admin::Resolution;
use idem_runtime::protocol::State;
use idem_runtime::store::{
    ClaimAnswer, ClaimRequest, CompleteRequest, Key, Leave, Orphans, Owner, Previous, Record, ReleaseRequest, Standing,
};
use idem_runtime::{Error, IdempotencyStore as _, Outcome, idempotent};
use idem_tests::rng::Rng;
use tokio::task::JoinSet;

use super::{Bench, Connection, Failed, PREPARES_IN_STEP, Tx, effect};

const LEASE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

#[idempotent(key = "id", tx = "tx")]
async fn book(tx: &mut Tx<'_>, id: &str, amount: u64) -> Result<Outcome<u64>, Failed> {
    effect(tx, id).await?;
    if amount == 0 {
        return Err(Failed::Declined);
    }
    Ok(amount.into())
}

const BOOK: &str = concat!(module_path!(), "::book");

fn key(id: &str) -> Key {
    Key::of(id).unwrap()
}

/// Calls a handler that returns an `Err`, and commits the transaction all the same.
async fn declined(bench: &Bench, id: &str) {
    let mut tx = bench.begin().await;
    assert!(matches!(book(&mut tx, id, 0).await, Err(Failed::Declined)));
    tx.commit().await.unwrap();
}

/// A caller gave up before, so the row says that a late copy of its claim must be refused: it would hold the key for nobody. An
/// `Err` that is committed must not remove this note.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts servers: run by tests/run"]
async fn r09_an_err_that_is_committed_lets_no_late_copy_of_a_claim_have_the_key() {
    let bench = Bench::new().await;
    let store = bench.store().await;
    let key = key("a");
    let gone = ClaimRequest::new(BOOK, &key, Owner::random(), LEASE);
    store.release(ReleaseRequest::new(&gone, 0, Leave::NotRun)).await.unwrap();
    declined(&bench, "a").await;
    declined(&bench, "a").await;
    assert_eq!(store.claim(gone).await.unwrap(), ClaimAnswer::Ended);
    let mut tx = bench.begin().await;
    assert_eq!(book(&mut tx, "a", 1).await.unwrap(), Outcome::Executed(1));
}

/// A failed attempt is remembered, and the fence is never lower than one that was handed out.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts servers: run by tests/run"]
async fn r12_an_err_that_is_committed_forgets_no_earlier_attempt() {
    let bench = Bench::new().await;
    let store = bench.store().await;
    let key = key("a");
    let first = ClaimRequest::new(BOOK, &key, Owner::random(), LEASE);
    let ClaimAnswer::Acquired(before) = store.claim(first).await.unwrap() else { panic!("it is free") };
    store.release(ReleaseRequest::new(&first, before.fence, Leave::Failed)).await.unwrap();
    declined(&bench, "a").await;
    let again = ClaimRequest::new(BOOK, &key, Owner::random(), LEASE);
    let ClaimAnswer::Acquired(after) = store.claim(again).await.unwrap() else { panic!("it is free") };
    assert_eq!((after.previous, after.attempt), (Previous::AfterFailure, 3));
    assert!(after.fence > before.fence);
}

/// Polls a future at most so many times, and then drops it.
struct Polled<F> {
    future: Pin<Box<F>>,
    left: usize,
}

impl<F: Future> Future for Polled<F> {
    type Output = Option<F::Output>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        self.left -= 1;
        match self.future.as_mut().poll(cx) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending if self.left == 0 => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    }
}

/// Calls a handler with each outcome, so that the driver has prepared every statement.
async fn prepared(connection: &mut Connection) {
    let mut tx = sqlx::Connection::begin(connection).await.unwrap();
    assert_eq!(book(&mut tx, "warm", 1).await.unwrap(), Outcome::Executed(1));
    assert_eq!(book(&mut tx, "warm", 2).await.unwrap(), Outcome::Replayed(1));
    assert!(matches!(book(&mut tx, "cold", 0).await, Err(Failed::Declined)));
    tx.rollback().await.unwrap();
}

/// A call is dropped after each number of polls. The connection then still matches answers to statements: calls that follow in the
/// transaction get their own answers.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts servers: run by tests/run"]
async fn r25_a_call_that_is_dropped_anywhere_leaves_the_connection_in_step() {
    let bench = Bench::new().await;
    let mut connection = bench.pool.acquire().await.unwrap();
    for warm in [false, true] {
        if !warm && !PREPARES_IN_STEP {
            prepared(&mut connection).await;
            continue;
        }
        for polls in 1..30 {
            if !warm {
                // On a new connection nothing is prepared, so a call takes more round trips, and can be dropped at more points.
                connection.close().await.unwrap();
                connection = bench.pool.acquire().await.unwrap();
            }
            let id = format!("{warm}-{polls}");
            let mut tx = sqlx::Connection::begin(&mut *connection).await.unwrap();
            let call = Polled { future: Box::pin(book(&mut tx, &id, 1)), left: polls };
            let ended = call.await;
            assert_eq!(book(&mut tx, &format!("other-{id}"), 7).await.unwrap(), Outcome::Executed(7), "{id}");
            assert_eq!(book(&mut tx, &format!("other-{id}"), 8).await.unwrap(), Outcome::Replayed(7), "{id}");
            if ended.is_none() {
                tx.rollback().await.unwrap();
                assert_eq!(bench.effects(&id).await, 0, "{id}");
                let mut tx = sqlx::Connection::begin(&mut *connection).await.unwrap();
                assert_eq!(book(&mut tx, &id, 2).await.unwrap(), Outcome::Executed(2), "{id}");
                tx.commit().await.unwrap();
            } else {
                tx.commit().await.unwrap();
            }
            assert_eq!(bench.effects(&id).await, 1, "{id}");
            // The same for a duplicate that is dropped.
            let mut tx = sqlx::Connection::begin(&mut *connection).await.unwrap();
            let call = Polled { future: Box::pin(book(&mut tx, &id, 3)), left: polls };
            call.await;
            let replayed = book(&mut tx, &id, 4).await.unwrap();
            assert_eq!(replayed, Outcome::Replayed(if ended.is_none() { 2 } else { 1 }), "{id}");
            assert_eq!(book(&mut tx, &format!("third-{id}"), 9).await.unwrap(), Outcome::Executed(9), "{id}");
            tx.commit().await.unwrap();
        }
    }
}

/// The transaction is committed after a call in it was dropped. The committed row is a pending one, or the record of the body.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts servers: run by tests/run"]
async fn r25_a_call_that_is_dropped_anywhere_and_committed_is_not_lost() {
    let bench = Bench::new().await;
    let mut connection = bench.pool.acquire().await.unwrap();
    prepared(&mut connection).await;
    for polls in 1..25 {
        let id = format!("dropped-{polls}");
        let mut tx = sqlx::Connection::begin(&mut *connection).await.unwrap();
        let call = Polled { future: Box::pin(book(&mut tx, &id, 1)), left: polls };
        call.await;
        tx.commit().await.unwrap();
        let before = bench.effects(&id).await;
        let mut tx = bench.begin().await;
        let outcome = book(&mut tx, &id, 2).await.unwrap();
        tx.commit().await.unwrap();
        match outcome {
            Outcome::Replayed(1) => assert_eq!(before, 1, "{id}"),
            Outcome::Executed(2) => {}
            other => panic!("{id}: {other:?}"),
        }
        assert!(bench.effects(&id).await >= 1, "{id}");
    }
}

#[idempotent(key = "id", tx = "tx", ttl = "213503d")]
async fn for_ever(tx: &mut Tx<'_>, id: &[u8]) -> Result<Outcome<()>, Failed> {
    effect(tx, "for ever").await?;
    Ok(().into())
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts servers: run by tests/run"]
async fn r17_the_longest_ttl_and_any_key_will_do() {
    let bench = Bench::new().await;
    for id in [&b"\0"[..], b"\xff\xfe\0'\"\\", &[0x80; 1_000], b"a\0b"] {
        let mut tx = bench.begin().await;
        assert_eq!(for_ever(&mut tx, id).await.unwrap(), Outcome::Executed(()));
        tx.commit().await.unwrap();
        let mut tx = bench.begin().await;
        assert_eq!(for_ever(&mut tx, id).await.unwrap(), Outcome::Replayed(()));
        tx.commit().await.unwrap();
    }
    let store = bench.store().await;
    assert_eq!(store.admin().unwrap().sweep(100).await.unwrap(), 0);
    assert_eq!(store.admin().unwrap().stats().await.unwrap().completed, 4);
}

#[idempotent(key = "id", tx = "tx", fingerprint = "amount")]
async fn strictly(tx: &mut Tx<'_>, id: &str, amount: u64) -> Result<Outcome<u64>, Failed> {
    effect(tx, id).await?;
    Ok(amount.into())
}

const STRICTLY: &str = concat!(module_path!(), "::strictly");

/// The caller can go on with its transaction after any refusal.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts servers: run by tests/run"]
async fn r24_every_refusal_leaves_the_transaction_usable() {
    let bench = Bench::new().await;
    let store = bench.store().await;
    let mut tx = bench.begin().await;
    strictly(&mut tx, "reused", 1).await.unwrap();
    tx.commit().await.unwrap();
    let (running, parked, garbage) = (key("running"), key("parked"), key("garbage"));
    let request = ClaimRequest::new(STRICTLY, &running, Owner::random(), LEASE);
    store.claim(request).await.unwrap();
    let mut request = ClaimRequest::new(STRICTLY, &parked, Owner::random(), LEASE);
    (request.orphans, request.retain) = (Orphans::Refuse, None);
    let ClaimAnswer::Acquired(grant) = store.claim(request).await.unwrap() else { panic!("it is free") };
    store.release(ReleaseRequest::new(&request, grant.fence, Leave::OutcomeUnknown)).await.unwrap();
    for bytes in [&b""[..], b"\xff", b"\x01\xff\xff"] {
        let request = ClaimRequest::new(STRICTLY, &garbage, Owner::random(), LEASE);
        if let ClaimAnswer::Acquired(grant) = store.claim(request).await.unwrap() {
            let record = Record::from_bytes(bytes);
            store.complete(CompleteRequest::new(&request, grant.fence, &record, DAY)).await.unwrap();
        }
        let mut tx = bench.begin().await;
        effect(&mut tx, "before").await.unwrap();
        for (id, kind) in [
            ("reused", "KeyReused"),
            ("running", "InProgress"),
            ("parked", "OutcomeUnknown"),
            ("garbage", "Decode"),
            ("", "MissingKey"),
        ] {
            let error = strictly(&mut tx, id, 2).await.unwrap_err().refusal();
            assert!(format!("{error:?}").starts_with(kind), "{id}: {error:?}");
            assert!(!error.executed());
        }
        effect(&mut tx, "after").await.unwrap();
        tx.commit().await.unwrap();
        store.admin().unwrap().forget(STRICTLY, &garbage).await.unwrap();
    }
    assert_eq!((bench.effects("before").await, bench.effects("after").await), (3, 3));
}

/// A transaction takes a key over from a holder of lease mode that is still alive. The holder can complete only if the transaction
/// is rolled back.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts servers: run by tests/run"]
async fn r07_a_holder_that_was_overtaken_by_a_transaction_completes_only_if_that_was_rolled_back() {
    let bench = Bench::new().await;
    let store = bench.store().await;
    for (id, commit) in [("a", false), ("b", true)] {
        let key = key(id);
        let request = ClaimRequest::new(BOOK, &key, Owner::random(), Duration::from_millis(1));
        let ClaimAnswer::Acquired(grant) = store.claim(request).await.unwrap() else { panic!("it is free") };
        tokio::time::sleep(Duration::from_millis(10)).await;
        let mut tx = bench.begin().await;
        assert_eq!(book(&mut tx, id, 5).await.unwrap(), Outcome::Executed(5));
        if commit {
            tx.commit().await.unwrap();
        } else {
            tx.rollback().await.unwrap();
        }
        let record = Record::from_bytes(b"x");
        let late = store.complete(CompleteRequest::new(&request, grant.fence, &record, DAY)).await.unwrap();
        assert_eq!(late, if commit { Standing::Lost } else { Standing::Held });
    }
}

/// Handlers of both modes, a sweeper and an operator use the same keys at once. Each key takes effect once, and fences grow.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts servers: run by tests/run"]
async fn r02_both_modes_and_a_sweeper_at_the_same_keys_take_effect_once() {
    const KEYS: usize = 12;
    let bench = Arc::new(Bench::new().await);
    let store = bench.store().await;
    let mut tasks = JoinSet::new();
    for worker in 0..4_u64 {
        let (bench, store) = (Arc::clone(&bench), store.clone());
        tasks.spawn(async move {
            let mut rng = Rng::new(worker + 1);
            let (mut took, mut fences) = (vec![0_u32; KEYS], Vec::new());
            for _ in 0..60 {
                let nth = usize::try_from(rng.below(KEYS as u64)).unwrap();
                let id = format!("race-{nth}");
                let key = key(&id);
                if worker % 2 == 0 {
                    let mut tx = bench.begin().await;
                    match book(&mut tx, &id, rng.below(3)).await {
                        Ok(outcome) if rng.below(3) > 0 => {
                            tx.commit().await.unwrap();
                            took[nth] += u32::from(matches!(outcome, Outcome::Executed(_)));
                        }
                        // The handler returned an `Err`: the caller rolls its effect back.
                        Ok(_) | Err(Failed::Declined) => tx.rollback().await.unwrap(),
                        Err(Failed::Refused(Error::Conflict { .. } | Error::InProgress { .. })) => {
                            tx.rollback().await.unwrap();
                        }
                        Err(other) => panic!("{other:?}"),
                    }
                    continue;
                }
                let lease = Duration::from_millis(5 + rng.below(20));
                let request = ClaimRequest::new(BOOK, &key, Owner::random(), lease);
                match store.claim(request).await {
                    Ok(ClaimAnswer::Acquired(grant)) => {
                        fences.push((nth, grant.fence));
                        tokio::time::sleep(Duration::from_millis(rng.below(30))).await;
                        match rng.below(4) {
                            0 => {}
                            1 => {
                                let left = ReleaseRequest::new(&request, grant.fence, Leave::Failed);
                                let _ = store.release(left).await;
                            }
                            _ => {
                                let Resolution::Executed { record, .. } = Resolution::executed(&3_u64, DAY).unwrap()
                                else {
                                    unreachable!()
                                };
                                let done = CompleteRequest::new(&request, grant.fence, &record, DAY);
                                took[nth] += u32::from(store.complete(done).await.unwrap() == Standing::Held);
                            }
                        }
                    }
                    Ok(_) => {}
                    Err(error) => assert!(error.is_unanswered(), "{error}"),
                }
                if rng.below(8) == 0 {
                    let _ = store.admin().unwrap().sweep(10).await;
                }
            }
            (took, fences)
        });
    }
    let all = tasks.join_all().await;
    for nth in 0..KEYS {
        let took: u32 = all.iter().map(|(took, _)| took[nth]).sum();
        assert!(took <= 1, "race-{nth} took effect {took} times");
        let mut fences: Vec<u64> =
            all.iter().flat_map(|(_, fences)| fences).filter(|(of, _)| *of == nth).map(|(_, fence)| *fence).collect();
        let handed_out = fences.len();
        fences.sort_unstable();
        fences.dedup();
        assert_eq!(fences.len(), handed_out, "a fence was handed out twice");
        if took == 1 {
            let (entry, _) = store.admin().unwrap().get(BOOK, &key(&format!("race-{nth}"))).await.unwrap().unwrap();
            assert_eq!(entry.row.state, State::Done);
        }
    }
}

#[idempotent(key = "id", tx = "tx")]
async fn outer(tx: &mut Tx<'_>, id: &str, inner: &str, keeps: bool) -> Result<Outcome<u64>, Failed> {
    let mut savepoint = sqlx::Acquire::begin(&mut **tx).await?;
    let (of_outer, of_inner) = (Box::pin(within(&mut savepoint, id, inner)).await, inner);
    if keeps {
        savepoint.commit().await?;
    } else {
        savepoint.rollback().await?;
    }
    effect(tx, &format!("outer {of_inner}")).await?;
    of_outer
}

/// Calls a handler in a savepoint, with the same key as its caller or with another.
async fn within(tx: &mut Tx<'_>, id: &str, inner: &str) -> Result<Outcome<u64>, Failed> {
    if id == inner { Box::pin(outer(tx, id, "leaf", true)).await } else { book(tx, inner, 4).await }
}

/// A body calls a handler in a savepoint. If the body rolls back to the savepoint, the call leaves no effect and no record.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts servers: run by tests/run"]
async fn r22_calls_in_a_savepoint_of_a_body_share_its_fate() {
    let bench = Bench::new().await;
    for (nth, (keeps, booked)) in [(true, 1), (false, 0)].into_iter().enumerate() {
        let (id, inner) = (format!("outer-{nth}"), format!("inner-{nth}"));
        let mut tx = bench.begin().await;
        assert_eq!(outer(&mut tx, &id, &inner, keeps).await.unwrap(), Outcome::Executed(4));
        tx.commit().await.unwrap();
        assert_eq!(bench.effects(&inner).await, booked);
        let mut tx = bench.begin().await;
        let again = book(&mut tx, &inner, 5).await.unwrap();
        assert_eq!(again, if keeps { Outcome::Replayed(4) } else { Outcome::Executed(5) });
        assert_eq!(outer(&mut tx, &id, &inner, keeps).await.unwrap(), Outcome::Replayed(4));
        tx.commit().await.unwrap();
    }
    // A call inside of one with the same key is an error if its effects stay, and does no harm if it is rolled back.
    let mut tx = bench.begin().await;
    let error = outer(&mut tx, "same", "same", true).await.unwrap_err().refusal();
    assert!(matches!(error, Error::NotRecorded { .. }) && error.executed(), "{error:?}");
    tx.rollback().await.unwrap();
    let mut tx = bench.begin().await;
    assert_eq!(outer(&mut tx, "same", "same", false).await.unwrap(), Outcome::Executed(4));
    tx.commit().await.unwrap();
    let mut tx = bench.begin().await;
    assert_eq!(outer(&mut tx, "same", "same", false).await.unwrap(), Outcome::Replayed(4));
    assert_eq!((bench.effects("outer same").await, bench.effects("leaf").await), (1, 0));
}
