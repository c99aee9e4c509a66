//! If a call ends before its body has begun, its claim is given back at once. celery-once keeps the lock of a task that could not be
//! published for an hour, though nothing was queued.

use std::future::{Future, pending, poll_fn};
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use idem_runtime::store::Key;
use idem_runtime::{AnyStore, Claim, IdempotencyStore, Previous, idempotent};
use idem_tests::{Count, Failure, Gate};

use crate::on_every_store;

/// The time within which the next call has to run: far less than the lease, and less than `wait`.
const AT_ONCE: Duration = Duration::from_secs(10);

/// A duplicate waits for 60 s, and the test waits for 10 s: so the test fails unless the duplicate runs at once.
#[idempotent(key = "id", scope = "peers::given_back", store = store, lease = "10m", wait = "60s", claim = claim)]
async fn handle(store: &AnyStore, ran: &Count, id: usize, ends: bool) -> Result<(u32, bool), Failure> {
    ran.up();
    if !ends {
        pending::<()>().await;
    }
    Ok((claim.attempt(), claim.previous() == Previous::First))
}

/// Polls the call at most so many times, whenever it is woken.
async fn poll_times(mut call: Pin<&mut impl Future>, most: usize) {
    let mut polled = 0;
    poll_fn(|cx| {
        polled += 1;
        match call.as_mut().poll(cx) {
            Poll::Pending if polled < most => Poll::Pending,
            _ => Poll::Ready(()),
        }
    })
    .await;
}

/// Waits until the store has carried out the claim of a call that is no longer polled, or for a short time, as the claim may not have
/// been sent.
async fn may_be_carried_out(store: &AnyStore, id: usize) {
    let (admin, key) = (store.admin().unwrap(), Key::of(&id).unwrap());
    let carried_out = async {
        while admin.get("peers::given_back", &key).await.unwrap().is_none() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    drop(tokio::time::timeout(Duration::from_millis(250), carried_out).await);
}

/// Drops a call at every point before its body begins: before its claim is sent, carried out, or answered.
async fn r13_a_call_that_is_dropped_before_its_body_leaves_nothing(store: &AnyStore) {
    let mut polls = 0;
    loop {
        polls += 1;
        let ran = Count::default();
        let mut call = Box::pin(handle(store, &ran, polls, false));
        poll_times(call.as_mut(), polls).await;
        may_be_carried_out(store, polls).await;
        drop(call);
        if ran.get() > 0 {
            break;
        }
        let next = tokio::time::timeout(AT_ONCE, handle(store, &ran, polls, true)).await;
        assert_eq!(next.expect("it was given back").unwrap(), (1, true), "dropped after {polls} polls");
    }
    assert!(polls > 1 || !store.needs_runtime(), "a store that is asked over a connection answers later");
}

async fn find_out(claim: &Claim) -> Result<Option<u32>, Failure> {
    match claim.attempt() {
        2 if *claim.key() == Key::of("unknown").unwrap() => Err(Failure::Declined),
        _ => Ok(None),
    }
}

#[idempotent(key = "id", scope = "peers::asked", store = store, lease = "10m", wait = "60s", on_crash = find_out, claim = claim)]
async fn asked(store: &AnyStore, gate: &Gate, id: &str) -> Result<u32, Failure> {
    gate.pass().await;
    Ok(claim.attempt())
}

/// The `on_crash` function fails. The body is not begun, and the outcome of the call that died stays unknown.
async fn r13_a_call_whose_function_fails_gives_its_claim_back(store: &AnyStore) {
    let gate = Gate::default();
    {
        let mut died = Box::pin(asked(store, &gate, "unknown"));
        let begun = async {
            tokio::select! { _ = &mut died => unreachable!("it waits"), () = gate.started() => {} }
        };
        tokio::time::timeout(AT_ONCE, begun).await.expect("it begins");
    }
    // The first of these may have to wait until the drop reaches the store. The next ones run at once: if the claim of the one before
    // were kept, they would wait.
    for _ in 0..3 {
        let call = tokio::time::timeout(AT_ONCE, asked(store, &gate, "unknown")).await;
        assert!(matches!(call, Ok(Err(Failure::Declined))), "asked anew: {call:?}");
    }
}

on_every_store! {
    r13_a_call_that_is_dropped_before_its_body_leaves_nothing,
    r13_a_call_whose_function_fails_gives_its_claim_back,
}
