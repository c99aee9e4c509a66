//! An owned request on its way to a thread, and the channel for its answer.

use std::time::Duration;

use tokio::sync::oneshot;

use super::failure::Failure;
use crate::protocol::{Operation, Reply};
use crate::store::{
    ClaimRequest, CompleteRequest, Fingerprint, Key, Leave, Orphans, Owner, Record, ReleaseRequest, RenewRequest,
};
use crate::task::quietly;

/// A reply, with the record of a completed key.
pub(super) type Answer = Result<(Reply, Option<Record>), Failure>;

/// A request, and the channel on which its caller waits for the answer. The thread carries it out even if the caller
/// has gone: the protocol treats it as a late copy.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) scope: Box<str>,
    pub(super) key: Key,
    pub(super) ask: Ask,
    pub(super) answer: oneshot::Sender<Answer>,
}

/// The requests of the protocol, without their borrowed scope and key.
#[derive(Debug)]
pub(super) enum Ask {
    Claim {
        owner: Owner,
        lease: Duration,
        fingerprint: Option<Fingerprint>,
        orphans: Orphans,
        retain: Option<Duration>,
    },
    Renew {
        owner: Owner,
        fence: u64,
        lease: Duration,
        retain: Option<Duration>,
    },
    Complete {
        owner: Owner,
        fence: u64,
        record: Record,
        ttl: Duration,
        linger: Duration,
    },
    Release {
        owner: Owner,
        fence: u64,
        how: Leave,
        retain: Duration,
        linger: Duration,
    },
    ResolveExecuted {
        record: Record,
        ttl: Duration,
    },
    ResolveNotExecuted,
    Forget,
}

impl From<ClaimRequest<'_>> for Ask {
    fn from(request: ClaimRequest<'_>) -> Self {
        let ClaimRequest { owner, lease, fingerprint, orphans, retain, .. } = request;
        Self::Claim { owner, lease, fingerprint, orphans, retain }
    }
}

impl From<RenewRequest<'_>> for Ask {
    fn from(request: RenewRequest<'_>) -> Self {
        let RenewRequest { owner, fence, lease, retain, .. } = request;
        Self::Renew { owner, fence, lease, retain }
    }
}

impl From<CompleteRequest<'_>> for Ask {
    fn from(request: CompleteRequest<'_>) -> Self {
        let CompleteRequest { owner, fence, record, ttl, linger, .. } = request;
        Self::Complete { owner, fence, record: record.clone(), ttl, linger }
    }
}

impl From<ReleaseRequest<'_>> for Ask {
    fn from(request: ReleaseRequest<'_>) -> Self {
        let ReleaseRequest { owner, fence, how, retain, linger, .. } = request;
        Self::Release { owner, fence, how, retain, linger }
    }
}

impl Job {
    pub(super) fn new(scope: &str, key: &Key, ask: Ask) -> (Box<Self>, oneshot::Receiver<Answer>) {
        let (answer, receiver) = oneshot::channel();
        (Box::new(Self { scope: scope.into(), key: key.clone(), ask, answer }), receiver)
    }

    /// Calls `then` with the request as the protocol's operation.
    pub(super) fn with_operation<T>(&self, then: impl FnOnce(Operation<'_>) -> T) -> T {
        // Each request type is constructed from its claim.
        let claim = |owner, lease| ClaimRequest::new(&self.scope, &self.key, owner, lease);
        match &self.ask {
            Ask::Claim { owner, lease, fingerprint, orphans, retain } => {
                let mut request = claim(*owner, *lease);
                request.fingerprint = *fingerprint;
                request.orphans = *orphans;
                request.retain = *retain;
                then(Operation::Claim(&request))
            }
            Ask::Renew { owner, fence, lease, retain } => {
                let mut request = RenewRequest::new(&claim(*owner, *lease), *fence);
                request.retain = *retain;
                then(Operation::Renew(&request))
            }
            Ask::Complete { owner, fence, record, ttl, linger } => {
                let mut request = CompleteRequest::new(&claim(*owner, *linger), *fence, record, *ttl);
                request.linger = *linger;
                then(Operation::Complete(&request))
            }
            Ask::Release { owner, fence, how, retain, linger } => {
                let mut request = ReleaseRequest::new(&claim(*owner, *linger), *fence, *how);
                request.retain = *retain;
                request.linger = *linger;
                then(Operation::Release(&request))
            }
            Ask::ResolveExecuted { ttl, .. } => then(Operation::ResolveExecuted { ttl: *ttl }),
            Ask::ResolveNotExecuted => then(Operation::ResolveNotExecuted),
            Ask::Forget => then(Operation::Forget),
        }
    }

    /// The record for the key, if this request completes it.
    pub(super) fn record(&self) -> Option<&Record> {
        match &self.ask {
            Ask::Complete { record, .. } | Ask::ResolveExecuted { record, .. } => Some(record),
            _ => None,
        }
    }

    /// Whether this is a claim.
    pub(super) fn is_claim(&self) -> bool {
        matches!(self.ask, Ask::Claim { .. })
    }

    /// Whether this is a release.
    pub(super) fn is_release(&self) -> bool {
        matches!(self.ask, Ask::Release { .. })
    }

    /// Whether this ends a holder's claim, so that waiters have to be notified.
    pub(super) fn is_ending(&self) -> bool {
        !matches!(self.ask, Ask::Claim { .. } | Ask::Renew { .. })
    }

    /// Whether the write of this request has to be on the disk before the answer, as far as the request alone shows.
    ///
    /// A completion and an operator's resolution have to be: the answer promises that they last. A claim that is lost
    /// in a power failure leaves a free key, and `on_crash = "rerun"` treats an orphan in the same way. But if orphans
    /// are kept for ever (no `retain`), losing the claim would let the body run again, so that claim has to be on the
    /// disk. Losing a renewal only ends a lease whose holder's machine has failed. For a release, it depends on its
    /// row: [`needs_sync_over`](Self::needs_sync_over).
    pub(super) fn needs_sync(&self) -> bool {
        match &self.ask {
            Ask::Complete { .. } | Ask::ResolveExecuted { .. } | Ask::ResolveNotExecuted | Ask::Forget => true,
            Ask::Claim { retain, .. } => retain.is_none(),
            Ask::Renew { .. } | Ask::Release { .. } => false,
        }
    }

    /// Whether a release of this row has to be on the disk before the answer. A row that is kept for ever would come
    /// back as an orphan after a power failure, so that a free key would be parked.
    pub(super) fn needs_sync_over(&self, row: &crate::protocol::Row) -> bool {
        matches!(self.ask, Ask::Release { .. }) && row.purge_at.is_none()
    }

    /// Sends the answer. The caller may have gone.
    pub(super) fn finish(self, answer: Answer) {
        quietly(|| drop(self.answer.send(answer)));
    }
}
