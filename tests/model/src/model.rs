//! What can happen in a state, and what follows.

use stateright::{Model, Property};

use crate::setup::Setup;
use crate::state::{
    Answer, Broken, Call, Flags, History, How, OUTSIDER, Operation, Phase, Previous, Request, Row, Stage, State, Told,
    Went, Worker,
};
use crate::store::Key;

/// The protocol, and what a run looks for: a state in which that is broken isn't gone on from.
pub struct Protocol {
    pub(crate) setup: Setup,
    pub(crate) wanted: Flags,
}

/// One thing that happens; to a worker or a key, by its number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Action {
    Start(u8),
    Retry(u8),
    GiveUp(u8),
    CarryOut(Request),
    Hear(Request, Answer),
    Renew(u8),
    BodyReturns(u8),
    BodyFails(u8),
    BodyKeeps(u8),
    Cancel(u8),
    Crash(u8),
    ReconcileFinds(u8),
    ReconcileFindsNothing(u8),
    ReconcileFails(u8),
    /// The background repeats the completion of this call.
    CompleteLate(Call),
    LeaseEnds(u8),
    TtlEnds(u8),
    Sweep(u8),
    ResolveExecuted(u8),
    ReplaceResolution(u8),
    ResolveNotExecuted(u8),
    Forget(u8),
}

impl Protocol {
    /// Looks for these.
    pub fn new(setup: Setup, wanted: &[Broken]) -> Self {
        Self { setup, wanted: Flags::of(wanted) }
    }

    /// Which key a call wants.
    pub(crate) fn key(&self, call: Call) -> usize {
        if self.setup.two_keys { usize::from((call.worker + call.nth) % 2) } else { 0 }
    }

    pub(crate) fn fingerprint(&self, call: Call) -> u8 {
        if self.setup.two_fingerprints { call.worker % 2 } else { 0 }
    }

    fn of_worker(state: &State, number: u8, actions: &mut Vec<Action>) {
        let (worker, budget) = (&state.workers[usize::from(number)], &state.budget);
        let mut may = |left: u8, action| {
            if left > 0 {
                actions.push(action);
            }
        };
        match worker.stage {
            Stage::Over => return,
            Stage::Idle => {
                // Workers that have done nothing yet are alike: they begin in order.
                let before = number.checked_sub(1).map(|before| &state.workers[usize::from(before)]);
                let is_next = before.is_none_or(|before| before.call > 0 || before.stage != Stage::Idle);
                return may(u8::from(worker.call > 0 || is_next), Action::Start(number));
            }
            Stage::Claiming | Stage::Ending(_) => {
                may(if worker.retries < 1 { budget.retry } else { 0 }, Action::Retry(number));
                may(budget.give_up, Action::GiveUp(number));
            }
            Stage::Reconciling => {
                may(1, Action::ReconcileFindsNothing(number));
                may(1, Action::ReconcileFinds(number));
                may(budget.error, Action::ReconcileFails(number));
            }
            Stage::Running => {
                may(1, Action::BodyReturns(number));
                may(budget.error, Action::BodyFails(number));
                may(budget.keep, Action::BodyKeeps(number));
                may(budget.renew, Action::Renew(number));
            }
        }
        may(budget.crash, Action::Crash(number));
        may(budget.cancel, Action::Cancel(number));
    }

    fn of_key(&self, state: &State, number: u8, actions: &mut Vec<Action>) {
        let (row, budget) = (&state.rows[usize::from(number)], &state.budget);
        if row.is_leased() && row.live && budget.lease > 0 && !self.is_renewed_for_ever(state, row.owner) {
            actions.push(Action::LeaseEnds(number));
        }
        if row.phase == Phase::Done && row.live && budget.ttl > 0 {
            actions.push(Action::TtlEnds(number));
        }
        if budget.sweep > 0 && self.is_sweepable(row) && (!self.setup.rules.linger || self.is_quiet(state, number)) {
            actions.push(Action::Sweep(number));
        }
        if budget.admin > 0 && row.is_orphan() {
            actions.extend([Action::ResolveExecuted(number), Action::ResolveNotExecuted(number)]);
        }
        if budget.admin > 0 && self.is_replaceable(row) {
            actions.push(Action::ReplaceResolution(number));
        }
        if budget.admin > 0 && row.phase != Phase::Absent {
            actions.push(Action::Forget(number));
        }
    }

    /// Whether an operator's record stands, as far as the row tells.
    fn is_replaceable(&self, row: &Row) -> bool {
        row.phase == Phase::Done && row.live && (row.doubt != 0 || !self.setup.rules.resolution_is_marked)
    }

    fn is_sweepable(&self, row: &Row) -> bool {
        match row.phase {
            Phase::Absent => false,
            Phase::Free => true,
            Phase::Done => !row.live,
            Phase::Running | Phase::Unknown | Phase::Kept => row.is_orphan() && !self.setup.rules.sweep_spares_orphans,
        }
    }

