//! What befalls a key from outside: time, the sweep, and an operator.

use std::time::Duration;

use idem_runtime::protocol::{self, Micros, Operation, Reply, Row, State as RowState};
use idem_runtime::store::Previous;

use crate::model::{Action, Protocol, Word};
use crate::setup::{Fault, LINGER, Policy, STEP_BACK, TTL, micros};
use crate::state::{Ask, Drawn, How, State, Told};
use crate::truth::{Broken, Last};

/// When a request is lost for good whose first copy was sent then.
pub(crate) fn end_of_life(born: Micros) -> Micros {
    born + micros(LINGER)
}

impl State {
    /// Until when time may pass, and what that is spent of.
    pub(crate) fn deadlines(&self) -> impl Iterator<Item = (Fault, Micros)> + '_ {
        let row = self.row.as_ref();
        let until = row.and_then(|row| match row.state {
            RowState::Running | RowState::Kept => Some((Fault::Lease, row.until)),
            RowState::Done => Some((Fault::Ttl, row.until)),
            RowState::Unknown | RowState::Free => None,
        });
        let purge = row.and_then(|row| row.purge_at).map(|at| (Fault::Purge, at));
        let oldest = self.requests.iter().map(|request| end_of_life(request.born)).min();
        let life = oldest.map(|end| (Fault::Life, self.now + (end - self.local)));
        [until, purge, life].into_iter().flatten().filter(|(_, at)| *at > self.now)
    }

    pub(crate) fn is_sweepable(&self) -> bool {
        self.row.is_some_and(|row| row.is_sweepable(self.now))
    }

    /// The words of an operator that the store takes.
    pub(crate) fn words(&self) -> impl Iterator<Item = Word> + '_ {
        let changes = |word: &Word| protocol::step(self.row.as_ref(), word.operation(TTL), self.now).row.is_some();
        [Word::Executed, Word::NotExecuted, Word::Forget].into_iter().filter(changes)
    }
}

impl Word {
    fn operation(self, ttl: Duration) -> Operation<'static> {
        match self {
            Self::Executed => Operation::ResolveExecuted { ttl },
            Self::NotExecuted => Operation::ResolveNotExecuted,
            Self::Forget => Operation::Forget,
        }
    }
}

impl Protocol {
    pub(crate) fn befalls(&self, state: &mut State, action: Action) -> Option<()> {
        match action {
            Action::Until(fault) => {
                let (_, at) = state.deadlines().find(|(of, _)| *of == fault)?;
                passes(state, at);
            }
            Action::StepBack => state.now -= micros(STEP_BACK),
            Action::Sweep => self.sweeps(state),
            Action::Says(word) => self.says(state, word),
            _ => return None,
        }
        Some(())
    }

    fn sweeps(&self, state: &mut State) {
        let State { row, truth, now, .. } = state;
        // Under rerun an orphan is forgotten once it was kept for as long as the claim said: no lease of its own lasts
        // longer, and no failure.
        let tells = |row: Row| row.is_orphan(*now) || matches!(row.previous, Previous::AfterCrash { .. });
        let forgets = self.setup.policy == Policy::Rerun
            && row.is_some_and(tells)
            && truth.lease.is_none_or(|(_, until)| until + micros(self.setup.ttl) <= *now);
        if forgets {
            truth.settle_before(u64::MAX);
        }
        if truth.failed.is_some_and(|until| until <= *now) {
            truth.failed = None;
        }
        (*row, truth.undone, truth.holders) = (None, None, 0);
    }

