//! Collects everything that is logged, through `tracing` and through `log`, at every level.

use std::fmt::Write as _;
use std::sync::{Arc, Mutex, Once};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::DefaultGuard;
use tracing::{Event, Metadata, Subscriber};

/// A handler's result, which must not be in any log.
pub(crate) const SECRET: &str = "hunter2 is the secret";

/// The forms in which a log could show it.
pub(crate) fn forms() -> Vec<String> {
    let bytes = &SECRET.as_bytes()[..7];
    let hex = |upper: bool| -> String {
        bytes.iter().map(|byte| if upper { format!("{byte:02X}") } else { format!("{byte:02x}") }).collect()
    };
    let list: Vec<String> = bytes.iter().map(u8::to_string).collect();
    vec!["hunter2".to_owned(), hex(true), hex(false), list.join(", ")]
}

/// What was logged through `log`, on any thread.
static FACADE: Mutex<String> = Mutex::new(String::new());

struct Facade;

impl log::Log for Facade {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        let _ = writeln!(FACADE.lock().unwrap(), "{}", record.args());
    }

    fn flush(&self) {}
}

/// Collects the log until it is dropped.
pub(crate) struct Logs {
    text: Arc<Mutex<String>>,
    _subscribed: DefaultGuard,
}

impl Logs {
    /// Collects what is logged through `tracing` on this thread, and through `log` on any.
    pub(crate) fn of_this_thread() -> Self {
        static INSTALLED: Once = Once::new();
        INSTALLED.call_once(|| {
            log::set_logger(&Facade).unwrap();
            log::set_max_level(log::LevelFilter::Trace);
        });
        let text = Arc::default();
        Self { _subscribed: tracing::subscriber::set_default(Everything(Arc::clone(&text))), text }
    }

    pub(crate) fn text(&self) -> String {
        self.text.lock().unwrap().clone() + &FACADE.lock().unwrap()
    }
}

struct Everything(Arc<Mutex<String>>);

struct Fields<'t>(&'t mut String);

impl Visit for Fields<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        let _ = writeln!(self.0, "{field}={value:?}");
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        let _ = writeln!(self.0, "{field}={value}");
    }
}

impl Subscriber for Everything {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        span.record(&mut Fields(&mut self.0.lock().unwrap()));
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, values: &Record<'_>) {
        values.record(&mut Fields(&mut self.0.lock().unwrap()));
    }

    fn event(&self, event: &Event<'_>) {
        event.record(&mut Fields(&mut self.0.lock().unwrap()));
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}
