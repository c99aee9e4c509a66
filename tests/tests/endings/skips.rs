//! A body that says that it did nothing: its caller gets its value, and the key is left as if the call had never come.

use std::borrow::Borrow;
use std::time::Duration;

use idem_runtime::admin::Filter;
use idem_runtime::store::Leave;
use idem_runtime::{Claim, Error, HandlerOutput, IdempotencyAdmin as _, Outcome, idempotent};
use idem_tests::probe::{Asked, Fault, Probe};
use idem_tests::{Count, Failure, Gate};
use serde::Serialize;

use super::{Before, before};

#[derive(Clone, Copy, Debug, PartialEq)]
enum Does {
    Run,
    Fail,
    Die,
    /// Returns [`Outcome::Skipped`].
    Skip,
    /// Calls [`Claim::skip`], and then does this.
    SkipAnd(Then),
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Then {
    Return,
    Fail,
    Die,
}

/// What a body sees of its claim.
type Seen = (u32, Before);

fn body(claim: &Claim, does: Does) -> Result<Outcome<Seen>, Failure> {
    let seen = (claim.attempt(), before(claim));
    if let Does::SkipAnd(_) = does {
        // What a task says that the body handed its claim to counts too.
        claim.clone().skip();
    }
    match does {
        Does::Run | Does::SkipAnd(Then::Return) => Ok(seen.into()),
        Does::Fail | Does::SkipAnd(Then::Fail) => Err(Failure::Declined),
        Does::Die | Does::SkipAnd(Then::Die) => panic!("as it was told"),
        Does::Skip => Ok(Outcome::Skipped(seen)),
    }
}

#[idempotent(key = "id", store = store, claim = claim, scope = "endings/skips/async")]
async fn handle(store: &Probe, id: u32, does: Does) -> Result<Outcome<Seen>, Failure> {
    body(claim, does)
}

#[idempotent(key = "id", store = store, claim = claim, scope = "endings/skips/sync")]
fn handle_sync(store: &Probe, id: u32, does: Does) -> Result<Outcome<Seen>, Failure> {
    body(claim, does)
}

/// Calls a handler, async or sync.
async fn call(is_sync: bool, store: &Probe, does: Does) -> Result<Outcome<Seen>, Failure> {
    let store = store.clone();
    if is_sync {
        return tokio::task::spawn_blocking(move || handle_sync(&store, 1, does)).await.unwrap();
    }
    handle(&store, 1, does).await
}

/// Runs a call whose body panics.
async fn dies(is_sync: bool, store: &Probe, does: Does) {
    let store = store.clone();
    let died = tokio::spawn(async move { call(is_sync, &store, does).await });
    assert!(died.await.unwrap_err().is_panic());
}

/// Each way to do nothing, and what its caller gets.
type Skip = (Does, fn(Seen) -> Outcome<Seen>);

const SKIPS: [Skip; 2] = [(Does::Skip, Outcome::Skipped), (Does::SkipAnd(Then::Return), Outcome::Executed)];

const NOT_RUN: Asked = Asked::Release(Leave::NotRun);

#[tokio::test]
async fn a_body_that_did_nothing_is_not_recorded_and_its_caller_gets_its_value() {
    for ((does, outcome), is_sync) in SKIPS.into_iter().flat_map(|skips| [(skips, false), (skips, true)]) {
        for store in [Probe::new(), Probe::on_runtime()] {
            for _ in 0..2 {
                let skipped = call(is_sync, &store, does).await.unwrap();
                assert_eq!(skipped, outcome((1, Before::Nobody)), "the attempt isn't counted");
            }
            assert_eq!(store.asked(), [Asked::Claim, NOT_RUN, Asked::Claim, NOT_RUN]);
            let first = Outcome::Executed((1, Before::Nobody));
            assert_eq!(call(is_sync, &store, Does::Run).await.unwrap(), first);
            let recorded = Outcome::Replayed((1, Before::Nobody));
            assert_eq!(call(is_sync, &store, does).await.unwrap(), recorded, "a completed key is replayed");
        }
    }
}

#[tokio::test]
async fn a_body_that_did_nothing_behind_a_failure_leaves_what_is_known_of_the_failure() {
    for (does, outcome) in SKIPS {
        let store = Probe::new();
        call(false, &store, Does::Fail).await.unwrap_err();
        for _ in 0..2 {
            assert_eq!(call(false, &store, does).await.unwrap(), outcome((2, Before::Failed)));
        }
    }
}

#[tokio::test]
async fn a_body_that_did_nothing_behind_a_crash_leaves_the_orphan() {
    for (does, outcome) in SKIPS {
        let store = Probe::new();
        dies(false, &store, Does::Die).await;
        for _ in 0..2 {
            assert_eq!(call(false, &store, does).await.unwrap(), outcome((2, Before::Crashed)));
            let orphans = Filter::all().scope("endings/skips/async").orphans();
            assert_eq!(store.inner().list(orphans).await.unwrap().len(), 1);
        }
    }
}

#[tokio::test]
async fn an_error_behind_a_skip_is_a_failure_as_ever() {
    for is_sync in [false, true] {
        let store = Probe::new();
        call(is_sync, &store, Does::SkipAnd(Then::Fail)).await.unwrap_err();
        assert_eq!(store.asked(), [Asked::Claim, Asked::Release(Leave::Failed)]);
        let again = Outcome::Executed((2, Before::Failed));
        assert_eq!(call(is_sync, &store, Does::Run).await.unwrap(), again);
    }
}

#[tokio::test]
async fn a_panic_behind_a_skip_leaves_the_outcome_unknown_as_ever() {
    for is_sync in [false, true] {
        let store = Probe::new();
        dies(is_sync, &store, Does::SkipAnd(Then::Die)).await;
        assert_eq!(store.asked(), [Asked::Claim, Asked::Release(Leave::OutcomeUnknown)]);
    }
}

#[tokio::test]
async fn a_release_that_fails_is_tried_in_the_background_and_the_caller_has_its_value() {
    for ((does, outcome), is_sync) in SKIPS.into_iter().flat_map(|skips| [(skips, false), (skips, true)]) {
        for store in [Probe::new(), Probe::on_runtime()] {
            store.fail(NOT_RUN, Fault::RequestLost).fail(NOT_RUN, Fault::RequestLost);
            let skipped = call(is_sync, &store, does).await.unwrap();
            assert_eq!(skipped, outcome((1, Before::Nobody)));
            store.until(NOT_RUN, 3).await;
            let first = Outcome::Executed((1, Before::Nobody));
            assert_eq!(call(is_sync, &store, Does::Run).await.unwrap(), first);
        }
    }
}

#[tokio::test]
async fn a_call_that_is_dropped_behind_a_body_that_did_nothing_has_not_run() {
    for store in [Probe::new(), Probe::on_runtime()] {
        store.fail(NOT_RUN, Fault::Hangs);
        let dropped = tokio::spawn({
            let store = store.clone();
            async move { handle(&store, 1, Does::Skip).await }
        });
        store.until(NOT_RUN, 1).await;
        dropped.abort();
        assert!(dropped.await.unwrap_err().is_cancelled());
        store.until(NOT_RUN, 2).await;
        assert_eq!(store.asked(), [Asked::Claim, NOT_RUN, NOT_RUN]);
        assert_eq!(handle(&store, 1, Does::Run).await.unwrap(), Outcome::Executed((1, Before::Nobody)));
    }
}

#[tokio::test]
async fn a_waiter_runs_behind_a_body_that_did_nothing() {
    #[idempotent(key = "id", store = store, wait = "1m", scope = "endings/skips/wait")]
    async fn handle(store: &Probe, id: u32, gate: Option<&Gate>) -> Result<Outcome<u32>, Error> {
        if let Some(gate) = gate {
            gate.pass().await;
            return Ok(Outcome::Skipped(1));
        }
        Ok(2.into())
    }

    let (store, gate) = (Probe::new(), Gate::default());
    let waiter = async {
        gate.started().await;
        let waits = handle(&store, 1, None);
        let opens = async {
            store.until(Asked::Claim, 2).await;
            gate.open();
        };
        tokio::join!(waits, opens).0
    };
    let both = async { tokio::join!(handle(&store, 1, Some(&gate)), waiter) };
    let (first, waited) = tokio::time::timeout(Duration::from_secs(10), both).await.unwrap();
    assert_eq!(first.unwrap(), Outcome::Skipped(1));
    assert_eq!(waited.unwrap(), Outcome::Executed(2));
}

#[tokio::test]
async fn a_call_without_protection_may_do_nothing() {
    #[idempotent(key = "id", store = store, missing_key = "run", claim = claim, scope = "endings/skips/unprotected")]
    async fn handle(store: &Probe, id: Option<u32>) -> Result<Outcome<u64>, Error> {
        Ok(Outcome::Skipped(claim.fence()))
    }

    let store = Probe::new();
    assert_eq!(handle(&store, None).await.unwrap(), Outcome::Skipped(0));
    assert!(store.asked().is_empty());
}

/// It isn't the body that says so.
#[tokio::test]
async fn a_function_of_on_crash_skips_nothing() {
    #[idempotent(key = "id", store = store, on_crash = find_out, scope = "endings/skips/on_crash")]
    async fn handle(store: &Probe, ran: &Count, id: u32, die: bool) -> Result<Outcome<u32>, Failure> {
        if die {
            std::future::pending::<()>().await;
        }
        Ok(ran.up().into())
    }

    async fn find_out(claim: &Claim) -> Result<Option<u32>, Failure> {
        claim.skip();
        Ok(None)
    }

    let (store, ran) = (Probe::new(), Count::default());
    drop(tokio::time::timeout(Duration::from_millis(5), handle(&store, &ran, 1, true)).await);
    assert_eq!(handle(&store, &ran, 1, false).await.unwrap(), Outcome::Executed(1));
    assert_eq!(handle(&store, &ran, 1, false).await.unwrap(), Outcome::Replayed(1));
}

/// A framework's type, and which of its values say that nothing was done.
#[derive(Debug, PartialEq)]
enum Consumed {
    Done,
    NotForUs,
    Refused,
}

struct Marker;

impl HandlerOutput<Marker> for Consumed {
    type Value = ();
    type Error = ();

