//! One call of a handler: its state, its lease, and how it leaves its key.
//!
//! A call goes through the phases of [`Phase`]. If it ends early, by an error, a panic or a drop, the `Drop` of
//! [`Call`] leaves the key as the phase says. It is the only guard, and acts once.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

use super::dropped::{Ending, Left};
use super::patience::{pause, time_to_answer};
use super::request::{claim_request, completion, release};
use crate::codec::fingerprint::FingerprintInput;
use crate::codec::record::{self, Encoded};
use crate::engine::asked::{self, Asked};
use crate::engine::blocking::Spawned;
use crate::engine::heartbeat::{self, LeaseLost, Tenure};
use crate::error::{DecodeError, Error, ScopedKey, Shown, StoreError};
use crate::handler::{Claim, ClaimSlot, Event, Ops, Returned, Site, Watch, recording};
use crate::protocol::key::KeyInput;
use crate::protocol::{Grant, Key, Leave, Owner, Record, RenewRequest, Standing};
use crate::store::IdempotencyStore;
use crate::task::sync::Instant;
use crate::task::sync::runtime::Handle;
use crate::task::sync::task::coop::unconstrained;
use crate::task::timer;

/// The longest time that a caller waits for the release of its key.
const LONGEST_LEAVE: Duration = Duration::from_secs(5);

/// The phase of a call. It says what is left to do if the call ends here.
pub(super) enum Phase {
    /// Nothing was asked of the store, or nothing is left to do.
    Idle,
    /// The claim was sent, and the body was not started.
    Claiming,
    /// The body was started, and has not returned.
    Running,
    /// The body returned, and this is to be recorded.
    Completing(Record),
    /// The body returned, and the key is to be left without a record.
    Leaving(Leave),
}

/// One call of an annotated handler.
pub struct Call<'c, S: IdempotencyStore> {
    pub(super) site: &'static Site,
    pub(super) store: Option<S>,
    pub(super) key: KeyInput,
    pub(super) fingerprint: FingerprintInput,
    pub(super) slot: Option<&'c ClaimSlot>,
    pub(super) owner: Owner,
    pub(super) fence: u64,
    /// When the lease ends: its length after the sending of the last claim or renewal that was granted.
    pub(super) deadline: Option<Instant>,
    pub(super) phase: Phase,
    pub(super) watch: Watch,
    /// Whether the store was asked for the record of a completed key.
    pub(super) has_asked: bool,
    /// The caller's runtime, if the store needs one.
    home: Option<Handle>,
}

impl<'c, S: IdempotencyStore> Call<'c, S> {
    /// A call of a block. It asks its store once it is run.
    ///
    /// `store` holds no record, as nothing was asked.
    pub fn new(site: &'static Site, store: Asked<S>, key: KeyInput, fingerprint: FingerprintInput) -> Self {
        let store = match store {
            Asked::Claim(store) => store,
            Asked::Completed(_) => None,
        };
        Self {
            site,
            store,
            key,
            fingerprint,
            slot: None,
            owner: Owner([0; 16]),
            fence: 0,
            deadline: None,
            phase: Phase::Idle,
            watch: Watch::default(),
            has_asked: false,
            home: None,
        }
    }

    /// A call that has asked its store for the record of a completed key, begins, and has not claimed yet.
    pub(super) fn asked(site: &'static Site, store: Option<S>, key: KeyInput, fingerprint: FingerprintInput) -> Self {
        let mut call = Self::new(site, Asked::Claim(store), key, fingerprint);
        call.has_asked = true;
        call.begin();
        call
    }

    /// Puts the claim into this slot, once it is granted.
    pub fn claim_into(&mut self, slot: &'c ClaimSlot) {
        self.slot = Some(slot);
    }

    /// The call begins: here, and not where it is made, as the future of a block may be polled elsewhere, later or never.
    pub fn begin(&mut self) {
        self.watch = Watch::start(self.site, &self.key);
        let store = self.store.as_ref().filter(|store| store.needs_runtime());
        self.home = store.and_then(|_| Handle::try_current().ok());
    }

