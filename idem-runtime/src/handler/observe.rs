//! What an operator can watch: `tracing` events and, with the feature `metrics`, counters and histograms for each
//! scope.
//!
//! No event and no label holds a result or a fingerprinted value. An event shows its key as
//! [`log_keys`](crate::log_keys) says. A label never does.

#[cfg(feature = "metrics")]
use metrics::{Label, Metadata};
use tracing::Level;

use super::event::Event;
use super::site::Site;
use crate::error::{Error, Shown};
use crate::protocol::Key;
use crate::task::quietly;
use crate::task::sync::Instant;

#[cfg(feature = "metrics")]
const METADATA: Metadata<'static> = Metadata::new("idempotency", metrics::Level::INFO, Some("idem_runtime"));

impl Site {
    #[inline]
    pub(crate) fn observe(&'static self, event: Event, key: Option<&Key>) {
        if cfg!(feature = "metrics") || event.is_heard() {
            self.tell(event, key, None);
        }
    }

    // Not inlined into `observe`, so that a call to which nobody listens pays for the check alone.
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

    /// Records how long the store took since `sent`, in seconds: `idempotency_store_seconds`.
    #[inline]
    pub(crate) fn observe_store(&'static self, sent: Option<Instant>) {
        self.observe_since(sent, "idempotency_store_seconds");
    }

    /// Records how long the handler's body took since `started`, in seconds: `idempotency_handler_seconds`.
    #[inline]
    pub(crate) fn observe_handler(&'static self, started: Option<Instant>) {
        self.observe_since(started, "idempotency_handler_seconds");
    }

    /// The time now, if the feature `metrics` is on.
    #[inline]
    pub(crate) fn starts(&self) -> Option<Instant> {
        cfg!(feature = "metrics").then(Instant::now)
    }

    #[cfg_attr(not(feature = "metrics"), allow(unused_variables, reason = "nothing is measured then"))]
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

    /// Warns that the store has no row for a key that a call holds, and says what can have removed it.
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

    /// Warns that a result could not be encoded or was too large.
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
