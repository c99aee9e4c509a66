//! When a body fails, its key is free before its caller gets the error. With celery-singleton, a task that asks in its body to be
//! run again still holds its key: the second run is taken for a duplicate, and is lost.

use idem_runtime::{AnyStore, OnError, idempotent};
use idem_tests::Failure;

use crate::on_every_store;

/// How often a body fails.
const FAILURES: u32 = 1_000;

/// What a body does at its nth start.
fn attempt(nth: u32) -> Result<u32, Failure> {
    if nth > FAILURES { Ok(nth) } else { Err(Failure::Declined) }
}

#[idempotent(key = "id", scope = "peers::fails", store = store, claim = claim)]
async fn fails(store: &AnyStore, id: u32) -> Result<u32, Failure> {
    attempt(claim.attempt())
}

#[idempotent(key = "id", scope = "peers::fails_blocking", store = store, claim = claim)]
fn fails_blocking(store: &AnyStore, id: u32) -> Result<u32, Failure> {
    attempt(claim.attempt())
}

fn frees(_: &Failure) -> OnError {
    OnError::Release
}

#[idempotent(key = "id", scope = "peers::fails_as_told", store = store, on_error = frees, claim = claim)]
async fn fails_as_told(store: &AnyStore, id: u32) -> Result<u32, Failure> {
    attempt(claim.attempt())
}

/// Calls again right after each failure.
async fn succeeds_at_last(mut call: impl AsyncFnMut() -> Result<u32, Failure>) {
    for nth in 1..=FAILURES {
        let failed = call().await;
        assert!(matches!(failed, Err(Failure::Declined)), "call {nth}: {failed:?}");
    }
    assert_eq!(call().await.unwrap(), FAILURES + 1);
}

async fn r12_a_call_right_behind_a_failure_is_let_through(store: &AnyStore) {
    succeeds_at_last(async || fails(store, 1).await).await;
}

async fn r12_a_call_right_behind_a_failure_that_a_function_judged_is_let_through(store: &AnyStore) {
    succeeds_at_last(async || fails_as_told(store, 1).await).await;
}

async fn r12_a_sync_call_right_behind_a_failure_is_let_through(store: &AnyStore) {
    succeeds_at_last(async || fails_blocking(store, 1)).await;
}

/// Each call runs in another task, as consumers of one queue get a message in turn. The next is let through as soon as the one before
/// it has got its error.
async fn r12_whoever_hears_of_a_failure_can_call_at_once(store: &AnyStore) {
    succeeds_at_last(async || {
        let store = store.clone();
        tokio::spawn(async move { fails(&store, 2).await }).await.unwrap()
    })
    .await;
}

on_every_store! {
    r12_a_call_right_behind_a_failure_is_let_through,
    r12_a_call_right_behind_a_failure_that_a_function_judged_is_let_through,
    r12_a_sync_call_right_behind_a_failure_is_let_through,
    r12_whoever_hears_of_a_failure_can_call_at_once,
}
