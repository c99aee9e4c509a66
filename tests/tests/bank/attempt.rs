//! Attempts at deliveries, and the points at which a worker may kill itself.

use std::fmt;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use idem_runtime::Outcome;
use idem_tests::journal::Journal;
use idem_tests::rng::Rng;

use crate::history::Kind;
use crate::ledger::{Receipt, Transfer};
use crate::worker::{Bank, Mode};

/// The points at which a worker may kill itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Point {
    /// Between two writes of the handler.
    Writing,
    /// After the handler's last write, and in lease mode before its commit.
    Written,
    /// In tx mode: after the call, and before the commit.
    Uncommitted,
    /// In lease mode: after the handler's own commit, and before the call records the result.
    Unrecorded,
    /// After the commit, and before the acknowledgement.
    Unacknowledged,
}

impl Point {
    pub(crate) const ALL: [Self; 5] =
        [Self::Writing, Self::Written, Self::Uncommitted, Self::Unrecorded, Self::Unacknowledged];

    /// The worker kills itself here one time in so many.
    fn odds(self) -> u64 {
        match self {
            Self::Writing => 200,
            Self::Written | Self::Uncommitted | Self::Unrecorded => 25,
            // Less often, as replays reach this point too.
            Self::Unacknowledged => 80,
        }
    }
}

/// How a transaction is begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Begin {
    Usual,
    /// The caller reads before it calls the handler.
    Audited,
    /// The caller reads first, at an isolation level at which a conflict can be an error instead of a wait.
    Strict,
}

/// The worker that this process is.
pub(crate) struct Worker {
    number: u64,
    journal: Journal,
    attempts: AtomicU64,
    rng: Mutex<Rng>,
    /// Whether it may kill itself. The one that looks at the end doesn't.
    mortal: bool,
}

/// One attempt at a delivery.
pub(crate) struct Attempt<'a> {
    worker: &'a Worker,
    pub(crate) transfer: Transfer,
    /// The name of the body's run, if the body runs in this attempt.
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

    /// Tries until the transfer is booked.
    pub(crate) async fn handle<B: Bank>(&self, bank: &B, transfer: u64, mode: Mode) -> Outcome<Receipt> {
        loop {
            let attempt = self.attempt(transfer);
            match bank.deliver(&attempt, mode).await {
                Ok(outcome) => {
                    attempt.may_die(Point::Unacknowledged);
                    return outcome;
                }
                Err(failed) => {
                    let again = failed.again().unwrap_or_else(|| panic!("no further attempt can help: {failed:?}"));
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

    /// The worker may kill itself here.
    pub(crate) fn may_die(&self, point: Point) {
        if self.worker.mortal && self.worker.below(point.odds()) == 0 {
            self.note(Kind::Dies, &format_args!("{point:?}"));
            unsafe { libc::kill(libc::getpid(), libc::SIGKILL) };
            unreachable!("killed");
        }
    }
}
