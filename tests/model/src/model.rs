//! What can happen in a state, and what follows.

use idem_runtime::protocol::{Reply, State as RowState};
use idem_runtime::store::Previous;
use stateright::{Model, Property};

use crate::setup::{CLAIM_ATTEMPTS, Fault, START, Setup};
use crate::state::{Ask, How, MOST, Request, Stage, State, Told, Worker};
use crate::truth::{Flags, Truth, Went};
use crate::tx::TxEnd;

/// The protocol, and what a run looks for: a state in which that is broken isn't gone on from.
pub struct Protocol {
    pub(crate) setup: Setup,
    pub(crate) wanted: Flags,
}

/// An operator's word on a key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Word {
    Executed,
    NotExecuted,
    Forget,
}

/// One thing that happens; to a worker, by its number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Action {
    Claim(u8),
    Retry(u8),
    /// The background sends an ending again.
    Repeat(Request),
    CarryOut(Request),
    Hear(u8),
    HearAndWait(u8),
    Renew(u8),
    HearOfRenewal(u8),
    BodyReturns(u8),
    BodyFails(u8),
    BodyKeeps(u8),
    BodySkips(u8),
    ReconcileFinds(u8),
    ReconcileFindsNothing(u8),
    ReconcileFails(u8),
    GiveUp(u8),
    Cancel(u8),
    Crash(u8),
    /// The background repeats the completion of a call that was told that it was not recorded.
    CompleteLate(Request),
    /// Time passes until the deadline that this is spent of.
    Until(Fault),
    StepBack,
    Sweep,
    Says(Word),
    TxClaims,
    TxEnds(TxEnd),
}

impl Action {
    /// What it is spent of.
    fn fault(self) -> Option<Fault> {
        Some(match self {
            Self::Retry(_) | Self::Repeat(_) => Fault::Retry,
            Self::HearAndWait(_) => Fault::Wait,
            Self::Renew(_) => Fault::Renew,
            Self::BodyFails(_) | Self::ReconcileFails(_) => Fault::Error,
            Self::BodyKeeps(_) => Fault::Keep,
            Self::BodySkips(_) => Fault::Skip,
            Self::GiveUp(_) => Fault::GiveUp,
            Self::Cancel(_) => Fault::Cancel,
            Self::Crash(_) => Fault::Crash,
            Self::CompleteLate(_) => Fault::Late,
            Self::Until(fault) => fault,
            Self::StepBack => Fault::Back,
            Self::Says(_) => Fault::Operator,
            Self::TxClaims => Fault::Tx,
            _ => return None,
        })
    }
}

impl Protocol {
    /// Looks for these.
    pub fn new(setup: Setup, wanted: Flags) -> Self {
        Self { setup, wanted }
    }

    fn of_worker(&self, state: &State, number: u8, actions: &mut Vec<Action>) {
        let worker = &state.workers[usize::from(number)];
        match worker.stage {
            Stage::Over => return,
            Stage::Idle => {
                // Workers that have done nothing yet are alike: they begin in order.
                let before = number.checked_sub(1).map(|before| &state.workers[usize::from(before)]);
                let is_next = before.is_none_or(|before| before.call > 0 || before.stage != Stage::Idle);
                return actions.extend((worker.call > 0 || is_next).then_some(Action::Claim(number)));
            }
            Stage::Claiming => {
                if worker.failures + 1 < CLAIM_ATTEMPTS && self.may_repeat(state, number) {
                    actions.push(Action::Retry(number));
                }
            }
            Stage::Waiting => actions.extend(self.may_repeat(state, number).then_some(Action::Claim(number))),
            Stage::Reconciling => actions.extend([
                Action::ReconcileFinds(number),
                Action::ReconcileFindsNothing(number),
                Action::ReconcileFails(number),
                Action::Renew(number),
            ]),
            Stage::Running => actions.extend([
                Action::BodyReturns(number),
                Action::BodyFails(number),
                Action::BodyKeeps(number),
                Action::BodySkips(number),
                Action::Renew(number),
            ]),
            Stage::Ending(how) => {
                // The caller sends a completion again while its lease holds; then the background does.
                let in_time = how != How::Complete || worker.deadline > state.local;
                if in_time && self.may_repeat(state, number) {
                    actions.push(Action::Retry(number));
                }
                actions.push(Action::GiveUp(number));
            }
        }
        if worker.answer.is_some() {
            actions.push(Action::Hear(number));
        }
        if matches!(worker.answer, Some(Reply::InProgress { .. })) {
            actions.push(Action::HearAndWait(number));
        }
        if worker.beat.is_some() {
            actions.push(Action::HearOfRenewal(number));
        }
        actions.extend([Action::Crash(number), Action::Cancel(number)]);
    }

    /// What the background may send again.
    fn of_background(state: &State, actions: &mut Vec<Action>) {
        let left = |request: &&Request| matches!(request.ask, Ask::End { .. }) && !request.awaited;
        actions.extend(state.requests.iter().filter(left).map(|request| Action::Repeat(*request)));
        for body in state.truth.bodies.iter().filter(|body| body.went == Went::Well) {
            let ask = Ask::End { how: How::Complete, fence: body.fence };
            let Some(from) = body.owner.call() else { continue };
            if state.told(from) == Told::NotRecorded {
                let request = Request { from, owner: body.owner, ask, born: state.local, awaited: false };
                actions.push(Action::CompleteLate(request));
            }
        }
    }

