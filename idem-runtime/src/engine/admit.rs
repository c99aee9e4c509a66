//! The claim of a call: whether the call runs, replays or is refused.

use std::pin::pin;
use std::time::Duration;

use super::asked::completed;
use super::call::{Call, Phase, unanswered};
use super::patience::{LONGEST_PAUSE, pause};
use super::request::{checked_fingerprint, claim_request};
use crate::error::{Error, ScopedKey, Shown, StoreError};
use crate::handler::Claim;
use crate::protocol::{ClaimAnswer, Fingerprint, Grant, Key, Owner, Record, WaitRequest};
use crate::store::IdempotencyStore;
use crate::task::sync::Instant;
use crate::task::timer;

/// How often a claim is sent before its failure is returned to the caller.
const CLAIM_ATTEMPTS: u32 = 3;

/// The longest time that one copy of a claim waits for its answer. If the lease is shorter, it waits for the lease.
const LONGEST_ANSWER: Duration = Duration::from_secs(10);

/// What a call does after its claim.
pub(super) enum Admission {
    /// It holds the key and runs its body.
    Granted(Grant),
    /// It runs its body without protection.
    Unprotected,
    /// Replay.
    Recorded(Record),
}

impl<S: IdempotencyStore> Call<'_, S> {
    /// Claims the key. If another call is running, waits for its result for as long as the attribute's `wait` says.
    pub(super) async fn admit(&mut self) -> Result<Admission, Error> {
        let site = self.site;
        site.register()?;
        let Some(fingerprint) = checked_fingerprint(site, &self.key, &self.fingerprint)? else {
            return Ok(self.unprotected(None));
        };
        let Some(store) = &self.store else { return Err(Error::NoStore { scope: site.scope }) };
        if !self.has_asked
            && let Some(completed) = completed(site, store, &self.key, &self.fingerprint)
        {
            return Ok(Admission::Recorded(completed.record));
        }
        self.draw_owner();
        self.phase = Phase::Claiming;
        let mut sent = Instant::now();
        let mut claiming =
            Claiming { fingerprint, wait_until: sent + site.wait, failures: 0, rounds: 0, unanswered: false };
        loop {
            let answer = self.send_claim(&claiming).await;
            match self.decide(&mut claiming, sent, answer) {
                Next::Done(admission) => return admission,
                Next::Again(None) => {}
                Next::Again(Some(pause)) => timer::sleep(pause).await,
                // On the heap, because few calls wait, and in place it would enlarge each call's future.
                Next::Wait(at_most) => Box::pin(self.wait_for_holder(&mut claiming, at_most)).await,
            }
            sent = Instant::now();
        }
    }

    /// Sends a claim. `None`: no answer came in time.
    async fn send_claim(&self, claiming: &Claiming) -> Option<Result<ClaimAnswer, StoreError>> {
        let (store, key) = self.held()?;
        let claim = pin!(store.claim(claim_request(self.site, key, self.owner, claiming.fingerprint)));
        timer::within(|| self.site.lease.min(LONGEST_ANSWER), claim).await
    }

    /// Decides what to do after an answer, or after none came in time.
    fn decide(
        &mut self,
        claiming: &mut Claiming,
        sent: Instant,
        answer: Option<Result<ClaimAnswer, StoreError>>,
    ) -> Next {
        let site = self.site;
        site.observe_store(Some(sent));
        let failure = match answer {
            // A body starts only within its lease, so a grant that arrives after the lease is not used.
            Some(Ok(ClaimAnswer::Acquired(grant))) if sent.elapsed() < site.lease => {
                self.fence = grant.fence;
                self.deadline = Some(sent + site.lease);
                return Next::Done(Ok(Admission::Granted(grant)));
            }
            Some(Ok(ClaimAnswer::Acquired(_))) => None,
            Some(Ok(ClaimAnswer::Completed(record))) => {
                claiming.leave(&mut self.phase);
                return Next::Done(Ok(Admission::Recorded(record)));
            }
            Some(Ok(ClaimAnswer::InProgress { remaining })) => {
                let patience = claiming.wait_until.saturating_duration_since(sent);
                if patience.is_zero() {
                    return self.refuse_with(claiming, |key| Error::InProgress { key, retry_after: remaining });
                }
                // The store answers again, and no claim is under way while this call waits.
                claiming.failures = 0;
                claiming.leave(&mut self.phase);
                return Next::Wait(remaining.min(patience));
            }
            Some(Ok(ClaimAnswer::Orphaned)) => return self.refuse_with(claiming, |key| Error::OutcomeUnknown { key }),
            Some(Ok(ClaimAnswer::KeyReused)) => return self.refuse_with(claiming, |key| Error::KeyReused { key }),
            Some(Ok(ClaimAnswer::Ended)) => {
                self.draw_owner();
                claiming.unanswered = false;
                None
            }
            Some(Err(error)) => Some(error),
            None => Some(unanswered(format!("no answer within {:?}", sent.elapsed()))),
        };
        claiming.failures += 1;
        // If the store refused the claim, it has granted nothing.
        claiming.unanswered |= failure.as_ref().is_some_and(StoreError::is_unanswered);
        let hopeless = failure.as_ref().is_some_and(|error| !error.is_unanswered());
        if !hopeless && claiming.failures < CLAIM_ATTEMPTS {
            return Next::Again(failure.map(|_| pause(claiming.failures)));
        }
        // A claim whose answer came too late was granted, and has to be undone.
        claiming.unanswered |= failure.is_none();
        match failure {
            None => self.refuse_with(claiming, |key| Error::LeaseLost { key, executed: false, row_gone: false }),
            Some(source) if site.runs_without_store => {
                let key = self.key.key().cloned();
                let shown = Shown(key.as_ref());
                tracing::warn!(scope = site.scope, key = %shown, %source, "the store failed: the handler runs without protection");
                claiming.leave(&mut self.phase);
                Next::Done(Ok(self.unprotected(key)))
            }
            Some(source) => self.refuse_with(claiming, |key| Error::Store { key, source }),
        }
    }

    fn draw_owner(&mut self) {
        let in_process = self.store.as_ref().is_some_and(|store| !store.needs_runtime());
        self.owner = if in_process { Owner::pooled() } else { Owner::random() };
    }

    fn refuse_with(&mut self, claiming: &Claiming, error: impl FnOnce(ScopedKey) -> Error) -> Next {
        claiming.leave(&mut self.phase);
        match self.held() {
            Some((_, key)) => Next::Done(Err(error(self.scoped(key)))),
            None => Next::Done(Err(Error::NoStore { scope: self.site.scope })),
        }
    }

    async fn wait_for_holder(&mut self, claiming: &mut Claiming, at_most: Duration) {
        if let Some((store, key)) = self.held() {
            let mut request = WaitRequest::new(self.site.scope, key, at_most);
            request.round = claiming.rounds;
            claiming.rounds += 1;
            let waited = timer::within(|| at_most, pin!(store.wait(request))).await;
            if let Some(Err(_)) = waited {
                timer::sleep(LONGEST_PAUSE.min(at_most)).await;
            }
        }
        self.phase = Phase::Claiming;
    }

    fn unprotected(&self, key: Option<Key>) -> Admission {
        if let Some(slot) = self.slot {
            slot.set(Claim::unprotected(self.site.scope, key));
        }
        Admission::Unprotected
    }
}

/// The state of a claim that is repeated.
struct Claiming {
    fingerprint: Option<Fingerprint>,
    wait_until: Instant,
    failures: u32,
    rounds: u32,
    /// Whether a copy of the claim may still be under way.
    unanswered: bool,
}

impl Claiming {
    /// If every copy of the claim was answered, there is nothing to undo. If not, the guard of the call sends a
    /// `NotRun`.
    fn leave(&self, phase: &mut Phase) {
        if !self.unanswered {
            *phase = Phase::Idle;
        }
    }
}

/// What to do after an answer to a claim.
enum Next {
    Done(Result<Admission, Error>),
    /// Claim again. If the store failed, after this pause.
    Again(Option<Duration>),
    /// Wait for the holder for at most this time, and claim again.
    Wait(Duration),
}
