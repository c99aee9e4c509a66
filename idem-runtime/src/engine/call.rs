//! One call: what it holds, and how it leaves.
//!
//! A call goes through the phases of [`Phase`]. Whatever happens to it in between — an error, a panic, a drop — leaves
//! the key as the phase says, once: [`Call`]'s `Drop` is the only guard.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::task::coop::unconstrained;

use crate::blocking::Spawned;
use crate::claim::{
    ClaimRequest, CompleteRequest, Fingerprint, Grant, Key, Leave, Owner, Record, ReleaseRequest, RenewRequest,
    Standing,
};
use crate::error::{Error, ScopedKey, StoreError};
use crate::fingerprint::FingerprintInput;
use crate::handle::{Claim, ClaimSlot};
use crate::heartbeat::{self, LeaseLost, Tenure};
use crate::key::KeyInput;
use crate::record;
use crate::site::Site;
use crate::store::IdempotencyStore;
use crate::{background, timer};

/// The first pause before a request is repeated; it doubles from there.
const FIRST_PAUSE: Duration = Duration::from_millis(10);

/// The longest pause before a request is repeated.
pub(super) const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// How long one attempt at an ending takes: a third of the lease, but no less and no more, while the lease holds. A
/// connection that went silent says nothing, and another one may get through; one that only takes its time shouldn't be
/// given up.
const ATTEMPT: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(10));

/// The longest that a caller waits for the release of its key.
const LONGEST_LEAVE: Duration = Duration::from_secs(5);

/// Where a call is, and so what is left to do if it goes no further.
pub(super) enum Phase {
    /// Nothing was asked of the store, or nothing is left to do.
    Idle,
    /// The claim was sent, and the body was not started.
    Claiming,
    /// The body was started, and has not returned.
    Running,
    /// The body returned what is to be recorded.
    Completing(Record),
    /// The body returned, and the key is left without a record.
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
    /// When the last granted lease ends, counted from the sending of its request.
    pub(super) deadline: Option<Instant>,
    pub(super) phase: Phase,
    /// The runtime that the caller is on, where the store needs one.
    home: Option<Handle>,
}

impl<'c, S: IdempotencyStore> Call<'c, S> {
    /// A call that has not claimed yet.
    pub fn new(
        site: &'static Site,
        store: Option<S>,
        key: KeyInput,
        fingerprint: FingerprintInput,
        slot: Option<&'c ClaimSlot>,
    ) -> Self {
        let home = store.as_ref().filter(|store| store.needs_runtime()).and_then(|_| Handle::try_current().ok());
        Self {
            site,
            store,
            key,
            fingerprint,
            slot,
            owner: Owner([0; 16]),
            fence: 0,
            deadline: None,
            phase: Phase::Idle,
            home,
        }
    }

    /// The same call over another kind of handle of its store.
    pub(super) fn over<T: IdempotencyStore>(&mut self, wrap: impl FnOnce(S) -> T) -> Call<'c, T> {
        Call {
            site: self.site,
            store: self.store.take().map(wrap),
            key: std::mem::replace(&mut self.key, KeyInput::Missing),
            fingerprint: std::mem::replace(&mut self.fingerprint, FingerprintInput::None),
            slot: self.slot,
            owner: self.owner,
            fence: self.fence,
            deadline: self.deadline,
            phase: Phase::Idle,
            home: self.home.take(),
        }
    }

    /// When the last granted lease ends; where none was granted, it has ended.
    pub(super) fn deadline(&self) -> Instant {
        self.deadline.unwrap_or_else(Instant::now)
    }

    pub(super) fn scoped(&self, key: &Key) -> ScopedKey {
        ScopedKey::new(self.site.scope, key)
    }

    /// The store and the key of a call that was granted its claim.
    pub(super) fn held(&self) -> Option<(&S, &Key)> {
        match (&self.store, &self.key) {
            (Some(store), KeyInput::Key(key)) => Some((store, key)),
            _ => None,
        }
    }

    /// Runs a future while the lease is renewed in this task, until it is lost.
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
                // On the heap, and only once the work waits: most don't, and each would carry it. Without a budget, as
                // the work may use up Tokio's at each poll.
                let beat = beat.get_or_insert_with(|| {
                    let request = self.renewal(key);
                    let first = heartbeat::first_due(deadline, self.site.lease);
                    // By the background runtime: this task may block its thread, with a connection in hand that
                    // others need for theirs.
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

    /// Runs a future that blocks its thread while the lease is renewed by the background runtime. A lease that is lost
    /// shows at the completion.
    pub(super) async fn hold_blocking<F: Future>(&mut self, work: Pin<&mut F>) -> Result<F::Output, LeaseLost> {
        let (store, key) = self.held().ok_or(LeaseLost { row_gone: false })?;
        let beat = heartbeat::register(store, self.site, key, self.owner, self.fence, self.deadline());
        let started = self.site.starts();
        let output = work.await;
        self.site.observe_handler(started);
        self.deadline = Some(beat.finish());
        Ok(output)
    }

    /// Lets the body see its claim, and starts it.
    pub(super) fn starts(&mut self, grant: Grant) {
        if let (Some(slot), Some(claim)) = (self.slot, self.slot.and_then(|_| self.claim(grant))) {
            slot.set(claim);
        }
        self.phase = Phase::Running;
    }

    /// The body has returned, and this is what is recorded of it, whatever happens to the call.
    pub(super) fn records(&mut self, encode: impl FnOnce() -> Option<Record>) {
        // Even if the encoding panics: the key is completed.
        self.phase = Phase::Completing(record::unavailable());
        let most = self.store.as_ref().map_or(0, IdempotencyStore::max_record_len);
        match encode().filter(|record| record.as_bytes().len() <= most) {
            Some(record) => self.phase = Phase::Completing(record),
            None => {
                tracing::warn!(scope = self.site.scope, "a result can't be kept: a duplicate gets `ResultUnavailable`");
            }
        }
    }

    /// Leaves the key as the phase says: records an outcome, again and again while the lease holds, or releases the key,
    /// once. Where the store doesn't answer a release, the guard goes on trying in the background: the caller has its own
    /// error to see to.
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
                        Some(Ok(_)) => break Ok(()),
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
                None => StoreError::unanswered("the store", "no answer in time"),
            };
            failures += 1;
            let pause = pause(failures);
            if Instant::now() + pause >= self.deadline() {
                break Err(Error::NotRecorded { key: Some(self.scoped(key)), source, in_transaction: false });
            }
            tracing::warn!(scope = site.scope, %source, "a completion failed, and is tried again");
            drop(source);
            timer::sleep(pause).await;
        };
        self.phase = Phase::Idle;
        outcome
    }

    /// The claim, as the handler or its reconcile function sees it.
    pub(super) fn claim(&self, grant: Grant) -> Option<Claim> {
        let (_, key) = self.held()?;
        Some(Claim::granted(self.site.scope, key.clone(), self.owner, grant))
    }

    /// The refusal of a call whose lease was lost.
    pub(super) fn lease_lost(&self, executed: bool, LeaseLost { row_gone }: LeaseLost) -> Error {
        if row_gone {
            self.site.warn_of_lost_row();
        }
        match &self.key {
            KeyInput::Key(key) => Error::LeaseLost { key: self.scoped(key), executed, row_gone },
            // A call without a key holds no lease.
            _ => Error::MissingKey { scope: self.site.scope },
        }
    }
}

