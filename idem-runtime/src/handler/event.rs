//! The events of calls, and the labels of their counters.

#[cfg(feature = "metrics")]
use std::sync::OnceLock;

#[cfg(feature = "metrics")]
use metrics::Label;
use tracing::Level;
use tracing::level_filters::LevelFilter;

use crate::protocol::Previous;

/// What happened to a call: how it went on from its claim, and, where a body that was started did not end well, that too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// The first delivery of a key: its body is started.
    Executed,
    /// A duplicate of a completed key.
    Replayed,
    /// A duplicate of a running key, which was not waited for or did not end in time.
    InProgress,
    /// A redelivery after the handler's own failure: its body is started again.
    Redelivered,
    /// A redelivery after its last holder was lost: its body, or its reconcile function, is started.
    TakenOver,
    /// A key was refused because its last holder was lost.
    Parked,
    /// Another call took the key while this one held it, or the store lost it.
    LeaseLost,
    /// Two requests have one key.
    KeyReused,
    /// The store failed, at the claim or at the completion.
    StoreFailed,
    /// The body is started without protection.
    Unprotected,
    /// The body, which was started, returned an error of its own.
    Failed,
    /// A duplicate of a completed key whose record can't be read: it gets what the handler's `on_decode` says.
    Unreadable,
    /// The call was refused for another reason: a missing key, a setting, a record that can't be read.
    Refused,
}

impl Event {
    /// How the body came to be started.
    pub(crate) fn of(previous: Previous) -> Self {
        match previous {
            Previous::First => Self::Executed,
            Previous::AfterFailure => Self::Redelivered,
            Previous::AfterCrash { .. } => Self::TakenOver,
        }
    }

    pub(super) fn name(self) -> &'static str {
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
            Self::Unreadable => "unreadable",
            Self::Refused => "refused",
        }
    }

    /// A warning where someone should look.
    pub(super) fn level(self) -> Level {
        match self {
            Self::Executed | Self::Replayed | Self::InProgress | Self::Redelivered | Self::Failed => Level::DEBUG,
            _ => Level::WARN,
        }
    }

    /// Whether it may be heard. A warning is left to `tracing`: where nobody has subscribed, its feature `log` hands it to the
    /// crate `log`, which no level of `tracing` knows of.
    #[inline]
    pub(super) fn is_heard(self) -> bool {
        let level = self.level();
        level == Level::WARN || level <= LevelFilter::current()
    }
}

/// A site's labels, made once: the facade's macros allocate them at each call.
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

    /// In this process nobody does.
    #[test]
    fn a_warning_is_told_though_nobody_subscribes() {
        for event in [Event::TakenOver, Event::Parked, Event::KeyReused, Event::StoreFailed, Event::LeaseLost] {
            assert!(event.is_heard(), "{event:?}");
        }
    }
}
