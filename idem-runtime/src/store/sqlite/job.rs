//! A request on its way to a thread: what was asked, owned, and where the answer goes.

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

/// A request and who waits for its answer. It is carried out even where nobody does any more: the protocol takes a
/// request whose caller has gone for a late one.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) scope: Box<str>,
    pub(super) key: Key,
    pub(super) ask: Ask,
    pub(super) answer: oneshot::Sender<Answer>,
}

/// What is asked: the requests of the protocol, without their borrowed scope and key.
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

    /// The request as the protocol takes it.
    pub(super) fn with_operation<T>(&self, then: impl FnOnce(Operation<'_>) -> T) -> T {
        // Every request is made from the claim it belongs to.
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

    /// The record that a key that becomes completed gets.
    pub(super) fn record(&self) -> Option<&Record> {
        match &self.ask {
            Ask::Complete { record, .. } | Ask::ResolveExecuted { record, .. } => Some(record),
            _ => None,
        }
    }

    /// Whether this asks for the key.
    pub(super) fn is_claim(&self) -> bool {
        matches!(self.ask, Ask::Claim { .. })
    }

    /// Whether this leaves the key without a record.
    pub(super) fn is_release(&self) -> bool {
        matches!(self.ask, Ask::Release { .. })
    }

    /// Whether carrying this out ends a holder's time with the key, so that a waiter wants to know.
    pub(super) fn is_ending(&self) -> bool {
        !matches!(self.ask, Ask::Claim { .. } | Ask::Renew { .. })
    }

    /// Whether what this writes has to be on the disk before it is answered, as far as the request alone tells.
    ///
    /// A completion and an operator's word are promises. A claim that is lost in a power failure is a free key, which
    /// is what `on_crash = "rerun"` makes of an orphan anyway; where orphans are kept for ever (no `retain`), a lost
    /// claim would let the body run again. A lost renewal only ends a lease that ended with its holder's machine.
    /// A release says so only once its row is known: [`needs_sync_over`](Self::needs_sync_over).
    pub(super) fn needs_sync(&self) -> bool {
        match &self.ask {
            Ask::Complete { .. } | Ask::ResolveExecuted { .. } | Ask::ResolveNotExecuted | Ask::Forget => true,
            Ask::Claim { retain, .. } => retain.is_none(),
            Ask::Renew { .. } | Ask::Release { .. } => false,
        }
    }

    /// Whether a release has to be on the disk before it is answered, now that its row is known. Without it, a row that
    /// is kept for ever comes back as an orphan, and a key that was free is parked.
    pub(super) fn needs_sync_over(&self, row: &crate::protocol::Row) -> bool {
        matches!(self.ask, Ask::Release { .. }) && row.purge_at.is_none()
    }

    /// Answers. Nobody may be listening.
    pub(super) fn finish(self, answer: Answer) {
        quietly(|| drop(self.answer.send(answer)));
    }
}
