//! The suite with which the author of a store tests it.
//!
//! Each case tests a rule of the protocol, or a fault that was found in a store of another library. Each case uses a
//! scope of its own, with a random name. So the suite can run on a store that holds other rows, and can run again on
//! the same store. It takes a few seconds, and sleeps most of that time.
//!
//! # What a store author does
//!
//! Write the four methods (see [`store`](crate::store)) and one test. This is a whole store in memory, with the state
//! machine of this crate:
//!
//! ```
//! use std::collections::HashMap;
//! use std::sync::{Arc, Mutex, PoisonError};
//! use std::time::SystemTime;
//!
//! use idem_runtime::IdempotencyStore;
//! use idem_runtime::protocol::{self, Operation, Reply, Row, State};
//! use idem_runtime::store::{
//!     ClaimAnswer, ClaimRequest, CompleteRequest, Key, Record, ReleaseRequest, RenewRequest, Standing, StoreError,
//! };
//!
//! type Rows = HashMap<(String, Vec<u8>), (Row, Option<Record>)>;
//!
//! #[derive(Clone, Default)]
//! struct MyStore(Arc<Mutex<Rows>>);
//!
//! impl MyStore {
//!     /// Finds the row, calls the state machine while nobody else can write the row, and writes the row that it returns.
//!     fn apply(&self, scope: &str, key: &Key, operation: Operation<'_>) -> (Reply, Option<Record>) {
//!         let mut rows = self.0.lock().unwrap_or_else(PoisonError::into_inner);
//!         let now = SystemTime::UNIX_EPOCH.elapsed().map_or(0, |now| now.as_micros() as u64);
//!         let place = (scope.to_owned(), key.as_bytes().to_vec());
//!         let (row, kept) = rows.get(&place).cloned().unzip();
//!         let kept = kept.flatten();
//!         let next = protocol::step(row.as_ref(), operation, now);
//!         if let Some(row) = next.row {
//!             let record = match operation {
//!                 Operation::Complete(request) => Some(request.record.clone()),
//!                 // A duplicate that gives up is remembered in a completed row too, whose record stays.
//!                 _ => kept.clone().filter(|_| row.state == State::Done),
//!             };
//!             rows.insert(place, (row, record));
//!         }
//!         (next.reply, kept)
//!     }
//! }
//!
//! impl IdempotencyStore for MyStore {
//!     async fn claim(&self, request: ClaimRequest<'_>) -> Result<ClaimAnswer, StoreError> {
//!         let (reply, kept) = self.apply(request.scope, request.key, Operation::Claim(&request));
//!         Ok(reply.into_claim(|| kept))
//!     }
//!
//!     async fn renew(&self, request: RenewRequest<'_>) -> Result<Standing, StoreError> {
//!         Ok(self.apply(request.scope, request.key, Operation::Renew(&request)).0.into_standing())
//!     }
//!
//!     async fn complete(&self, request: CompleteRequest<'_>) -> Result<Standing, StoreError> {
//!         Ok(self.apply(request.scope, request.key, Operation::Complete(&request)).0.into_standing())
//!     }
//!
//!     async fn release(&self, request: ReleaseRequest<'_>) -> Result<Standing, StoreError> {
//!         Ok(self.apply(request.scope, request.key, Operation::Release(&request)).0.into_standing())
//!     }
//! }
//!
//! // In a store's crate: #[tokio::test(flavor = "multi_thread")]
//! #[tokio::main]
//! async fn main() {
//!     let store = MyStore::default();
//!     idem_runtime::conformance::run(|| async { store.clone() }).await;
//! }
//! ```
//!
//! # What it can't test
//!
//! - Whether rows survive a restart or a failover.
//! - Whether the store decides by its client's clock: all handles read the clock of one machine. It is found only if
//!   the handles can be given different clocks.
//! - A clock that is set back, unless [`Suite::clock`] says how to move it.
//! - Rows that another process writes. For these, use [`Suite::processes`], with connections of their own.
//!
//! The store has to answer within the short leases of the cases. On a slow machine, set a longer [`Suite::lease`].

mod bench;
mod case;
mod cases;
mod clock;
mod differential;
mod report;
mod run;
mod verdict;

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

pub use self::report::{Failure, Report};

use self::bench::{Bench, Handles, Settings};
use self::case::Case;
use self::clock::Clock;
use self::run::Job;
use self::verdict::{Mismatch, Plain, Stop, failed};
use crate::protocol::Owner;
use crate::store::{AnyStore, IdempotencyStore};
use crate::task::timer;

/// Runs every case on the store that `open` opens.
///
/// # Panics
///
/// With the list of the cases that failed, if any did: this is a test.
pub async fn run<S: IdempotencyStore, F: Future<Output = S>>(open: impl FnMut() -> F) {
    Suite::new().run(open).await;
}

/// Runs every case on the store that `open` opens, and says what came of it.
pub async fn check<S: IdempotencyStore, F: Future<Output = S>>(open: impl FnMut() -> F) -> Report {
    Suite::new().check(open).await
}

/// The suite, with settings.
#[derive(Clone, Debug)]
#[must_use = "a suite does nothing until it is run"]
pub struct Suite {
    only: Vec<String>,
    lease: Duration,
    processes: usize,
    clock: Clock,
    differential: Settings,
}

impl Default for Suite {
    fn default() -> Self {
        Self::new()
    }
}

/// How long a case may take. No case should take nearly as long.
const CASE_DEADLINE: Duration = Duration::from_secs(60);

