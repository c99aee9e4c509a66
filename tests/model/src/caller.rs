//! The caller, as the engine does it: how a worker's call goes on, by what it is told.

use idem_runtime::protocol::Reply;
use idem_runtime::store::{Grant, Previous};

use crate::model::Protocol;
use crate::setup::{CLAIM_ATTEMPTS, LEASE, Policy, Rule, micros};
use crate::state::{Ask, Call, Drawn, How, Request, Stage, State, Told, Worker};
use crate::truth::{Body, Broken, Went};
use crate::world::end_of_life;

impl Protocol {
    pub(crate) fn parks_in_store(&self) -> bool {
        self.setup.has(Rule::StoreParks)
    }

    fn owner(&self, state: &State, number: u8) -> Drawn {
        let call = state.call_of(number);
        // Two deliveries in one process are two workers here.
        let of = if self.setup.has(Rule::OwnerPerCall) { call } else { Call { worker: 0, nth: 0 } };
        Drawn::new(of, state.workers[usize::from(number)].draw)
    }

    fn request(&self, state: &State, number: u8, ask: Ask, awaited: bool) -> Request {
        Request { from: state.call_of(number), owner: self.owner(state, number), ask, born: state.local, awaited }
    }

    /// Sends a request whose answer the call waits for, or another copy of it.
    fn asks(&self, state: &mut State, number: u8, ask: Ask, is_copy: bool) {
        let local = state.local;
        let worker = state.worker(number);
        (worker.sent, worker.answer) = (local, None);
        if !is_copy || !self.setup.has(Rule::RepeatsEndInTime) {
            worker.born = local;
        }
        let born = worker.born;
        state.send(Request { born, ..self.request(state, number, ask, true) });
    }

    /// Whether a copy of the request that a call waits for still has a life before it.
    pub(crate) fn may_repeat(&self, state: &State, number: u8) -> bool {
        let born = state.workers[usize::from(number)].born;
        end_of_life(born) > state.local || !self.setup.has(Rule::RepeatsEndInTime)
    }

    /// Sends a claim, of an owner that was not sent before.
    pub(crate) fn claims(&self, state: &mut State, number: u8) {
        state.worker(number).stage = Stage::Claiming;
        self.asks(state, number, Ask::Claim, false);
    }

    /// Sends the ending of a call.
    pub(crate) fn ends(&self, state: &mut State, number: u8, how: How) {
        let worker = state.worker(number);
        (worker.stage, worker.beat) = (Stage::Ending(how), None);
        let fence = worker.fence;
        state.forget_requests(state.call_of(number), |_| true);
        self.asks(state, number, Ask::End { how, fence }, false);
    }

    pub(crate) fn renews(&self, state: &mut State, number: u8) {
        let fence = state.workers[usize::from(number)].fence;
        let request = self.request(state, number, Ask::Renew { fence }, true);
        let local = state.local;
        let worker = state.worker(number);
        (worker.beat, worker.beat_sent) = (None, local);
        state.send(request);
    }

    /// The request that a call waits for is sent again.
    pub(crate) fn retries(&self, state: &mut State, number: u8) {
        let worker = state.worker(number);
        match worker.stage {
            Stage::Ending(how) => {
                let fence = worker.fence;
                self.asks(state, number, Ask::End { how, fence }, true);
            }
            _ => {
                (worker.failures, worker.unanswered) = (worker.failures + 1, true);
                self.asks(state, number, Ask::Claim, true);
            }
        }
    }

    /// The call is over, and this is what its caller was told.
    fn is_over(&self, state: &mut State, number: u8, told: Told) {
        let call = state.call_of(number);
        state.tell(call, told);
        state.forget_requests(call, |_| true);
        let stage = if call.nth + 1 < self.setup.calls { Stage::Idle } else { Stage::Over };
        let beats = state.worker(number).beats;
        *state.worker(number) = Worker { beats, ..Worker::at(call.nth + 1, stage) };
    }

    /// A call ends before its body ran; the background says so where a copy of its claim may still be under way.
    fn leaves_claim(&self, state: &mut State, number: u8, says: bool) {
        if says {
            let ask = Ask::End { how: How::NotRun, fence: 0 };
            let request = self.request(state, number, ask, false);
            state.send(request);
        }
        self.is_over(state, number, Told::Outcome);
    }

