//! The state machine of the claim protocol.

use std::time::Duration;

use super::request::{
    ClaimAnswer, ClaimRequest, CompleteRequest, Leave, Orphans, ReleaseRequest, RenewRequest, Standing, linger,
};
use super::row::{Ended, Row, State};
use super::values::{Grant, Micros, Previous, Record, micros};

/// An operation on one key.
#[derive(Clone, Copy, Debug)]
pub enum Operation<'a> {
    /// [`IdempotencyStore::claim`](crate::IdempotencyStore::claim).
    Claim(&'a ClaimRequest<'a>),
    /// [`IdempotencyStore::renew`](crate::IdempotencyStore::renew).
    Renew(&'a RenewRequest<'a>),
    /// [`IdempotencyStore::complete`](crate::IdempotencyStore::complete).
    Complete(&'a CompleteRequest<'a>),
    /// [`IdempotencyStore::release`](crate::IdempotencyStore::release).
    Release(&'a ReleaseRequest<'a>),
    /// An operator says that the body of an orphan was executed. The store keeps the operator's record. It may replace
    /// the record of an earlier resolution, and never a handler's record.
    ResolveExecuted {
        /// How long the record is replayed, counted from now.
        ttl: Duration,
    },
    /// An operator says that the body of an orphan was not executed.
    ResolveNotExecuted,
    /// An operator frees the key, whatever its state. The row stays, so that a late copy of a request still finds it.
    Forget,
}

/// The answer to an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reply {
    /// The key is the caller's.
    Acquired(Grant),
    /// Another call holds the key, and its lease has not ended.
    InProgress {
        /// What is left of that lease.
        remaining: Duration,
    },
    /// The key is completed. The store answers with the row's record.
    Completed,
    /// The last holder's outcome is unknown, and the request said not to take the key over.
    Orphaned,
    /// The key was claimed with another fingerprint.
    KeyReused,
    /// The request is a late copy: its owner has left the key before.
    Ended,
    /// Done, by this request or by an earlier copy of it.
    Held,
    /// Refused.
    Lost,
    /// Refused: the key has no row.
    Gone,
}

impl Reply {
    /// The answer to a claim. `record` is called for the row's record if the key is completed.
    ///
    /// A completed row without a record is corrupted. The answer then has an empty record, at which the caller gets
    /// [`Error::Decode`](crate::Error::Decode).
    pub fn into_claim(self, record: impl FnOnce() -> Option<Record>) -> ClaimAnswer {
        match self {
            Self::Acquired(grant) => ClaimAnswer::Acquired(grant),
            Self::InProgress { remaining } => ClaimAnswer::InProgress { remaining },
            Self::Completed => ClaimAnswer::Completed(record().unwrap_or_else(|| Record::from_bytes(&[]))),
            Self::Orphaned => ClaimAnswer::Orphaned,
            Self::KeyReused => ClaimAnswer::KeyReused,
            Self::Ended | Self::Held | Self::Lost | Self::Gone => ClaimAnswer::Ended,
        }
    }

    /// The answer to a renewal, a completion, a release or an operator's request.
    pub fn into_standing(self) -> Standing {
        match self {
            Self::Held => Standing::Held,
            Self::Gone => Standing::Gone,
            _ => Standing::Lost,
        }
    }
}

/// The result of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Next {
    /// The row to write. `None`: nothing changes, and the store writes nothing.
    ///
    /// Where a completion or an operator's [`Operation::ResolveExecuted`] writes a row in [`State::Done`], the store
    /// writes the request's record with it. Where another operation writes such a row, the row keeps its record. A row
    /// in any other state has no record.
    pub row: Option<Row>,
    /// The answer.
    pub reply: Reply,
}

impl Next {
    fn same(reply: Reply) -> Self {
        Self { row: None, reply }
    }

    fn write(row: Row, reply: Reply) -> Self {
        Self { row: Some(row), reply }
    }
}

/// The state machine. `row` is `None` if the key has no row. `now` is the time of the store's own clock, read while
/// nobody else can write the row.
pub fn step(row: Option<&Row>, operation: Operation<'_>, now: Micros) -> Next {
    match (operation, row) {
        (Operation::Claim(request), _) => claim(row, request, now),
        (Operation::Release(request), _) => release(row, request, now),
        (_, None) => Next::same(Reply::Gone),
        (Operation::Renew(request), Some(row)) => renew(row, request, now),
        (Operation::Complete(request), Some(row)) => complete(row, request, now),
        (Operation::ResolveExecuted { ttl }, Some(row)) if row.is_orphan(now) || row.is_resolution(now) => {
            Next::write(row.resolved_executed(ttl, now), Reply::Held)
        }
        (Operation::ResolveNotExecuted, Some(row)) if row.is_orphan(now) => {
            Next::write(row.forgotten(now), Reply::Held)
        }
        (Operation::ResolveExecuted { .. } | Operation::ResolveNotExecuted, Some(_)) => Next::same(Reply::Lost),
        (Operation::Forget, Some(row)) => Next::write(row.forgotten(now), Reply::Held),
    }
}

