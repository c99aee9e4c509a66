//! How a call comes to run, to replay, or to be refused.

use std::time::{Duration, Instant};

use super::call::{Call, LONGEST_PAUSE, Phase, claim_request, pause};
use crate::claim::{ClaimAnswer, Grant, Key, Owner, Record, WaitRequest};
use crate::error::{Error, StoreError};
use crate::fingerprint::FingerprintInput;
use crate::handle::Claim;
use crate::key::KeyInput;
use crate::observe::Timed;
use crate::store::IdempotencyStore;
use crate::timer;

/// How often a claim is sent before its failure is the caller's.
const CLAIM_ATTEMPTS: u32 = 3;

/// What a call may do.
pub(super) enum Admission {
    /// Run, as the holder.
    Granted(Grant),
    /// Run, without protection.
    Unprotected,
    /// Replay.
    Recorded(Record),
}

impl<S: IdempotencyStore> Call<'_, S> {
    /// Claims the key, and waits for a running call's result where the attribute says so.
    pub(super) async fn admit(&mut self) -> Result<Admission, Error> {
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
                    // The store answers again, and nothing is under way while it waits.
                    claiming.failures = 0;
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