    /// A caller waits no longer for the answer to its ending. The background goes on.
    pub(crate) fn gives_up(&self, state: &mut State, number: u8) {
        let completes = state.worker(number).stage == Stage::Ending(How::Complete);
        self.is_over(state, number, if completes { Told::NotRecorded } else { Told::Unsure });
    }

    /// A future is dropped, or its body panics.
    pub(crate) fn cancels(&self, state: &mut State, number: u8) -> Option<()> {
        let worker = state.worker(number);
        let unanswered = worker.unanswered;
        match worker.stage {
            Stage::Claiming => self.leaves_claim(state, number, self.setup.has(Rule::LeaverSaysNotRun)),
            Stage::Waiting => self.leaves_claim(state, number, unanswered),
            Stage::Reconciling => self.ends(state, number, How::NotRun),
            Stage::Running => {
                self.body_went(state, number, Went::Unknown);
                self.ends(state, number, How::OutcomeUnknown);
            }
            Stage::Ending(How::Complete | How::Failed | How::NotRun) if !self.setup.has(Rule::EndingSurvivesDrop) => {
                self.ends(state, number, How::OutcomeUnknown);
            }
            _ => return None,
        }
        Some(())
    }

    /// A process dies.
    pub(crate) fn crashes(&self, state: &mut State, number: u8) {
        self.body_went(state, number, Went::Unknown);
        self.is_over(state, number, Told::Dead);
    }

    /// The body of a call went so.
    pub(crate) fn body_went(&self, state: &mut State, number: u8, went: Went) {
        let (owner, fence) = (self.owner(state, number), state.workers[usize::from(number)].fence);
        if let Some(body) = state.truth.body(owner, fence).filter(|body| body.went == Went::On) {
            body.went = went;
        }
    }

    /// The body went so, and its call ends the key so.
    pub(crate) fn body_ends(&self, state: &mut State, number: u8, went: Went, how: How) {
        self.body_went(state, number, went);
        self.ends(state, number, how);
    }

    /// The body returns an error that keeps the key.
    pub(crate) fn keeps(&self, state: &mut State, number: u8) {
        self.body_went(state, number, Went::Unknown);
        state.worker(number).beats = !self.setup.has(Rule::KeepEndsHeartbeat);
        self.ends(state, number, How::Keep);
    }

    /// The body returns, and says that it did nothing.
    pub(crate) fn skips(&self, state: &mut State, number: u8) {
        let is_not_run = self.setup.has(Rule::SkipIsNotRun);
        self.body_ends(state, number, Went::Skipped, if is_not_run { How::NotRun } else { How::Failed });
    }

    /// The function that reconciles knows what was done.
    pub(crate) fn found(&self, state: &mut State, number: u8) {
        state.truth.settle_before(u64::MAX);
        self.ends(state, number, How::Complete);
    }

    /// The function that reconciles says that nothing was done.
    pub(crate) fn found_nothing(&self, state: &mut State, number: u8) {
        let is_over = state.worker(number).deadline <= state.local;
        if is_over && self.setup.has(Rule::LeaseIsSeenAgain) {
            return self.ends(state, number, How::NotRun);
        }
        let fence = state.worker(number).fence;
        state.truth.settle_before(fence);
        self.starts_body(state, number);
    }

    pub(crate) fn reconcile_fails(&self, state: &mut State, number: u8) {
        let is_not_run = self.setup.has(Rule::ReconcileErrorIsNotRun);
        self.ends(state, number, if is_not_run { How::NotRun } else { How::Failed });
    }

    /// A renewal counts from its sending. One that is refused ends the call: there is nothing to leave.
    pub(crate) fn hears_of_renewal(&self, state: &mut State, number: u8) -> Option<()> {
        let worker = state.worker(number);
        if worker.beat.take()? == Reply::Held {
            worker.deadline = worker.deadline.max(worker.beat_sent + micros(LEASE));
        } else {
            self.body_went(state, number, Went::Unknown);
            self.is_over(state, number, Told::Unsure);
        }
        Some(())
    }

