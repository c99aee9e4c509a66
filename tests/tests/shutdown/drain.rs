//! What `drain` counts, and until when.

use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use idem_runtime::store::{ClaimAnswer, Leave};
use idem_runtime::{Error, IdempotencyStore, Outcome, drain, drain_blocking, idempotent};
use idem_tests::Gate;
use idem_tests::probe::{Asked, Fault, Probe};
use idem_tests::steps::{key, request};

use crate::{PATIENCE, UNKNOWN, brief, cancelled, long, one_thread, threads, turn};

/// Polls a future once. Returns its output if it is ready.
fn poll_now<F: Future>(future: F) -> Option<F::Output> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}

/// A slow ending is counted from the drop of its call until it is settled.
async fn waits_for_an_ending() {
    let _turn = turn().await;
    for store in [Probe::new(), Probe::on_runtime()] {
        store.fail(UNKNOWN, Fault::RequestLost).fail(UNKNOWN, Fault::Slow(Duration::from_millis(300)));
        cancelled(&store, 1).await;
        assert_eq!(drain(Duration::ZERO).await, 1);
        assert_eq!(drain(PATIENCE).await, 0);
        assert_eq!(store.count(UNKNOWN), 2);
        let again = long(&store, 1, Gate::opened()).await.unwrap();
        assert_eq!(again, Outcome::Executed("after a crash".to_owned()), "the call must not wait for the lease");
    }
}

#[test]
fn r27_an_ending_is_waited_for_on_a_multi_thread_runtime() {
    threads(2).block_on(waits_for_an_ending());
    let runtime = threads(2);
    runtime.block_on(runtime.spawn(waits_for_an_ending())).unwrap();
}

#[test]
fn r27_an_ending_is_waited_for_on_a_current_thread_runtime() {
    one_thread().block_on(waits_for_an_ending());
}

#[tokio::test]
async fn r27_each_kind_of_ending_is_waited_for() {
    let _turn = turn().await;
    let slow = Fault::Slow(Duration::from_millis(200));
    for store in [Probe::new(), Probe::on_runtime()] {
        // A call that is dropped while it claims.
        store.fail(Asked::Claim, Fault::Hangs).fail(Asked::Release(Leave::NotRun), slow);
        let claiming = tokio::time::timeout(Duration::from_millis(20), long(&store, 1, Gate::opened())).await;
        claiming.unwrap_err();
        // A call that is dropped while its result is recorded.
        store.fail(Asked::Complete, Fault::RequestLost).fail(Asked::Complete, slow);
        let completing = tokio::spawn({
            let store = store.clone();
            async move { long(&store, 2, Gate::opened()).await }
        });
        store.until(Asked::Complete, 1).await;
        completing.abort();
        assert!(completing.await.unwrap_err().is_cancelled());
        assert!((1..=2).contains(&drain(Duration::ZERO).await));
        assert_eq!(drain(PATIENCE).await, 0);
        assert_eq!(long(&store, 1, Gate::opened()).await.unwrap(), Outcome::Executed("first".to_owned()));
        assert_eq!(long(&store, 2, Gate::opened()).await.unwrap(), Outcome::Replayed("first".to_owned()));
    }
}

#[idempotent(key = "id", scope = "shutdown/sync", store = store, lease = "1h")]
fn dies(store: &Probe, id: u32, die: bool) -> Result<Outcome<u32>, Error> {
    assert!(!die, "in the body");
    Ok(id.into())
}

#[test]
fn r27_a_sync_handlers_ending_is_waited_for() {
    let _turn = one_thread().block_on(turn());
    for store in [Probe::new(), Probe::on_runtime()] {
        store.fail(UNKNOWN, Fault::RequestLost).fail(UNKNOWN, Fault::Slow(Duration::from_millis(300)));
        let call = std::thread::spawn({
            let store = store.clone();
            move || dies(&store, 1, true)
        });
        assert!(call.join().is_err());
        assert_eq!(drain_blocking(Duration::ZERO), 1);
        assert_eq!(drain_blocking(PATIENCE), 0);
        assert!(!dies(&store, 1, false).unwrap().is_replayed());
    }
}

