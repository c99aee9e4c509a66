//! Notifying the waiters of a key in this process.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use tokio::sync::Notify;

use crate::store::Key;
use crate::task::quietly;

/// How many notifiers there are. Keys share them: a waiter that is woken for another key looks at its own key, and
/// waits again.
const BELLS: usize = 64;

/// One notifier for each group of keys, by the key's hash.
#[derive(Debug)]
pub(crate) struct Bells {
    bells: [Notify; BELLS],
    hasher: RandomState,
}

impl Bells {
    /// Makes the notifiers, without waiters.
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self { bells: std::array::from_fn(|_| Notify::new()), hasher: RandomState::new() })
    }

    /// The notifier of a key.
    pub(crate) fn of(&self, scope: &str, key: &Key) -> &Notify {
        let hash = self.hasher.hash_one((scope, key.as_bytes()));
        &self.bells[hash as usize % BELLS]
    }

    /// Wakes the waiters of this key.
    pub(crate) fn ring(&self, scope: &str, key: &Key) {
        quietly(|| self.of(scope, key).notify_waiters());
    }

    /// Wakes all waiters: notifications of endings may have been missed.
    #[cfg(any(feature = "postgres", feature = "redis"))]
    pub(crate) fn ring_all(&self) {
        self.bells.iter().for_each(|bell| quietly(|| bell.notify_waiters()));
    }
}