    /// A call hears the answer to its request. A duplicate of a running call waits where it is told to.
    pub(crate) fn hears(&self, state: &mut State, number: u8, waits: bool) -> Option<()> {
        let reply = state.worker(number).answer.take()?;
        match state.worker(number).stage {
            Stage::Claiming => self.hears_of_claim(state, number, reply, waits),
            Stage::Ending(How::Complete | How::Failed | How::NotRun | How::OutcomeUnknown) if reply == Reply::Held => {
                self.is_over(state, number, Told::Outcome);
            }
            _ => self.is_over(state, number, Told::Unsure),
        }
        Some(())
    }

    fn hears_of_claim(&self, state: &mut State, number: u8, reply: Reply, waits: bool) {
        let until = state.worker(number).sent + micros(LEASE);
        let is_late = until <= state.local;
        match reply {
            Reply::Acquired(grant) if !is_late || !self.setup.has(Rule::LateGrantIsDiscarded) => {
                let worker = state.worker(number);
                (worker.fence, worker.deadline) = (grant.fence, until);
                self.is_granted(state, number, grant);
            }
            Reply::Acquired(_) => self.claims_again(state, number, true),
            Reply::Ended => {
                let worker = state.worker(number);
                (worker.draw, worker.unanswered) = (worker.draw + 1, false);
                self.claims_again(state, number, false);
            }
            Reply::InProgress { .. } if waits => {
                let worker = state.worker(number);
                (worker.stage, worker.failures) = (Stage::Waiting, 0);
            }
            _ => {
                let says = state.worker(number).unanswered && self.setup.has(Rule::UnansweredClaimsCount);
                self.leaves_claim(state, number, says);
            }
        }
    }

    /// The claim failed. A caller that gives it up undoes what it may have been granted.
    fn claims_again(&self, state: &mut State, number: u8, is_copy: bool) {
        state.worker(number).failures += 1;
        if state.worker(number).failures < CLAIM_ATTEMPTS && (!is_copy || self.may_repeat(state, number)) {
            self.asks(state, number, Ask::Claim, is_copy);
        } else {
            self.leaves_claim(state, number, true);
        }
    }

    fn is_granted(&self, state: &mut State, number: u8, grant: Grant) {
        let took_over = matches!(grant.previous, Previous::AfterCrash { .. });
        match self.setup.policy {
            Policy::Reconcile if took_over => state.worker(number).stage = Stage::Reconciling,
            Policy::Park if took_over && !self.parks_in_store() => self.ends(state, number, How::OutcomeUnknown),
            _ => self.starts_body(state, number),
        }
    }

    fn starts_body(&self, state: &mut State, number: u8) {
        let owner = self.owner(state, number);
        state.worker(number).stage = Stage::Running;
        let fence = state.worker(number).fence;
        let truth = &mut state.truth;
        truth.breaks_if(truth.bodies.iter().any(|body| body.fence == fence), Broken::TwoBodiesOfOneFence);
        truth.bodies.push(Body { owner, fence, went: Went::On, recorded: false });
        // What an operator frees while its holder runs is the operator's to answer for.
        if fence > truth.overruled {
            self.sees_start(state, owner, fence);
        }
    }

    /// What a body must not start over, or beside.
    pub(crate) fn sees_start(&self, state: &mut State, owner: Drawn, fence: u64) {
        let State { truth, workers, local, .. } = state;
        let policy = self.setup.policy;
        let in_doubt = truth.in_doubt().any(|body| body.owner != owner);
        truth.breaks_if(in_doubt && policy == Policy::Park, Broken::ParkedRunsAgain);
        truth.breaks_if(in_doubt && policy == Policy::Reconcile, Broken::RunsAgainUnreconciled);
        let is_other = truth.in_doubt().any(|body| self.differ(body.owner, owner));
        truth.breaks_if(is_other, Broken::OtherPayload);
        let runs = |other: &Worker| {
            let is_holder = other.stage == Stage::Running && other.fence > truth.overruled;
            is_holder && other.fence != fence && other.deadline > *local
        };
        truth.breaks_if(workers.iter().any(runs), Broken::TwoBodiesAtOnce);
    }
}