/// A call is left as its phase says: undone before the body ran, unknown in its middle, finished after it.
impl<S: IdempotencyStore> Drop for Call<'_, S> {
    fn drop(&mut self) {
        let ending = match std::mem::replace(&mut self.phase, Phase::Idle) {
            Phase::Idle => return,
            Phase::Claiming => Ending::Leave(Leave::NotRun),
            Phase::Running => Ending::Leave(Leave::OutcomeUnknown),
            Phase::Completing(record) => Ending::Complete(record),
            Phase::Leaving(how) => Ending::Leave(how),
        };
        let (Some(store), KeyInput::Key(key)) =
            (self.store.take(), std::mem::replace(&mut self.key, KeyInput::Missing))
        else {
            return;
        };
        let in_place = !store.needs_runtime();
        // A call that was never granted a lease has one lease's time to say that it left.
        let until = self.deadline().max(Instant::now() + self.site.lease);
        let (site, owner, fence) = (self.site, self.owner, self.fence);
        let begin = move || finish(store.clone(), site, key.clone(), owner, fence, ending.clone(), until);
        background::finish(in_place, self.home.as_ref(), begin);
    }
}

/// What is left to do for a caller that has gone.
#[derive(Clone)]
enum Ending {
    Complete(Record),
    Leave(Leave),
}

async fn finish<S: IdempotencyStore>(
    store: S,
    site: &'static Site,
    key: Key,
    owner: Owner,
    fence: u64,
    ending: Ending,
    until: Instant,
) {
    let mut failures = 0;
    loop {
        // Nobody waits for it: a short lease needn't make it give up early.
        let time = || time_to_answer(until, site).max(ATTEMPT.0);
        let answer = match &ending {
            Ending::Complete(record) => {
                let complete = pin!(store.complete(completion(site, &key, owner, fence, record)));
                timer::within(time, complete).await
            }
            Ending::Leave(how) => {
                let release = pin!(store.release(release(site, &key, owner, fence, *how)));
                timer::within(time, release).await
            }
        };
        if let Some(Ok(standing)) = answer {
            if standing == Standing::Gone {
                site.warn_of_lost_row();
            }
            return;
        }
        failures += 1;
        let pause = pause(failures);
        if Instant::now() + pause >= until {
            tracing::warn!(scope = site.scope, "the store did not answer: a key stays claimed until its lease ends");
            return;
        }
        timer::sleep(pause).await;
    }
}

pub(super) fn claim_request<'a>(
    site: &'static Site,
    key: &'a Key,
    owner: Owner,
    fingerprint: Option<Fingerprint>,
) -> ClaimRequest<'a> {
    let mut request = ClaimRequest::new(site.scope, key, owner, site.lease);
    request.fingerprint = fingerprint;
    request.orphans = site.orphans;
    request.retain = site.retain();
    request
}

fn completion<'a>(
    site: &'static Site,
    key: &'a Key,
    owner: Owner,
    fence: u64,
    record: &'a Record,
) -> CompleteRequest<'a> {
    CompleteRequest::new(&claim_request(site, key, owner, None), fence, record, site.ttl)
}

fn release<'a>(site: &'static Site, key: &'a Key, owner: Owner, fence: u64, how: Leave) -> ReleaseRequest<'a> {
    let mut request = ReleaseRequest::new(&claim_request(site, key, owner, None), fence, how);
    request.retain = site.ttl;
    request
}

/// How long an ending waits for its answer before it is sent again. A late one counts as long as nobody took over, so each
/// is sent at least once.
fn time_to_answer(deadline: Instant, site: &Site) -> Duration {
    let third = site.lease / 3;
    deadline.saturating_duration_since(Instant::now()).max(third).min(third.clamp(ATTEMPT.0, ATTEMPT.1))
}

pub(super) fn pause(failures: u32) -> Duration {
    FIRST_PAUSE.saturating_mul(1 << failures.min(10)).min(LONGEST_PAUSE)
}
