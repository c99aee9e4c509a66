//! Lease mode: the events of each way in which a call ends.

use std::future::{pending, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use idem_runtime::store::{Leave, Standing};
use idem_runtime::{Claim, Error, IdempotencyStore, MemoryStore, Outcome, idempotent};
use idem_tests::Failure;
use idem_tests::log::Events;
use idem_tests::probe::{Asked, Fault, Probe};
use serde::Deserialize;

use super::{assert_named, ended, told};

#[derive(Clone, Copy, Debug, PartialEq)]
enum Does {
    Return,
    Skip,
    Fail,
    Panic,
    /// Waits for ever. Only for async bodies.
    Wait,
}

impl Does {
    fn now(self) -> Result<Outcome<u32>, Failure> {
        match self {
            Self::Skip => Ok(Outcome::Skipped(7)),
            Self::Fail => Err(Failure::Declined),
            Self::Panic => panic!("as it was told"),
            Self::Return | Self::Wait => Ok(7.into()),
        }
    }
}

#[idempotent(key = "id", scope = "events/async", store = store, fingerprint = "cents", on_crash = "park", lease = "1s")]
async fn handle_async(store: &Probe, id: &str, cents: u32, does: Does) -> Result<Outcome<u32>, Failure> {
    if does == Does::Wait {
        pending::<()>().await;
    }
    does.now()
}

#[idempotent(key = "id", scope = "events/sync", store = store, fingerprint = "cents", on_crash = "park", lease = "1s")]
fn handle_sync(store: &Probe, id: &str, cents: u32, does: Does) -> Result<Outcome<u32>, Failure> {
    does.now()
}

type Call = fn(&Probe, &str, u32, Does);

fn call_async(store: &Probe, id: &str, cents: u32, does: Does) {
    drop(block_on(handle_async(store, id, cents, does)));
}

fn call_sync(store: &Probe, id: &str, cents: u32, does: Does) {
    drop(handle_sync(store, id, cents, does));
}

/// Runs a future on this thread, as only its events are collected.
fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

/// Polls a future once, asserts that it is pending, and drops it.
fn poll_once(future: impl Future) {
    let mut future = pin!(future);
    assert!(future.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
}

fn each(test: impl Fn(Call)) {
    test(call_async);
    test(call_sync);
}

#[test]
fn a_call_that_runs_ends_as_its_body_does_and_a_duplicate_is_replayed() {
    each(|call| {
        let store = Probe::new();
        let outcome = |does| told("order-1", || call(&store, "order-1", 5, does));
        assert_eq!(outcome(Does::Fail), ("failed".to_owned(), vec!["executed".to_owned(), "failed".to_owned()]));
        assert_eq!(outcome(Does::Skip), ("skipped".to_owned(), vec!["redelivered".to_owned(), "skipped".to_owned()]));
        assert_eq!(outcome(Does::Return), ("executed".to_owned(), vec!["redelivered".to_owned()]));
        assert_eq!(outcome(Does::Return), ("replayed".to_owned(), vec!["replayed".to_owned()]));
        let reused = told("order-1", || call(&store, "order-1", 6, Does::Return));
        assert_eq!(reused, ("key_reused".to_owned(), vec!["key_reused".to_owned()]));
    });
}

#[test]
fn a_panic_and_what_it_leaves_are_told() {
    each(|call| {
        let store = Probe::new();
        let panicked = || drop(catch_unwind(AssertUnwindSafe(|| call(&store, "a/b", 5, Does::Panic))).unwrap_err());
        assert_eq!(told("a/b", panicked), ("panicked".to_owned(), vec!["executed".to_owned()]));
        let parked = told("a/b", || call(&store, "a/b", 5, Does::Return));
        assert_eq!(parked, ("outcome_unknown".to_owned(), vec!["parked".to_owned()]));
    });
}

#[test]
fn each_refusal_is_told_by_its_name() {
    each(|call| {
        let outcome = |store: &Probe| told("a", || call(store, "a", 5, Does::Return)).0;
        let store = Probe::new();
        store.fail(Asked::Claim, Fault::Refused);
        assert_eq!(outcome(&store), "store");
        store.fail(Asked::Complete, Fault::Says(Standing::Gone));
        assert_eq!(outcome(&store), "lease_lost");
        let store = Probe::new();
        store.fail_always(Asked::Complete, Fault::Refused);
        assert_eq!(outcome(&store), "not_recorded");
        let store = Probe::taking(0);
        assert_eq!(outcome(&store), "executed");
        assert_eq!(outcome(&store), "result_unavailable");
        let (store, long) = (Probe::new(), "x".repeat(1025));
        assert_eq!(told("", || call(&store, &long, 5, Does::Return)).0, "key_too_long");
        assert_eq!(told("", || call(&store, "", 5, Does::Return)).0, "missing_key");
    });
}

#[test]
fn a_duplicate_of_a_running_key_is_in_progress() {
    let store = Probe::new();
    let mut running = pin!(handle_async(&store, "a", 5, Does::Wait));
    assert!(running.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    let duplicate = told("a", || call_async(&store, "a", 5, Does::Return));
    assert_eq!(duplicate, ("in_progress".to_owned(), vec!["in_progress".to_owned()]));
}

#[test]
fn a_call_that_is_dropped_is_told_wherever_it_was() {
    let store = Probe::new();
    let in_its_body = told("a", || poll_once(handle_async(&store, "a", 5, Does::Wait)));
    assert_eq!(in_its_body, ("dropped".to_owned(), vec!["executed".to_owned()]));
    store.fail(Asked::Claim, Fault::Hangs);
    let claiming = told("b", || poll_once(handle_async(&store, "b", 5, Does::Return)));
    assert_eq!(claiming, ("dropped".to_owned(), vec![]));
    store.fail(Asked::Complete, Fault::Hangs);
    let completing = told("c", || poll_once(handle_async(&store, "c", 5, Does::Return)));
    assert_eq!(completing, ("dropped".to_owned(), vec!["executed".to_owned()]));
    let ((), events) = Events::during(|| drop(handle_async(&store, "d", 5, Does::Return)));
    assert!(events.is_empty(), "a call begins when it is polled: {events:?}");
}

#[test]
fn a_handler_that_can_not_be_called_so_is_told() {
    #[idempotent(key = "id", scope = "events/no-store")]
    fn storeless(id: u32) -> Result<u32, Error> {
        Ok(id)
    }
    #[idempotent(key = "id", scope = "events/taken", store = store)]
    fn first(store: &MemoryStore, id: u32) -> Result<u32, Error> {
        Ok(id)
    }
    #[idempotent(key = "id", scope = "events/taken", store = store)]
    fn second(store: &MemoryStore, id: u32) -> Result<u32, Error> {
        Ok(id)
    }
    #[idempotent(key = "id", scope = "events/dated", fingerprint = "sent", store = store)]
    fn dated(store: &MemoryStore, id: u32, sent: SystemTime) -> Result<u32, Error> {
        Ok(id)
    }

    let store = MemoryStore::new();
    assert_eq!(told("1", || drop(storeless(1))).0, "no_store");
    first(&store, 1).unwrap();
    assert_eq!(told("1", || drop(second(&store, 1))).0, "scope_taken");
    let before = UNIX_EPOCH - Duration::from_secs(1);
    assert_eq!(told("1", || drop(dated(&store, 1, before))).0, "fingerprint_unavailable");
    let on_runtime = Probe::on_runtime();
    let blocks = || block_on(async { call_sync(&on_runtime, "a", 5, Does::Return) });
    assert_eq!(told("a", blocks), ("would_block".to_owned(), vec!["refused".to_owned()]));
}

#[test]
fn a_record_that_can_not_be_read_is_told_and_an_error_that_was_recorded_is_replayed() {
    #[derive(serde::Serialize, Deserialize, Debug)]
    struct Refused;

    impl From<Error> for Refused {
        fn from(_: Error) -> Self {
            Self
        }
    }

    #[idempotent(key = "1", scope = "events/typed", store = store)]
    fn typed<T: serde::Serialize + serde::de::DeserializeOwned>(store: &MemoryStore, result: T) -> Result<T, Error> {
        Ok(result)
    }
    #[idempotent(key = "id", scope = "events/recorded", store = store, on_error = "record")]
    fn recorded(store: &MemoryStore, id: u32) -> Result<u32, Refused> {
        Err(Refused)
    }

    let store = MemoryStore::new();
    typed(&store, "text".to_owned()).unwrap();
    assert_eq!(told("1", || drop(typed(&store, 1_u32))).0, "decode");
    let ((), events) = Events::during(|| drop(typed(&store, 1_u32)));
    let refused = events.iter().find(|event| event["event"] == "refused").unwrap();
    assert_eq!(refused["outcome"], "decode", "the warning has to have the reason, for a log that has only warnings");
    assert_eq!(told("1", || drop(recorded(&store, 1))).0, "failed");
    assert_eq!(told("1", || drop(recorded(&store, 1))).0, "replayed");
}

#[test]
fn a_reconcile_functions_answer_is_told() {
    async fn finds(claim: &Claim) -> Result<Option<u32>, Failure> {
        if *claim.key() == *"fails" { Err(Failure::Declined) } else { Ok(Some(9)) }
    }
    #[idempotent(key = "id", scope = "events/reconciled", store = store, on_crash = finds)]
    async fn reconciled(store: &Probe, id: &str) -> Result<Outcome<u32>, Failure> {
        pending().await
    }

    let store = Probe::new();
    for (id, outcome) in [("takes", "replayed"), ("fails", "failed")] {
        poll_once(reconciled(&store, id));
        let asked = told(id, || drop(block_on(reconciled(&store, id))));
        assert_eq!(asked, (outcome.to_owned(), vec!["taken_over".to_owned()]));
    }
}

#[test]
fn a_call_without_protection_ends_as_its_body_does() {
    #[idempotent(key = "id", scope = "events/keyless", store = store, missing_key = "run")]
    fn keyless(store: &Probe, id: Option<&str>, does: Does) -> Result<Outcome<u32>, Failure> {
        does.now()
    }
    #[idempotent(key = "id", scope = "events/unstored", store = store, on_store_error = "run")]
    async fn unstored(store: &Probe, id: &str, does: Does) -> Result<Outcome<u32>, Failure> {
        does.now()
    }

    let store = Probe::new();
    for (does, outcome, began) in
        [(Does::Return, "executed", &["unprotected"][..]), (Does::Fail, "failed", &["unprotected", "failed"])]
    {
        let expected = (outcome.to_owned(), began.iter().map(|&name| name.to_owned()).collect());
        assert_eq!(told("", || drop(keyless(&store, None, does))), expected);
        store.fail(Asked::Claim, Fault::Refused);
        assert_eq!(told("a", || drop(block_on(unstored(&store, "a", does)))), expected);
    }
}

/// Other events name the key too: those of renewals and endings that fail, and of rows that are gone.
#[test]
fn whatever_is_said_of_a_key_names_it() {
    #[idempotent(key = "id", scope = "events/slow", store = store, lease = "60ms")]
    async fn slow<S: IdempotencyStore>(store: &S, probe: &Probe, id: &str) -> Result<u32, Error> {
        probe.until(Asked::Renew, 3).await;
        Ok(7)
    }

    let store = Probe::new();
    store.fail(Asked::Renew, Fault::Refused).fail(Asked::Renew, Fault::RequestLost);
    store.fail(Asked::Complete, Fault::RequestLost).fail(Asked::Complete, Fault::Says(Standing::Gone));
    let (result, events) = Events::during(|| block_on(slow(&store, &store, "a")));
    assert!(matches!(result, Err(Error::LeaseLost { row_gone: true, .. })), "{result:?}");
    assert_named(&events, "a");
    assert_eq!(ended(&events), ("a", "lease_lost"));
    for said in ["a renewal failed", "a completion failed", "a key was gone from the store"] {
        assert!(events.iter().any(|event| event["message"].starts_with(said)), "{said}: {events:#?}");
    }
}

#[test]
fn a_key_that_stays_claimed_is_named() {
    let store = Probe::new();
    store.fail(Asked::Release(Leave::OutcomeUnknown), Fault::Panics);
    let ((), events) = Events::during(|| poll_once(handle_async(&store, "a", 5, Does::Wait)));
    assert_named(&events, "a");
    let left = events.iter().find(|event| event["message"].contains("stays claimed until its lease ends"));
    assert!(left.is_some_and(|event| event["key"] == "a"), "{events:#?}");
}

#[test]
fn the_time_that_is_told_is_the_calls() {
    #[idempotent(key = "id", scope = "events/timed", store = store)]
    async fn timed(store: &MemoryStore, id: &str, turns: &mut u32) -> Result<u32, Error> {
        poll_fn(|cx| {
            *turns += 1;
            std::thread::sleep(Duration::from_millis(20));
            cx.waker().wake_by_ref();
            if *turns == 2 { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
        Ok(1)
    }

    let store = MemoryStore::new();
    let (_, events) = Events::during(|| block_on(timed(&store, "a", &mut 0)));
    assert_eq!(ended(&events), ("a", "executed"));
    let seconds: f64 = events.last().unwrap()["seconds"].parse().unwrap();
    assert!((0.04..60.0).contains(&seconds), "{seconds}");
}
