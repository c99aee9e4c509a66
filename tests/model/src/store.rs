//! The store: one atomic step for each request. Beside each step stands what really happened, and what that breaks.

use crate::model::Protocol;
use crate::setup::Policy;
use crate::state::{
    Answer, Broken, Call, Execution, Fence, Flags, History, How, NOBODY, OUTSIDER, Operation, Owner, Phase, Previous,
    Request, Row, Went,
};

/// A key, and what is true of it.
pub(crate) struct Key<'a> {
    pub(crate) row: &'a mut Row,
    pub(crate) history: &'a mut History,
    pub(crate) broken: &'a mut Flags,
}

impl Protocol {
    /// Carries out a request.
    pub(crate) fn step(&self, key: Key<'_>, request: Request) -> Answer {
        match request.operation {
            Operation::Claim => self.claim(key, request.from),
            Operation::Renew(fence) => self.renew(key, request.from, fence),
            Operation::Complete(fence) => self.complete(key, request.from, fence, false),
            Operation::CompleteLate(fence) => self.complete(key, request.from, fence, true),
            Operation::Release(How::NotRun, _) => self.leave_unrun(key, request.from),
            Operation::Release(how, fence) => self.release(key, request.from, how, fence),
        }
    }

    pub(crate) fn owner(&self, call: Call) -> Owner {
        match call {
            OUTSIDER => 200,
            call if self.setup.rules.owner_per_call => 1 + call.worker * self.setup.calls + call.nth,
            _ => 1,
        }
    }

    fn holds(&self, row: &Row, call: Call, fence: Fence) -> bool {
        let fenced = !self.setup.rules.fence_is_checked || row.fence == fence;
        row.phase != Phase::Absent && row.owner == self.owner(call) && fenced
    }

    /// Whether an ending counts, by time.
    fn counts(&self, row: &Row) -> bool {
        row.live || self.setup.rules.late_ending_counts
    }

    fn remembers(&self, row: &Row, owner: Owner) -> bool {
        let is_own = row.owner == owner && row.phase != Phase::Running;
        self.setup.rules.slots > 0 && (is_own || row.ended.contains(&owner))
    }

    /// Notes an owner that left.
    pub(crate) fn note_ended(&self, row: &mut Row, owner: Owner) {
        let slots = self.setup.rules.slots;
        if owner != NOBODY && slots > 1 && !row.ended.contains(&owner) {
            row.ended.insert(0, owner);
            row.ended.truncate(slots - 1);
        }
    }

    /// The row is deleted.
    pub(crate) fn delete(&self, row: &mut Row) {
        *row = Row::absent(if self.setup.rules.fence_survives { row.fence } else { 0 });
    }

    fn claim(&self, key: Key<'_>, call: Call) -> Answer {
        let rules = &self.setup.rules;
        let owner = self.owner(call);
        let Key { row, history, broken } = key;
        let fingerprint = if call == OUTSIDER { row.fingerprint } else { self.fingerprint(call) };
        let is_other = row.fingerprint != fingerprint;
        if row.phase == Phase::Running && row.owner == owner {
            return self.repeat(Key { row, history, broken }, call);
        }
        if row.phase == Phase::Done && row.live {
            broken.set_if(!history.is_done, Broken::CompletedTooEarly);
            return if is_other { Answer::KeyReused } else { Answer::Completed };
        }
        if self.remembers(row, owner) {
            return Answer::Ended;
        }
        if row.is_leased() && row.live {
            return if is_other { Answer::KeyReused } else { Answer::InProgress };
        }
        if row.is_orphan() && is_other && rules.fingerprint_of_orphans {
            return Answer::KeyReused;
        }
        if row.is_orphan() && self.setup.policy == Policy::Park && rules.store_parks && call != OUTSIDER {
            return Answer::Orphaned;
        }
        self.acquire(Key { row, history, broken }, call, fingerprint)
    }

