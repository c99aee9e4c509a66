//! Results that their store has not taken before their lease ended. They wait in memory, and this module limits how
//! much.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::PoisonError;
use std::task::{Context, Poll};

use crate::task::sync::{Mutex, MutexGuard, oneshot};

/// How many bytes of results may wait in this process.
const MOST: usize = 64 * 1024 * 1024;

/// What a result counts at least, because its key and its task wait with it.
const LEAST: usize = 1024;

static WAITING: Mutex<Waiting> = Mutex::new(Waiting { bytes: 0, next: 0, results: BTreeMap::new() });

/// The results that wait, oldest first.
struct Waiting {
    bytes: usize,
    next: u64,
    results: BTreeMap<u64, Waits>,
}

struct Waits {
    bytes: usize,
    /// Dropped when the result is given up.
    _keep: oneshot::Sender<()>,
}

impl Waiting {
    fn lock() -> MutexGuard<'static, Self> {
        WAITING.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&mut self, bytes: usize) -> Place {
        let (keep, given_up) = oneshot::channel();
        let id = self.next;
        self.next += 1;
        self.bytes += bytes;
        self.results.insert(id, Waits { bytes, _keep: keep });
        while self.bytes > MOST
            && let Some((_, oldest)) = self.results.pop_first()
        {
            self.bytes -= oldest.bytes;
        }
        Place { id, given_up }
    }

    fn remove(&mut self, id: u64) {
        self.bytes -= self.results.remove(&id).map_or(0, |waits| waits.bytes);
    }
}

/// The place of a result among those that wait. Dropping it frees the place.
pub(super) struct Place {
    id: u64,
    given_up: oneshot::Receiver<()>,
}

/// Adds a result of this many bytes to those that wait. If they are too many bytes then, the oldest results are given
/// up.
pub(super) fn wait(bytes: usize) -> Place {
    Waiting::lock().add(bytes.max(LEAST))
}

impl Place {
    /// Ready once this result is given up, because newer results need its place.
    pub(super) fn poll_given_up(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        Pin::new(&mut self.given_up).poll(cx).map(drop)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        Waiting::lock().remove(self.id);
    }
}
