//! Subscribers that collect the library's `tracing` events.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex};

use tracing::field::{Field, Visit};
use tracing::span;

/// A subscriber that collects the library's events of every level. As the default subscriber of a thread it gets only the events
/// of that thread.
#[derive(Clone, Default)]
pub struct Kept<K>(Arc<Mutex<K>>);

/// Collects the values of the events as one text.
pub type Log = Kept<String>;

/// Collects the events with their fields.
pub type Events = Kept<Vec<Event>>;

/// An event's fields, as text.
pub type Event = BTreeMap<&'static str, String>;

impl<K: Default> Kept<K> {
    /// Takes what was collected so far; the collection begins anew.
    pub fn take(&self) -> K {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

impl Events {
    /// Runs this, and collects the events of this thread meanwhile.
    pub fn during<T>(run: impl FnOnce() -> T) -> (T, Vec<Event>) {
        let events = Self::default();
        let output = tracing::subscriber::with_default(events.clone(), run);
        (output, events.take())
    }
}

/// A form in which events are collected.
pub trait Keep: Send + 'static {
    /// Adds an event.
    fn keep(&mut self, event: &tracing::Event<'_>);
}

impl Keep for String {
    fn keep(&mut self, event: &tracing::Event<'_>) {
        struct Texts<'a>(&'a mut String);
        impl Visit for Texts<'_> {
            fn record_debug(&mut self, _: &Field, value: &dyn fmt::Debug) {
                self.0.push_str(&format!("{value:?} "));
            }
        }
        event.record(&mut Texts(self));
    }
}

impl Keep for Vec<Event> {
    fn keep(&mut self, event: &tracing::Event<'_>) {
        struct Fields<'a>(&'a mut Event);
        impl Visit for Fields<'_> {
            fn record_str(&mut self, field: &Field, value: &str) {
                self.0.insert(field.name(), value.to_owned());
            }

            fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
                self.0.insert(field.name(), format!("{value:?}"));
            }
        }
        let mut fields = Event::new();
        event.record(&mut Fields(&mut fields));
        self.push(fields);
    }
}

impl<K: Keep> tracing::Subscriber for Kept<K> {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        metadata.target().starts_with("idem_runtime")
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        self.0.lock().unwrap().keep(event);
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}
