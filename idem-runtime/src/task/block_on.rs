//! Waiting for a future on the calling thread, which must not be one that a runtime needs.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;

use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::task::coop;

/// `None`: `work` may not block here, and has not run.
pub(crate) fn where_allowed<T>(in_place: bool, work: impl FnOnce() -> T) -> Option<T> {
    let Ok(handle) = Handle::try_current() else { return Some(work()) };
    if handle.runtime_flavor() == RuntimeFlavor::CurrentThread {
        return (in_place || !is_polled_by_runtime()).then(work);
    }
    let mut work = Some(work);
    let entered = catch_unwind(AssertUnwindSafe(|| tokio::task::block_in_place(|| work.take().map(|work| work()))));
    match (entered, work) {
        (Ok(output), _) => output,
        (Err(panic), None) => resume_unwind(panic),
        // A `LocalSet` on a multi-thread runtime: its tasks can't be handed on.
        (Err(_), Some(work)) => in_place.then(work),
    }
}

/// Waits for a future on any thread. One whose runtime can't do without it is blocked all the same.
pub(crate) fn wait<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    where_allowed(false, || block_on(future.as_mut())).unwrap_or_else(|| block_on(future))
}

/// Whether this thread is polling a task, and not running a closure of `spawn_blocking`: Tokio gives the tasks it polls a
/// budget, which can be used up. A task that opted out of the budget is taken for a closure; it then blocks, for as long
/// as the store takes, and never for good: each store call has a deadline.
fn is_polled_by_runtime() -> bool {
    /// More than the budget of any poll (128 in Tokio 1).
    const MORE_THAN_A_BUDGET: usize = 1024;
    let mut cx = Context::from_waker(Waker::noop());
    let mut used = Vec::new();
    let mut limited = false;
    for _ in 0..MORE_THAN_A_BUDGET {
        match coop::poll_proceed(&mut cx) {
            Poll::Ready(restore) => used.push(restore),
            Poll::Pending => {
                limited = true;
                break;
            }
        }
    }
    // Each gives back the budget that it found: the first one taken has to be the last.
    while used.pop().is_some() {}
    limited
}

/// Polls a future on this thread, which is parked in between.
pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    thread_local! {
        static PARKING: Arc<Parking> = Parking::of_this_thread();
    }

    let mut future = pin!(future);
    // The thread's own is gone while its thread-locals are dropped.
    let parking = PARKING.try_with(Arc::clone).unwrap_or_else(|_| Parking::of_this_thread());
    let waker = Waker::from(Arc::clone(&parking));
    let mut cx = Context::from_waker(&waker);
    loop {
        match future.as_mut().poll(&mut cx) {
            Poll::Ready(output) => {
                // What this call is nested in may have been woken meanwhile.
                parking.woken.store(true, Ordering::Release);
                return output;
            }
            Poll::Pending => parking.park(),
        }
    }
}

/// A thread that is parked until it is woken. The thread's own token is not enough: whatever else parks while a future is
/// polled, such as a `OnceCell` that another thread fills, may take it.
struct Parking {
    thread: Thread,
    woken: AtomicBool,
}

impl Parking {
    fn of_this_thread() -> Arc<Self> {
        Arc::new(Self { thread: std::thread::current(), woken: AtomicBool::new(false) })
    }

    /// Returns at once if it was woken since it last returned.
    fn park(&self) {
        while !self.woken.swap(false, Ordering::Acquire) {
            std::thread::park();
        }
    }
}

impl Wake for Parking {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.woken.store(true, Ordering::Release);
        self.thread.unpark();
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::sync::mpsc;
    use std::time::Duration;

    use super::*;

    /// Runs it on a thread of its own, which is left behind where it hangs.
    fn ends(work: impl FnOnce() + Send + 'static) -> bool {
        let (done, ended) = mpsc::channel();
        std::thread::spawn(move || {
            work();
            done.send(())
        });
        ended.recv_timeout(Duration::from_secs(10)).is_ok()
    }

    /// Is woken while it is polled, and then does `meanwhile`.
    async fn woken_before(meanwhile: impl Fn()) {
        let mut polled = false;
        poll_fn(|cx| {
            if std::mem::replace(&mut polled, true) {
                return Poll::Ready(());
            }
            cx.waker().wake_by_ref();
            meanwhile();
            Poll::Pending
        })
        .await;
    }

    #[test]
    fn a_wake_is_heard_though_something_else_parked_in_the_meantime() {
        assert!(ends(|| block_on(woken_before(std::thread::park))));
    }

    #[test]
    fn a_wake_is_heard_though_another_future_was_waited_for_in_the_meantime() {
        assert!(ends(|| block_on(woken_before(|| block_on(woken_before(|| {}))))));
    }
}
