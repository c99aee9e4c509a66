//! The process of a worker: it handles a delivery of every key, several times each.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use idem_runtime::{AnyStore, Claim, Error, IdempotencyStore as _, Outcome, Previous, idempotent};
use idem_tests::Failure;
use idem_tests::rng::Rng;

use crate::history::{History, Kind};
use crate::pool;
use crate::recorder::Recorder;
use crate::unfenced::Unfenced;

pub(crate) const SCOPE: &str = "faults";
pub(crate) const LEASE: Duration = Duration::from_secs(1);
/// The name of the test of this binary that is run as a worker.
const TEST: &str = "worker";
const HANDLERS: usize = 16;
/// How often each worker is delivered each key.
const DELIVERIES: u64 = 3;
/// How far a delivery can be from its place in the order that all workers share: near enough that duplicates are handled at once.
const JITTER: u64 = 300;
/// One body in so many fails the first time, and one call in so many is dropped.
const UNLUCKY: u64 = 16;

#[idempotent(key = "key", store = store, scope = "faults", lease = "1s", claim = claim)]
async fn work(store: &Recorder, key: &str, takes: Duration, fails: bool) -> Result<Outcome<String>, Failure> {
    let history = &store.history;
    history.line(Kind::Start, &key, claim.fence(), &"-");
    let used = match &store.pool {
        Some(pool) => pool.connection().await,
        None => None,
    };
    tokio::time::sleep(takes).await;
    drop(used);
    if fails && claim.previous() == Previous::First {
        return Err(Failure::Declined);
    }
    history.line(Kind::End, &key, claim.fence(), &"-");
    Ok(result_of(key, claim).into())
}

/// The result of a handler: it names the claim and the process that made it.
fn result_of(key: &str, claim: &Claim) -> String {
    format!("{key}:{}:{}", claim.fence(), std::process::id())
}

/// How a message is handled.
#[derive(Clone, Copy)]
pub(crate) struct Mood {
    pub(crate) takes: Duration,
    pub(crate) fails: bool,
    /// The call is dropped after this time.
    pub(crate) patience: Duration,
}

impl Mood {
    pub(crate) const QUICK: Self = Self { takes: Duration::ZERO, fails: false, patience: Duration::MAX };

    fn of(rng: &mut Rng, takes: Duration) -> Self {
        let takes = Duration::from_micros(rng.below(2 * takes.as_micros() as u64));
        let dropped = rng.below(UNLUCKY) == 0;
        Self { takes, fails: rng.below(UNLUCKY) == 0, patience: if dropped { takes / 2 } else { Duration::MAX } }
    }
}

/// Delivers a message once, and writes the outcome into the history. Returns the result if there is one.
pub(crate) async fn deliver(store: &Recorder, key: &str, mood: Mood) -> Option<Outcome<String>> {
    let (kind, rest) = match tokio::time::timeout(mood.patience, work(store, key, mood.takes, mood.fails)).await {
        Ok(Ok(outcome)) => {
            let (kind, result) = match &outcome {
                Outcome::Executed(result) => (Kind::Executed, result),
                Outcome::Replayed(result) => (Kind::Replayed, result),
                Outcome::Skipped(_) => panic!("`work` skips nothing"),
            };
            store.history.line(kind, &key, 0, result);
            return Some(outcome);
        }
        Err(_) => (Kind::Dropped, String::new()),
        Ok(Err(Failure::Declined)) => (Kind::Declined, String::new()),
        Ok(Err(Failure::Refused(error))) => (kind_of(&error), error.to_string()),
    };
    store.history.line(kind, &key, 0, &rest);
    None
}

fn kind_of(error: &Error) -> Kind {
    match error {
        Error::InProgress { .. } => Kind::InProgress,
        Error::LeaseLost { .. } => Kind::LeaseLost,
        Error::NotRecorded { .. } => Kind::NotRecorded,
        Error::Store { .. } => Kind::NotClaimed,
        _ => Kind::Failed,
    }
}

/// How a worker opens its store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Opening {
    ByUrl,
    /// With a pool that its handlers use too.
    WithPool,
    /// With a store that doesn't check fences.
    Unfenced,
}

/// What a worker gets from the run that starts it.
#[derive(Clone)]
pub(crate) struct Orders {
    /// The folder with the history.
    pub(crate) directory: PathBuf,
    pub(crate) url: String,
    pub(crate) keys: u64,
    /// How long a handler takes.
    pub(crate) takes: Duration,
    pub(crate) opening: Opening,
}

