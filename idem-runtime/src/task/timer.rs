//! Sleeping, under any executor and under none.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use tokio::task::coop::{Unconstrained, unconstrained};
use tokio::time::Sleep;

use crate::task::{background, quietly};

/// A timer of the background runtime, so that it works under any executor: a third-party one, a Tokio one without
/// timers, and a parked thread. Its clock is the real one: a paused Tokio clock would end leases that the store holds.
///
/// `None` where no thread could be started: then it never wakes anybody. A call goes without renewals and time-outs, and its
/// lease ends by time.
pub(crate) struct Timer(Option<Alarm>);

struct Alarm {
    sleep: Pin<Box<Unconstrained<Sleep>>>,
    sleeper: Arc<Sleeper>,
}

/// Who is woken. The waker is of any executor, and is called on the background thread, which a panic of it would end.
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

/// Starts a timer. On the heap, because it is rarely needed, and would be a part of every handler's future.
pub(crate) fn sleep(duration: Duration) -> Timer {
    Timer(background::handle().map(|handle| {
        let _context = handle.enter();
        Alarm {
            sleep: Box::pin(unconstrained(tokio::time::sleep(duration))),
            sleeper: Arc::new(Sleeper(Mutex::new(Waker::noop().clone()))),
        }
    }))
}

/// Lets others go first for so long, or once where there is no timer.
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

/// The output of `future`, or `None` once the time is over. Starts a timer, and asks how long it is, only if the future
/// has to wait.
pub(crate) fn within<F: Future, D: Fn() -> Duration + Unpin>(time: D, future: Pin<&mut F>) -> Within<'_, F, D> {
    Within { time, future, timer: None }
}

/// See [`within`]. It borrows the future: a future that is passed on by value is stored twice.
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
