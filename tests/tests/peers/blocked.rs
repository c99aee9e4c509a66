//! Bodies that block their thread for longer than their lease, so that the next call takes the key over. With pg-boss, no result of
//! such jobs counts, and the job has failed. With celery-once, the end of the first frees the key that the second holds.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use idem_runtime::{AnyStore, Error, Outcome, Previous, idempotent};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinHandle;

use crate::on_every_store;

const PATIENCE: Duration = Duration::from_secs(30);

/// What a body was told when it started, and the channel that lets it end.
struct Started {
    attempt: u32,
    previous: Previous,
    fence: u64,
    go: Sender<()>,
}

#[idempotent(key = "id", scope = "peers::blocks", store = store, lease = "1s", wait = "60s", claim = claim)]
async fn blocks(store: AnyStore, started: UnboundedSender<Started>, id: u32) -> Result<Outcome<u32>, Error> {
    let (go, stopped): (_, Receiver<()>) = channel();
    let (attempt, previous, fence) = (claim.attempt(), claim.previous(), claim.fence());
    started.send(Started { attempt, previous, fence, go }).expect("the test waits for it");
    // Blocks the first poll, so that the lease is not renewed.
    stopped.recv().expect("it is let go");
    Ok(attempt.into())
}

/// Calls with one key, one after the other. Each waits until the lease of the one before it is over.
struct Calls {
    store: AnyStore,
    id: u32,
    starts: UnboundedSender<Started>,
    started: UnboundedReceiver<Started>,
}

impl Calls {
    fn of(store: &AnyStore, id: u32) -> Self {
        let (starts, started) = unbounded_channel();
        Self { store: store.clone(), id, starts, started }
    }

    fn call(&self) -> JoinHandle<Result<Outcome<u32>, Error>> {
        tokio::spawn(blocks(self.store.clone(), self.starts.clone(), self.id))
    }

    /// Starts a call. Returns when its body has started, and blocks.
    async fn blocked(&mut self) -> (JoinHandle<Result<Outcome<u32>, Error>>, Started) {
        let call = self.call();
        let started = tokio::time::timeout(PATIENCE, self.started.recv()).await.expect("it starts").unwrap();
        (call, started)
    }
}

/// Lets a body end, and asserts that its call reports a lost lease.
async fn assert_lost(call: JoinHandle<Result<Outcome<u32>, Error>>, started: &Started) {
    started.go.send(()).unwrap();
    let error = call.await.unwrap().unwrap_err();
    assert!(matches!(error, Error::LeaseLost { .. }) && error.executed() && error.is_retryable(), "{error}");
}

async fn r07_a_third_call_is_told_of_two_bodies_that_blocked(store: &AnyStore) {
    let mut calls = Calls::of(store, 1);
    let (first, told_first) = calls.blocked().await;
    let (second, told_second) = calls.blocked().await;
    let (third, told_third) = calls.blocked().await;
    assert_eq!((told_first.attempt, told_first.previous), (1, Previous::First));
    assert_eq!((told_second.attempt, told_second.previous), (2, Previous::AfterCrash { fence: told_first.fence }));
    assert_eq!((told_third.attempt, told_third.previous), (3, Previous::AfterCrash { fence: told_second.fence }));
    assert_lost(first, &told_first).await;
    assert_lost(second, &told_second).await;
    told_third.go.send(()).unwrap();
    assert_eq!(third.await.unwrap().unwrap(), Outcome::Executed(3), "its lease was over, but nobody had taken over");
    assert_eq!(
        calls.call().await.unwrap().unwrap(),
        Outcome::Replayed(3),
        "the other calls neither freed nor replaced it"
    );
}

async fn r07_the_end_of_a_body_that_blocked_leaves_its_successor_alone(store: &AnyStore) {
    let mut calls = Calls::of(store, 2);
    let (first, told_first) = calls.blocked().await;
    let (second, told_second) = calls.blocked().await;
    assert_lost(first, &told_first).await;
    told_second.go.send(()).unwrap();
    assert_eq!(second.await.unwrap().unwrap(), Outcome::Executed(2));
    assert_eq!(calls.call().await.unwrap().unwrap(), Outcome::Replayed(2));
}

on_every_store! {
    r07_a_third_call_is_told_of_two_bodies_that_blocked,
    r07_the_end_of_a_body_that_blocked_leaves_its_successor_alone,
}