/// A runtime ends while an ending is under way on it. The ending is begun again in the background. It is counted at every moment in
/// between.
#[test]
fn r27_an_ending_is_counted_while_it_goes_from_runtime_to_runtime() {
    let _turn = one_thread().block_on(turn());
    for _ in 0..20 {
        let store = Probe::on_runtime();
        store.fail(UNKNOWN, Fault::Hangs);
        let runtime = threads(1);
        runtime
            .block_on(runtime.spawn({
                let store = store.clone();
                async move {
                    cancelled(&store, 1).await;
                    store.until(UNKNOWN, 1).await;
                }
            }))
            .unwrap();
        let (settled, over) = (Arc::new(AtomicBool::new(false)), mpsc::channel());
        let watcher = std::thread::spawn({
            let (store, settled, over) = (store.clone(), Arc::clone(&settled), over.0);
            move || {
                while drain_blocking(Duration::ZERO) > 0 {
                    std::hint::spin_loop();
                }
                settled.store(store.count(UNKNOWN) == 2, Ordering::SeqCst);
                over.send(()).unwrap();
            }
        });
        drop(runtime);
        over.1.recv_timeout(PATIENCE).expect("it is settled in the background");
        watcher.join().unwrap();
        assert!(settled.load(Ordering::SeqCst), "it was not counted for a moment");
    }
}

#[tokio::test]
async fn r27_what_a_store_does_not_answer_is_left_when_the_time_is_over() {
    let _turn = turn().await;
    for store in [Probe::new(), Probe::on_runtime()] {
        store.fail_always(UNKNOWN, Fault::RequestLost);
        for id in 0..3 {
            cancelled(&store, id).await;
        }
        assert_eq!(drain(Duration::from_millis(50)).await, 3);
        store.recover();
        assert_eq!(drain(PATIENCE).await, 0);
    }
}

/// An ending that was given up is counted until its lease is over and the key is free.
#[tokio::test]
async fn r27_an_ending_that_was_given_up_counts_until_its_lease_is_over() {
    let _turn = turn().await;
    for store in [Probe::new(), Probe::on_runtime()] {
        store.fail_always(UNKNOWN, Fault::Refused);
        let gate = Gate::default();
        let mut call = Box::pin(brief(&store, 1, gate.clone()));
        tokio::select! {
            ended = &mut call => panic!("{ended:?}"),
            () = gate.started() => {}
        }
        let dropped = Instant::now();
        drop(call);
        assert_eq!(drain(PATIENCE).await, 0);
        // The ending was given up before that, as the next try would have come after the lease.
        assert!(dropped.elapsed() >= Duration::from_secs(3), "{:?}", dropped.elapsed());
        assert_eq!(brief(&store, 1, Gate::opened()).await.unwrap(), Outcome::Executed("after a crash".to_owned()));
    }
}

#[tokio::test]
async fn r27_no_time_only_asks() {
    let _turn = turn().await;
    assert_eq!(poll_now(drain(Duration::ZERO)), Some(0));
    let store = Probe::on_runtime();
    store.fail_always(UNKNOWN, Fault::RequestLost);
    cancelled(&store, 1).await;
    assert_eq!(poll_now(drain(Duration::ZERO)), Some(1));
    assert_eq!(poll_now(drain(PATIENCE)), None, "it waits where it has time");
    store.recover();
    assert_eq!(drain(PATIENCE).await, 0);
}

/// A call whose body still runs isn't counted: its owner has to end it.
#[tokio::test]
async fn r27_calls_that_run_are_not_counted() {
    let _turn = turn().await;
    let (store, gate) = (Probe::on_runtime(), Gate::default());
    let running = tokio::spawn({
        let (store, gate) = (store.clone(), gate.clone());
        async move { long(&store, 1, gate).await }
    });
    gate.started().await;
    assert_eq!(drain(PATIENCE).await, 0);
    let claimed = store.inner().claim(request("shutdown/long", &key("1"))).await.unwrap();
    assert!(matches!(claimed, ClaimAnswer::InProgress { .. }));
    gate.open();
    running.await.unwrap().unwrap();
    assert_eq!(drain(Duration::ZERO).await, 0);
}
