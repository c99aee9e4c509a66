//! States that differ in nothing that matters any more are made one.

use crate::model::Protocol;
use crate::setup::{Fault, Policy, micros};
use crate::state::{Call, How, MOST, Stage, State, Told, Worker};

impl Protocol {
    pub(crate) fn tidy(&self, state: &mut State) {
        let local = state.local;
        let retries = state.budget.left(Fault::Retry);
        state.workers.iter_mut().for_each(|worker| worker.tidy(local, retries));
        self.tidy_truth(state);
        tidy_told(state);
    }

    fn tidy_truth(&self, state: &mut State) {
        let State { truth, workers, row, now, budget, .. } = state;
        let last = truth.last.map(|last| last.fence);
        let is_at = |fence| workers.iter().any(|worker| worker.fence == fence);
        truth.bodies.retain(|body| body.is_in_doubt() || last == Some(body.fence) || is_at(body.fence));
        let matters = |fence| row.is_some_and(|row| row.fence == fence || row.doubt == Some(fence));
        truth.undone = truth.undone.filter(|fence| matters(*fence));
        // What is over stays over, unless the clock steps back.
        if budget.left(Fault::Back) {
            return;
        }
        let kept = if self.setup.policy == Policy::Rerun { micros(self.setup.ttl) } else { 0 };
        truth.lease = truth.lease.filter(|(_, until)| until + kept > *now);
        truth.failed = truth.failed.filter(|until| until > now);
        truth.record = truth.record.map(|(by, until)| (by, if until > *now { until } else { 0 }));
    }
}

impl Worker {
    /// What a stage doesn't look at is as if it had never been.
    fn tidy(&mut self, local: u64, retries: bool) {
        let is_claiming = matches!(self.stage, Stage::Claiming | Stage::Waiting);
        let may_repeat = is_claiming || (retries && matches!(self.stage, Stage::Ending(_)));
        if !is_claiming {
            (self.failures, self.unanswered, self.sent) = (0, false, 0);
        }
        if !may_repeat {
            self.born = 0;
        }
        let is_over = self.deadline <= local;
        if is_over || matches!(self.stage, Stage::Ending(how) if how != How::Complete) {
            self.deadline = 0;
        }
        if self.stage == Stage::Waiting {
            self.sent = 0;
        }
    }
}

/// What a caller was told matters as long as its call may hold the key, or ask for it.
fn tidy_told(state: &mut State) {
    let last = state.truth.last.and_then(|last| last.owner.call());
    let late = state.budget.left(Fault::Late);
    for worker in 0..MOST as u8 {
        for nth in 0..MOST as u8 {
            let call = Call { worker, nth };
            let goes_on = late && state.told(call) == Told::NotRecorded;
            let asks = state.requests.iter().any(|request| request.from == call);
            if last != Some(call) && !goes_on && !asks {
                state.tell(call, Told::Nothing);
            }
        }
    }
}