    /// What befalls the row, and waits where a transaction holds it.
    fn of_key(&self, state: &State, actions: &mut Vec<Action>) {
        if state.pending.is_some() {
            return actions.extend(TxEnd::ALL.map(Action::TxEnds));
        }
        if state.is_sweepable() {
            actions.push(Action::Sweep);
        }
        if state.budget.left(Fault::Operator) {
            actions.extend(state.words().map(Action::Says));
        }
        if state.budget.left(Fault::Tx) && self.can_begin(state) {
            actions.push(Action::TxClaims);
        }
        // They are in order: what is sent twice is under way twice, and one is like the other.
        for (nth, request) in state.requests.iter().enumerate() {
            if nth == 0 || state.requests[nth - 1] != *request {
                actions.push(Action::CarryOut(*request));
            }
        }
    }

    fn carries_out(&self, state: &mut State, request: Request) -> Option<()> {
        let at = state.requests.iter().position(|other| *other == request)?;
        state.requests.remove(at);
        let State { row, truth, now, .. } = state;
        let reply = self.serve(row, truth, request, *now);
        if reply == Reply::Orphaned {
            self.look_at_parked(state);
        }
        if request.awaited {
            let worker = state.worker(request.from.worker);
            match request.ask {
                Ask::Renew { .. } => worker.beat = Some(reply),
                _ => worker.answer = Some(reply),
            }
        }
        Some(())
    }

    fn happens(&self, state: &mut State, action: Action) -> Option<()> {
        match action {
            Action::Claim(number) => self.claims(state, number),
            Action::Retry(number) => self.retries(state, number),
            Action::Repeat(request) => state.send(request),
            Action::CompleteLate(request) => state.send(request),
            Action::CarryOut(request) => self.carries_out(state, request)?,
            Action::Hear(number) => self.hears(state, number, false)?,
            Action::HearAndWait(number) => self.hears(state, number, true)?,
            Action::Renew(number) => self.renews(state, number),
            Action::HearOfRenewal(number) => self.hears_of_renewal(state, number)?,
            Action::BodyReturns(number) => self.body_ends(state, number, Went::Well, How::Complete),
            Action::BodyFails(number) => self.body_ends(state, number, Went::Settled, How::Failed),
            Action::BodySkips(number) => self.skips(state, number),
            Action::BodyKeeps(number) => self.keeps(state, number),
            Action::ReconcileFinds(number) => self.found(state, number),
            Action::ReconcileFindsNothing(number) => self.found_nothing(state, number),
            Action::ReconcileFails(number) => self.reconcile_fails(state, number),
            Action::GiveUp(number) => self.gives_up(state, number),
            Action::Cancel(number) => self.cancels(state, number)?,
            Action::Crash(number) => self.crashes(state, number),
            Action::Until(_) | Action::StepBack | Action::Sweep | Action::Says(_) => self.befalls(state, action)?,
            Action::TxClaims => self.begins(state)?,
            Action::TxEnds(end) => self.ends_tx(state, end)?,
        }
        Some(())
    }
}

impl Model for Protocol {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![State {
            row: None,
            pending: None,
            now: START,
            local: START,
            workers: vec![Worker::at(0, Stage::Idle); usize::from(self.setup.workers)],
            told: [[Told::Nothing; MOST]; MOST],
            requests: Vec::new(),
            truth: Truth::new(),
            budget: self.setup.budget,
        }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        if state.truth.broken.meets(self.wanted) {
            return;
        }
        (0..self.setup.workers).for_each(|number| self.of_worker(state, number, actions));
        Self::of_background(state, actions);
        self.of_key(state, actions);
        actions.extend(state.deadlines().map(|(fault, _)| Action::Until(fault)));
        actions.push(Action::StepBack);
        actions.retain(|action| action.fault().is_none_or(|fault| state.budget.left(fault)));
    }

    fn next_state(&self, before: &State, action: Action) -> Option<State> {
        let mut state = before.clone();
        if let Some(fault) = action.fault() {
            state.budget.spend(fault);
        }
        self.happens(&mut state, action)?;
        self.look(&mut state);
        self.tidy(&mut state);
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(HOLDS, |model: &Self, state: &State| !state.truth.broken.meets(model.wanted)),
            Property::sometimes(COMPLETES, |_, state: &State| state.row.is_some_and(|row| row.state == RowState::Done)),
            Property::sometimes(RUNS_TWICE, |_, state: &State| state.truth.bodies.len() >= 2),
            Property::sometimes(IS_TAKEN_OVER, |_, state: &State| is_taken_over(state)),
            Property::sometimes(IS_RECORDED_LATE, |_, state: &State| is_recorded_late(state)),
        ]
    }
}

/// What is looked for.
pub(crate) const HOLDS: &str = "nothing is broken";
/// What has to happen in some state, or a run shows nothing.
pub const COMPLETES: &str = "a key is completed";
/// The same.
pub const RUNS_TWICE: &str = "a second body runs";
/// The same.
pub const IS_TAKEN_OVER: &str = "a key is taken over, or refused as parked";
/// The same, where the background repeats completions.
pub const IS_RECORDED_LATE: &str = "the background records what its caller was told is not recorded";

fn is_taken_over(state: &State) -> bool {
    let after_crash = |previous| matches!(previous, Previous::AfterCrash { .. });
    state.truth.last.is_some_and(|last| after_crash(last.previous))
        || state.workers.iter().any(|worker| worker.answer == Some(Reply::Orphaned))
}

fn is_recorded_late(state: &State) -> bool {
    let told = |owner: crate::state::Drawn| owner.call().map(|call| state.told(call));
    state.truth.bodies.iter().any(|body| body.recorded && told(body.owner) == Some(Told::NotRecorded))
}
