//! The requests for a key that the engine sends to a store, and the answers.

use std::time::Duration;

use super::key::Key;
use super::values::{Fingerprint, Grant, Owner, Record};

/// What a claim does with a key whose holder's outcome is unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Orphans {
    /// Take it over: `on_crash = "rerun"`, or a function.
    Take,
    /// Leave it until an operator resolves it: `on_crash = "park"`.
    Refuse,
}

/// Claims a key.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct ClaimRequest<'a> {
    /// The namespace of the key.
    pub scope: &'a str,
    /// The key.
    pub key: &'a Key,
    /// The owner that claims it.
    pub owner: Owner,
    /// How long the holder keeps the key without a renewal, before another call may take it over.
    pub lease: Duration,
    /// A digest of the values that `fingerprint` names. If the request or the row has none, they match.
    pub fingerprint: Option<Fingerprint>,
    /// What to do with a key whose last holder's outcome is unknown.
    pub orphans: Orphans,
    /// How long after its lease the row stays if this claim is never ended. `None`: until an operator resolves it.
    pub retain: Option<Duration>,
}

impl<'a> ClaimRequest<'a> {
    /// A claim without a fingerprint. It takes over a key whose last holder's outcome is unknown. If it is never ended,
    /// its row stays for a week after its lease.
    pub fn new(scope: &'a str, key: &'a Key, owner: Owner, lease: Duration) -> Self {
        let retain = Some(Duration::from_secs(7 * 24 * 60 * 60));
        Self { scope, key, owner, lease, fingerprint: None, orphans: Orphans::Take, retain }
    }

    /// How long from now the row stays if this claim is never ended. A store computes the row's `purge_at` from it.
    /// `None`: for ever.
    pub fn stays(&self) -> Option<Duration> {
        stays(self.lease, self.retain)
    }
}

/// The answer to a [`ClaimRequest`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClaimAnswer {
    /// The key is the caller's.
    Acquired(Grant),
    /// Another call holds the key, and its lease has not ended.
    InProgress {
        /// What is left of it.
        remaining: Duration,
    },
    /// The key is completed. This is its record.
    Completed(Record),
    /// The last holder's outcome is unknown, and the request said not to take the key over: [`Orphans::Refuse`].
    Orphaned,
    /// The key was claimed with another fingerprint.
    KeyReused,
    /// This owner has left the key before, so the request is taken for a late copy. A caller that still wants the key
    /// draws a new owner and claims again.
    Ended,
}

/// What [`IdempotencyStore::completed`](crate::IdempotencyStore::completed) tells of a completed key.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Completed {
    /// The record.
    pub record: Record,
    /// What is left of its `ttl`.
    pub remaining: Duration,
    /// The fence of the row.
    pub fence: u64,
    /// The fingerprint of the row.
    pub fingerprint: Option<Fingerprint>,
}

impl Completed {
    /// A completed key.
    pub fn new(record: Record, remaining: Duration, fence: u64, fingerprint: Option<Fingerprint>) -> Self {
        Self { record, remaining, fence, fingerprint }
    }
}

/// Renews the lease of a key.
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
    /// The length of the lease, counted from now.
    pub lease: Duration,
    /// As in [`ClaimRequest::retain`].
    pub retain: Option<Duration>,
}

impl<'a> RenewRequest<'a> {
    /// A renewal of the lease that `claim` was granted.
    pub fn new(claim: &ClaimRequest<'a>, fence: u64) -> Self {
        let ClaimRequest { scope, key, owner, lease, retain, .. } = *claim;
        Self { scope, key, owner, fence, lease, retain }
    }

    /// How long from now the row stays if no other request follows. A store computes the row's `purge_at` from it.
    /// `None`: for ever.
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
    /// The outcome to record.
    pub record: &'a Record,
    /// How long the record is replayed, counted from now.
    pub ttl: Duration,
    /// How long the row stays after its `ttl`, so that a late copy of a request still finds it.
    pub linger: Duration,
}

impl<'a> CompleteRequest<'a> {
    /// The completion of the key that `claim` was granted.
    pub fn new(claim: &ClaimRequest<'a>, fence: u64, record: &'a Record, ttl: Duration) -> Self {
        let ClaimRequest { scope, key, owner, .. } = *claim;
        Self { scope, key, owner, fence, record, ttl, linger: linger(claim.lease) }
    }

    /// How long from now the row stays. A store computes the row's `purge_at` from it.
    pub fn stays(&self) -> Duration {
        self.ttl.saturating_add(self.linger)
    }
}

/// How a holder leaves a key that it didn't complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Leave {
    /// The handler returned an `Err`. The key is free at once.
    Failed,
    /// The body was started and did not return. Nobody knows what it did.
    OutcomeUnknown,
    /// The handler returned an `Err` and may have had an effect. The key is held until its lease ends.
    Keep,
    /// The body was not started, or it said that it did nothing. The store looks at the owner and not at the fence,
    /// because a caller whose body was not started may not know whether its claim was granted.
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
    /// The owner that leaves the key.
    pub owner: Owner,
    /// The fence that was granted. It has no meaning with [`Leave::NotRun`].
    pub fence: u64,
    /// How the owner leaves it.
    pub how: Leave,
    /// How long the row of a failed attempt stays.
    pub retain: Duration,
    /// How long any other row stays, so that a late copy of a request still finds it.
    pub linger: Duration,
}

impl<'a> ReleaseRequest<'a> {
    /// The release of the key that `claim` was granted. The row of a failed attempt stays for a week.
    pub fn new(claim: &ClaimRequest<'a>, fence: u64, how: Leave) -> Self {
        let ClaimRequest { scope, key, owner, .. } = *claim;
        let retain = Duration::from_secs(7 * 24 * 60 * 60);
        Self { scope, key, owner, fence, how, retain, linger: linger(claim.lease) }
    }
}

/// Waits until the holder of a key may have left it.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct WaitRequest<'a> {
    /// The namespace of the key.
    pub scope: &'a str,
    /// The key.
    pub key: &'a Key,
    /// The longest time to wait.
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
    /// Done, by this request or by an earlier copy of it.
    Held,
    /// Refused: the owner no longer holds the key. Since its claim, another owner acquired the key, an operator
    /// resolved or forgot it, or it expired. A store that can't tell an unknown key from a lost one answers this for
    /// both.
    Lost,
    /// Refused: the store has no row for the key. The protocol removes no row while it is held. So something outside
    /// the protocol removed it, or the holder did not renew for so long that a sweep was allowed to.
    Gone,
}

fn stays(lease: Duration, retain: Option<Duration>) -> Option<Duration> {
    retain.map(|retain| lease.saturating_add(retain.max(linger(lease))))
}

/// How long the row of an ended call stays at least. It is longer than any copy of a request can be under way.
pub(crate) fn linger(lease: Duration) -> Duration {
    const LONGEST_REQUEST: Duration = Duration::from_secs(60);
    lease.max(LONGEST_REQUEST)
}