    fn says(&self, state: &mut State, word: Word) {
        let State { row, truth, now, .. } = state;
        let next = protocol::step(row.as_ref(), word.operation(self.setup.ttl), *now);
        if next.reply != Reply::Held {
            return;
        }
        *row = next.row.or(*row);
        if word != Word::Forget {
            let is_handlers = truth.record.is_some_and(|(by, _)| by != Drawn::OPERATOR) && truth.has_record(*now);
            truth.breaks_if(is_handlers, Broken::RecordReplaced);
            truth.breaks_if(truth.holder(*now).is_some(), Broken::HolderOverruled);
        }
        let fence = row.map_or(0, |row| row.fence);
        truth.highest = truth.highest.max(fence);
        truth.overruled = fence;
        truth.last = Some(Last { owner: Drawn::OPERATOR, fence, previous: Previous::First });
        truth.record = (word == Word::Executed).then_some((Drawn::OPERATOR, *now + micros(self.setup.ttl)));
        (truth.lease, truth.failed, truth.undone) = (None, None, None);
        truth.settle_before(u64::MAX);
    }

    /// A key was refused as parked: something has to be in doubt.
    pub(crate) fn look_at_parked(&self, state: &mut State) {
        let last = state.truth.last.and_then(|last| last.owner.call());
        let is_settled = last.is_some_and(|call| {
            state.told(call) == Told::Outcome && !state.requests.iter().any(|request| request.from == call)
        });
        let is_wrong = is_settled && state.truth.in_doubt().next().is_none();
        state.truth.breaks_if(is_wrong, Broken::ParkedWithoutDoubt);
    }

    /// What is looked for in every state.
    pub(crate) fn look(&self, state: &mut State) {
        let (phantom, stuck) = (is_phantom(state), self.is_stuck(state));
        state.truth.breaks_if(phantom, Broken::Phantom);
        state.truth.breaks_if(stuck, Broken::Stuck);
    }

    /// From here, with every request lost, every lease over, an operator where it is parked, and a caller that nothing
    /// happens to: the key can't be completed.
    fn is_stuck(&self, state: &State) -> bool {
        let Some(row) = state.row else { return false };
        let mut now = state.now;
        if row.state == RowState::Done && row.until > now {
            return false;
        }
        if matches!(row.state, RowState::Running | RowState::Kept) {
            if state.workers.iter().any(|worker| worker.beats) && row.state == RowState::Running {
                return true;
            }
            now = now.max(row.until);
        }
        let mut row = row;
        if self.setup.policy == Policy::Park && row.is_orphan(now) {
            match protocol::step(Some(&row), Operation::ResolveNotExecuted, now).row {
                Some(freed) => row = freed,
                None => return true,
            }
        }
        self.is_refused(&row, now)
    }

    fn is_refused(&self, row: &Row, now: Micros) -> bool {
        let claimed = self.step(Some(row), Drawn::OUTSIDER, Ask::Claim, now);
        let (Reply::Acquired(grant), Some(row)) = (claimed.reply, claimed.row) else { return true };
        let complete = Ask::End { how: How::Complete, fence: grant.fence };
        self.step(Some(&row), Drawn::OUTSIDER, complete, now).reply != Reply::Held
    }
}

/// Time passes, and what is under way for too long is lost.
fn passes(state: &mut State, at: Micros) {
    state.local += at - state.now;
    state.now = at;
    let local = state.local;
    for nth in (0..state.requests.len()).rev() {
        if end_of_life(state.requests[nth].born) <= local {
            let lost = state.requests.remove(nth);
            // The background gives up its ending, and says that the key stays claimed.
            if lost.ask == (Ask::End { how: How::NotRun, fence: 0 }) {
                state.tell(lost.from, Told::Unsure);
            }
        }
    }
}

/// A lease is live, its caller was told that the call is over, and nothing is under way that would end it.
fn is_phantom(state: &State) -> bool {
    let is_live = state.row.is_some_and(|row| row.state == RowState::Running && row.until > state.now);
    let last = state.truth.last.and_then(|last| last.owner.call()).filter(|_| is_live);
    last.is_some_and(|call| {
        let ends = |ask| matches!(ask, Ask::End { how: How::NotRun, .. });
        state.told(call) == Told::Outcome && !state.requests.iter().any(|r| r.from == call && ends(r.ask))
    })
}
