//! The event `ended`: how a call ended. It is emitted once for each call.

use std::time::Instant;

use tracing::Level;
use tracing::level_filters::LevelFilter;

use crate::error::Shown;
use crate::handler::{Event, Site};
use crate::protocol::Key;
use crate::protocol::key::KeyInput;
use crate::task::quietly;

/// Emits the event `ended`. If neither `ends` nor `settled` was called before this is dropped, the call was
/// cancelled or its body panicked.
///
/// It is `None` where no subscriber listens.
#[derive(Debug, Default)]
pub(crate) struct Watch(Option<Box<Watched>>);

#[derive(Debug)]
struct Watched {
    scope: &'static str,
    key: Option<Key>,
    started: Instant,
    /// How the call ends once the store has taken what its body left.
    returned: &'static str,
}

impl Watch {
    /// For a call that begins.
    #[inline]
    pub(crate) fn start(site: &'static Site, key: &KeyInput) -> Self {
        if Level::DEBUG <= LevelFilter::current() { Self::start_listened_to(site, key) } else { Self(None) }
    }

    #[cold]
    fn start_listened_to(site: &'static Site, key: &KeyInput) -> Self {
        let mut watch = Self(None);
        quietly(|| {
            if tracing::enabled!(Level::DEBUG) {
                let (key, started) = (key.key().cloned(), Instant::now());
                watch.0 = Some(Box::new(Watched { scope: site.scope, key, started, returned: "dropped" }));
            }
        });
        watch
    }

    /// The body has returned. Tells the event, if it was no result, and keeps its name for the end of the call.
    #[inline]
    pub(crate) fn returned(&mut self, site: &'static Site, key: Option<&Key>, event: Option<Event>) {
        if let Some(event) = event {
            site.observe(event, key);
        }
        if let Some(watched) = &mut self.0 {
            watched.returned = event.map_or("executed", Event::name);
        }
    }

    /// The call has ended with the outcome of its body.
    #[inline]
    pub(crate) fn settled(&mut self) {
        if let Some(watched) = self.0.take() {
            watched.tell(watched.returned);
        }
    }

    /// The call has ended with this outcome.
    #[inline]
    pub(crate) fn ends(&mut self, outcome: &'static str) {
        if let Some(watched) = self.0.take() {
            watched.tell(outcome);
        }
    }
}

impl Drop for Watch {
    #[inline]
    fn drop(&mut self) {
        if let Some(watched) = self.0.take() {
            watched.tell(if std::thread::panicking() { "panicked" } else { "dropped" });
        }
    }
}

impl Watched {
    #[cold]
    fn tell(&self, outcome: &'static str) {
        quietly(|| {
            let (key, seconds) = (Shown(self.key.as_ref()), self.started.elapsed().as_secs_f64());
            tracing::debug!(scope = self.scope, key = %key, event = "ended", outcome, seconds, "idempotency");
        });
    }
}
