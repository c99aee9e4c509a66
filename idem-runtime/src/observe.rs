//! What an operator can watch: `tracing` events and, behind the feature `metrics`, counters and histograms by scope.
//!
//! No event and no label holds a result or a fingerprinted value. An event names its key, as far as
//! [`log_keys`](crate::log_keys) lets it; a label doesn't.

#[cfg(feature = "metrics")]
use std::sync::OnceLock;
use std::time::Instant;

#[cfg(feature = "metrics")]
use metrics::{Label, Metadata};
use tracing::Level;
use tracing::level_filters::LevelFilter;

use crate::claim::{Key, Previous};
use crate::error::Error;
use crate::quiet::quietly;
use crate::shown::Shown;
use crate::site::Site;

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

    fn name(self) -> &'static str {
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
    fn level(self) -> Level {
        match self {
            Self::Executed | Self::Replayed | Self::InProgress | Self::Redelivered | Self::Failed => Level::DEBUG,
            _ => Level::WARN,
        }
    }

    /// Whether it may be heard. A warning is left to `tracing`: where nobody has subscribed, its feature `log` hands it to the
    /// crate `log`, which no level of `tracing` knows of.
    #[inline]
    fn is_heard(self) -> bool {
        let level = self.level();
        level == Level::WARN || level <= LevelFilter::current()
    }
}

/// A site's labels, made once: the facade's macros allocate them at each call.
#[cfg(feature = "metrics")]
#[derive(Debug)]
pub(crate) struct Labels {
    of_event: [OnceLock<[Label; 2]>; Event::Refused as usize + 1],
    of_scope: OnceLock<[Label; 1]>,
}

#[cfg(feature = "metrics")]
impl Labels {
    pub(crate) const fn new() -> Self {
        Self { of_event: [const { OnceLock::new() }; Event::Refused as usize + 1], of_scope: OnceLock::new() }
    }
}

#[cfg(feature = "metrics")]
const METADATA: Metadata<'static> = Metadata::new("idempotency", metrics::Level::INFO, Some("idem_runtime"));

impl Site {
    #[inline]
    pub(crate) fn observe(&'static self, event: Event, key: Option<&Key>) {
        if cfg!(feature = "metrics") || event.is_heard() {
            self.tell(event, key, None);
        }
    }

    // Apart from the look at who listens, which is all that most calls pay.
    #[inline(never)]
    fn tell(&'static self, event: Event, key: Option<&Key>, outcome: Option<&'static str>) {
        quietly(|| {
            let (scope, key) = (self.scope, Shown(key));
            if event.level() == Level::WARN {
                tracing::warn!(scope, key = %key, event = event.name(), outcome, "idempotency");
            } else {
                tracing::debug!(scope, key = %key, event = event.name(), "idempotency");
            }
            #[cfg(feature = "metrics")]
            self.count(event);
        });
    }

    #[cfg(feature = "metrics")]
    fn count(&'static self, event: Event) {
        let labels = self.labels.of_event[event as usize].get_or_init(|| {
            [Label::from_static_parts("scope", self.scope), Label::from_static_parts("event", event.name())]
        });
        let key = metrics::Key::from_static_parts("idempotency_calls_total", labels);
        metrics::with_recorder(|recorder| recorder.register_counter(&key, &METADATA)).increment(1);
    }

    /// The time since `sent` in the store, in seconds: `idempotency_store_seconds`.
    #[inline]
    pub(crate) fn observe_store(&'static self, sent: Option<Instant>) {
        self.observe_since(sent, "idempotency_store_seconds");
    }

    /// The time since `started` in the handler's body, in seconds: `idempotency_handler_seconds`.
    #[inline]
    pub(crate) fn observe_handler(&'static self, started: Option<Instant>) {
        self.observe_since(started, "idempotency_handler_seconds");
    }

    /// The time, where somebody wants to know.
    #[inline]
    pub(crate) fn starts(&self) -> Option<Instant> {
        cfg!(feature = "metrics").then(Instant::now)
    }

    #[cfg_attr(not(feature = "metrics"), allow(unused_variables, reason = "nobody wants to know"))]
    #[inline]
    fn observe_since(&'static self, since: Option<Instant>, name: &'static str) {
        #[cfg(feature = "metrics")]
        if let Some(since) = since {
            let labels = self.labels.of_scope.get_or_init(|| [Label::from_static_parts("scope", self.scope)]);
            let key = metrics::Key::from_static_parts(name, labels);
            quietly(|| {
                metrics::with_recorder(|recorder| recorder.register_histogram(&key, &METADATA)).record(since.elapsed());
            });
        }
    }

    /// Says what can have taken a row whose holder still wanted it.
    #[cold]
    pub(crate) fn warn_of_lost_row(&'static self, key: &Key) {
        quietly(|| {
            tracing::warn!(
                scope = self.scope,
                key = %Shown(Some(key)),
                "a key was gone from the store while a call held it: an eviction, a flush or a failover took it, or its \
                 holder was silent for longer than its lease and ttl, and a sweep deleted it; its body can run again"
            );
        });
    }

    /// Says what becomes of a result that could not be encoded, or was too large.
    #[cold]
    pub(crate) fn warn_of_unkept_result(&'static self, key: Option<&Key>) {
        let key = Shown(key);
        tracing::warn!(scope = self.scope, key = %key, "a result can't be kept: a duplicate gets `ResultUnavailable`");
    }

    #[cold]
    pub(crate) fn observe_refusal(&'static self, error: &Error, key: Option<&Key>) {
        let event = match error {
            Error::InProgress { .. } => Event::InProgress,
            Error::OutcomeUnknown { .. } => Event::Parked,
            Error::LeaseLost { .. } => Event::LeaseLost,
            Error::KeyReused { .. } => Event::KeyReused,
            Error::Store { .. }
            | Error::NotRecorded { .. }
            | Error::Conflict { .. }
            | Error::TransactionLost { .. } => Event::StoreFailed,
            _ => Event::Refused,
        };
        if cfg!(feature = "metrics") || event.is_heard() {
            self.tell(event, key, Some(error.name()));
        }
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
