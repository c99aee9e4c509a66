//! Asks a store for the record of a completed key, before anything is drawn, armed or cloned for the call.

use super::request::{checked_fingerprint, claim_request};
use crate::codec::fingerprint::FingerprintInput;
use crate::handler::Site;
use crate::protocol::key::KeyInput;
use crate::protocol::{Completed, Owner};
use crate::store::IdempotencyStore;

/// What a call asks its store for.
#[derive(Clone, Copy, Debug)]
pub struct Asking<'a> {
    site: &'static Site,
    key: &'a KeyInput,
    fingerprint: &'a FingerprintInput,
    /// Whether the handler is a sync one.
    blocking: bool,
}

/// What the store of a call answered at once.
#[derive(Debug)]
pub enum Asked<S> {
    /// The key is completed.
    Completed(Completed),
    /// Nothing, so the call claims. This is its handle of the store, if there is one.
    Claim(Option<S>),
}

impl<'a> Asking<'a> {
    /// The question of a call.
    pub fn new(site: &'static Site, key: &'a KeyInput, fingerprint: &'a FingerprintInput, blocking: bool) -> Self {
        Self { site, key, fingerprint, blocking }
    }

    /// Asks this store. The answer holds a clone of it only if the call claims.
    pub(crate) fn ask<S: IdempotencyStore>(self, store: &S) -> Asked<S> {
        match self.completed(store) {
            Some(completed) => Asked::Completed(completed),
            None => Asked::Claim(Some(store.clone())),
        }
    }

    fn completed<S: IdempotencyStore>(self, store: &S) -> Option<Completed> {
        let Self { site, key, fingerprint, blocking } = self;
        // The first call of a site claims, and so finds out whether its scope is another site's. A sync handler that may
        // have to wait first finds out whether its thread may.
        if !site.is_registered() || blocking && !in_place(site, store) {
            return None;
        }
        completed(site, store, key, fingerprint)
    }
}

/// Whether a call, apart from its body, waits neither for a runtime nor for another call.
pub(super) fn in_place<S: IdempotencyStore>(site: &Site, store: &S) -> bool {
    site.wait.is_zero() && !store.needs_runtime()
}

/// The record of the key, if the store answers at once.
pub(super) fn completed<S: IdempotencyStore>(
    site: &'static Site,
    store: &S,
    key: &KeyInput,
    fingerprint: &FingerprintInput,
) -> Option<Completed> {
    let fingerprint = checked_fingerprint(site, key, fingerprint).ok()??;
    let sent = site.starts();
    let completed = store.completed(&claim_request(site, key.key()?, Owner([0; 16]), fingerprint))?;
    site.observe_store(sent);
    Some(completed)
}
