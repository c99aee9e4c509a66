//! What is asked of a store for a key, and what it answers.

use std::time::Duration;

use super::key::Key;
use super::values::{Fingerprint, Grant, Owner, Record};

/// What a claim does with a key whose holder's outcome is unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Orphans {
    /// Take it over: `on_crash = "rerun"`, or a function that asks.
    Take,
    /// Leave it for someone to resolve: `on_crash = "park"`.
    Refuse,
}

/// Asks for a key.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct ClaimRequest<'a> {
    /// The namespace of the key.
    pub scope: &'a str,
    /// The key.
    pub key: &'a Key,
    /// Who asks.
    pub owner: Owner,
    /// How long a holder may be silent before another may take over.
    pub lease: Duration,
    /// A digest of what the key stands for. Where either side has none, they match.
    pub fingerprint: Option<Fingerprint>,
    /// What to do with a key whose holder's outcome is unknown.
    pub orphans: Orphans,
    /// How long beyond its lease the row stays if this claim is never ended. `None`: until someone resolves it.
    pub retain: Option<Duration>,
}

impl<'a> ClaimRequest<'a> {
    /// A claim without fingerprint that takes orphans over and is forgotten a week after its lease.
    pub fn new(scope: &'a str, key: &'a Key, owner: Owner, lease: Duration) -> Self {
        let retain = Some(Duration::from_secs(7 * 24 * 60 * 60));
        Self { scope, key, owner, lease, fingerprint: None, orphans: Orphans::Take, retain }
    }

    /// How long from now the row stays if this claim is never ended: what its `purge_at` is made of. `None`: for ever.
    pub fn stays(&self) -> Option<Duration> {
        stays(self.lease, self.retain)
    }
}

/// The answer to a [`ClaimRequest`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClaimAnswer {
    /// The key is the caller's.
    Acquired(Grant),
    /// Another holds a live lease.
    InProgress {
        /// What is left of it.
        remaining: Duration,
    },
    /// The key was completed, and this is what was recorded.
    Completed(Record),
    /// The last holder's outcome is unknown, and the request said to leave it: [`Orphans::Refuse`].
    Orphaned,
    /// The key is taken by a request with another fingerprint.
    KeyReused,
    /// This owner has left: a late copy of its request. Whoever still wants the key draws a new owner.
    Ended,
}

/// Asks to hold a key for longer.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct RenewRequest<'a> {
    /// The namespace of the key.
    pub scope: &'a str,
    /// The key.
    pub key: &'a Key,
    /// Who holds it.
    pub owner: Owner,
    /// The fence that was granted.
    pub fence: u64,
    /// How long the lease is from now.
    pub lease: Duration,
    /// As in the claim.
    pub retain: Option<Duration>,
}

impl<'a> RenewRequest<'a> {
    /// A renewal of what `claim` was granted.
    pub fn new(claim: &ClaimRequest<'a>, fence: u64) -> Self {
        let ClaimRequest { scope, key, owner, lease, retain, .. } = *claim;
        Self { scope, key, owner, fence, lease, retain }
    }

    /// How long from now the row stays if nothing follows: what its `purge_at` is made of. `None`: for ever.
    pub fn stays(&self) -> Option<Duration> {
        stays(self.lease, self.retain)
    }
}

/// Records the outcome of a key.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct CompleteRequest<'a> {
    /// The namespace of the key.
    pub scope: &'a str,
    /// The key.
    pub key: &'a Key,
    /// Who holds it.
    pub owner: Owner,
    /// The fence that was granted.
    pub fence: u64,
    /// What to remember.
    pub record: &'a Record,
    /// For how long, from now.
    pub ttl: Duration,
    /// How long the row outlives its `ttl`, so that a late copy of a request still finds it.
    pub linger: Duration,
}

impl<'a> CompleteRequest<'a> {
    /// The completion of what `claim` was granted.
    pub fn new(claim: &ClaimRequest<'a>, fence: u64, record: &'a Record, ttl: Duration) -> Self {
        let ClaimRequest { scope, key, owner, .. } = *claim;
        Self { scope, key, owner, fence, record, ttl, linger: linger(claim.lease) }
    }

    /// How long from now the row stays: what its `purge_at` is made of.
    pub fn stays(&self) -> Duration {
        self.ttl.saturating_add(self.linger)
    }
}

/// How a holder leaves a key that it didn't complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Leave {
    /// The handler returned an `Err`: the key is free at once.
    Failed,
    /// The body was started and did not return: nobody knows what it did.
    OutcomeUnknown,
    /// The handler returned an `Err` that may have had an effect: the key is held until its lease ends.
    Keep,
    /// The body was not started. Goes by the owner alone, because the caller may not know whether it was granted
    /// anything.
    NotRun,
}

/// Leaves a key without completing it.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct ReleaseRequest<'a> {
    /// The namespace of the key.
    pub scope: &'a str,
    /// The key.
    pub key: &'a Key,
    /// Who leaves.
    pub owner: Owner,
    /// The fence that was granted. Of no meaning with [`Leave::NotRun`].
    pub fence: u64,
    /// How.
    pub how: Leave,
    /// How long a failed attempt is remembered.
    pub retain: Duration,
    /// How long the row stays though nothing needs it, so that a late copy of a request still finds it.
    pub linger: Duration,
}

impl<'a> ReleaseRequest<'a> {
    /// The release of what `claim` was granted; a failed attempt is remembered for a week.
    pub fn new(claim: &ClaimRequest<'a>, fence: u64, how: Leave) -> Self {
        let ClaimRequest { scope, key, owner, .. } = *claim;
        let retain = Duration::from_secs(7 * 24 * 60 * 60);
        Self { scope, key, owner, fence, how, retain, linger: linger(claim.lease) }
    }
}

/// Waits for a key to change hands.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct WaitRequest<'a> {
    /// The namespace of the key.
    pub scope: &'a str,
    /// The key.
    pub key: &'a Key,
    /// The longest to wait.
    pub at_most: Duration,
    /// How many times this caller has waited for this key before.
    pub round: u32,
}

impl<'a> WaitRequest<'a> {
    /// The first wait of a caller for this key.
    pub fn new(scope: &'a str, key: &'a Key, at_most: Duration) -> Self {
        Self { scope, key, at_most, round: 0 }
    }
}

/// The answer to a renewal, a completion or a release.
///
/// A caller does the same at [`Standing::Lost`] and at [`Standing::Gone`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Standing {
    /// Done, now or by an earlier copy of the request.
    Held,
    /// Refused: another owner has acquired the key since, or it was resolved, forgotten or has expired. Also where the key
    /// is unknown, if the store can't tell.
    Lost,
    /// Refused: the key is unknown. Nothing removes a row while it is held, so something outside the protocol took it, or
    /// its holder was silent until a sweep could.
    Gone,
}

fn stays(lease: Duration, retain: Option<Duration>) -> Option<Duration> {
    retain.map(|retain| lease.saturating_add(retain.max(linger(lease))))
}

/// How long an ended row stays at least: longer than any copy of a request is under way.
pub(crate) fn linger(lease: Duration) -> Duration {
    const LONGEST_REQUEST: Duration = Duration::from_secs(60);
    lease.max(LONGEST_REQUEST)
}