    /// A claim that finds its own row.
    fn repeat(&self, Key { row, history, broken }: Key<'_>, call: Call) -> Answer {
        let rules = &self.setup.rules;
        let previous = if rules.repeat_is_told_the_same { row.previous } else { Previous::First };
        if !row.live && !rules.repeat_keeps_fence {
            let runs = history.executions.iter().any(|execution| execution.fence == row.fence);
            broken.set_if(history.last == Some((call, row.fence)) && runs, Broken::RepeatHasAnotherFence);
            row.fence += 1;
            history.highest = history.highest.max(row.fence);
            history.last = Some((call, row.fence));
        }
        row.live = true;
        history.holder = Some(call);
        let told = history.granted.iter().find(|(granted, _)| *granted == call);
        broken.set_if(told.is_some_and(|(_, told)| *told != previous), Broken::WrongPrevious);
        Answer::Acquired(row.fence, previous)
    }

    fn acquire(&self, Key { row, history, broken }: Key<'_>, call: Call, fingerprint: u8) -> Answer {
        let is_known =
            |execution: &Execution| execution.fence == row.fence && execution.went == Went::Well && !execution.recorded;
        let lost = row.phase == Phase::Unknown && history.executions.iter().any(is_known);
        broken.set_if(lost, Broken::OutcomeLost);

        // The highest is what the store's clock stands for.
        let fence = 1 + if self.setup.rules.fence_survives { row.fence.max(history.highest) } else { row.fence };
        let is_orphan = row.is_orphan();
        let previous = match row.phase {
            _ if is_orphan => Previous::AfterCrash,
            Phase::Free => row.previous,
            _ => Previous::First,
        };
        let (old, doubt) = (row.owner, if is_orphan { row.fence } else { 0 });
        self.note_ended(row, old);
        let ended = std::mem::take(&mut row.ended);
        let owner = self.owner(call);
        *row = Row { phase: Phase::Running, owner, fence, live: true, doubt, previous, fingerprint, ended };

        broken.set_if(fence <= history.highest, Broken::FenceDoesNotGrow);
        broken.set_if(history.is_done, Broken::CompletedRunsAgain);
        broken.set_if(history.holder.is_some_and(|holder| holder != call), Broken::TwoHolders);
        let in_doubt = history.is_in_doubt();
        let wrong = (in_doubt && previous != Previous::AfterCrash)
            || (!in_doubt && history.failed_last && previous == Previous::First);
        broken.set_if(wrong, Broken::WrongPrevious);

        history.highest = history.highest.max(fence);
        (history.last, history.holder) = (Some((call, fence)), Some(call));
        history.granted.push((call, previous));
        (history.failed_last, history.is_done) = (false, false);
        Answer::Acquired(fence, previous)
    }

    fn renew(&self, Key { row, history, .. }: Key<'_>, call: Call, fence: Fence) -> Answer {
        if row.phase != Phase::Running || !self.holds(row, call, fence) || !self.counts(row) {
            return refused(row);
        }
        row.live = true;
        history.holder = Some(call);
        Answer::Held
    }

    fn complete(&self, Key { row, history, broken }: Key<'_>, call: Call, fence: Fence, is_late: bool) -> Answer {
        let rules = &self.setup.rules;
        let is_last = history.last == Some((call, fence));
        let is_own = row.owner == self.owner(call) && row.fence == fence;
        match row.phase {
            Phase::Running | Phase::Unknown if self.holds(row, call, fence) && self.counts(row) => {
                (row.phase, row.live, row.doubt) = (Phase::Done, true, 0);
            }
            Phase::Done if is_own && (row.live || rules.completion_repeats_after_ttl) => {
                // What is there may be an operator's.
                broken.set_if(!is_last, Broken::ZombieEnds);
                return Answer::Held;
            }
            Phase::Absent if !rules.completion_is_update => {
                let row_of = Row::absent(fence);
                *row = Row { phase: Phase::Done, owner: self.owner(call), live: true, ..row_of };
                row.fingerprint = self.fingerprint(call);
            }
            _ => {
                let mut recorded = history.executions.iter().filter(|execution| execution.recorded);
                let is_recorded = recorded.any(|execution| (execution.call, execution.fence) == (call, fence));
                // Nobody hears what the background is told.
                broken.set_if(is_last && is_recorded && !is_late, Broken::RecordedIsLost);
                return refused(row);
            }
        }
        broken.set_if(!is_last, Broken::ZombieEnds);
        broken.set_if(history.is_done, Broken::CompletedRunsAgain);
        (history.is_done, history.holder, history.failed_last) = (true, None, false);
        history.recorded_late |= is_late;
        for execution in history.executions.iter_mut().filter(|e| (e.call, e.fence) == (call, fence)) {
            broken.set_if(execution.recorded, Broken::ZombieEnds);
            execution.recorded = true;
        }
        history.resolve_before(fence);
        Answer::Held
    }

