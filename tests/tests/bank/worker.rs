//! What a process of a run does: it takes delivery of transfers on its standard input, and acknowledges them on its standard
//! output. At some points it may kill itself.

use std::fmt;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use idem_runtime::{Error, Outcome};
use idem_tests::journal::Journal;
use idem_tests::rng::Rng;
use sqlx::mysql::MySqlDatabaseError;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::history::{self, Kind};
use crate::ledger::{Books, Receipt, Transfer};

/// The name of this binary's test that is a worker.
const TEST: &str = "worker";
/// What an acknowledgement begins with: the harness of the tests writes to standard output, too.
pub(crate) const ACK: &str = "ack ";

/// How a handler is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Tx,
    Lease,
}

/// A bank at a database.
pub(crate) trait Bank: Sized + Send + Sync + 'static {
    const NAME: &'static str;

    /// Opens it as soon as its server is there; with a store where `mode` has one.
    fn open(url: &str, mode: Mode) -> impl Future<Output = Self> + Send;

    /// Makes its own tables, and the accounts. Whoever opens it with a store has made that of the keys.
    fn found(&self) -> impl Future<Output = ()> + Send;

    /// Books a transfer, if it isn't yet.
    fn deliver(
        &self,
        attempt: &Attempt<'_>,
        mode: Mode,
    ) -> impl Future<Output = Result<Outcome<Receipt>, Failed>> + Send;

    fn books(&self) -> impl Future<Output = Books> + Send;

    /// Whether an operator finds the key of a transfer completed, with a record.
    fn is_recorded(&self, transfer: u64, mode: Mode) -> impl Future<Output = bool> + Send;

    /// How many keys are completed, and how many are not.
    fn keys(&self) -> impl Future<Output = (u64, u64)> + Send;
}

/// Why an attempt failed.
#[derive(Debug)]
pub(crate) enum Failed {
    /// The library says so.
    Refused(Error),
    /// SQL of the handler's own, or of its caller.
    Sql(sqlx::Error),
}

/// Why another attempt can help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Again {
    /// The handler's own SQL met a concurrent transaction.
    OwnConflict,
    /// The library's did.
    Conflict,
    InProgress,
    /// The body ran, and the call says that its result isn't recorded.
    NotRecorded,
    /// Nobody answered.
    Disconnected,
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Self::Refused(error)
    }
}

impl From<sqlx::Error> for Failed {
    fn from(error: sqlx::Error) -> Self {
        Self::Sql(error)
    }
}

impl Failed {
    fn again(&self) -> Option<Again> {
        match self {
            Self::Sql(error) => again(error),
            Self::Refused(error) if !error.is_retryable() => None,
            Self::Refused(Error::Conflict { .. }) => Some(Again::Conflict),
            Self::Refused(Error::InProgress { .. }) => Some(Again::InProgress),
            Self::Refused(error) if error.executed() => Some(Again::NotRecorded),
            Self::Refused(_) => Some(Again::Disconnected),
        }
    }
}

/// What the handler's own SQL failed of.
fn again(error: &sqlx::Error) -> Option<Again> {
    let error = match error {
        sqlx::Error::Database(error) => error,
        sqlx::Error::Io(_) | sqlx::Error::Protocol(_) | sqlx::Error::PoolTimedOut => return Some(Again::Disconnected),
        _ => return None,
    };
    let code = match error.try_downcast_ref::<MySqlDatabaseError>() {
        Some(error) => error.number().to_string(),
        None => error.code().unwrap_or_default().into_owned(),
    };
    match code.as_str() {
        // A serialization failure and a deadlock of PostgreSQL; a deadlock, a lock that took too long and a row that has
        // changed of MariaDB; a busy database of SQLite, and one that has changed since it was read.
        "40001" | "40P01" | "1213" | "1205" | "1020" | "5" | "517" => Some(Again::OwnConflict),
        // PostgreSQL is killed, or not yet there.
        "57P01" | "57P02" | "57P03" => Some(Again::Disconnected),
        _ => None,
    }
}

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
            Self::Written | Self::Uncommitted | Self::Unrecorded => 40,
            // Replays get there, too.
            Self::Unacknowledged => 120,
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
    async fn handle<B: Bank>(&self, bank: &B, transfer: u64, mode: Mode) -> Outcome<Receipt> {
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

/// What a worker is told.
#[derive(Clone, Debug)]
pub(crate) struct Orders {
    /// Where the history is.
    pub(crate) directory: PathBuf,
    /// The name of the bank.
    pub(crate) bank: &'static str,
    pub(crate) url: String,
    pub(crate) mode: Mode,
}

const DIRECTORY: &str = "IDEM_BANK_DIRECTORY";
const BANK: &str = "IDEM_BANK_NAME";
const URL: &str = "IDEM_BANK_URL";
const LEASE: &str = "IDEM_BANK_LEASE";
const NUMBER: &str = "IDEM_BANK_NUMBER";

impl Orders {
    /// Starts a worker.
    pub(crate) fn start(&self, number: u64) -> Child {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", TEST, "--quiet", "--nocapture"]).stdin(Stdio::piped()).stdout(Stdio::piped());
        command.env(DIRECTORY, &self.directory).env(BANK, self.bank).env(URL, &self.url);
        command.env(LEASE, (self.mode == Mode::Lease).to_string()).env(NUMBER, number.to_string());
        command.spawn().unwrap()
    }
}

/// The bank that this process is to work for, if it is a worker.
pub(crate) fn bank() -> Option<String> {
    std::env::var(BANK).ok()
}

/// What a worker does.
pub(crate) async fn work<B: Bank>() {
    let text = |name: &str| std::env::var(name).unwrap();
    let mode = if text(LEASE) == "true" { Mode::Lease } else { Mode::Tx };
    let journal = Journal::open(&history::path(&PathBuf::from(text(DIRECTORY))));
    let number = text(NUMBER).parse().unwrap();
    let worker = Arc::new(Worker::new(number, journal, number, true));
    let bank = Arc::new(B::open(&text(URL), mode).await);
    let mut deliveries = deliveries();
    let mut handlers = JoinSet::new();
    loop {
        tokio::select! {
            Some(done) = handlers.join_next() => done.unwrap(),
            transfer = deliveries.recv() => {
                let Some(transfer) = transfer else { break };
                let (worker, bank) = (Arc::clone(&worker), Arc::clone(&bank));
                handlers.spawn(async move { acknowledge(&worker.handle(&*bank, transfer, mode).await) });
            }
        }
    }
    handlers.join_all().await;
}

/// What arrives, until the other side closes.
fn deliveries() -> mpsc::UnboundedReceiver<u64> {
    let (sender, receiver) = mpsc::unbounded_channel();
    std::thread::spawn(move || {
        for line in std::io::stdin().lines() {
            let Ok(()) = sender.send(line.unwrap().parse().unwrap()) else { return };
        }
    });
    receiver
}

fn acknowledge(outcome: &Outcome<Receipt>) {
    let line = match outcome {
        Outcome::Executed(receipt) => format!("{ACK}executed {receipt}\n"),
        Outcome::Replayed(receipt) => format!("{ACK}replayed {receipt}\n"),
    };
    let mut out = std::io::stdout().lock();
    out.write_all(line.as_bytes()).and_then(|()| out.flush()).unwrap();
}
