//! Telling those who wait for a key, in this process, that it changed hands.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use tokio::sync::Notify;

use crate::store::Key;
use crate::task::quietly;

/// How many bells there are. Keys share them: who is woken for another's key looks, and waits again.
const BELLS: usize = 64;

/// A bell for each key, shared by those whose hash is alike.
#[derive(Debug)]
pub(crate) struct Bells {
    bells: [Notify; BELLS],
    hasher: RandomState,
}

impl Bells {
    /// Bells that nobody listens to yet.
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self { bells: std::array::from_fn(|_| Notify::new()), hasher: RandomState::new() })
    }

    /// The bell of a key.
    pub(crate) fn of(&self, scope: &str, key: &Key) -> &Notify {
        let hash = self.hasher.hash_one((scope, key.as_bytes()));
        &self.bells[hash as usize % BELLS]
    }

    /// Wakes whoever waits for this key.
    pub(crate) fn ring(&self, scope: &str, key: &Key) {
        quietly(|| self.of(scope, key).notify_waiters());
    }

    /// Wakes everybody, where endings may have gone unheard.
    #[cfg(any(feature = "postgres", feature = "redis"))]
    pub(crate) fn ring_all(&self) {
        self.bells.iter().for_each(|bell| quietly(|| bell.notify_waiters()));
    }
}
