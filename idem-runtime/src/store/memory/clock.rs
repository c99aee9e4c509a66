//! What time it is to a memory store.

use std::time::{Duration, Instant, SystemTime};

use crate::protocol::{Micros, micros};

pub(super) struct Clock {
    time: Time,
    /// How far the conformance suite has moved it.
    #[cfg(feature = "conformance")]
    ahead: std::sync::atomic::AtomicU64,
}

enum Time {
    /// The process's monotonic clock, which was begun at the system's time.
    Monotonic { started: Instant, epoch: Micros },
    /// What a function says.
    Given(Box<dyn Fn() -> Duration + Send + Sync>),
}

/// How often one who waits asks what time it is, where that goes as it likes.
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
            // One more, as the first fence is the time of its claim, and 0 is that of a call without protection.
            Time::Given(time) => micros(time()) + 1,
        };
        #[cfg(feature = "conformance")]
        let now = now + self.ahead.load(std::sync::atomic::Ordering::Relaxed);
        now
    }

    /// How long to sleep until it may be `until`, which is ahead of `now`.
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