impl Row {
    /// The row of a key that nobody holds. The fence grows, so that the last holder can no longer renew or complete.
    fn forgotten(mut self, now: Micros) -> Self {
        self.ended.push(self.owner);
        self.fence += 1;
        self.state = State::Free;
        self.doubt = None;
        self.previous = Previous::First;
        self.fingerprint = None;
        self.purge_at = Some(purge_at(self.fence, now, linger(Duration::ZERO)));
        self
    }

    /// The row that an operator completes.
    ///
    /// The fence grows. Without this, a late completion of the last holder gets the answer `Held`, though the record is
    /// the operator's. The doubt stays, because it marks a resolution. Without this, an operator can replace what a
    /// handler recorded.
    fn resolved_executed(mut self, ttl: Duration, now: Micros) -> Self {
        self.doubt = Some(self.fence_in_doubt());
        self.ended.push(self.owner);
        self.fence += 1;
        self.state = State::Done;
        self.until = now + micros(ttl);
        self.purge_at = Some(purge_at(self.fence, now, ttl.saturating_add(linger(Duration::ZERO))));
        self
    }
}

fn claim(row: Option<&Row>, request: &ClaimRequest<'_>, now: Micros) -> Next {
    let Some(row) = row else { return acquire(None, request, now) };
    let over = row.until <= now;
    match row.state {
        // A repeat of the claim after a lost answer, even a late one. It gets the same fence: with a new one, the
        // holder's own repeat would fence it out. It gets the same `previous`: else a takeover would look like a first
        // run.
        State::Running if row.owner == request.owner => {
            let (until, purge_at) = leased(row.fence, request.lease, request.stays(), now);
            let grant = Grant { fence: row.fence, attempt: row.attempt, previous: row.previous };
            return Next::write(Row { until, purge_at, ..*row }, Reply::Acquired(grant));
        }
        State::Done if !over => {
            return Next::same(if row.differs_from(request.fingerprint) { Reply::KeyReused } else { Reply::Completed });
        }
        _ => {}
    }
    // Without this, a late copy of a claim claims for a caller that has gone.
    if row.remembers(request.owner) {
        return Next::same(Reply::Ended);
    }
    match row.state {
        State::Running | State::Kept if !over => Next::same(if row.differs_from(request.fingerprint) {
            Reply::KeyReused
        } else {
            Reply::InProgress { remaining: Duration::from_micros(row.until - now) }
        }),
        // Without this, another payload runs over an unknown effect.
        State::Running | State::Kept | State::Unknown if row.differs_from(request.fingerprint) => {
            Next::same(Reply::KeyReused)
        }
        // Defence in depth, for a caller that parks behind a takeover of its own. Here it costs no round trip, and no new
        // fence refuses a late completion that settles the key.
        State::Running | State::Kept | State::Unknown if request.orphans == Orphans::Refuse => {
            Next::same(Reply::Orphaned)
        }
        _ => acquire(Some(row), request, now),
    }
}

/// Grants the key. `row` is absent, free, completed with its ttl over, or an orphan that may be taken over.
fn acquire(row: Option<&Row>, request: &ClaimRequest<'_>, now: Micros) -> Next {
    let mut ended = Ended::default();
    let (fence, attempt, previous, doubt) = match row {
        None => (now, 1, Previous::First, None),
        Some(row) => {
            ended = row.ended;
            ended.push(row.owner);
            // At least the clock's time, so that the fences of a key grow even if its row was deleted in between.
            let fence = now.max(row.fence + 1);
            match row.state {
                State::Done => (fence, 1, Previous::First, None),
                State::Free => (fence, row.attempt.saturating_add(1), row.previous, None),
                State::Running | State::Unknown | State::Kept => {
                    let died = row.fence_in_doubt();
                    (fence, row.attempt.saturating_add(1), Previous::AfterCrash { fence: died }, Some(died))
                }
            }
        }
    };
    let (until, purge_at) = leased(fence, request.lease, request.stays(), now);
    let row = Row {
        state: State::Running,
        owner: request.owner,
        fence,
        until,
        doubt,
        previous,
        attempt,
        fingerprint: request.fingerprint,
        ended,
        purge_at,
    };
    Next::write(row, Reply::Acquired(Grant { fence, attempt, previous }))
}