    fn recorded(&mut self) -> Result<impl Serialize + '_, impl Borrow<()> + '_> {
        if *self == Self::Refused { Err(()) } else { Ok(()) }
    }

    fn leave(&self) -> Option<Leave> {
        (*self == Self::NotForUs).then_some(Leave::NotRun)
    }

    fn replayed((): ()) -> Self {
        Self::Done
    }

    fn failed((): ()) -> Self {
        Self::Refused
    }

    fn refused(_: Error) -> Self {
        Self::Refused
    }
}

#[tokio::test]
async fn a_return_type_of_ones_own_says_which_values_are_not_recorded() {
    #[idempotent(key = "id", store = store, scope = "endings/skips/own")]
    async fn handle(store: &Probe, id: u32, is_ours: bool) -> Consumed {
        if is_ours { Consumed::Done } else { Consumed::NotForUs }
    }

    let store = Probe::new();
    assert_eq!(handle(&store, 1, false).await, Consumed::NotForUs);
    assert_eq!(handle(&store, 1, true).await, Consumed::Done);
    assert_eq!(handle(&store, 1, false).await, Consumed::Done, "replayed");
    assert_eq!(store.asked(), [Asked::Claim, NOT_RUN, Asked::Claim, Asked::Complete, Asked::Claim]);
}
