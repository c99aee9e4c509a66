//! What there is in one moment: the row, the clock, the workers, and the requests and answers under way.

use idem_runtime::protocol::{Micros, Reply, Row};
use idem_runtime::store::Owner;

use crate::setup::Budget;
use crate::truth::Truth;

/// The most workers, the most calls of each, and the most owners that a call draws.
pub(crate) const MOST: usize = 3;

/// A call of a worker.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub struct Call {
    pub(crate) worker: u8,
    pub(crate) nth: u8,
}

/// An owner, by its number. An owner is drawn for a call; zero is an operator.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub(crate) struct Drawn(u8);

/// The owners from this number on are of calls in tx mode.
const TRANSACTIONS: u8 = 200;

impl Drawn {
    pub(crate) const OPERATOR: Self = Self(0);
    /// The one that comes when all is quiet.
    pub(crate) const OUTSIDER: Self = Self(u8::MAX);

    pub(crate) fn new(call: Call, draw: u8) -> Self {
        let most = MOST as u8;
        Self(1 + (call.worker * most + call.nth) * most + draw)
    }

    /// Of a call in tx mode.
    pub(crate) fn transaction(nth: u8) -> Self {
        Self(TRANSACTIONS + nth)
    }

    /// The call in lease mode that drew it.
    pub(crate) fn call(self) -> Option<Call> {
        let nth = self.0.checked_sub(1).filter(|_| self.0 < TRANSACTIONS)? / MOST as u8;
        Some(Call { worker: nth / MOST as u8, nth: nth % MOST as u8 })
    }

    pub(crate) fn owner(self) -> Owner {
        let mut bytes = [0; 16];
        bytes[0] = self.0;
        Owner(bytes)
    }

    pub(crate) fn of(owner: Owner) -> Self {
        Self(owner.0[0])
    }
}

/// How a call leaves its key.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub enum How {
    Complete,
    Failed,
    OutcomeUnknown,
    Keep,
    NotRun,
}

/// What is asked of the store.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub(crate) enum Ask {
    Claim,
    Renew { fence: u64 },
    End { how: How, fence: u64 },
}

/// A request under way. It is carried out at any time until it is lost: so a late one, one that is lost and one that is
/// sent again are all just schedules.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub struct Request {
    pub(crate) from: Call,
    pub(crate) owner: Drawn,
    pub(crate) ask: Ask,
    /// When its first copy was sent, by the sender's clock.
    pub(crate) born: Micros,
    /// Its sender waits for the answer: the call goes on, and no newer copy was sent.
    pub(crate) awaited: bool,
}

/// Where a worker's current call is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Stage {
    Idle,
    Claiming,
    /// For the holder to leave.
    Waiting,
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
    /// How many owners the call drew.
    pub(crate) draw: u8,
    /// How many times its claim failed.
    pub(crate) failures: u8,
    /// A copy of its claim may still be under way.
    pub(crate) unanswered: bool,
    /// When the request was sent that it waits for.
    pub(crate) sent: Micros,
    /// The same of the first copy of that request.
    pub(crate) born: Micros,
    pub(crate) fence: u64,
    /// When its lease ends, by its own clock.
    pub(crate) deadline: Micros,
    /// The answer to the request that it waits for, under way.
    pub(crate) answer: Option<Reply>,
    /// The same of a renewal.
    pub(crate) beat: Option<Reply>,
    pub(crate) beat_sent: Micros,
    /// A heartbeat goes on that should have ended.
    pub(crate) beats: bool,
}

impl Worker {
    pub(crate) fn at(call: u8, stage: Stage) -> Self {
        Self {
            call,
            stage,
            draw: 0,
            failures: 0,
            unanswered: false,
            sent: 0,
            born: 0,
            fence: 0,
            deadline: 0,
            answer: None,
            beat: None,
            beat_sent: 0,
            beats: false,
        }
    }
}

/// What the caller of a call was told.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Told {
    #[default]
    Nothing,
    /// Its process died.
    Dead,
    /// That its outcome is uncertain, or that its key stays claimed.
    Unsure,
    /// That its body ran and was not recorded: the background may go on.
    NotRecorded,
    /// How it went.
    Outcome,
}

/// All of it.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct State {
    pub(crate) row: Option<Row>,
    /// What a transaction has made of the row, and not committed.
    pub(crate) pending: Option<Row>,
    /// The store's clock.
    pub(crate) now: Micros,
    /// The workers' clock, which doesn't step back.
    pub(crate) local: Micros,
    pub(crate) workers: Vec<Worker>,
    pub(crate) told: [[Told; MOST]; MOST],
    /// In order.
    pub(crate) requests: Vec<Request>,
    pub(crate) truth: Truth,
    pub(crate) budget: Budget,
}

impl State {
    pub(crate) fn worker(&mut self, number: u8) -> &mut Worker {
        &mut self.workers[usize::from(number)]
    }

    /// The call that a worker is at.
    pub(crate) fn call_of(&self, number: u8) -> Call {
        Call { worker: number, nth: self.workers[usize::from(number)].call }
    }

    pub(crate) fn told(&self, call: Call) -> Told {
        self.told[usize::from(call.worker)][usize::from(call.nth)]
    }

    pub(crate) fn tell(&mut self, call: Call, told: Told) {
        self.told[usize::from(call.worker)][usize::from(call.nth)] = told;
    }

    /// Adds a request. Its sender waits for its answer, if any, and no longer for that of an earlier copy.
    pub(crate) fn send(&mut self, request: Request) {
        if request.awaited {
            self.forget_requests(request.from, |ask| matches_kind(ask, request.ask));
        }
        self.requests.push(request);
        self.requests.sort_unstable();
    }

    /// Nobody waits for the answers to these requests of a call any more.
    pub(crate) fn forget_requests(&mut self, call: Call, are: impl Fn(Ask) -> bool) {
        for request in self.requests.iter_mut().filter(|request| request.from == call && are(request.ask)) {
            request.awaited = false;
        }
        self.requests.sort_unstable();
    }
}

/// A renewal is waited for beside everything else.
fn matches_kind(one: Ask, other: Ask) -> bool {
    matches!(one, Ask::Renew { .. }) == matches!(other, Ask::Renew { .. })
}