const DIRECTORY: &str = "IDEM_FAULT_DIRECTORY";
const URL: &str = "IDEM_FAULT_URL";
const KEYS: &str = "IDEM_FAULT_KEYS";
const TAKES: &str = "IDEM_FAULT_TAKES";
const OPENING: &str = "IDEM_FAULT_OPENING";
const SEED: &str = "IDEM_FAULT_SEED";

impl Orders {
    /// Starts a worker.
    pub(crate) fn start(&self, seed: u64) -> Child {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", TEST, "--quiet"]).stdout(Stdio::null()).env(DIRECTORY, &self.directory);
        command.env(URL, &self.url).env(KEYS, self.keys.to_string()).env(OPENING, format!("{:?}", self.opening));
        command.env(TAKES, self.takes.as_micros().to_string()).env(SEED, seed.to_string());
        command.spawn().unwrap()
    }

    /// The orders of this process, and its seed, if it is a worker.
    pub(crate) fn given() -> Option<(Self, u64)> {
        let directory = std::env::var_os(DIRECTORY)?.into();
        let text = |name: &str| std::env::var(name).unwrap();
        let number = |name: &str| text(name).parse::<u64>().unwrap();
        let orders = Self {
            directory,
            url: text(URL),
            keys: number(KEYS),
            takes: Duration::from_micros(number(TAKES)),
            opening: match &*text(OPENING) {
                "ByUrl" => Opening::ByUrl,
                "WithPool" => Opening::WithPool,
                _ => Opening::Unfenced,
            },
        };
        Some((orders, number(SEED)))
    }

    /// Opens the store, as soon as its server is there.
    pub(crate) async fn open(&self) -> Recorder {
        let history = History::open(&self.directory);
        loop {
            let opened = match self.opening {
                Opening::ByUrl => idem_runtime::connect(&self.url).await.map(|store| (store, None)),
                Opening::WithPool => pool::open(&self.url).await.map(|(store, pool)| (store, Some(pool))),
                Opening::Unfenced => {
                    let store = idem_runtime::connect(&self.url).await;
                    store.map(|store| (AnyStore::new(Unfenced(store)), None))
                }
            };
            match opened {
                Ok((store, pool)) => return Recorder { store, pool, history },
                Err(error) => {
                    history.line(Kind::Unanswered, &"-", 0, &error.to_string().replace('\n', " "));
                    tokio::time::sleep(LEASE / 10).await;
                }
            }
        }
    }

    pub(crate) async fn work(self, seed: u64) {
        let store = self.open().await;
        let mut rng = Rng::new(seed);
        let mut queue = deliveries(self.keys, &mut rng);
        // Begins at about the place of the other workers; the deliveries before it come last.
        let stats = store.admin().expect("every store here has one").stats().await;
        let done = stats.map_or(0, |stats| stats.completed).saturating_sub(JITTER);
        queue.rotate_left((done * DELIVERIES) as usize);
        let queue = Arc::new(Mutex::new(queue));
        let handlers: Vec<_> = (0..HANDLERS)
            .map(|_| tokio::spawn(handler(store.clone(), Arc::clone(&queue), Rng::new(rng.number()), self.takes)))
            .collect();
        for handler in handlers {
            handler.await.unwrap();
        }
    }
}

/// Each key several times, in a random order that is nearly the same for all workers.
fn deliveries(keys: u64, rng: &mut Rng) -> VecDeque<u64> {
    let mut order: Vec<_> = (0..keys).collect();
    Rng::new(keys).shuffle(&mut order);
    let order = order.into_iter().enumerate();
    let mut placed: Vec<_> = order
        .flat_map(|(place, key)| std::iter::repeat_n((place as u64, key), DELIVERIES as usize))
        .map(|(place, key)| (place + rng.below(JITTER), key))
        .collect();
    placed.sort_unstable();
    placed.into_iter().map(|(_, key)| key).collect()
}

async fn handler(store: Recorder, queue: Arc<Mutex<VecDeque<u64>>>, mut rng: Rng, takes: Duration) {
    loop {
        let Some(number) = queue.lock().unwrap().pop_front() else { return };
        let mood = Mood::of(&mut rng, takes);
        if deliver(&store, &format!("k{number}"), mood).await.is_some() {
            continue;
        }
        {
            // Delivered again soon, as a broker delays a message.
            let mut queue = queue.lock().unwrap();
            let place = rng.below(4 * HANDLERS as u64).min(queue.len() as u64) as usize;
            queue.insert(place, number);
        }
        tokio::time::sleep(LEASE / 20).await;
    }
}