fn renew(row: &Row, request: &RenewRequest<'_>, now: Micros) -> Next {
    if row.state != State::Running || !row.is_held_by(request.owner, request.fence) {
        return Next::same(Reply::Lost);
    }
    let (until, purge_at) = leased(row.fence, request.lease, request.stays(), now);
    Next::write(Row { until, purge_at, ..*row }, Reply::Held)
}

/// Updates the row and never inserts one: a late copy of a completion would else record the outcome anew after its ttl.
fn complete(row: &Row, request: &CompleteRequest<'_>, now: Micros) -> Next {
    match row.state {
        _ if !row.is_held_by(request.owner, request.fence) => Next::same(Reply::Lost),
        // Accepted also after the lease, and after the guard of a dropped call has written `Unknown`: a known outcome
        // is better than an unknown one.
        State::Running | State::Unknown => {
            let until = now + micros(request.ttl);
            let purge_at = Some(purge_at(row.fence, now, request.stays()));
            Next::write(Row { state: State::Done, until, purge_at, doubt: None, ..*row }, Reply::Held)
        }
        // A repeat of the completion, even after the ttl: the outcome was recorded.
        State::Done => Next::same(Reply::Held),
        State::Kept | State::Free => Next::same(Reply::Lost),
    }
}

fn release(row: Option<&Row>, request: &ReleaseRequest<'_>, now: Micros) -> Next {
    let state = match request.how {
        Leave::NotRun => return leave_unrun(row, request, now),
        Leave::Failed => State::Free,
        Leave::OutcomeUnknown => State::Unknown,
        Leave::Keep => State::Kept,
    };
    let Some(row) = row else { return Next::same(Reply::Gone) };
    if !row.is_held_by(request.owner, request.fence) {
        return Next::same(Reply::Lost);
    }
    match (row.state, state) {
        (State::Running | State::Unknown, State::Free) => {
            let purge_at = Some(purge_at(row.fence, now, request.retain.max(request.linger)));
            let previous = Previous::AfterFailure;
            Next::write(Row { state, previous, doubt: None, purge_at, ..*row }, Reply::Held)
        }
        (State::Running, State::Unknown) => Next::write(Row { state, doubt: Some(row.fence), ..*row }, Reply::Held),
        // `Kept` is a state of its own and not a lease that has ended, because a renewal that is still under way would
        // extend that lease.
        (State::Running, _) => Next::write(Row { state, ..*row }, Reply::Held),
        (State::Free | State::Unknown | State::Kept, _) => Next::same(Reply::Held),
        // Defence in depth: no caller that keeps its rules releases what it completed.
        (State::Done, _) => Next::same(Reply::Lost),
    }
}

/// The caller left before its body ran, or its body said that it did nothing. Undoes what its claim was granted, and remembers the owner, so that a copy of
/// the claim that is still under way is refused.
fn leave_unrun(row: Option<&Row>, request: &ReleaseRequest<'_>, now: Micros) -> Next {
    let stays = |stays| purge_at(row.map_or(0, |row| row.fence), now, stays);
    let Some(row) = row else {
        let row = Row {
            state: State::Free,
            owner: request.owner,
            fence: 0,
            until: now,
            doubt: None,
            previous: Previous::First,
            attempt: 0,
            fingerprint: None,
            ended: Ended::default(),
            purge_at: Some(stays(request.linger)),
        };
        return Next::write(row, Reply::Held);
    };
    // The row has to stay for as long as a copy of the claim can be under way: once it is swept, nobody knows that this
    // owner left.
    let mut left = Row { purge_at: row.purge_at.map(|at| at.max(stays(request.linger))), ..*row };
    if row.state == State::Running && row.owner == request.owner {
        left.attempt = row.attempt.saturating_sub(1);
        if row.doubt.is_some() {
            // It had taken an orphan over. The key is an orphan again.
            left.state = State::Unknown;
        } else {
            left.state = State::Free;
            left.purge_at = Some(stays(match row.previous {
                Previous::AfterFailure => request.retain.max(request.linger),
                _ => request.linger,
            }));
        }
    } else if !row.remembers(request.owner) {
        left.ended.push(request.owner);
    }
    if left == *row { Next::same(Reply::Held) } else { Next::write(left, Reply::Held) }
}

/// When a lease that begins now ends, and the `purge_at` of its row.
fn leased(fence: u64, lease: Duration, stays: Option<Duration>, now: Micros) -> (Micros, Option<Micros>) {
    (now + micros(lease), stays.map(|stays| purge_at(fence, now, stays)))
}

/// The `purge_at` of a row with this fence that stays for `stays` from now. Each row's `purge_at` is computed here.
///
/// If the clock has stepped back, the fence lies ahead of it, and `stays` counts from the fence. Without this, the row
/// is purged before the clock has passed the fence, and the next fence is smaller.
fn purge_at(fence: u64, now: Micros, stays: Duration) -> Micros {
    now.max(fence) + micros(stays)
}
