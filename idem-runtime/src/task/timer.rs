//! Timers that work under any executor and without one.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use super::sync::task::coop::{Unconstrained, unconstrained};
use super::sync::time::{self, Sleep};
use super::sync::{Mutex, MutexGuard};
use super::{background, quietly};

/// A timer of the background runtime. So it works under any executor: one that isn't Tokio's, a Tokio runtime without
/// timers, and a parked thread. It uses the real clock, also where a test has paused Tokio's: by a paused clock, this
/// library would take leases for over that the store still holds.
///
/// `None` if the background thread could not be started. The timer is never ready then. Calls have no renewals and no
/// time-outs, and their leases end by time.
pub(crate) struct Timer(Option<Alarm>);

struct Alarm {
    sleep: Pin<Box<Unconstrained<Sleep>>>,
    sleeper: Arc<Sleeper>,
}

/// The waker of the task that waits. It is called on the background thread, and may be any executor's. Its panic is
/// caught, because it would end that thread.
struct Sleeper(Mutex<Waker>);

impl Wake for Sleeper {
    fn wake(self: Arc<Self>) {
        quietly(|| {
            let waker = self.lock().clone();
            waker.wake();
        });
    }
}

impl Sleeper {
    fn lock(&self) -> MutexGuard<'_, Waker> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Starts a timer. Its parts are on the heap, because a timer is rarely needed, and in place it would enlarge each
/// handler's future.
pub(crate) fn sleep(duration: Duration) -> Timer {
    Timer(background::handle().map(|handle| {
        let _context = handle.enter();
        Alarm {
            sleep: Box::pin(unconstrained(time::sleep(duration))),
            sleeper: Arc::new(Sleeper(Mutex::new(Waker::noop().clone()))),
        }
    }))
}

/// Pauses for this time. Without a timer, it only lets the other tasks run once.
#[cfg(feature = "memory")]
pub(crate) async fn rest(duration: Duration) {
    if background::handle().is_some() {
        return sleep(duration).await;
    }
    let mut given = false;
    std::future::poll_fn(|cx| {
        if std::mem::replace(&mut given, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

impl Future for Timer {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        match &mut self.0 {
            Some(Alarm { sleep, sleeper }) => {
                sleeper.lock().clone_from(cx.waker());
                sleep.as_mut().poll(&mut Context::from_waker(&Waker::from(Arc::clone(sleeper))))
            }
            None => Poll::Pending,
        }
    }
}

/// The output of `future`, or `None` once the time is over. Only if the future has to wait, `time` is called and a
/// timer is started.
pub(crate) fn within<F: Future, D: Fn() -> Duration + Unpin>(time: D, future: Pin<&mut F>) -> Within<'_, F, D> {
    Within { time, future, timer: None }
}

/// The future of [`within`]. It borrows `future`, because a future that is passed by value is stored twice.
pub(crate) struct Within<'f, F, D> {
    time: D,
    future: Pin<&'f mut F>,
    timer: Option<Timer>,
}

impl<F: Future, D: Fn() -> Duration + Unpin> Future for Within<'_, F, D> {
    type Output = Option<F::Output>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { time, future, timer } = &mut *self;
        if let Poll::Ready(output) = future.as_mut().poll(cx) {
            return Poll::Ready(Some(output));
        }
        let timer = timer.get_or_insert_with(|| sleep(time()));
        Pin::new(timer).poll(cx).map(|()| None)
    }
}
