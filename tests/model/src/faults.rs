//! What is looked for in every state, beside what a step notes itself.

use crate::model::Protocol;
use crate::setup::Policy;
use crate::state::{Answer, Broken, Call, Flags, How, NOBODY, OUTSIDER, Operation, Phase, Request, State, Told};
use crate::store::Key;

impl State {
    fn has_request(&self, call: Call, is: impl Fn(Operation) -> bool) -> bool {
        self.requests.iter().any(|request| request.from == call && is(request.operation))
    }
}

impl Protocol {
    pub(crate) fn look(&self, state: &mut State) {
        let (phantom, stuck) = (is_phantom(state), self.is_stuck(state));
        state.broken.set_if(phantom, Broken::Phantom);
        state.broken.set_if(stuck, Broken::Stuck);
    }

    /// A key was refused as parked: something has to be in doubt.
    pub(crate) fn look_at_parked(&self, state: &mut State, key: usize) {
        let history = &state.histories[key];
        let Some((call, _)) = history.last.filter(|(call, _)| *call != OUTSIDER) else { return };
        let is_settled = state.told(call) == Told::Outcome && !state.has_request(call, |_| true);
        let wrong = is_settled && !history.is_in_doubt();
        state.broken.set_if(wrong, Broken::ParkedWithoutDoubt);
    }

    /// From here, with every message lost, every lease over and a caller that nothing happens to: the key can't be
    /// completed, and isn't rightly parked.
    fn is_stuck(&self, state: &State) -> bool {
        (0..state.rows.len()).any(|nth| {
            let (mut row, mut history) = (state.rows[nth].clone(), state.histories[nth].clone());
            if row.phase == Phase::Done && row.live {
                return false;
            }
            if row.is_leased() {
                if self.is_renewed_for_ever(state, row.owner) {
                    return true;
                }
                row.live = false;
            }
            if self.setup.policy == Policy::Park && row.is_orphan() {
                return row.owner == NOBODY;
            }
            let mut broken = Flags::default();
            let mut ask = |operation| {
                let key = Key { row: &mut row, history: &mut history, broken: &mut broken };
                self.step(key, Request { from: OUTSIDER, operation })
            };
            match ask(Operation::Claim) {
                Answer::Acquired(fence, _) => ask(Operation::Complete(fence)) != Answer::Held,
                _ => true,
            }
        })
    }

    /// Whether a heartbeat that should have ended renews this owner's lease.
    pub(crate) fn is_renewed_for_ever(&self, state: &State, owner: u8) -> bool {
        state.workers.iter().zip(0..).any(|(worker, number)| {
            worker.beats && (0..self.setup.calls).any(|nth| self.owner(Call { worker: number, nth }) == owner)
        })
    }
}

/// A lease is live, its caller was told that the call is over, and nothing is under way that would end it.
fn is_phantom(state: &State) -> bool {
    state.rows.iter().zip(&state.histories).any(|(row, history)| {
        let last = history.last.map(|(call, _)| call).filter(|call| *call != OUTSIDER);
        row.phase == Phase::Running
            && row.live
            && last.is_some_and(|call| {
                let ends = |operation| matches!(operation, Operation::Release(How::NotRun, _));
                state.told(call) == Told::Outcome && !state.has_request(call, ends)
            })
    })
}