    /// Whether the linger is over: no request of a call is under way. The background's may be: it goes on for longer.
    fn is_quiet(&self, state: &State, key: u8) -> bool {
        let is_of = |call| self.key(call) == usize::from(key);
        let is_late = |operation| matches!(operation, Operation::CompleteLate(_));
        let asks = state.requests.iter().any(|request| is_of(request.from) && !is_late(request.operation));
        let ends = (0..self.setup.workers).any(|number| {
            let stage = state.workers[usize::from(number)].stage;
            matches!(stage, Stage::Ending(_)) && is_of(state.call_of(number))
        });
        !asks && !ends
    }

    /// Whose completions the background may repeat.
    fn late(&self, state: &State, actions: &mut Vec<Action>) {
        if state.budget.late == 0 {
            return;
        }
        for execution in state.histories.iter().flat_map(|history| &history.executions) {
            if execution.went == Went::Well && state.told(execution.call) == Told::NotRecorded {
                actions.push(Action::CompleteLate(execution.call));
            }
        }
    }

    fn carry_out(&self, state: &mut State, request: Request) -> Option<()> {
        let at = state.requests.iter().position(|other| *other == request)?;
        state.requests.remove(at);
        let nth = self.key(request.from);
        let State { rows, histories, broken, .. } = state;
        let answer = self.step(Key { row: &mut rows[nth], history: &mut histories[nth], broken }, request);
        if answer == Answer::Orphaned {
            self.look_at_parked(state, nth);
        }
        state.answers.push((request, answer));
        Some(())
    }

    /// An operator's word on a key.
    fn say(&self, state: &mut State, key: u8, executed: bool) {
        let rules = &self.setup.rules;
        let nth = usize::from(key);
        let (row, history) = (&mut state.rows[nth], &mut state.histories[nth]);
        let (owner, doubt) = (row.owner, if executed { row.fence } else { 0 });
        self.note_ended(row, owner);
        if rules.resolve_raises_fence {
            row.fence += 1;
        }
        (row.phase, row.live, row.doubt) = (if executed { Phase::Done } else { Phase::Free }, executed, doubt);
        if !executed {
            row.previous = Previous::First;
        }
        self.is_settled(history, row.fence, executed);
    }

    /// An operator says something else of a key that was resolved.
    fn replace(&self, state: &mut State, key: u8) {
        let history = &mut state.histories[usize::from(key)];
        let is_operators = history.last.is_some_and(|(call, _)| call == OUTSIDER);
        history.replaced |= is_operators;
        state.broken.set_if(!is_operators, Broken::RecordReplaced);
        self.say(state, key, true);
    }

    fn forget(&self, state: &mut State, key: u8) {
        if self.setup.rules.forget_keeps_row {
            return self.say(state, key, false);
        }
        let nth = usize::from(key);
        self.delete(&mut state.rows[nth]);
        self.is_settled(&mut state.histories[nth], state.rows[nth].fence, false);
    }

    fn is_settled(&self, history: &mut History, fence: u8, is_done: bool) {
        history.highest = history.highest.max(fence);
        (history.last, history.holder) = (Some((OUTSIDER, fence)), None);
        (history.is_done, history.failed_last) = (is_done, false);
        history.resolve();
    }

    /// Time, and who looks after the store.
    fn befalls(&self, state: &mut State, action: Action) {
        let State { rows, histories, budget, .. } = state;
        match action {
            Action::LeaseEnds(key) => {
                budget.lease -= 1;
                rows[usize::from(key)].live = false;
                histories[usize::from(key)].holder = None;
            }
            Action::TtlEnds(key) => {
                budget.ttl -= 1;
                rows[usize::from(key)].live = false;
                histories[usize::from(key)].is_done = false;
            }
            Action::Sweep(key) => {
                budget.sweep -= 1;
                self.delete(&mut rows[usize::from(key)]);
                histories[usize::from(key)].failed_last = false;
            }
            Action::ResolveExecuted(key) | Action::ResolveNotExecuted(key) => {
                budget.admin -= 1;
                self.say(state, key, matches!(action, Action::ResolveExecuted(_)));
            }
            Action::ReplaceResolution(key) => {
                budget.admin -= 1;
                self.replace(state, key);
            }
            Action::Forget(key) => {
                budget.admin -= 1;
                self.forget(state, key);
            }
            _ => {}
        }
    }

