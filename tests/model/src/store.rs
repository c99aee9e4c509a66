//! The store: each request is one call of `idem_runtime::protocol::step`. What it makes of the row is looked at here, beside
//! what really happened.

use std::sync::LazyLock;

use idem_runtime::protocol::{self, Micros, Next, Operation, Reply, Row, State as RowState};
use idem_runtime::store::{
    ClaimRequest, CompleteRequest, Fingerprint, Grant, Key, Leave, Previous, Record, ReleaseRequest, RenewRequest,
};

use crate::model::Protocol;
use crate::setup::{LEASE, Policy, micros};
use crate::state::{Ask, Drawn, How, Request};
use crate::truth::{Broken, Last, Truth, Went};

static KEY: LazyLock<Key> = LazyLock::new(|| Key::from_bytes(b"key").expect("it is short"));
static RECORD: LazyLock<Record> = LazyLock::new(|| Record::from_bytes(b"record"));

/// A step that was made.
struct Made<'a> {
    request: Request,
    now: Micros,
    ttl: Micros,
    before: Option<&'a Row>,
    next: Next,
}

impl Protocol {
    pub(crate) fn fingerprint(&self, owner: Drawn) -> Option<Fingerprint> {
        let call = owner.call().filter(|_| self.setup.two_fingerprints)?;
        Some(Fingerprint([call.worker % 2; 16]))
    }

    fn claim_request(&self, owner: Drawn) -> ClaimRequest<'static> {
        let mut claim = ClaimRequest::new("scope", &KEY, owner.owner(), LEASE);
        claim.fingerprint = self.fingerprint(owner);
        claim.orphans = Policy::orphans(self.setup.policy);
        claim.retain = self.setup.retain();
        if !self.parks_in_store() {
            claim.orphans = Policy::Rerun.orphans();
        }
        claim
    }

    /// Carries out a request.
    pub(crate) fn step(&self, row: Option<&Row>, owner: Drawn, ask: Ask, now: Micros) -> Next {
        let claim = self.claim_request(owner);
        match ask {
            Ask::Claim => protocol::step(row, Operation::Claim(&claim), now),
            Ask::Renew { fence } => protocol::step(row, Operation::Renew(&RenewRequest::new(&claim, fence)), now),
            Ask::End { how: How::Complete, fence } => {
                let complete = CompleteRequest::new(&claim, fence, &RECORD, self.setup.ttl);
                protocol::step(row, Operation::Complete(&complete), now)
            }
            Ask::End { how, fence } => {
                let mut release = ReleaseRequest::new(&claim, fence, how.leave());
                release.retain = self.setup.ttl;
                protocol::step(row, Operation::Release(&release), now)
            }
        }
    }

    /// Carries out a request, and looks at what becomes of it.
    pub(crate) fn serve(&self, row: &mut Option<Row>, truth: &mut Truth, request: Request, now: Micros) -> Reply {
        let next = self.step(row.as_ref(), request.owner, request.ask, now);
        let made = Made { request, now, ttl: micros(self.setup.ttl), before: row.as_ref(), next };
        match request.ask {
            Ask::Claim => self.sees_claim(truth, &made),
            Ask::Renew { fence } => sees_renewal(truth, &made, fence),
            Ask::End { how: How::Complete, fence } => sees_completion(truth, &made, fence),
            Ask::End { how: How::NotRun, .. } => sees_not_run(truth, &made),
            Ask::End { how, fence } => sees_release(truth, &made, how, fence),
        }
        *row = next.row.or(*row);
        next.reply
    }

    fn sees_claim(&self, truth: &mut Truth, made: &Made<'_>) {
        let owner = made.request.owner;
        let is_reuse = |by: Option<Drawn>| by.is_some_and(|by| self.differ(by, owner));
        match made.next.reply {
            Reply::Acquired(grant) => sees_grant(truth, made, grant),
            Reply::Completed => {
                truth.breaks_if(!truth.has_record(made.now), Broken::CompletedTooEarly);
                truth.breaks_if(is_reuse(truth.record.map(|(by, _)| by)), Broken::ReuseIsNotTold);
            }
            Reply::InProgress { .. } => truth.breaks_if(is_reuse(truth.holder(made.now)), Broken::ReuseIsNotTold),
            _ => {}
        }
    }

    /// Whether the calls of two owners have other fingerprints.
    pub(crate) fn differ(&self, one: Drawn, other: Drawn) -> bool {
        matches!((self.fingerprint(one), self.fingerprint(other)), (Some(one), Some(other)) if one != other)
    }
}

impl How {
    fn leave(self) -> Leave {
        match self {
            // A completion is no release.
            Self::Complete | Self::Failed => Leave::Failed,
            Self::OutcomeUnknown => Leave::OutcomeUnknown,
            Self::Keep => Leave::Keep,
            Self::NotRun => Leave::NotRun,
        }
    }
}

