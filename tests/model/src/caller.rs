//! The caller: how a worker's call goes on, by what it is told.

use crate::model::Protocol;
use crate::setup::Policy;
use crate::state::{
    Answer, Broken, Call, Execution, How, Operation, Previous, Request, Stage, State, Told, Went, Worker,
};

impl Worker {
    pub(crate) fn new() -> Self {
        Self { call: 0, stage: Stage::Idle, fence: 0, previous: Previous::First, retries: 0, beats: false }
    }
}

impl State {
    pub(crate) fn worker(&mut self, worker: u8) -> &mut Worker {
        &mut self.workers[usize::from(worker)]
    }

    /// The call that a worker is at.
    pub(crate) fn call_of(&self, worker: u8) -> Call {
        Call { worker, nth: self.workers[usize::from(worker)].call }
    }

    pub(crate) fn send(&mut self, from: Call, operation: Operation) {
        self.requests.push(Request { from, operation });
        self.requests.sort_unstable();
    }

    fn send_for(&mut self, worker: u8, operation: Operation) {
        self.send(self.call_of(worker), operation);
    }

    /// Answers that nobody waits for any more are gone.
    pub(crate) fn forget_answers(&mut self) {
        let workers = &self.workers;
        self.answers.retain(|(request, _)| {
            let worker = &workers[usize::from(request.from.worker)];
            worker.call == request.from.nth
                && match (request.operation, worker.stage) {
                    (Operation::Claim, Stage::Claiming)
                    | (Operation::Renew(_), Stage::Running)
                    | (Operation::Complete(_), Stage::Ending(How::Complete)) => true,
                    (Operation::Release(how, _), Stage::Ending(ending)) => how == ending,
                    _ => false,
                }
        });
        self.answers.sort_unstable();
        self.answers.dedup();
    }
}

impl Protocol {
    /// The call is over, and this is what its caller was told.
    fn is_over(&self, state: &mut State, worker: u8, told: Told) {
        let call = state.call_of(worker);
        state.told[usize::from(worker)][usize::from(call.nth)] = told;
        let stage = if call.nth + 1 < self.setup.calls { Stage::Idle } else { Stage::Over };
        let beats = state.worker(worker).beats;
        *state.worker(worker) = Worker { call: call.nth + 1, stage, beats, ..Worker::new() };
    }

    /// Sends the ending of a call.
    pub(crate) fn ends(&self, state: &mut State, worker: u8, how: How) {
        let of = state.worker(worker);
        (of.stage, of.retries) = (Stage::Ending(how), 0);
        let operation = ending(how, of.fence);
        state.send_for(worker, operation);
    }

    /// The body of a call went so.
    pub(crate) fn body_went(&self, state: &mut State, worker: u8, went: Went) {
        let call = state.call_of(worker);
        let executions = &mut state.histories[self.key(call)].executions;
        for execution in executions.iter_mut().filter(|e| e.call == call && e.went == Went::On) {
            execution.went = went;
        }
    }

    fn starts_body(&self, state: &mut State, worker: u8) {
        let call = state.call_of(worker);
        let (fence, fingerprint) = (state.worker(worker).fence, self.fingerprint(call));
        let history = &mut state.histories[self.key(call)];
        let (in_doubt, policy) = (history.is_in_doubt(), self.setup.policy);
        let broken = &mut state.broken;
        broken.set_if(history.executions.iter().any(|other| other.fence == fence), Broken::TwoBodiesOfOneFence);
        broken.set_if(in_doubt && policy == Policy::Park, Broken::ParkedRunsAgain);
        broken.set_if(in_doubt && policy == Policy::Reconcile, Broken::RunsAgainUnreconciled);
        let other = |e: &Execution| e.is_in_doubt() && e.fingerprint != fingerprint;
        broken.set_if(history.executions.iter().any(other), Broken::OtherPayload);
        let (went, recorded, resolved) = (Went::On, false, false);
        history.executions.push(Execution { call, fence, went, recorded, resolved, fingerprint });
        let of = state.worker(worker);
        (of.stage, of.retries) = (Stage::Running, 0);
    }

    /// A call begins.
    pub(crate) fn starts(&self, state: &mut State, worker: u8) {
        let of = state.worker(worker);
        (of.stage, of.retries) = (Stage::Claiming, 0);
        state.send_for(worker, Operation::Claim);
    }

    /// The current request is sent again.
    pub(crate) fn retries(&self, state: &mut State, worker: u8) {
        let of = state.worker(worker);
        of.retries += 1;
        let operation = match of.stage {
            Stage::Ending(how) => ending(how, of.fence),
            _ => Operation::Claim,
        };
        state.send_for(worker, operation);
    }

