//! The time: a counter. It stands still until the scheduler picks a sleeper's turn, and then leaps to the end of the
//! earliest sleep. So any number of steps fits before the end of a sleep, and any number of sleeps between two steps.

use std::collections::BTreeMap;
use std::future::Future;
use std::ops::{Add, Sub};
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

/// A sleep of more than that never ends: what waits for nothing else is found blocked.
const FOR_EVER: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// Between two executions: whatever the last one left that ends by time has ended.
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// A day and no more, so that an earlier moment can be named.
static NOW: Mutex<Duration> = Mutex::new(DAY);

static SLEEPERS: Mutex<BTreeMap<(Instant, u64), Waker>> = Mutex::new(BTreeMap::new());

fn lock<T>(mutex: &'static Mutex<T>) -> MutexGuard<'static, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(super) fn begin() {
    lock(&SLEEPERS).clear();
    *lock(&NOW) += DAY;
}

/// A moment of that time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Instant(Duration);

impl Instant {
    pub(crate) fn now() -> Self {
        Self(*lock(&NOW))
    }

    pub(crate) fn elapsed(&self) -> Duration {
        Self::now().saturating_duration_since(*self)
    }

    pub(crate) fn saturating_duration_since(&self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }

    pub(crate) fn checked_sub(&self, duration: Duration) -> Option<Self> {
        self.0.checked_sub(duration).map(Self)
    }
}

impl Add<Duration> for Instant {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        Self(self.0 + duration)
    }
}

impl Sub<Duration> for Instant {
    type Output = Self;

    fn sub(self, duration: Duration) -> Self {
        Self(self.0 - duration)
    }
}

/// Like Tokio's.
pub(crate) struct Sleep {
    place: (Instant, u64),
    ends: bool,
    has_turn: bool,
}

pub(crate) fn sleep(duration: Duration) -> Sleep {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let place = (Instant::now() + duration, NEXT.fetch_add(1, Ordering::Relaxed));
    Sleep { place, ends: duration <= FOR_EVER, has_turn: false }
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if Instant::now() >= self.place.0 {
            lock(&SLEEPERS).remove(&self.place);
            // Others first: who sleeps again and again would leave the schedulers no end.
            shuttle::thread::yield_now();
            return Poll::Ready(());
        }
        if !self.ends {
            return Poll::Pending;
        }
        lock(&SLEEPERS).insert(self.place, cx.waker().clone());
        if !std::mem::replace(&mut self.has_turn, true) {
            // One turn for each sleeper, so none is left without.
            drop(shuttle::future::spawn(async { take_turn() }));
        }
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        lock(&SLEEPERS).remove(&self.place);
    }
}

fn take_turn() {
    let earliest = lock(&SLEEPERS).pop_first();
    if let Some(((end, _), waker)) = earliest {
        let mut now = lock(&NOW);
        *now = end.0.max(*now);
        drop(now);
        waker.wake();
    }
}
