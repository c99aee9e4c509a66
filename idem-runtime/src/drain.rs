//! The endings of this process that go on behind their callers, and waiting for them.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use crate::quiet::quietly;
use crate::{background, blocking, timer};

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
    blocking::wait(drain(timeout))
}

static ENDINGS: Mutex<Endings> = Mutex::new(Endings { under_way: 0, given_up: BinaryHeap::new() });

/// Tells that none is under way.
static NONE_UNDER_WAY: Notify = Notify::const_new();

struct Endings {
    under_way: usize,
    /// When the leases are over of those that were given up.
    given_up: BinaryHeap<Reverse<Instant>>,
}

impl Endings {
    fn lock() -> MutexGuard<'static, Self> {
        ENDINGS.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn forget_what_is_over(&mut self) {
        let now = Instant::now();
        while self.given_up.peek().is_some_and(|lease_over| lease_over.0 <= now) {
            self.given_up.pop();
        }
    }
}

fn left() -> usize {
    let mut endings = Endings::lock();
    endings.forget_what_is_over();
    endings.under_way + endings.given_up.len()
}

async fn none_left() {
    loop {
        let mut changed = pin!(NONE_UNDER_WAY.notified());
        changed.as_mut().enable();
        let last = {
            let mut endings = Endings::lock();
            endings.forget_what_is_over();
            match endings.given_up.iter().map(|lease_over| lease_over.0).max() {
                _ if endings.under_way > 0 => None,
                None => return,
                last => last,
            }
        };
        match last {
            Some(last) => drop(timer::within(|| last.saturating_duration_since(Instant::now()), changed).await),
            None => changed.await,
        }
    }
}

/// An ending that goes on behind its caller. It is counted from here until it is dropped; where it isn't settled then, it
/// is given up, and counted until its lease is over.
pub(crate) struct UnderWay {
    lease_over: Instant,
    settled: AtomicBool,
}

impl UnderWay {
    pub(crate) fn new(lease_over: Instant) -> Self {
        Endings::lock().under_way += 1;
        Self { lease_over, settled: AtomicBool::new(false) }
    }

    pub(crate) fn settle(&self) {
        self.settled.store(true, Ordering::Relaxed);
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        let mut endings = Endings::lock();
        endings.forget_what_is_over();
        if !*self.settled.get_mut() {
            endings.given_up.push(Reverse(self.lease_over));
        }
        endings.under_way -= 1;
        if endings.under_way == 0 {
            drop(endings);
            // Wakers are of any executor.
            quietly(|| NONE_UNDER_WAY.notify_waiters());
        }
    }
}