    /// A caller waits no longer for an answer.
    pub(crate) fn gives_up(&self, state: &mut State, worker: u8) {
        match state.worker(worker).stage {
            Stage::Claiming => self.leaves_claim(state, worker),
            Stage::Ending(How::Complete) => self.is_over(state, worker, Told::NotRecorded),
            _ => self.is_over(state, worker, Told::Unsure),
        }
    }

    /// A call ends before its claim was answered.
    fn leaves_claim(&self, state: &mut State, worker: u8) {
        if self.setup.rules.leaver_says_not_run {
            state.send_for(worker, Operation::Release(How::NotRun, 0));
        }
        self.is_over(state, worker, Told::Outcome);
    }

    /// A future is dropped, or its body panics.
    pub(crate) fn cancels(&self, state: &mut State, worker: u8) -> Option<()> {
        let rules = &self.setup.rules;
        match state.worker(worker).stage {
            Stage::Claiming => self.leaves_claim(state, worker),
            Stage::Reconciling => {
                self.ends(state, worker, if rules.reconcile_error_is_not_run { How::NotRun } else { How::Unknown });
            }
            Stage::Running => {
                self.body_went(state, worker, Went::Unknown);
                self.ends(state, worker, How::Unknown);
            }
            Stage::Ending(How::Complete | How::Failed) if !rules.ending_survives_drop => {
                self.ends(state, worker, How::Unknown);
            }
            _ => return None,
        }
        Some(())
    }

    /// A process dies.
    pub(crate) fn crashes(&self, state: &mut State, worker: u8) {
        self.body_went(state, worker, Went::Unknown);
        self.is_over(state, worker, Told::Dead);
    }

    /// The body returns an error that keeps the key.
    pub(crate) fn keeps(&self, state: &mut State, worker: u8) {
        self.body_went(state, worker, Went::Unknown);
        if self.setup.rules.keep_ends_heartbeat {
            self.ends(state, worker, How::Keep);
        } else {
            state.worker(worker).beats = true;
            self.is_over(state, worker, Told::Unsure);
        }
    }

    /// The function that reconciles says that nothing was done.
    pub(crate) fn found_nothing(&self, state: &mut State, worker: u8) {
        let call = state.call_of(worker);
        let history = &mut state.histories[self.key(call)];
        if self.setup.rules.late_grant_is_discarded && history.holder != Some(call) {
            return self.is_over(state, worker, Told::Unsure);
        }
        history.resolve();
        self.starts_body(state, worker);
    }

    /// A worker hears an answer to a request of its current call.
    pub(crate) fn hears(&self, state: &mut State, request: Request, answer: Answer) {
        let (call, worker) = (request.from, request.from.worker);
        match (request.operation, answer) {
            (Operation::Claim, Answer::Acquired(fence, previous)) => {
                let history = &state.histories[self.key(call)];
                let is_late = history.holder != Some(call) || history.last != Some((call, fence));
                if !is_late || !self.setup.rules.late_grant_is_discarded {
                    let of = state.worker(worker);
                    (of.fence, of.previous, of.retries) = (fence, previous, 0);
                    self.is_granted(state, worker, previous);
                }
            }
            (Operation::Claim, _) => {
                if self.setup.rules.unanswered_claims_count && state.worker(worker).retries > 0 {
                    state.send_for(worker, Operation::Release(How::NotRun, 0));
                }
                self.is_over(state, worker, Told::Outcome);
            }
            (Operation::Renew(_), Answer::Held) => {}
            (Operation::Renew(_), _) => {
                self.body_went(state, worker, Went::Unknown);
                self.is_over(state, worker, Told::Unsure);
            }
            (Operation::Complete(_), Answer::Held)
            | (Operation::Release(How::Failed | How::NotRun | How::Unknown, _), Answer::Held) => {
                self.is_over(state, worker, Told::Outcome);
            }
            _ => self.is_over(state, worker, Told::Unsure),
        }
    }

    fn is_granted(&self, state: &mut State, worker: u8, previous: Previous) {
        match self.setup.policy {
            Policy::Reconcile if previous == Previous::AfterCrash => state.worker(worker).stage = Stage::Reconciling,
            Policy::Park if previous == Previous::AfterCrash && !self.setup.rules.store_parks => {
                self.ends(state, worker, How::Unknown);
            }
            _ => self.starts_body(state, worker),
        }
    }
}

fn ending(how: How, fence: u8) -> Operation {
    if how == How::Complete { Operation::Complete(fence) } else { Operation::Release(how, fence) }
}
