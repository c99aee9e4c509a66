//! The clock of a memory store.

use std::time::{Duration, SystemTime};

use crate::protocol::{Micros, micros};
use crate::task::sync::Instant;

pub(super) struct Clock {
    time: Time,
    /// How far ahead the conformance suite has set it.
    #[cfg(feature = "conformance")]
    ahead: std::sync::atomic::AtomicU64,
}

enum Time {
    /// The process's monotonic clock. It began at the system's time, `epoch`.
    Monotonic { started: Instant, epoch: Micros },
    /// A function of the user's.
    Given(Box<dyn Fn() -> Duration + Send + Sync>),
}

/// How often a waiter reads a clock of the user's, which may leap at any time.
const LOOK: Duration = Duration::from_millis(5);

impl Clock {
    pub(super) fn monotonic() -> Self {
        let epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(1, micros);
        Self::of(Time::Monotonic { started: Instant::now(), epoch })
    }

    pub(super) fn given(time: impl Fn() -> Duration + Send + Sync + 'static) -> Self {
        Self::of(Time::Given(Box::new(time)))
    }

    fn of(time: Time) -> Self {
        Self {
            time,
            #[cfg(feature = "conformance")]
            ahead: std::sync::atomic::AtomicU64::new(0),
        }
    }

    pub(super) fn now(&self) -> Micros {
        let now = match &self.time {
            Time::Monotonic { started, epoch } => epoch + micros(started.elapsed()),
            // Plus one, because a key's first fence is the time of its claim, and fence 0 means a call without
            // protection.
            Time::Given(time) => micros(time()) + 1,
        };
        #[cfg(feature = "conformance")]
        let now = now + self.ahead.load(std::sync::atomic::Ordering::Relaxed);
        now
    }

    /// How long to sleep before the clock may show `until`, which is later than `now`.
    pub(super) fn pause(&self, now: Micros, until: Micros) -> Duration {
        match self.time {
            Time::Monotonic { .. } => Duration::from_micros(until - now),
            Time::Given(_) => LOOK,
        }
    }

    #[cfg(feature = "conformance")]
    pub(super) fn set_ahead(&self, ahead: Duration) {
        self.ahead.store(micros(ahead), std::sync::atomic::Ordering::Relaxed);
    }
}