impl Suite {
    /// All cases, with short leases of 300 ms.
    pub fn new() -> Self {
        let [a, b, c, d, e, f, g, h, ..] = Owner::random().0;
        let seed = u64::from_be_bytes([a, b, c, d, e, f, g, h]);
        let differential = Settings { sequences: 400, at_most: Duration::from_secs(2), seed };
        Self {
            only: Vec::new(),
            lease: Duration::from_millis(300),
            processes: 1,
            clock: Clock::default(),
            differential,
        }
    }

    /// The names of all cases.
    pub fn cases() -> impl Iterator<Item = &'static str> {
        cases::together().chain(cases::alone()).map(|case| case.name)
    }

    /// Runs only the case with this name. Call it again to add another case.
    pub fn only(mut self, case: impl Into<String>) -> Self {
        self.only.push(case.into());
        self
    }

    /// The length of the leases and ttls whose end the cases wait for. Make it longer for a store that answers slowly.
    pub fn lease(mut self, lease: Duration) -> Self {
        self.lease = lease;
        self
    }

    /// How many times the store is opened. The cases then use several handles that were opened apart, as different
    /// processes would, and all have to see the same rows. By default, the store is opened once and cloned.
    pub fn processes(mut self, processes: usize) -> Self {
        self.processes = processes.max(1);
        self
    }

    /// How to move the store's clock, for the cases in which it is moved. Without this, they are skipped. The function
    /// sets how far the clock is ahead of its real time: an hour, a few minutes, or nothing. When its future ends, that
    /// has to hold for each handle.
    ///
    /// If the clock can't be moved, move the rows: lower each time and fence in them by as much as the clock is to be
    /// ahead. To the store, that is the same.
    ///
    /// These cases run alone, after all others.
    pub fn clock<F: Future<Output = ()> + Send + 'static>(
        mut self,
        set_ahead: impl Fn(Duration) -> F + Send + Sync + 'static,
    ) -> Self {
        self.clock = Clock::new(set_ahead);
        self
    }

    /// How many random sequences are compared with the state machine at most, and for how long new ones are begun. The
    /// default is 400 and 2 s. The first 64 are always run.
    pub fn sequences(mut self, sequences: u64, at_most: Duration) -> Self {
        (self.differential.sequences, self.differential.at_most) = (sequences, at_most);
        self
    }

    /// Draws the random sequences from this seed. A report shows the seed of its run. By default, each run draws its
    /// own.
    pub fn seed(mut self, seed: u64) -> Self {
        self.differential.seed = seed;
        self
    }

    /// Runs the cases.
    ///
    /// # Panics
    ///
    /// With the list of the cases that failed, if any did: this is a test.
    pub async fn run<S: IdempotencyStore, F: Future<Output = S>>(self, open: impl FnMut() -> F) {
        let report = self.check(open).await;
        assert!(report.is_ok(), "{} is not a conforming store: {report}", std::any::type_name::<S>());
    }

    /// Runs the cases, and says what came of it.
    pub async fn check<S: IdempotencyStore, F: Future<Output = S>>(self, mut open: impl FnMut() -> F) -> Report {
        let mut makers: Vec<Box<dyn Fn() -> AnyStore + Send + Sync>> = Vec::new();
        for _ in 0..self.processes {
            let store = open().await;
            makers.push(Box::new(move || AnyStore::new(store.clone())));
        }
        let handles = Arc::new(Handles { makers, next: AtomicUsize::new(0) });
        let mut report = Report::default();
        let chosen: Vec<_> = cases::together().filter(|case| self.chooses(case)).collect();
        let jobs = chosen.iter().map(|case| -> Job<'_, _> { Box::pin(self.run_case(case, &handles)) });
        for (case, verdict) in chosen.iter().zip(run::all(jobs.collect()).await) {
            report.add(case, verdict);
        }
        for case in cases::alone().filter(|case| self.chooses(case)) {
            report.add(case, self.run_case(case, &handles).await);
        }
        for name in &self.only {
            if !Self::cases().any(|case| case == name) {
                report.unknown(name);
            }
        }
        report
    }

    fn chooses(&self, case: &Case) -> bool {
        self.only.is_empty() || self.only.iter().any(|name| name == case.name)
    }

    async fn run_case(&self, case: &Case, handles: &Arc<Handles>) -> Result<(), Stop> {
        let mut scope = format!("conformance::{}::", case.name);
        for byte in &Owner::random().0[..4] {
            let _ = write!(scope, "{byte:02x}");
        }
        let handles = Arc::clone(handles);
        let clock = self.clock.clone();
        let bench = Bench { handles, scope, short: self.lease, clock, differential: self.differential };
        let time = CASE_DEADLINE + self.lease * 20 + self.differential.at_most;
        match timer::within(|| time, std::pin::pin!(run::caught((case.run)(bench)))).await {
            Some(Ok(verdict)) => verdict,
            Some(Err(panic)) => Err(failed("the case", "an answer", Plain(panic))),
            None => Err(failed("the case", "its end within a minute", Plain("nothing"))),
        }
    }
}

impl Report {
    fn add(&mut self, case: &'static Case, verdict: Result<(), Stop>) {
        match verdict {
            Ok(()) => self.passed.push(case.name),
            Err(Stop::Skipped) => self.skipped.push(case.name),
            Err(Stop::Failed(mismatch)) => {
                self.failures.push(Failure { case: case.name, stands_for: case.stands_for, mismatch });
            }
        }
    }

    /// Reports a name that was asked for and that no case has.
    fn unknown(&mut self, name: &str) {
        let mismatch = Mismatch {
            step: "the choice of cases".to_owned(),
            expected: "a name out of `Suite::cases`".to_owned(),
            answered: format!("`{name}`"),
        };
        self.failures.push(Failure { case: "only", stands_for: "a typing mistake", mismatch });
    }
}
