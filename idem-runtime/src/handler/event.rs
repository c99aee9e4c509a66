//! The events of calls, and the labels of the counters.

#[cfg(feature = "metrics")]
use std::sync::OnceLock;

#[cfg(feature = "metrics")]
use metrics::Label;
use tracing::Level;
use tracing::level_filters::LevelFilter;

use crate::protocol::Previous;

/// What happened to a call. Each call has one event for how it went on after its claim. A call has another one if its
/// body was started and did not end well, or said that it did nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// The first delivery of a key. Its body is started.
    Executed,
    /// A duplicate of a completed key.
    Replayed,
    /// A duplicate of a running call: it didn't wait for that call, or that call didn't end in time.
    InProgress,
    /// A redelivery after the handler returned an `Err`. Its body is started again.
    Redelivered,
    /// A redelivery of a key whose last holder's outcome is unknown. Its body, or the function of `on_crash`, is
    /// started.
    TakenOver,
    /// A call was refused because the outcome of its key's last holder is unknown.
    Parked,
    /// The call no longer holds its key: another call took it, an operator resolved or forgot it, or the store lost it.
    LeaseLost,
    /// The key was claimed with another fingerprint.
    KeyReused,
    /// The store failed, at the claim or at the completion.
    StoreFailed,
    /// The body is started without protection.
    Unprotected,
    /// The body returned an `Err`.
    Failed,
    /// The body said that it did nothing.
    Skipped,
    /// A duplicate of a completed key whose record can't be read. It gets what the function of `on_decode` returns.
    Unreadable,
    /// The call was refused for another reason: a missing key, a setting, a record that can't be read.
    Refused,
}

impl Event {
    /// The event of a body that is started.
    pub(crate) fn of(previous: Previous) -> Self {
        match previous {
            Previous::First => Self::Executed,
            Previous::AfterFailure => Self::Redelivered,
            Previous::AfterCrash { .. } => Self::TakenOver,
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Executed => "executed",
            Self::Replayed => "replayed",
            Self::InProgress => "in_progress",
            Self::Redelivered => "redelivered",
            Self::TakenOver => "taken_over",
            Self::Parked => "parked",
            Self::LeaseLost => "lease_lost",
            Self::KeyReused => "key_reused",
            Self::StoreFailed => "store_failed",
            Self::Unprotected => "unprotected",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
            Self::Unreadable => "unreadable",
            Self::Refused => "refused",
        }
    }

    /// A warning if an operator should look at it.
    pub(super) fn level(self) -> Level {
        match self {
            Self::Executed | Self::Replayed | Self::InProgress | Self::Redelivered | Self::Failed | Self::Skipped => {
                Level::DEBUG
            }
            _ => Level::WARN,
        }
    }

    /// Whether a subscriber may listen to it. It is always so for a warning: without a subscriber, `tracing` with its
    /// feature `log` passes the warning on to the crate `log`, and `LevelFilter::current` doesn't know that.
    #[inline]
    pub(super) fn is_heard(self) -> bool {
        let level = self.level();
        level == Level::WARN || level <= LevelFilter::current()
    }
}

/// The labels of a site's metrics. They are made once, because the macros of `metrics` allocate them at each call.
#[cfg(feature = "metrics")]
#[derive(Debug)]
pub(crate) struct Labels {
    pub(super) of_event: [OnceLock<[Label; 2]>; Event::Refused as usize + 1],
    pub(super) of_scope: OnceLock<[Label; 1]>,
}

#[cfg(feature = "metrics")]
impl Labels {
    pub(crate) const fn new() -> Self {
        Self { of_event: [const { OnceLock::new() }; Event::Refused as usize + 1], of_scope: OnceLock::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::Event;

    /// No subscriber is set in this process.
    #[test]
    fn a_warning_is_told_though_nobody_subscribes() {
        for event in [Event::TakenOver, Event::Parked, Event::KeyReused, Event::StoreFailed, Event::LeaseLost] {
            assert!(event.is_heard(), "{event:?}");
        }
    }
}
