//! What the library tells `tracing`.

use std::fmt;
use std::sync::{Arc, Mutex};

use tracing::field::{Field, Visit};
use tracing::span;

/// Keeps the texts of the library's events. One that is the default of a thread hears that thread only.
#[derive(Clone, Default)]
pub struct Log(Arc<Mutex<String>>);

impl Log {
    /// What was told so far; it is forgotten.
    pub fn take(&self) -> String {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

impl tracing::Subscriber for Log {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        metadata.target().starts_with("idem_runtime")
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        struct Texts<'a>(&'a mut String);
        impl Visit for Texts<'_> {
            fn record_debug(&mut self, _: &Field, value: &dyn fmt::Debug) {
                self.0.push_str(&format!("{value:?} "));
            }
        }
        event.record(&mut Texts(&mut self.0.lock().unwrap()));
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}