fn sees_grant(truth: &mut Truth, made: &Made<'_>, grant: Grant) {
    let (owner, now) = (made.request.owner, made.now);
    let Grant { fence, previous, .. } = grant;
    match truth.last.filter(|last| last.owner == owner) {
        // Its own claim again.
        Some(last) if last.fence == fence => truth.breaks_if(last.previous != previous, Broken::WrongPrevious),
        last => {
            let runs = last
                .is_some_and(|last| truth.bodies.iter().any(|body| body.fence == last.fence && body.went == Went::On));
            truth.breaks_if(runs, Broken::RepeatHasAnotherFence);
            sees_new_grant(truth, made.before, owner, grant, now);
        }
    }
    truth.lease = Some((owner, now + micros(LEASE)));
}

pub(crate) fn sees_new_grant(truth: &mut Truth, before: Option<&Row>, owner: Drawn, grant: Grant, now: Micros) {
    let Grant { fence, attempt, previous } = grant;
    truth.breaks_if(fence <= truth.highest, Broken::FenceDoesNotGrow);
    truth.breaks_if(truth.has_record(now), Broken::CompletedRunsAgain);
    truth.breaks_if(truth.holder(now).is_some_and(|holder| holder != owner), Broken::TwoHolders);
    if let Some(row) = before.filter(|row| row.state == RowState::Unknown) {
        let is_known = truth.bodies.iter().any(|b| b.fence == row.fence && b.went == Went::Well && !b.recorded);
        truth.breaks_if(is_known, Broken::OutcomeLost);
    }
    sees_previous(truth, previous, now);
    // What was completed, and is over, is as good as absent.
    truth.holders = if truth.record.is_some() { 1 } else { truth.holders + 1 };
    truth.breaks_if(attempt != truth.holders, Broken::WrongAttempt);
    truth.highest = truth.highest.max(fence);
    truth.last = Some(Last { owner, fence, previous });
    (truth.record, truth.failed) = (None, None);
}

fn sees_previous(truth: &mut Truth, previous: Previous, now: Micros) {
    let in_doubt = truth.in_doubt().map(|body| body.fence).max();
    match previous {
        Previous::AfterCrash { fence } => {
            let is_settled = truth.undone == Some(fence) || fence < truth.overruled;
            let is_wrong = in_doubt > Some(fence) || is_settled || fence > truth.highest;
            truth.breaks_if(is_wrong, Broken::WrongDoubt);
        }
        _ => {
            let has_failed = truth.failed.is_some_and(|until| until > now);
            let is_wrong = in_doubt.is_some() || (has_failed && previous == Previous::First);
            truth.breaks_if(is_wrong, Broken::WrongPrevious);
        }
    }
}

fn sees_renewal(truth: &mut Truth, made: &Made<'_>, fence: u64) {
    if made.next.reply == Reply::Held {
        let owner = made.request.owner;
        truth.breaks_if(!truth.is_last(owner, fence), Broken::ZombieEnds);
        truth.lease = Some((owner, made.now + micros(LEASE)));
    }
}

fn sees_completion(truth: &mut Truth, made: &Made<'_>, fence: u64) {
    let owner = made.request.owner;
    let is_last = truth.is_last(owner, fence);
    let was_recorded = truth.body(owner, fence).is_some_and(|body| body.recorded);
    if made.next.reply != Reply::Held {
        // Nobody hears what a copy is told that nobody waits for.
        return truth.breaks_if(is_last && was_recorded && made.request.awaited, Broken::RecordedIsLost);
    }
    truth.breaks_if(!is_last, Broken::ZombieEnds);
    if made.next.row.is_none() {
        return;
    }
    truth.breaks_if(was_recorded, Broken::ZombieEnds);
    (truth.record, truth.lease, truth.failed) = (Some((owner, made.now + made.ttl)), None, None);
    if let Some(body) = truth.body(owner, fence) {
        body.recorded = true;
    }
    truth.settle_before(fence);
}

fn sees_release(truth: &mut Truth, made: &Made<'_>, how: How, fence: u64) {
    let owner = made.request.owner;
    if made.next.reply != Reply::Held {
        return;
    }
    truth.breaks_if(!truth.is_last(owner, fence), Broken::ZombieEnds);
    if made.next.row.is_none() {
        return;
    }
    truth.breaks_if(truth.has_record(made.now), Broken::OutcomeLost);
    if how != How::Keep {
        truth.lease = None;
    }
    if how == How::Failed {
        truth.failed = Some(made.now + made.ttl);
        if truth.body(owner, fence).is_some_and(|body| body.went != Went::Skipped) {
            truth.settle_before(fence);
        }
    }
}

/// The caller left before its body ran, or its body said that it did nothing.
fn sees_not_run(truth: &mut Truth, made: &Made<'_>) {
    let owner = made.request.owner;
    let held = |row: Option<&Row>| row.is_some_and(|r| r.state == RowState::Running && r.owner == owner.owner());
    if !held(made.before) || held(made.next.row.as_ref().or(made.before)) {
        return;
    }
    let Some(last) = truth.last.filter(|last| last.owner == owner) else { return };
    truth.undone = Some(last.fence);
    truth.holders = truth.holders.saturating_sub(1);
    truth.lease = truth.lease.filter(|(holder, _)| *holder != owner);
    if last.previous == Previous::AfterFailure {
        truth.failed = Some(made.now + made.ttl);
    }
}
