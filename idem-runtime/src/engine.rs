//! Claim, run, record: the only place that knows the order.
//!
//! A call goes through the phases of [`Phase`]. Whatever happens to it in between — an error, a panic, a drop — leaves
//! the key as the phase says, once: [`Call`]'s `Drop` is the only guard.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::{Duration, Instant};

use tokio::runtime::Handle;

use crate::blocking::{self, Spawned};
use crate::claim::{
    ClaimAnswer, ClaimRequest, CompleteRequest, Fingerprint, Grant, Key, Leave, Owner, Previous, Record,
    ReleaseRequest, RenewRequest, Standing, WaitRequest,
};
use crate::error::{Error, ScopedKey, StoreError};
use crate::fingerprint::FingerprintInput;
use crate::handle::{Claim, ClaimSlot};
use crate::heartbeat::{self, Tenure};
use crate::key::KeyInput;
use crate::observe::{Event, Timed};
use crate::policy::{ErrorPolicy, Reconcile, Verdict};
use crate::private::Ops;
use crate::record::{self, Recorded};
use crate::site::Site;
use crate::store::IdempotencyStore;
use crate::{background, timer};

/// How often a claim is sent before its failure is the caller's.
const CLAIM_ATTEMPTS: u32 = 3;

/// The first pause before a request is repeated; it doubles from there.
const FIRST_PAUSE: Duration = Duration::from_millis(10);

/// The longest pause before a request is repeated.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Where a call is, and so what is left to do if it goes no further.
enum Phase {
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
    site: &'static Site,
    store: Option<S>,
    key: KeyInput,
    fingerprint: FingerprintInput,
    slot: Option<&'c ClaimSlot>,
    owner: Owner,
    fence: u64,
    /// When the last granted lease ends, counted from the sending of its request.
    deadline: Instant,
    phase: Phase,
    /// The runtime that the caller is on, where the store needs one.
    home: Option<Handle>,
}

