//! Waiting for the endings of this process that go on behind their callers.

use std::pin::pin;
use std::time::{Duration, Instant};

use super::endings::{self, Expected, left};
use super::{background, block_on, timer};

/// Waits until nothing of this process is left to be settled in a store, or until `timeout` is over, and says how much is
/// left. `Duration::ZERO` only asks.
///
/// A call that is dropped, or whose store doesn't answer in time, is ended in the background: its key is released, or its
/// result recorded. A process that exits before that leaves the key blocked for the rest of its lease. So, at its end:
///
/// 1. Stop taking messages.
/// 2. End the handlers, by letting them finish or by cancelling them, *and join them*. A call that is still running
///    isn't counted, and neither is a task that was aborted and has not been dropped yet.
/// 3. `drain`.
/// 4. Close the pool.
///
/// ```
/// use std::time::Duration;
///
/// # use idem_runtime::{Error, MemoryStore, drain, idempotent, with_store};
/// # #[idempotent(key = "id")]
/// # async fn handle(id: u32) -> Result<u32, Error> { Ok(id) }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let mut handlers = tokio::task::JoinSet::new();
/// handlers.spawn(with_store(MemoryStore::new(), handle(1)));
/// // ... until the process is told to end:
/// handlers.shutdown().await; // cancels them, and joins them
/// let left = drain(Duration::from_secs(10)).await;
/// if left > 0 {
///     eprintln!("{left} keys stay blocked until their leases end");
/// }
/// # assert_eq!(left, 0);
/// # }
/// ```
///
/// After 0, every call that had ended before is settled in its store. One that was given up, because its store did not
/// answer for a lease, counts until its lease is over. A result that its store did not take within the lease
/// ([`Error::NotRecorded`](crate::Error::NotRecorded)) is waited for while it is being tried again, for one lease more.
/// While other calls go on ending in the background, it goes on waiting.
///
/// As the last line of an async `main` that joined nothing it sees too little: the bodies that still run are dropped with
/// the runtime, behind it. [`drain_blocking`] can wait behind the runtime.
///
/// It works on any executor. It asks no store, and costs a call that ends normally nothing.
pub async fn drain(timeout: Duration) -> usize {
    // Without a thread in the background there is no timer.
    if timeout.is_zero() || background::handle().is_none() {
        return left();
    }
    match timer::within(|| timeout, pin!(none_left())).await {
        Some(()) => 0,
        None => left(),
    }
}

/// [`drain`], for a thread that may block: behind the end of a runtime, or without any.
///
/// ```
/// use std::time::Duration;
///
/// use idem_runtime::drain_blocking;
///
/// let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
/// runtime.block_on(async {
///     // handlers are spawned, and nobody joins them
/// });
/// runtime.shutdown_timeout(Duration::from_secs(5)); // drops those that still run
/// let left = drain_blocking(Duration::from_secs(10));
/// # assert_eq!(left, 0);
/// ```
///
/// It works on any thread, and blocks it: a worker of a multi-thread runtime hands its tasks on first, as by
/// `block_in_place`; the other tasks of a current-thread runtime, or of a `LocalSet`, stand still meanwhile. Endings don't:
/// none is polled by a runtime that has no thread but this one. In a `LocalSet` of a multi-thread runtime a panic of
/// Tokio's tells that there is nobody to hand on to, which is caught: not with `panic = "abort"`.
pub fn drain_blocking(timeout: Duration) -> usize {
    block_on::wait(drain(timeout))
}

async fn none_left() {
    loop {
        let mut changed = pin!(endings::none_under_way());
        changed.as_mut().enable();
        match endings::expected() {
            Expected::Nothing => return,
            Expected::Answers => changed.await,
            Expected::LeaseOver(last) => {
                let left = || last.saturating_duration_since(Instant::now());
                let _ = timer::within(left, changed).await;
            }
        }
    }
}
