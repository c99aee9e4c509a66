//! Attempts at deliveries, and where their worker may die.

use std::fmt;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use idem_runtime::Outcome;
use idem_tests::journal::Journal;
use idem_tests::rng::Rng;

use crate::history::Kind;
use crate::ledger::{Receipt, Transfer};
use crate::worker::{Bank, Mode};

/// Where a worker may kill itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Point {
    /// Between two writes of the handler.
    Writing,
    /// After its last write. In lease mode that is before its commit.
    Written,
    /// After the call, and before the commit: tx mode's.
    Uncommitted,
    /// After the handler's own commit, and before the call records the result: lease mode's.
    Unrecorded,
    /// After the commit, and before the acknowledgement.
    Unacknowledged,
}

impl Point {
    pub(crate) const ALL: [Self; 5] =
        [Self::Writing, Self::Written, Self::Uncommitted, Self::Unrecorded, Self::Unacknowledged];

    /// It happens one time in so many.
    fn odds(self) -> u64 {
        match self {
            Self::Writing => 200,
            Self::Written | Self::Uncommitted | Self::Unrecorded => 25,
            // Replays get there, too.
            Self::Unacknowledged => 80,
        }
    }
}

/// How a transaction is begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Begin {
    Usual,
    /// It reads before it calls the handler.
    Audited,
    /// That, too, and it is of the kind that can't always wait for others.
    Strict,
}

/// This process.
pub(crate) struct Worker {
    number: u64,
    journal: Journal,
    attempts: AtomicU64,
    rng: Mutex<Rng>,
    /// Whether it dies at points: the last ones to look don't.
    mortal: bool,
}

/// One attempt at a delivery.
pub(crate) struct Attempt<'a> {
    worker: &'a Worker,
    pub(crate) transfer: Transfer,
    /// The name that a run of the body has, if this attempt comes to one.
    pub(crate) execution: String,
    pub(crate) begin: Begin,
}

impl Worker {
    pub(crate) fn new(number: u64, journal: Journal, seed: u64, mortal: bool) -> Self {
        Self { number, journal, attempts: AtomicU64::new(0), rng: Mutex::new(Rng::new(seed)), mortal }
    }

    fn below(&self, bound: u64) -> u64 {
        self.rng.lock().unwrap().below(bound)
    }

    pub(crate) fn attempt(&self, transfer: u64) -> Attempt<'_> {
        let nth = self.attempts.fetch_add(1, Ordering::Relaxed);
        let begin = match self.below(16) {
            0 => Begin::Strict,
            1 | 2 => Begin::Audited,
            _ => Begin::Usual,
        };
        let execution = format!("{}.{nth}", self.number);
        Attempt { worker: self, transfer: Transfer::of(transfer), execution, begin }
    }

    /// Tries until it is booked.
    pub(crate) async fn handle<B: Bank>(&self, bank: &B, transfer: u64, mode: Mode) -> Outcome<Receipt> {
        loop {
            let attempt = self.attempt(transfer);
            match bank.deliver(&attempt, mode).await {
                Ok(outcome) => {
                    attempt.may_die(Point::Unacknowledged);
                    return outcome;
                }
                Err(failed) => {
                    let again = failed.again().unwrap_or_else(|| panic!("nothing helps: {failed:?}"));
                    let said = format!("{failed:?}").replace('\n', " ");
                    attempt.note(Kind::Again, &format_args!("{again:?} {said}"));
                }
            }
        }
    }
}

impl Attempt<'_> {
    pub(crate) fn note(&self, kind: Kind, rest: &dyn fmt::Display) {
        self.worker.journal.line(format_args!("{kind:?} {} {} {rest}", self.transfer.id, self.execution));
    }

    /// Here a worker may be killed.
    pub(crate) fn may_die(&self, point: Point) {
        if self.worker.mortal && self.worker.below(point.odds()) == 0 {
            self.note(Kind::Dies, &format_args!("{point:?}"));
            unsafe { libc::kill(libc::getpid(), libc::SIGKILL) };
            unreachable!("killed");
        }
    }
}
