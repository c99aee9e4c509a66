//! Notifying the waiters of a key in this process.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use tokio::sync::Notify;

use crate::store::Key;
use crate::task::quietly;

/// How many notifiers there are. Keys share them: a waiter that is woken for another key looks at its own key, and
/// waits again.
const NOTIFIERS: usize = 64;

/// One notifier for each group of keys, by the key's hash.
#[derive(Debug)]
pub(crate) struct Notifiers {
    notifiers: [Notify; NOTIFIERS],
    hasher: RandomState,
}

impl Notifiers {
    /// Makes the notifiers, without waiters.
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self { notifiers: std::array::from_fn(|_| Notify::new()), hasher: RandomState::new() })
    }

    /// The notifier of a key.
    pub(crate) fn of(&self, scope: &str, key: &Key) -> &Notify {
        let hash = self.hasher.hash_one((scope, key.as_bytes()));
        &self.notifiers[hash as usize % NOTIFIERS]
    }

    /// Wakes the waiters of this key.
    pub(crate) fn notify(&self, scope: &str, key: &Key) {
        quietly(|| self.of(scope, key).notify_waiters());
    }

    /// Wakes all waiters: notifications of endings may have been missed.
    #[cfg(any(feature = "postgres", feature = "redis"))]
    pub(crate) fn notify_all(&self) {
        self.notifiers.iter().for_each(|notifier| quietly(|| notifier.notify_waiters()));
    }
}
