//! A run: workers die, the server is killed and restarted, and at the end everything that is left is read.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use idem_runtime::Outcome;
use idem_tests::journal::Journal;
use idem_tests::rng::Rng;
use idem_tests::server::Server;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use crate::attempt::{Point, Worker};
use crate::broker::{Broker, COPIES};
use crate::check::{Evidence, Found, Repeats, judge};
use crate::failure::Again;
use crate::history::{self, Kind, Line};
use crate::worker::{Bank, Mode, Orders};

const WORKERS: usize = 4;
/// How often the server is killed.
const RESTARTS: u64 = 3;
/// The longest time without an acknowledgement. After it, the run has failed.
const STANDSTILL: Duration = Duration::from_secs(90);

/// The figures of a run.
#[derive(Clone, Debug)]
pub(crate) struct Figures {
    title: String,
    deliveries: u64,
    replays: usize,
    pub(crate) restarts: u64,
    /// How many lines the history has of each event; for repeated attempts and deaths, by their reason.
    counts: BTreeMap<String, usize>,
    pub(crate) found: Found,
}

impl Figures {
    fn count(&self, what: impl fmt::Debug) -> usize {
        self.counts.get(&format!("{what:?}")).copied().unwrap_or_default()
    }

    pub(crate) fn deaths(&self, at: Point) -> usize {
        self.count(at)
    }

    fn columns(&self) -> Vec<(String, String)> {
        let deliberate: usize = Point::ALL.map(|point| self.deaths(point)).iter().sum();
        let mut columns = vec![
            ("deliveries", self.deliveries.to_string()),
            ("executions", self.count(Kind::Begins).to_string()),
            ("replays", self.replays.to_string()),
            ("conflicts", format!("{}+{}", self.count(Again::Conflict), self.count(Again::OwnConflict))),
            ("busy", self.count(Again::InProgress).to_string()),
            ("unrecorded", self.count(Again::NotRecorded).to_string()),
            ("unanswered", self.count(Again::Disconnected).to_string()),
            ("restarts", self.restarts.to_string()),
            ("kills:", self.count(Kind::Dead).to_string()),
            ("random", self.count(Kind::Dead).saturating_sub(deliberate).to_string()),
        ];
        let names = ["writing", "written", "uncommitted", "committed", "unacked"];
        columns.extend(names.into_iter().zip(Point::ALL.map(|point| self.deaths(point).to_string())));
        let Found { unheard, repeats } = self.found;
        columns.push(("unheard", unheard.to_string()));
        let Repeats { deliberate, killed, told } = repeats;
        columns.push(("repeated", format!("{}={deliberate}+{killed}+{told}", repeats.sum())));
        columns.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }
}

/// A table of one row. "conflicts" has those of the library and those of the handler's own SQL. "repeated" has bookings that were
/// repeated after the worker killed itself, after another kill, and after an error.
impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<48}", "")?;
        let columns = self.columns();
        for (name, value) in &columns {
            write!(f, " {name:>0$}", name.len().max(value.len()))?;
        }
        write!(f, "\n{:<48}", self.title)?;
        for (name, value) in &columns {
            write!(f, " {value:>0$}", name.len().max(value.len()))?;
        }
        Ok(())
    }
}

/// Sends transfers to a bank, and checks the result.
pub(crate) async fn run<B: Bank>(url: &str, server: Option<&Server>, mode: Mode, transfers: u64) -> Figures {
    let started = Instant::now();
    let directory = tempfile::tempdir().unwrap();
    let journal = Journal::open(&history::path(directory.path()));
    // With a store in both modes: through it the keys are looked at in the end.
    let bank = B::open(url, Mode::Lease).await;
    bank.found().await;

    let orders = Orders { directory: directory.path().to_owned(), bank: B::NAME, url: url.to_owned(), mode };
    let broker = Arc::new(Broker::new(orders, journal.clone(), transfers));
    let (progress, watched) = unbounded_channel();
    let seats: Vec<_> = (0..WORKERS)
        .map(|_| {
            let (broker, progress) = (Arc::clone(&broker), progress.clone());
            std::thread::spawn(move || broker.seat(&progress))
        })
        .collect();
    drop(progress);
    let restarts = watch(watched, server, transfers * COPIES).await;
    for seat in seats {
        seat.join().expect("a seat whose workers did well");
    }

    let took = started.elapsed();
    let evidence = look(&bank, &broker, directory.path(), mode, transfers).await;
    let verdict = judge(&evidence);
    let mut counts: BTreeMap<_, usize> = BTreeMap::new();
    for line in evidence.history.lines() {
        let line = Line::parse(line).expect("judged");
        let why = match line.kind {
            Kind::Again | Kind::Dies => line.word().to_owned(),
            kind => format!("{kind:?}"),
        };
        *counts.entry(why).or_default() += 1;
    }
    let figures = Figures {
        title: format!("{} {mode:?}: {transfers} transfers in {:.1} s", B::NAME, took.as_secs_f64()),
        deliveries: broker.deliveries.load(Ordering::Relaxed),
        replays: evidence.acknowledged.iter().filter(|acknowledged| acknowledged.replayed).count(),
        restarts,
        counts,
        found: verdict.as_ref().copied().unwrap_or_default(),
    };
    println!("\n{figures}");
    if let Err(wrong) = verdict {
        let first = wrong[..wrong.len().min(8)].join("\n");
        panic!("{} things are wrong:\n{first}\nthe history: {}", wrong.len(), directory.keep().display());
    }
    figures
}

/// Waits until the last worker has ended, and kills and restarts the server meanwhile, after equal numbers of acknowledgements.
/// Returns how often.
async fn watch(mut progress: UnboundedReceiver<()>, server: Option<&Server>, deliveries: u64) -> u64 {
    let mut rng = Rng::new(deliveries);
    let (mut acknowledged, mut restarts) = (0, 0);
    let still = "nothing was acknowledged for a long time";
    while let Some(()) = tokio::time::timeout(STANDSTILL, progress.recv()).await.expect(still) {
        acknowledged += 1;
        if let Some(server) = server
            && acknowledged * (RESTARTS + 1) >= deliveries * (restarts + 1)
            && restarts < RESTARTS
        {
            server.kill();
            // The server is down for a while.
            tokio::time::sleep(Duration::from_micros(rng.below(200_000))).await;
            server.restart().await;
            restarts += 1;
        }
    }
    restarts
}

/// Reads everything that is left. Delivers each transfer once more, which has to be replayed.
async fn look<B: Bank>(bank: &B, broker: &Broker, directory: &Path, mode: Mode, transfers: u64) -> Evidence {
    let books = bank.books().await;
    let keys = bank.keys().await;
    let history = std::fs::read_to_string(history::path(directory)).unwrap();
    let worker = Worker::new(0, Journal::open(&directory.join("last")), 0, false);
    let mut records = BTreeMap::new();
    for transfer in 0..transfers {
        if bank.is_recorded(transfer, mode).await
            && let Ok(Outcome::Replayed(receipt)) = bank.deliver(&worker.attempt(transfer), mode).await
        {
            records.insert(transfer, receipt);
        }
    }
    Evidence { mode, transfers, books, records, keys, acknowledged: broker.acknowledged(), history }
}
