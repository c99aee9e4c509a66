//! A run: workers, a server and a proxy between them, and the faults that strike each.

use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt;
use std::process::Child;
use std::sync::Arc;
use std::time::{Duration, Instant};

use idem_runtime::admin::Filter;
use idem_runtime::protocol::State;
use idem_runtime::{IdempotencyStore, Outcome};
use idem_tests::proxy::Proxy;
use idem_tests::rng::Rng;
use idem_tests::server::Server;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::check::{self, Counts};
use crate::history::History;
use crate::recorder::Recorder;
use crate::worker::{LEASE, Mood, Orders, SCOPE, deliver};

const WORKERS: usize = 4;
/// The number of handlers of all workers together.
const HANDLERS: u32 = 64;

/// The faults.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// A worker is killed, and replaced.
    Kill,
    /// A worker is stopped for longer than its leases.
    Stop,
    /// Every connection is cut.
    Cut,
    /// The server is killed, and restarted.
    Server,
}

/// How often each fault happened.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Faults {
    pub(crate) kills: usize,
    pub(crate) stops: usize,
    pub(crate) cuts: usize,
    pub(crate) restarts: usize,
    /// Workers that had handled every delivery.
    pub(crate) passes: usize,
    /// Keys that were completed before the final pass.
    pub(crate) completed: usize,
}

/// A run, before it starts.
pub(crate) struct Run<'a> {
    pub(crate) orders: Orders,
    /// The store's URL without the proxy.
    pub(crate) direct: String,
    pub(crate) server: Option<(&'a Server, &'a Proxy)>,
    /// The faults. They happen in this order, again and again.
    pub(crate) events: &'a [Event],
    pub(crate) length: Duration,
}

struct Worker {
    child: Child,
    /// When it is to go on, if it is stopped.
    stopped: Option<Instant>,
}

impl Worker {
    fn signal(&self, signal: i32) {
        assert_eq!(unsafe { libc::kill(self.child.id() as i32, signal) }, 0);
    }

    fn goes_on(&mut self) {
        self.stopped = None;
        self.signal(libc::SIGCONT);
    }

    /// Kills the worker. Returns `false` if it had ended by itself, which has to have been with success.
    fn kill(mut self) -> bool {
        self.child.kill().unwrap();
        let status = self.child.wait().unwrap();
        assert!(status.success() || status.signal() == Some(libc::SIGKILL), "a worker failed: {status}");
        !status.success()
    }
}

impl Run<'_> {
    /// How long a handler takes: about a third of the run is spent in handlers. The rest is spent waiting for a server that is down,
    /// and for the leases of holders that died.
    pub(crate) fn takes(length: Duration, keys: u64) -> Duration {
        length * HANDLERS / 3 / keys as u32
    }

    /// Carries out the run. Returns the faults that happened, and the checker's verdict.
    pub(crate) async fn run(self) -> (Faults, Result<Counts, String>) {
        // Creates the table, before every worker tries to.
        let mut direct = self.orders.clone();
        direct.url.clone_from(&self.direct);
        drop(direct.open().await);
        let mut faults = self.suffers().await;

        // A last pass without faults, and another that finds every key completed.
        let store = direct.open().await;
        let before = store.admin().unwrap().stats().await.unwrap();
        faults.completed = before.completed as usize;
        self.pass(&store).await;
        let mut recorded = BTreeMap::new();
        for (key, outcome) in self.pass(&store).await {
            match outcome {
                Outcome::Replayed(result) => recorded.insert(key, result),
                outcome => panic!("{key} was run again: {outcome:?}"),
            };
        }
        let filter = Filter::all().scope(SCOPE).limit(2 * self.orders.keys as usize);
        let entries = store.admin().unwrap().list(filter).await.unwrap();
        assert_eq!(entries.len() as u64, self.orders.keys);
        assert!(entries.iter().all(|entry| entry.row.state == State::Done), "every key is completed");
        let history = History::read(&self.orders.directory);
        (faults, check::check(&history, &recorded, LEASE))
    }

    /// Delivers every key until it is completed.
    async fn pass(&self, store: &Recorder) -> Vec<(String, Outcome<String>)> {
        let mut deliveries = JoinSet::new();
        let room = Arc::new(Semaphore::new(16));
        for number in 0..self.orders.keys {
            let (store, room) = (store.clone(), Arc::clone(&room));
            deliveries.spawn(async move {
                let key = format!("k{number}");
                loop {
                    let room = room.acquire().await.unwrap();
                    if let Some(outcome) = deliver(&store, &key, Mood::QUICK).await {
                        return (key, outcome);
                    }
                    drop(room);
                    tokio::time::sleep(LEASE / 20).await;
                }
            });
        }
        deliveries.join_all().await
    }

    async fn suffers(&self) -> Faults {
        let mut rng = Rng::new(self.length.as_secs());
        let mut faults = Faults::default();
        let start = |seed| Worker { child: self.orders.start(seed), stopped: None };
        let mut workers: Vec<_> = (0..WORKERS).map(|_| start(rng.number())).collect();
        let mut events = self.events.iter().cycle();
        let deadline = Instant::now() + self.length;
        while Instant::now() < deadline {
            tokio::time::sleep(Duration::from_micros(rng.below(500_000))).await;
            for worker in &mut workers {
                if worker.child.try_wait().unwrap().is_some() {
                    faults.passes += 1;
                    std::mem::replace(worker, start(rng.number())).kill();
                } else if worker.stopped.is_some_and(|until| until <= Instant::now()) {
                    worker.goes_on();
                }
            }
            let mut moving: Vec<_> = workers.iter_mut().filter(|worker| worker.stopped.is_none()).collect();
            let (others, place) = (moving.len() - 1, rng.below(moving.len() as u64) as usize);
            let victim = moving.swap_remove(place);
            match (events.next().expect("events"), self.server) {
                (Event::Kill, _) => {
                    faults.kills += usize::from(std::mem::replace(victim, start(rng.number())).kill());
                }
                // At least half of the workers keep running, so that one of them can take over.
                (Event::Stop, _) if others >= WORKERS / 2 => {
                    faults.stops += 1;
                    victim.signal(libc::SIGSTOP);
                    victim.stopped = Some(Instant::now() + LEASE.mul_f64(1.5 + rng.below(100) as f64 / 100.0));
                }
                (Event::Cut, Some((_, proxy))) => {
                    faults.cuts += 1;
                    proxy.cut_all();
                }
                (Event::Server, Some((server, _))) => {
                    server.kill();
                    tokio::time::sleep(Duration::from_micros(rng.below(300_000))).await;
                    server.restart().await;
                    faults.restarts += 1;
                }
                _ => {}
            }
        }
        for worker in workers {
            worker.kill();
        }
        faults
    }
}