    fn release(&self, key: Key<'_>, call: Call, how: How, fence: Fence) -> Answer {
        let Key { row, history, broken } = key;
        let applies = match row.phase {
            Phase::Running => true,
            Phase::Unknown => how == How::Failed,
            Phase::Done => how == How::Failed && !self.setup.rules.done_is_final,
            Phase::Absent | Phase::Kept | Phase::Free => false,
        };
        if !applies || !self.holds(row, call, fence) || !self.counts(row) {
            let again = matches!(row.phase, Phase::Free | Phase::Unknown | Phase::Kept);
            return if again && self.holds(row, call, fence) { Answer::Held } else { refused(row) };
        }
        broken.set_if(history.last != Some((call, fence)), Broken::ZombieEnds);
        if row.phase == Phase::Done && history.is_done {
            broken.set(Broken::OutcomeLost);
            history.is_done = false;
        }
        if history.holder == Some(call) && how != How::Keep {
            history.holder = None;
        }
        match how {
            How::Failed => self.fail(row, history, fence),
            How::Unknown => {
                if self.setup.rules.unknown_is_a_state {
                    row.phase = Phase::Unknown;
                }
                row.live = false;
            }
            How::Keep => row.phase = Phase::Kept,
            How::Complete | How::NotRun => {}
        }
        Answer::Held
    }

    fn fail(&self, row: &mut Row, history: &mut History, fence: Fence) {
        if self.setup.rules.failure_keeps_row {
            (row.phase, row.live, row.previous, row.doubt) = (Phase::Free, false, Previous::AfterFailure, 0);
        } else {
            self.delete(row);
        }
        history.failed_last = true;
        if history.executions.iter().any(|execution| execution.fence == fence) {
            history.resolve_before(fence);
        }
    }

    /// The caller left before its body ran.
    fn leave_unrun(&self, Key { row, history, .. }: Key<'_>, call: Call) -> Answer {
        let rules = &self.setup.rules;
        let owner = self.owner(call);
        if row.phase != Phase::Running || row.owner != owner {
            if rules.not_run_refuses_claim && rules.slots > 0 {
                if row.phase == Phase::Absent {
                    *row = Row { phase: Phase::Free, owner, ..row.clone() };
                } else {
                    self.note_ended(row, owner);
                }
            }
            return Answer::Held;
        }
        if rules.doubt_survives_not_run && row.doubt != 0 {
            (row.phase, row.live) = (Phase::Unknown, false);
        } else if rules.failure_keeps_row {
            (row.phase, row.live) = (Phase::Free, false);
        } else {
            self.delete(row);
        }
        if row.phase == Phase::Free && row.doubt == 0 && row.previous == Previous::AfterCrash {
            row.previous = Previous::First;
        }
        history.failed_last |= row.phase == Phase::Free && row.previous == Previous::AfterFailure;
        if history.holder == Some(call) {
            history.holder = None;
        }
        Answer::Held
    }
}

/// The answer to whoever doesn't hold the key.
fn refused(row: &Row) -> Answer {
    if row.phase == Phase::Absent { Answer::Gone } else { Answer::Lost }
}