    fn happens(&self, state: &mut State, action: Action) -> Option<()> {
        match action {
            Action::Start(worker) => self.starts(state, worker),
            Action::Retry(worker) => {
                state.budget.retry -= 1;
                self.retries(state, worker);
            }
            Action::GiveUp(worker) => {
                state.budget.give_up -= 1;
                self.gives_up(state, worker);
            }
            Action::CarryOut(request) => self.carry_out(state, request)?,
            Action::Hear(request, answer) => {
                state.answers.retain(|other| *other != (request, answer));
                self.hears(state, request, answer);
            }
            Action::Renew(worker) => {
                state.budget.renew -= 1;
                let fence = state.worker(worker).fence;
                state.send(state.call_of(worker), Operation::Renew(fence));
            }
            Action::BodyReturns(worker) => {
                self.body_went(state, worker, Went::Well);
                self.ends(state, worker, How::Complete);
            }
            Action::BodyFails(worker) => {
                state.budget.error -= 1;
                self.body_went(state, worker, Went::Wrong);
                self.ends(state, worker, How::Failed);
            }
            Action::BodyKeeps(worker) => {
                state.budget.keep -= 1;
                self.keeps(state, worker);
            }
            Action::Cancel(worker) => {
                state.budget.cancel -= 1;
                self.cancels(state, worker)?;
            }
            Action::Crash(worker) => {
                state.budget.crash -= 1;
                self.crashes(state, worker);
            }
            Action::ReconcileFinds(worker) => {
                let key = self.key(state.call_of(worker));
                state.histories[key].resolve();
                self.ends(state, worker, How::Complete);
            }
            Action::ReconcileFindsNothing(worker) => self.found_nothing(state, worker),
            Action::ReconcileFails(worker) => {
                state.budget.error -= 1;
                let not_run = self.setup.rules.reconcile_error_is_not_run;
                self.ends(state, worker, if not_run { How::NotRun } else { How::Failed });
            }
            Action::CompleteLate(call) => {
                state.budget.late -= 1;
                let of = |history: &History| history.executions.iter().find(|e| e.call == call).map(|e| e.fence);
                state.send(call, Operation::CompleteLate(of(&state.histories[self.key(call)])?));
            }
            _ => self.befalls(state, action),
        }
        Some(())
    }
}

impl Model for Protocol {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let keys = if self.setup.two_keys { 2 } else { 1 };
        let (workers, calls) = (usize::from(self.setup.workers), usize::from(self.setup.calls));
        vec![State {
            rows: vec![Row::absent(0); keys],
            histories: vec![History::new(); keys],
            workers: vec![Worker::new(); workers],
            told: vec![vec![Told::Nothing; calls]; workers],
            requests: Vec::new(),
            answers: Vec::new(),
            budget: self.setup.budget,
            broken: Flags::default(),
        }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        if state.broken.meets(self.wanted) {
            return;
        }
        // They are in order: what is sent twice is under way twice, and one is like the other.
        for (nth, request) in state.requests.iter().enumerate() {
            if nth == 0 || state.requests[nth - 1] != *request {
                actions.push(Action::CarryOut(*request));
            }
        }
        actions.extend(state.answers.iter().map(|(request, answer)| Action::Hear(*request, *answer)));
        (0..self.setup.workers).for_each(|number| Self::of_worker(state, number, actions));
        (0..).zip(&state.rows).for_each(|(number, _)| self.of_key(state, number, actions));
        self.late(state, actions);
    }

    fn next_state(&self, before: &State, action: Action) -> Option<State> {
        let mut state = before.clone();
        self.happens(&mut state, action)?;
        state.forget_answers();
        self.look(&mut state);
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        macro_rules! never {
            ($($nth:literal)*) => {
                vec![$(Property::always(Broken::ALL[$nth].1, |_, state: &State| !state.broken.has($nth))),*]
            };
        }
        let mut properties = never!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16);
        properties.extend([
            Property::sometimes(COMPLETES, |_, state: &State| state.rows[0].phase == Phase::Done),
            Property::sometimes(RUNS_TWICE, |_, state: &State| state.histories[0].executions.len() >= 2),
            Property::sometimes(IS_TAKEN_OVER, |_, state: &State| is_taken_over(state)),
            Property::sometimes(IS_RECORDED_LATE, |_, state: &State| state.histories[0].recorded_late),
            Property::sometimes(IS_REPLACED, |_, state: &State| state.histories[0].replaced),
        ]);
        properties
    }
}

/// What has to happen in some state, or a run shows nothing.
pub const COMPLETES: &str = "a key is completed";
/// The same.
pub const RUNS_TWICE: &str = "a second body runs";
/// The same.
pub const IS_TAKEN_OVER: &str = "a key is taken over, or refused as parked";
/// The same, where the background repeats completions.
pub const IS_RECORDED_LATE: &str = "the background records what its caller was told is not recorded";
/// The same, where an operator speaks twice.
pub const IS_REPLACED: &str = "an operator replaces a resolution";

fn is_taken_over(state: &State) -> bool {
    state.histories[0].granted.iter().any(|(_, previous)| *previous == Previous::AfterCrash)
        || state.answers.iter().any(|(_, answer)| *answer == Answer::Orphaned)
}
