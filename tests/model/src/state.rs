//! What there is: rows, workers, requests and answers under way, and what really happened.

use crate::setup::Budget;

pub(crate) type Owner = u8;
pub(crate) type Fence = u8;

/// No owner.
pub(crate) const NOBODY: Owner = 0;

/// A call of a worker.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub struct Call {
    pub(crate) worker: u8,
    pub(crate) nth: u8,
}

/// In the place of a call: an operator, or the one that comes when all is quiet.
pub(crate) const OUTSIDER: Call = Call { worker: 99, nth: 0 };

/// How a call leaves its key.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub enum How {
    Complete,
    Failed,
    Unknown,
    NotRun,
    Keep,
}

/// What a claim is told of its predecessor.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub enum Previous {
    First,
    AfterFailure,
    AfterCrash,
}

/// Where a row is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub(crate) enum Phase {
    Absent,
    Running,
    Unknown,
    Kept,
    Free,
    Done,
}

/// A key in the store.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Row {
    pub(crate) phase: Phase,
    pub(crate) owner: Owner,
    pub(crate) fence: Fence,
    /// Its lease or ttl isn't over.
    pub(crate) live: bool,
    /// The fence of the holder that the current one took over from; 0: none. In a completed row it marks a resolution: the
    /// fence before it.
    pub(crate) doubt: Fence,
    pub(crate) previous: Previous,
    pub(crate) fingerprint: u8,
    /// The owners that left, newest first.
    pub(crate) ended: Vec<Owner>,
}

impl Row {
    pub(crate) fn absent(fence: Fence) -> Self {
        Self {
            phase: Phase::Absent,
            owner: NOBODY,
            fence,
            live: false,
            doubt: 0,
            previous: Previous::First,
            fingerprint: 0,
            ended: Vec::new(),
        }
    }

    pub(crate) fn is_leased(&self) -> bool {
        matches!(self.phase, Phase::Running | Phase::Kept)
    }

    pub(crate) fn is_orphan(&self) -> bool {
        self.phase == Phase::Unknown || (self.is_leased() && !self.live)
    }
}

/// What is asked of the store.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub enum Operation {
    Claim,
    Renew(Fence),
    Complete(Fence),
    /// The same, sent by the background after its caller was told that nothing was recorded.
    CompleteLate(Fence),
    Release(How, Fence),
}

/// A request. It is under way until it is carried out, at whatever time: so a late one, one that is lost and one that
/// is repeated are all just schedules.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub struct Request {
    pub(crate) from: Call,
    pub(crate) operation: Operation,
}

/// What the store answers.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub enum Answer {
    Acquired(Fence, Previous),
    InProgress,
    Completed,
    Orphaned,
    KeyReused,
    Ended,
    Held,
    Lost,
    /// `Lost`, where there is no row.
    Gone,
}

/// Where a worker's current call is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub(crate) enum Stage {
    Idle,
    Claiming,
    Reconciling,
    Running,
    Ending(How),
    /// It has no further call.
    Over,
}

/// A process.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Worker {
    pub(crate) call: u8,
    pub(crate) stage: Stage,
    pub(crate) fence: Fence,
    pub(crate) previous: Previous,
    /// How often the current request was sent again.
    pub(crate) retries: u8,
    /// A heartbeat goes on that should have ended.
    pub(crate) beats: bool,
}

/// What a caller was told.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Told {
    Nothing,
    /// Its process died.
    Dead,
    /// That its outcome is uncertain.
    Unsure,
    /// That its body ran and was not recorded: the background may go on.
    NotRecorded,
    /// How it went.
    Outcome,
}

/// How a body went.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub(crate) enum Went {
    On,
    Well,
    Wrong,
    Unknown,
}

/// A body that was started.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Execution {
    pub(crate) call: Call,
    pub(crate) fence: Fence,
    pub(crate) went: Went,
    pub(crate) recorded: bool,
    /// Someone found out what it did.
    pub(crate) resolved: bool,
    pub(crate) fingerprint: u8,
}

impl Execution {
    /// It may have had an effect that nothing tells of.
    pub(crate) fn is_in_doubt(&self) -> bool {
        self.went != Went::Wrong && !self.recorded && !self.resolved
    }
}

/// What really happened to a key. The protocol can't see it.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct History {
    pub(crate) highest: Fence,
    /// Who was granted the key last.
    pub(crate) last: Option<(Call, Fence)>,
    /// Who has a live lease.
    pub(crate) holder: Option<Call>,
    /// It is completed, and the ttl isn't over.
    pub(crate) is_done: bool,
    pub(crate) failed_last: bool,
    pub(crate) granted: Vec<(Call, Previous)>,
    pub(crate) executions: Vec<Execution>,
    /// The background recorded what its caller was told is not recorded.
    pub(crate) recorded_late: bool,
    /// An operator replaced a resolution.
    pub(crate) replaced: bool,
}

