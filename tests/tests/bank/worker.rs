//! The process of a worker: it reads transfers from its standard input, and acknowledges them on its standard output.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use idem_runtime::Outcome;
use idem_tests::journal::Journal;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::attempt::{Attempt, Worker};
use crate::failure::Failed;
use crate::history;
use crate::ledger::{Books, Receipt};

/// The name of the test of this binary that is run as a worker.
const TEST: &str = "worker";
/// The beginning of an acknowledgement. The test harness writes other lines to standard output.
pub(crate) const ACK: &str = "ack ";

/// How a handler is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Tx,
    Lease,
}

/// A bank on a database.
pub(crate) trait Bank: Sized + Send + Sync + 'static {
    const NAME: &'static str;

    /// Opens the bank as soon as its server is there. In lease mode it has a store.
    fn open(url: &str, mode: Mode) -> impl Future<Output = Self> + Send;

    /// Creates the bank's tables and accounts. The table of the keys is created when the bank is opened with a store.
    fn found(&self) -> impl Future<Output = ()> + Send;

    /// Books a transfer, unless it is booked already.
    fn deliver(
        &self,
        attempt: &Attempt<'_>,
        mode: Mode,
    ) -> impl Future<Output = Result<Outcome<Receipt>, Failed>> + Send;

    fn books(&self) -> impl Future<Output = Books> + Send;

    /// Whether the key of a transfer is completed and has a record, as an operator sees it.
    fn is_recorded(&self, transfer: u64, mode: Mode) -> impl Future<Output = bool> + Send;

    /// How many keys are completed, and how many are not.
    fn keys(&self) -> impl Future<Output = (u64, u64)> + Send;
}

/// What a worker gets from the run that starts it.
#[derive(Clone, Debug)]
pub(crate) struct Orders {
    /// The folder with the history.
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

/// The name of the bank that this process works for, if it is a worker.
pub(crate) fn bank() -> Option<String> {
    std::env::var(BANK).ok()
}

/// Does the work of a worker.
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

/// The deliveries that arrive on standard input, until it is closed.
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
        Outcome::Skipped(_) => panic!("no transfer is skipped"),
    };
    let mut out = std::io::stdout().lock();
    out.write_all(line.as_bytes()).and_then(|()| out.flush()).unwrap();
}