/// What a call may do.
enum Admission {
    /// Run, as the holder.
    Granted(Grant),
    /// Run, without protection.
    Unprotected,
    /// Replay.
    Recorded(Record),
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
            deadline: Instant::now(),
            phase: Phase::Idle,
            home,
        }
    }

    /// The same call over another kind of handle of its store.
    fn over<T: IdempotencyStore>(&mut self, wrap: impl FnOnce(S) -> T) -> Call<'c, T> {
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

    fn scoped(&self, key: &Key) -> ScopedKey {
        ScopedKey::new(self.site.scope, key)
    }

    /// Claims the key, and waits for a running call's result where the attribute says so.
    async fn admit(&mut self) -> Result<Admission, Error> {
        let site = self.site;
        let scope = site.scope;
        site.register()?;
        let key = match &self.key {
            KeyInput::Key(key) => key,
            KeyInput::Missing if site.runs_without_key => return Ok(self.unprotected(None)),
            KeyInput::Missing => return Err(Error::MissingKey { scope }),
            KeyInput::TooLong(length) => return Err(Error::KeyTooLong { scope, length: *length }),
        };
        let fingerprint = match self.fingerprint {
            FingerprintInput::None => None,
            FingerprintInput::Of(fingerprint) => Some(fingerprint),
            FingerprintInput::Unencodable => {
                return Err(Error::config(format!(
                    "the fingerprint of the handler with scope `{scope}` can't be encoded"
                )));
            }
        };
        let Some(store) = &self.store else { return Err(Error::NoStore { scope }) };

        let mut claiming =
            Claiming { wait_until: self.deadline + site.wait, failures: 0, rounds: 0, unanswered: false };
        self.owner = Owner::random();
        self.phase = Phase::Claiming;
        let refusal = loop {
            let request = claim_request(site, key, self.owner, fingerprint);
            let sent = Instant::now();
            let deadline = sent + site.lease;
            let timed = Timed::store(site);
            let answer = timer::until(deadline, store.claim(request)).await;
            timed.record();
            let failure = match answer {
                // A body starts only within its lease: an answer that comes too late is not believed.
                Some(Ok(ClaimAnswer::Acquired(grant))) if Instant::now() < deadline => {
                    self.fence = grant.fence;
                    self.deadline = deadline;
                    return Ok(Admission::Granted(grant));
                }
                Some(Ok(ClaimAnswer::Acquired(_))) => None,
                Some(Ok(ClaimAnswer::Completed(record))) => {
                    claiming.leave(&mut self.phase);
                    return Ok(Admission::Recorded(record));
                }
                Some(Ok(ClaimAnswer::InProgress { remaining })) => {
                    let patience = claiming.wait_until.saturating_duration_since(sent);
                    if patience.is_zero() {
                        break Error::InProgress { key: self.scoped(key), retry_after: remaining };
                    }
                    // Nothing is under way while it waits.
                    claiming.leave(&mut self.phase);
                    claiming.wait(store, scope, key, remaining.min(patience)).await;
                    self.phase = Phase::Claiming;
                    continue;
                }
                Some(Ok(ClaimAnswer::Orphaned)) => break Error::OutcomeUnknown { key: self.scoped(key) },
                Some(Ok(ClaimAnswer::KeyReused)) => break Error::KeyReused { key: self.scoped(key) },
                Some(Ok(ClaimAnswer::Ended)) => {
                    self.owner = Owner::random();
                    claiming.unanswered = false;
                    None
                }
                Some(Err(error)) => Some(error),
                None => Some(StoreError::unanswered("claim", format!("no answer within {:?}", site.lease))),
            };
            claiming.failures += 1;
            claiming.unanswered |= failure.is_some();
            let hopeless = failure.as_ref().is_some_and(|error| !error.is_unanswered());
            if hopeless || claiming.failures >= CLAIM_ATTEMPTS {
                let key_of_error = self.scoped(key);
                break match failure {
                    Some(source) => Error::Store { key: key_of_error, source },
                    None => {
                        claiming.unanswered = true;
                        Error::LeaseLost { key: key_of_error, executed: false }
                    }
                };
            }
            if failure.is_some() {
                timer::sleep(pause(claiming.failures)).await;
            }
        };
        claiming.leave(&mut self.phase);
        if let Error::Store { source, .. } = &refusal
            && site.runs_without_store
        {
            let key = key.clone();
            tracing::warn!(scope, %source, "the store failed: the handler runs without protection");
            return Ok(self.unprotected(Some(key)));
        }
        Err(refusal)
    }

    fn unprotected(&self, key: Option<Key>) -> Admission {
        if let Some(slot) = self.slot {
            slot.set(Claim::unprotected(self.site.scope, key));
        }
        Admission::Unprotected
    }

    /// The store and the key of a call that was granted its claim.
    fn held(&self) -> Option<(&S, &Key)> {
        match (&self.store, &self.key) {
            (Some(store), KeyInput::Key(key)) => Some((store, key)),
            _ => None,
        }
    }

    /// Runs a future while the lease is renewed in this task; `None` once the lease is lost.
    async fn hold<F: Future>(&mut self, mut work: Pin<&mut F>) -> Option<F::Output> {
        let (store, key) = self.held()?;
        let site = self.site;
        let claim = claim_request(site, key, self.owner, None);
        let tenure = Tenure::new(self.deadline);
        let output = {
            // The heartbeat must not starve where the work uses up Tokio's budget at each poll.
            let beat = heartbeat::beat(store, RenewRequest::new(&claim, self.fence), &tenure, site.lease / 3);
            let mut beat = pin!(tokio::task::coop::unconstrained(beat));
            poll_fn(|cx| match work.as_mut().poll(cx) {
                Poll::Ready(output) => Poll::Ready(Some(output)),
                Poll::Pending => beat.as_mut().poll(cx).map(|()| None),
            })
            .await
        };
        self.deadline = tenure.deadline();
        output
    }

    /// Runs a future that blocks its thread while the lease is renewed by the background runtime. A lease that is lost
    /// shows at the completion.
    async fn hold_blocking<F: Future>(&mut self, work: Pin<&mut F>) -> Option<F::Output> {
        let (store, key) = self.held()?;
        let beat = heartbeat::register(store, self.site, key, self.owner, self.fence, self.deadline);
        let output = work.await;
        self.deadline = beat.finish();
        Some(output)
    }

    /// Records an outcome, again and again while the lease holds.
    async fn complete(&mut self, record: Option<Record>) -> Result<(), Error> {
        let site = self.site;
        let Self { store: Some(store), key: KeyInput::Key(key), phase, .. } = self else { return Ok(()) };
        let record = record.filter(|record| record.as_bytes().len() <= store.max_record_len());
        if record.is_none() {
            tracing::warn!(scope = site.scope, "the result can't be kept: a duplicate will get `ResultUnavailable`");
        }
        *phase = Phase::Completing(record.unwrap_or_else(record::unavailable));
        let Phase::Completing(record) = phase else { return Ok(()) };
        let claim = claim_request(site, key, self.owner, None);
        let request = CompleteRequest::new(&claim, self.fence, record, site.ttl);
        let mut failures = 0;
        let outcome = loop {
            let timed = Timed::store(site);
            let answer = timer::until(answer_by(self.deadline, site), store.complete(request)).await;
            timed.record();
            let source = match answer {
                Some(Ok(Standing::Held)) => break Ok(()),
                Some(Ok(Standing::Lost)) => {
                    break Err(Error::LeaseLost { key: ScopedKey::new(site.scope, key), executed: true });
                }
                Some(Err(error)) => error,
                None => StoreError::unanswered("completion", "no answer while the lease held"),
            };
            failures += 1;
            let pause = pause(failures);
            if Instant::now() + pause >= self.deadline {
                break Err(Error::NotRecorded { key: ScopedKey::new(site.scope, key), source });
            }
            tracing::warn!(scope = site.scope, %source, "a completion failed, and is tried again");
            timer::sleep(pause).await;
        };
        self.phase = Phase::Idle;
        outcome
    }

    /// Leaves the key without a record. Where the store doesn't answer, the guard goes on trying in the background.
    async fn leave(&mut self, how: Leave) {
        self.phase = Phase::Leaving(how);
        let site = self.site;
        let Some((store, key)) = self.held() else { return };
        let request = release_request(site, key, self.owner, self.fence, how);
        if let Some(Ok(_)) = timer::until(answer_by(self.deadline, site), store.release(request)).await {
            self.phase = Phase::Idle;
        }
    }

    /// The claim, as the handler or its reconcile function sees it.
    fn claim(&self, grant: Grant) -> Option<Claim> {
        let (_, key) = self.held()?;
        Some(Claim::granted(self.site.scope, key.clone(), self.owner, grant))
    }

    fn lease_lost(&mut self, executed: bool) -> Error {
        self.phase = Phase::Idle;
        self.site.observe(Event::LeaseLost);
        match &self.key {
            KeyInput::Key(key) => Error::LeaseLost { key: self.scoped(key), executed },
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
        let until = self.deadline.max(Instant::now() + self.site.lease);
        let finish = finish(store, self.site, key, self.owner, self.fence, ending, until);
        background::finish(in_place, self.home.as_ref(), finish);
    }
}