impl History {
    pub(crate) fn new() -> Self {
        Self {
            highest: 0,
            last: None,
            holder: None,
            is_done: false,
            failed_last: false,
            granted: Vec::new(),
            executions: Vec::new(),
            recorded_late: false,
            replaced: false,
        }
    }

    pub(crate) fn is_in_doubt(&self) -> bool {
        self.executions.iter().any(Execution::is_in_doubt)
    }

    /// Everything before is known.
    pub(crate) fn resolve(&mut self) {
        self.executions.iter_mut().for_each(|execution| execution.resolved = true);
    }

    /// Everything before this fence is known.
    pub(crate) fn resolve_before(&mut self, fence: Fence) {
        self.executions.iter_mut().filter(|execution| execution.fence < fence).for_each(|old| old.resolved = true);
    }
}

/// All of it.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct State {
    pub(crate) rows: Vec<Row>,
    pub(crate) histories: Vec<History>,
    pub(crate) workers: Vec<Worker>,
    /// What the caller of each call was told, by worker.
    pub(crate) told: Vec<Vec<Told>>,
    pub(crate) requests: Vec<Request>,
    pub(crate) answers: Vec<(Request, Answer)>,
    pub(crate) budget: Budget,
    pub(crate) broken: Flags,
}

impl State {
    pub(crate) fn told(&self, call: Call) -> Told {
        self.told[usize::from(call.worker)][usize::from(call.nth)]
    }
}

/// What must never be.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Broken {
    FenceDoesNotGrow,
    CompletedRunsAgain,
    ZombieEnds,
    TwoHolders,
    TwoBodiesOfOneFence,
    ParkedRunsAgain,
    RunsAgainUnreconciled,
    /// A live lease whose caller was told that its call is over.
    Phantom,
    ParkedWithoutDoubt,
    /// A completion that was recorded is answered `Lost`.
    RecordedIsLost,
    WrongPrevious,
    CompletedTooEarly,
    /// Another fingerprint ran over an effect that is unknown.
    OtherPayload,
    /// The key can never be completed.
    Stuck,
    /// A body's success is known, and the key runs again.
    OutcomeLost,
    RepeatHasAnotherFence,
    /// An operator replaced what a handler recorded.
    RecordReplaced,
}

impl Broken {
    /// All of them, with what a report says.
    pub const ALL: [(Self, &'static str); 17] = [
        (Self::FenceDoesNotGrow, "a fence doesn't grow"),
        (Self::CompletedRunsAgain, "a completed key runs again within its ttl"),
        (Self::ZombieEnds, "a zombie's ending is accepted"),
        (Self::TwoHolders, "two hold a live lease"),
        (Self::TwoBodiesOfOneFence, "two bodies run under one fence"),
        (Self::ParkedRunsAgain, "a parked key runs again unresolved"),
        (Self::RunsAgainUnreconciled, "a key runs again unreconciled"),
        (Self::Phantom, "a lease is live, and its caller was told that its call is over"),
        (Self::ParkedWithoutDoubt, "a key is parked though nothing is in doubt"),
        (Self::RecordedIsLost, "a completion that was recorded is lost"),
        (Self::WrongPrevious, "a claim is told wrongly what came before it"),
        (Self::CompletedTooEarly, "a duplicate of a running key is told that it is completed"),
        (Self::OtherPayload, "another fingerprint runs over an unknown effect"),
        (Self::Stuck, "a key can never be completed"),
        (Self::OutcomeLost, "a success is known, and its key runs again"),
        (Self::RepeatHasAnotherFence, "a running call's repeated claim gets another fence"),
        (Self::RecordReplaced, "a handler's own record is replaced"),
    ];

    /// What a report says.
    pub fn text(self) -> &'static str {
        Self::ALL[self as usize].1
    }
}

/// A set of what is broken.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Flags(u32);

impl Flags {
    pub(crate) fn of(broken: &[Broken]) -> Self {
        let mut flags = Self::default();
        broken.iter().for_each(|broken| flags.set(*broken));
        flags
    }

    pub(crate) fn set(&mut self, broken: Broken) {
        self.0 |= 1 << broken as u32;
    }

    pub(crate) fn set_if(&mut self, is: bool, broken: Broken) {
        if is {
            self.set(broken);
        }
    }

    pub(crate) fn has(self, nth: usize) -> bool {
        self.0 & (1 << nth) != 0
    }

    pub(crate) fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}
