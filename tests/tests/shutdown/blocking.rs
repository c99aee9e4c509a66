//! `drain_blocking`, on whatever thread.

use std::sync::mpsc;
use std::time::Duration;

use idem_runtime::drain_blocking;
use idem_tests::probe::{Fault, Probe};
use tokio::task::LocalSet;

use crate::{PATIENCE, UNKNOWN, cancelled, one_thread, threads, turn};

/// A call was dropped, and its ending goes on where it may.
async fn leaves_an_ending() {
    let store = Probe::on_runtime();
    store.fail(UNKNOWN, Fault::RequestLost).fail(UNKNOWN, Fault::Slow(Duration::from_millis(200)));
    cancelled(&store, 1).await;
}

/// Runs it on a thread of its own, which is left behind where it hangs.
fn drains(work: impl FnOnce() -> usize + Send + 'static) {
    let _turn = one_thread().block_on(turn());
    let (done, ended) = mpsc::channel();
    std::thread::spawn(move || done.send(work()));
    assert_eq!(ended.recv_timeout(2 * PATIENCE).expect("it doesn't wait for ever"), 0);
}

#[test]
fn r27_on_a_current_thread_runtimes_own_thread() {
    drains(|| {
        one_thread().block_on(async {
            leaves_an_ending().await;
            drain_blocking(PATIENCE)
        })
    });
}

/// The ending lives on the runtime whose only worker is blocked.
#[test]
fn r27_on_a_runtimes_only_worker() {
    drains(|| {
        let runtime = threads(1);
        let task = runtime.spawn(async {
            leaves_an_ending().await;
            drain_blocking(PATIENCE)
        });
        runtime.block_on(task).unwrap()
    });
}

#[test]
fn r27_in_spawn_blocking() {
    for runtime in [one_thread, || threads(1)] {
        drains(move || {
            runtime().block_on(async {
                leaves_an_ending().await;
                tokio::task::spawn_blocking(|| drain_blocking(PATIENCE)).await.unwrap()
            })
        });
    }
}

#[test]
fn r27_in_a_local_set() {
    for runtime in [one_thread, || threads(1)] {
        drains(move || {
            let work = async {
                leaves_an_ending().await;
                drain_blocking(PATIENCE)
            };
            LocalSet::new().block_on(&runtime(), work)
        });
    }
}

#[test]
fn r27_without_a_runtime() {
    drains(|| {
        let runtime = threads(2);
        runtime.block_on(leaves_an_ending());
        runtime.shutdown_background();
        drain_blocking(PATIENCE)
    });
}

/// Tasks that nobody joined are dropped with their runtime, and drained behind it.
#[test]
fn r27_behind_the_end_of_a_runtime() {
    drains(|| {
        let (store, gate) = (Probe::on_runtime(), idem_tests::Gate::default());
        store.fail(UNKNOWN, Fault::Slow(Duration::from_millis(200)));
        let runtime = threads(2);
        runtime.block_on(async {
            let (store, gate) = (store.clone(), gate.clone());
            tokio::spawn({
                let gate = gate.clone();
                async move { crate::long(&store, 1, gate).await }
            });
            gate.started().await;
        });
        runtime.shutdown_timeout(PATIENCE);
        let left = drain_blocking(PATIENCE);
        assert_eq!(store.count(UNKNOWN), 1);
        left
    });
}
