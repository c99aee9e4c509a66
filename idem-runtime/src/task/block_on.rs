//! Blocking the calling thread on a future. A runtime must not need that thread.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

use super::sync::atomic::{AtomicBool, Ordering};
use super::sync::runtime::{Handle, RuntimeFlavor};
use super::sync::task::{block_in_place, coop};
use super::sync::thread::{self, Thread};
use super::sync::thread_local;

/// Runs `work`, which blocks the thread, if that is allowed here. `None`: it is not allowed, and `work` has not run.
pub(crate) fn where_allowed<T>(in_place: bool, work: impl FnOnce() -> T) -> Option<T> {
    let Ok(handle) = Handle::try_current() else { return Some(work()) };
    if handle.runtime_flavor() == RuntimeFlavor::CurrentThread {
        return (in_place || !is_polled_by_runtime()).then(work);
    }
    let mut work = Some(work);
    let entered = catch_unwind(AssertUnwindSafe(|| block_in_place(|| work.take().map(|work| work()))));
    match (entered, work) {
        (Ok(output), _) => output,
        (Err(panic), None) => resume_unwind(panic),
        // This is a `LocalSet` on a multi-thread runtime. Its tasks can't be handed to another thread.
        (Err(_), Some(work)) => in_place.then(work),
    }
}

/// Blocks any thread on a future, also one that its runtime needs.
pub(crate) fn wait<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    where_allowed(false, || block_on(future.as_mut())).unwrap_or_else(|| block_on(future))
}

/// Whether this thread is polling a task, and not running a closure of `spawn_blocking`. Tokio gives a budget to each
/// task that it polls, and none to a closure. So this tries to use the budget up. A task that opted out of the budget
/// is taken for a closure. It then blocks for as long as the store takes, and not for ever, because each store call has
/// a deadline.
fn is_polled_by_runtime() -> bool {
    /// More than the budget of a poll, which is 128 in Tokio 1.
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
    // Each of them restores the budget that it found. So the first one has to be dropped last.
    while used.pop().is_some() {}
    limited
}

/// Polls a future on this thread, and parks the thread in between.
pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    thread_local! {
        static PARKING: Arc<Parking> = Parking::of_this_thread();
    }

    let mut future = pin!(future);
    // The thread-local is gone while the thread drops its thread-locals.
    let parking = PARKING.try_with(Arc::clone).unwrap_or_else(|_| Parking::of_this_thread());
    let waker = Waker::from(Arc::clone(&parking));
    let mut cx = Context::from_waker(&waker);
    loop {
        match future.as_mut().poll(&mut cx) {
            Poll::Ready(output) => {
                // An outer `block_on` of this thread uses the same waker, and may have been woken meanwhile. This tells
                // it to poll again.
                parking.woken.store(true, Ordering::Release);
                return output;
            }
            Poll::Pending => parking.park(),
        }
    }
}

/// Parks a thread until it is woken. The token of `std::thread::park` is not enough: other code that parks while a
/// future is polled, such as a `OnceCell` that another thread fills, may consume it.
struct Parking {
    thread: Thread,
    woken: AtomicBool,
}

impl Parking {
    fn of_this_thread() -> Arc<Self> {
        Arc::new(Self { thread: thread::current(), woken: AtomicBool::new(false) })
    }

    /// Parks until woken. Returns at once if it was woken since it last returned.
    fn park(&self) {
        while !self.woken.swap(false, Ordering::Acquire) {
            thread::park();
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

    /// Whether `work` ends within ten seconds. It runs on a thread of its own, which is left behind if it hangs.
    fn ends(work: impl FnOnce() + Send + 'static) -> bool {
        let (done, ended) = mpsc::channel();
        std::thread::spawn(move || {
            work();
            done.send(())
        });
        ended.recv_timeout(Duration::from_secs(10)).is_ok()
    }

    /// Wakes itself while it is polled, and then calls `meanwhile`.
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
