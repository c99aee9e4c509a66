//! Waiting for the endings that this process carries out in the background.

use std::pin::pin;
use std::time::Duration;

use super::endings::{self, Expected, left};
use super::sync::Instant;
use super::{background, block_on, timer};

/// Waits until each call of this process that has ended is settled in its store, or until `timeout` is over. Returns
/// how many calls are not settled. With `Duration::ZERO`, it doesn't wait.
///
/// If a call is dropped, or its store doesn't answer in time, this library releases its key or records its result in
/// the background. If the process exits before that, the key stays blocked for the rest of its lease. So, at the end of
/// a process:
///
/// 1. Stop taking messages.
/// 2. Let the handlers finish or cancel them, *and join them*. A call that is still running isn't counted, and neither
///    is a task that was aborted and not yet dropped.
/// 3. Call `drain`.
/// 4. Close the store's connection pool.
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
/// When it returns 0, each call that had ended before is settled in its store.
///
/// A call is given up if its store did not answer for the length of a lease. It counts until its lease is over. A
/// result that its store did not take within the lease ([`Error::NotRecorded`](crate::Error::NotRecorded)) is tried for
/// one more lease, and counts during that time. While other calls end in the background, `drain` goes on waiting.
///
/// Don't call it as the last line of an async `main` that has not joined its handlers: the runtime drops those that
/// still run after `drain` has returned. Use [`drain_blocking`] after the end of the runtime instead.
///
/// It works on any executor. It sends nothing to a store, and adds no cost to a call that ends normally.
pub async fn drain(timeout: Duration) -> usize {
    // Without the background thread, there is no timer to wait with.
    if timeout.is_zero() || background::handle().is_none() {
        return left();
    }
    match timer::within(|| timeout, pin!(none_left())).await {
        Some(()) => 0,
        None => left(),
    }
}

/// [`drain`], for a thread that may block: after the end of a runtime, or without a runtime.
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
/// It works on any thread, and blocks it. A worker of a multi-thread runtime first hands its tasks to another thread,
/// as with `block_in_place`. The other tasks of a current-thread runtime, or of a `LocalSet`, don't run meanwhile. The
/// endings do, because none of them is polled by a runtime that has only this thread. In a `LocalSet` of a multi-thread
/// runtime, the library learns from a panic of Tokio's that it can't hand the tasks on, and catches it. It can't do so
/// with `panic = "abort"`.
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