/// What is left to do for a caller that has gone.
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
    let claim = claim_request(site, &key, owner, None);
    let mut failures = 0;
    loop {
        let answer_by = until.max(Instant::now() + site.lease / 3);
        let answer = match &ending {
            Ending::Complete(record) => {
                let request = CompleteRequest::new(&claim, fence, record, site.ttl);
                timer::until(answer_by, store.complete(request)).await
            }
            Ending::Leave(how) => {
                let request = release_request(site, &key, owner, fence, *how);
                timer::until(answer_by, store.release(request)).await
            }
        };
        if let Some(Ok(_)) = answer {
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

/// How a claim is going.
struct Claiming {
    wait_until: Instant,
    failures: u32,
    rounds: u32,
    /// Whether a copy of the claim may still be under way.
    unanswered: bool,
}

impl Claiming {
    /// Where every claim was answered, there is nothing to undo; else the guard sends a `NotRun`.
    fn leave(&self, phase: &mut Phase) {
        if !self.unanswered {
            *phase = Phase::Idle;
        }
    }

    async fn wait<S: IdempotencyStore>(&mut self, store: &S, scope: &str, key: &Key, at_most: Duration) {
        let mut request = WaitRequest::new(scope, key, at_most);
        request.round = self.rounds;
        self.rounds += 1;
        let waited = timer::until(Instant::now() + at_most, store.wait(request)).await;
        if let Some(Err(_)) = waited {
            timer::sleep(LONGEST_PAUSE.min(at_most)).await;
        }
    }
}

fn claim_request<'a>(
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

fn release_request<'a>(site: &'static Site, key: &'a Key, owner: Owner, fence: u64, how: Leave) -> ReleaseRequest<'a> {
    let claim = claim_request(site, key, owner, None);
    let mut request = ReleaseRequest::new(&claim, fence, how);
    request.retain = site.ttl;
    request
}

/// Until when an ending waits for its answer. A late one counts as long as nobody took over, so each is sent at least
/// once.
fn answer_by(deadline: Instant, site: &Site) -> Instant {
    deadline.max(Instant::now() + site.lease / 3)
}

fn pause(failures: u32) -> Duration {
    FIRST_PAUSE.saturating_mul(1 << failures.min(10)).min(LONGEST_PAUSE)
}

/// Runs an async handler.
pub async fn run<S, B, O, V, E, P, C>(
    call: &mut Call<'_, S>,
    body: Pin<&mut B>,
    ops: Ops<O, V, E>,
    on_error: P,
    on_crash: C,
) -> O
where
    S: IdempotencyStore,
    B: Future<Output = O>,
    P: ErrorPolicy<E>,
    C: Reconcile<V, E>,
{
    run_in::<false, _, _, _, _, _, _, _>(call, body, ops, on_error, on_crash).await
}

/// Runs a sync handler, on the calling thread.
pub fn run_blocking<S, B, O, V, E, P>(call: &mut Call<'_, S>, body: B, ops: Ops<O, V, E>, on_error: P) -> O
where
    S: IdempotencyStore,
    B: FnOnce() -> O,
    P: ErrorPolicy<E>,
{
    let scope = call.site.scope;
    let mut call = call.over(Spawned);
    let entered = blocking::enter(scope, || {
        let body = pin!(async move { body() });
        let on_crash = crate::policy::NoReconcile;
        blocking::block_on(run_in::<true, _, _, _, _, _, _, _>(&mut call, body, ops, on_error, on_crash))
    });
    entered.unwrap_or_else(ops.refused)
}

async fn run_in<const BLOCKING: bool, S, B, O, V, E, P, C>(
    call: &mut Call<'_, S>,
    mut body: Pin<&mut B>,
    ops: Ops<O, V, E>,
    on_error: P,
    on_crash: C,
) -> O
where
    S: IdempotencyStore,
    B: Future<Output = O>,
    P: ErrorPolicy<E>,
    C: Reconcile<V, E>,
{
    let grant = match call.admit().await {
        Ok(Admission::Granted(grant)) => grant,
        Ok(Admission::Unprotected) => {
            call.site.observe(Event::Unprotected);
            return body.await;
        }
        Ok(Admission::Recorded(record)) => {
            call.site.observe(Event::Replayed);
            return replay(call, &record, ops, &on_error);
        }
        Err(error) => {
            call.site.observe_refusal(&error);
            return (ops.refused)(error);
        }
    };
    call.site.observe(Event::of(grant.previous));

    if C::ASKS && matches!(grant.previous, Previous::AfterCrash { .. }) {
        let Some(claim) = call.claim(grant) else { return (ops.refused)(call.lease_lost(false)) };
        let found = {
            let find_out = pin!(on_crash.reconcile(&claim));
            call.hold(find_out).await
        };
        match found {
            Some(Ok(Some(value))) => {
                return match call.complete((ops.encode)(&value)).await {
                    Ok(()) => (ops.replayed)(value),
                    Err(error) => (ops.refused)(error),
                };
            }
            Some(Ok(None)) if Instant::now() < call.deadline => {}
            Some(Ok(None)) => {
                call.leave(Leave::NotRun).await;
                return (ops.refused)(call.lease_lost(false));
            }
            Some(Err(error)) => {
                call.leave(Leave::NotRun).await;
                return (ops.failed)(error);
            }
            None => return (ops.refused)(call.lease_lost(false)),
        }
    }

    if let Some(slot) = call.slot
        && let Some(claim) = call.claim(grant)
    {
        slot.set(claim);
    }
    call.phase = Phase::Running;
    let timed = Timed::handler(call.site);
    let output = if BLOCKING { call.hold_blocking(body.as_mut()).await } else { call.hold(body.as_mut()).await };
    timed.record();
    let Some(output) = output else { return (ops.refused)(call.lease_lost(true)) };
    match (ops.into_result)(output) {
        Ok(value) => match call.complete((ops.encode)(&value)).await {
            Ok(()) => (ops.executed)(value),
            Err(error) => {
                call.site.observe_refusal(&error);
                (ops.refused)(error)
            }
        },
        Err(error) => {
            match on_error.judge(&error) {
                Verdict::Release => call.leave(Leave::Failed).await,
                Verdict::Keep => call.leave(Leave::Keep).await,
                Verdict::Record(record) => {
                    if let Err(error) = call.complete(record).await {
                        call.site.observe_refusal(&error);
                        return (ops.refused)(error);
                    }
                }
            }
            (ops.failed)(error)
        }
    }
}

/// What was recorded, as the handler would have returned it.
fn replay<S: IdempotencyStore, O, V, E>(
    call: &Call<'_, S>,
    record: &Record,
    ops: Ops<O, V, E>,
    on_error: &impl ErrorPolicy<E>,
) -> O {
    let decoded = match record::read(record) {
        Ok(Recorded::Value(value)) => (ops.decode)(value).map(|value| Some((ops.replayed)(value))),
        Ok(Recorded::Error(error)) => on_error.decode(error).map(|error| Some((ops.failed)(error))),
        Ok(Recorded::Unavailable) => Ok(None),
        Err(error) => Err(error),
    };
    let refusal = match (decoded, &call.key) {
        (Ok(Some(output)), _) => return output,
        (Ok(None), KeyInput::Key(key)) => Error::ResultUnavailable { key: call.scoped(key) },
        (Err(source), KeyInput::Key(key)) => Error::Decode { key: call.scoped(key), source },
        // A call without a key has nothing to replay.
        _ => Error::MissingKey { scope: call.site.scope },
    };
    (ops.refused)(refusal)
}