    /// The same call with its store wrapped.
    pub(super) fn over<T: IdempotencyStore>(&mut self, wrap: impl FnOnce(S) -> T) -> Call<'c, T> {
        Call {
            site: self.site,
            store: self.store.take().map(wrap),
            key: std::mem::replace(&mut self.key, KeyInput::Missing(None)),
            fingerprint: std::mem::replace(&mut self.fingerprint, FingerprintInput::None),
            slot: self.slot,
            owner: self.owner,
            fence: self.fence,
            deadline: self.deadline,
            phase: Phase::Idle,
            watch: std::mem::take(&mut self.watch),
            has_asked: self.has_asked,
            home: self.home.take(),
        }
    }

    /// Whether this call, apart from its body, waits neither for a runtime nor for another call.
    pub(super) fn is_answered_in_place(&self) -> bool {
        self.store.as_ref().map_or(self.site.wait.is_zero(), |store| asked::in_place(self.site, store))
    }

    /// When the lease ends. Now, if no lease was granted.
    pub(super) fn deadline(&self) -> Instant {
        self.deadline.unwrap_or_else(Instant::now)
    }

    pub(super) fn scoped(&self, key: &Key) -> ScopedKey {
        ScopedKey::new(self.site.scope, key)
    }

    #[inline]
    pub(super) fn observe(&self, event: Event) {
        self.site.observe(event, self.key.key());
    }

    pub(super) fn refuse<O, V, E>(&mut self, error: Error, ops: Ops<O, V, E>) -> O {
        super::refuse(self.site, self.key.key(), &mut self.watch, error, ops)
    }

    /// The store and the key of a call that was granted its claim.
    pub(super) fn held(&self) -> Option<(&S, &Key)> {
        match (&self.store, &self.key) {
            (Some(store), KeyInput::Key(key)) => Some((store, key)),
            _ => None,
        }
    }

    /// Runs a future while the lease is renewed in the same task. Returns early if the lease is lost.
    pub(super) async fn hold<F: Future>(&mut self, mut work: Pin<&mut F>) -> Result<F::Output, LeaseLost> {
        let (store, key) = self.held().ok_or(LeaseLost { row_gone: false })?;
        let deadline = self.deadline();
        let tenure = Tenure::new(deadline);
        let started = self.site.starts();
        let output = {
            let mut beat = None;
            poll_fn(|cx| {
                if let Poll::Ready(output) = work.as_mut().poll(cx) {
                    return Poll::Ready(Ok(output));
                }
                // The heartbeat is made once the work waits, because most work doesn't. It is on the heap, because in
                // place it would enlarge each call's future. It is outside of Tokio's budget, because the work may use
                // that up at each poll.
                let beat = beat.get_or_insert_with(|| {
                    let request = self.renewal(key);
                    let first = heartbeat::first_due(deadline, self.site.lease);
                    // The renewals run on the background runtime, because this task may block its thread. A renewal
                    // that stopped with it would keep a connection that other renewals need.
                    let (store, tenure) = (Spawned(store.clone()), &tenure);
                    Box::pin(unconstrained(async move { heartbeat::beat(&store, request, tenure, first).await }))
                });
                beat.as_mut().poll(cx).map(Err)
            })
            .await
        };
        self.site.observe_handler(started);
        self.deadline = Some(tenure.deadline());
        output
    }

    fn renewal<'k>(&self, key: &'k Key) -> RenewRequest<'k> {
        RenewRequest::new(&claim_request(self.site, key, self.owner, None), self.fence)
    }

    /// Runs a future that blocks its thread, while the background runtime renews the lease. If the lease is lost, the
    /// call learns of it at its completion.
    pub(super) async fn hold_blocking<F: Future>(&mut self, work: Pin<&mut F>) -> Result<F::Output, LeaseLost> {
        let (store, key) = self.held().ok_or(LeaseLost { row_gone: false })?;
        let beat = heartbeat::register(store, self.site, key, self.owner, self.fence, self.deadline());
        let started = self.site.starts();
        let output = work.await;
        self.site.observe_handler(started);
        self.deadline = Some(beat.finish());
        Ok(output)
    }

    /// Gives the body its claim. From here on, the body counts as started.
    pub(super) fn start_body(&mut self, grant: Grant) {
        if let (Some(slot), Some(claim)) = (self.slot, self.slot.and_then(|_| self.claim(grant))) {
            slot.set(claim);
        }
        self.phase = Phase::Running;
    }

    /// Tells what the body returned. Returns it, as `NotRun` if the body said by its claim that it did nothing.
    pub(super) fn hears<'r, E>(&mut self, returned: Returned<'r, E>) -> Returned<'r, E> {
        let returned = match returned {
            Returned::Value(_) if self.slot.is_some_and(ClaimSlot::is_skipped) => Returned::Neither(Leave::NotRun),
            returned => returned,
        };
        self.watch.returned(self.site, self.key.key(), returned.event());
        returned
    }

    /// The body has returned. Its outcome will be recorded, also if the call is dropped from here on.
    pub(super) fn will_record<T>(
        &mut self,
        encode: impl FnOnce() -> Option<Record>,
        decode: impl FnOnce(Encoded<'_>) -> Result<T, DecodeError>,
    ) {
        // If the encoding panics, this is recorded, and the key is completed all the same.
        self.phase = Phase::Completing(record::unavailable());
        let most = self.store.as_ref().map_or(0, IdempotencyStore::max_record_len);
        let kept = recording::keep(self.site, self.key.key(), most, encode(), decode);
        self.phase = Phase::Completing(kept);
    }

    /// Leaves the key as the phase says. Recording an outcome is tried again while the lease holds. Releasing the key
    /// is tried once. If the store takes neither, the guard goes on trying in the background, and the caller doesn't
    /// wait for that.
    pub(super) async fn settle(&mut self) -> Result<(), Error> {
        let site = self.site;
        let Some((store, key)) = self.held() else { return Ok(()) };
        let mut failures = 0;
        let outcome = loop {
            let sent = site.starts();
            let answer = match &self.phase {
                Phase::Completing(record) => {
                    let complete = pin!(store.complete(completion(site, key, self.owner, self.fence, record)));
                    timer::within(|| time_to_answer(self.deadline(), site), complete).await
                }
                Phase::Leaving(how) => {
                    let release = pin!(store.release(release(site, key, self.owner, self.fence, *how)));
                    match timer::within(|| (site.lease / 3).min(LONGEST_LEAVE), release).await {
                        Some(Ok(standing)) => {
                            if standing == Standing::Gone {
                                site.warn_of_lost_row(key);
                            }
                            break Ok(());
                        }
                        _ => return Ok(()),
                    }
                }
                Phase::Idle | Phase::Claiming | Phase::Running => return Ok(()),
            };
            site.observe_store(sent);
            let source = match answer {
                Some(Ok(Standing::Held)) => break Ok(()),
                Some(Ok(Standing::Lost)) => break Err(self.lease_lost(true, LeaseLost { row_gone: false })),
                Some(Ok(Standing::Gone)) => break Err(self.lease_lost(true, LeaseLost { row_gone: true })),
                Some(Err(error)) => error,
                None => unanswered("no answer in time"),
            };
            failures += 1;
            let pause = pause(failures);
            if Instant::now() + pause >= self.deadline() {
                return Err(Error::NotRecorded { key: Some(self.scoped(key)), source, in_transaction: false });
            }
            tracing::warn!(scope = site.scope, key = %Shown(Some(key)), %source, "a completion failed, and is tried again");
            drop(source);
            timer::sleep(pause).await;
        };
        self.phase = Phase::Idle;
        outcome
    }

    /// The claim, as the body or the function of `on_crash` sees it.
    pub(super) fn claim(&self, grant: Grant) -> Option<Claim> {
        let (_, key) = self.held()?;
        Some(Claim::granted(self.site.scope, key.clone(), self.owner, grant))
    }

    /// The error of a call whose lease was lost.
    pub(super) fn lease_lost(&self, executed: bool, LeaseLost { row_gone }: LeaseLost) -> Error {
        match &self.key {
            KeyInput::Key(key) => {
                if row_gone {
                    self.site.warn_of_lost_row(key);
                }
                Error::LeaseLost { key: self.scoped(key), executed, row_gone }
            }
            // Not reached: a call without a key holds no lease.
            _ => self.site.missing_key(None),
        }
    }
}

/// Leaves the key as the phase says. Before the body, the claim is undone. During the body, the outcome is marked as
/// unknown. After the body, its ending is carried out in the background.
impl<S: IdempotencyStore> Drop for Call<'_, S> {
    fn drop(&mut self) {
        let left = match std::mem::replace(&mut self.phase, Phase::Idle) {
            Phase::Idle => return,
            Phase::Claiming => Left::Leave(Leave::NotRun),
            Phase::Running => Left::Leave(Leave::OutcomeUnknown),
            Phase::Completing(record) => Left::Complete(record),
            Phase::Leaving(how) => Left::Leave(how),
        };
        let (Some(store), KeyInput::Key(key)) =
            (self.store.take(), std::mem::replace(&mut self.key, KeyInput::Missing(None)))
        else {
            return;
        };
        let (site, owner, fence) = (self.site, self.owner, self.fence);
        Ending::new(store, site, key, owner, fence, left, self.deadline()).begin(self.home.as_ref());
    }
}

/// The error for a store that doesn't answer.
pub(super) fn unanswered(what: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> StoreError {
    StoreError::unanswered("the store", what).in_own_words()
}
