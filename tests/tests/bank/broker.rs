//! The broker: it hands out deliveries to workers, kills and replaces workers, and delivers again what wasn't acknowledged.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::ChildStdin;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use idem_tests::journal::Journal;
use idem_tests::rng::Rng;
use tokio::sync::mpsc::UnboundedSender;

use crate::history::Kind;
use crate::ledger::Receipt;
use crate::worker::{ACK, Orders};

/// How often each transfer is sent.
pub(crate) const COPIES: u64 = 3;
/// How many deliveries a worker handles at once.
const HANDLERS: usize = 8;
/// How far apart the first two copies of a transfer are in the queue at most: near enough to be handled at the same time.
const NEAR: u64 = 40;
/// A worker is killed at about one in so many of its acknowledgements.
const KILL_ODDS: u64 = 250;

pub(crate) struct Broker {
    orders: Orders,
    journal: Journal,
    queue: Mutex<Queue>,
    acknowledged: Mutex<Vec<Acknowledged>>,
    workers: AtomicU64,
    pub(crate) deliveries: AtomicU64,
}

struct Queue {
    waiting: Vec<u64>,
    rng: Rng,
}

/// A worker's acknowledgement of a delivery.
#[derive(Clone, Debug)]
pub(crate) struct Acknowledged {
    pub(crate) replayed: bool,
    pub(crate) receipt: Receipt,
}

impl Acknowledged {
    fn parse(line: &str) -> Option<Self> {
        let (how, receipt) = line.strip_prefix(ACK)?.split_once(' ').unwrap();
        Some(Self { replayed: how == "replayed", receipt: receipt.parse().unwrap() })
    }
}

impl Broker {
    pub(crate) fn new(orders: Orders, journal: Journal, transfers: u64) -> Self {
        let mut rng = Rng::new(transfers);
        let waiting = send(transfers, &mut rng);
        let queue = Mutex::new(Queue { waiting, rng });
        let (workers, deliveries) = (AtomicU64::new(0), AtomicU64::new(0));
        Self { orders, journal, queue, acknowledged: Mutex::default(), workers, deliveries }
    }

    pub(crate) fn acknowledged(&self) -> Vec<Acknowledged> {
        self.acknowledged.lock().unwrap().clone()
    }

    /// Runs one worker after the other, until nothing is left in the queue. Sends a message for each acknowledgement.
    pub(crate) fn seat(&self, progress: &UnboundedSender<()>) {
        loop {
            let first = self.queue.lock().unwrap().take(HANDLERS);
            if first.is_empty() {
                return;
            }
            let left = self.serve(first, progress);
            self.queue.lock().unwrap().put_back(left);
        }
    }

    /// Hands deliveries to a worker until it ends. Returns those that it has not acknowledged.
    fn serve(&self, mut outstanding: Vec<u64>, progress: &UnboundedSender<()>) -> Vec<u64> {
        let number = self.workers.fetch_add(1, Ordering::Relaxed) + 1;
        let mut rng = Rng::new(number);
        let mut child = self.orders.start(number);
        let mut input = child.stdin.take();
        for transfer in &outstanding {
            self.hand_out(input.as_mut(), *transfer);
        }
        for line in BufReader::new(child.stdout.take().unwrap()).lines() {
            let Some(acknowledged) = Acknowledged::parse(&line.unwrap()) else { continue };
            let transfer = acknowledged.receipt.transfer;
            let place = outstanding.iter().position(|&other| other == transfer).expect("it was handed out");
            outstanding.swap_remove(place);
            self.acknowledged.lock().unwrap().push(acknowledged);
            // The receiver is gone if the run has failed.
            let _ = progress.send(());
            if rng.below(KILL_ODDS) == 0 {
                // After a random time, so that the kill can hit any point of a call.
                std::thread::sleep(Duration::from_micros(rng.below(10_000)));
                child.kill().unwrap();
            }
            let next = self.queue.lock().unwrap().take(1);
            for transfer in &next {
                self.hand_out(input.as_mut(), *transfer);
            }
            outstanding.extend(next);
            if outstanding.is_empty() {
                // Closing its input makes the worker end, and so its output.
                input = None;
            }
        }
        let status = child.wait().unwrap();
        assert!(status.success() || status.signal() == Some(libc::SIGKILL), "worker {number} failed: {status}");
        if !status.success() {
            self.journal.line(format_args!("{:?} - {number} -", Kind::Dead));
        }
        outstanding
    }

    /// Sends a delivery to a worker. If the worker is dead, the delivery is lost.
    fn hand_out(&self, input: Option<&mut ChildStdin>, transfer: u64) {
        self.deliveries.fetch_add(1, Ordering::Relaxed);
        let _ = input.expect("open while there is more to do").write_all(format!("{transfer}\n").as_bytes());
    }
}

impl Queue {
    fn take(&mut self, at_most: usize) -> Vec<u64> {
        let rest = self.waiting.len().saturating_sub(at_most);
        self.waiting.split_off(rest)
    }

    fn put_back(&mut self, transfers: Vec<u64>) {
        for transfer in transfers {
            let place = self.rng.below(self.waiting.len() as u64 + 1) as usize;
            self.waiting.insert(place, transfer);
        }
    }
}

/// Every copy of every transfer, in a random order.
fn send(transfers: u64, rng: &mut Rng) -> Vec<u64> {
    let mut order: Vec<_> = (0..transfers).collect();
    rng.shuffle(&mut order);
    let mut placed = Vec::new();
    for (place, transfer) in (0..).zip(order) {
        placed.push((place, transfer));
        placed.push((place + rng.below(NEAR), transfer));
        placed.extend((2..COPIES).map(|_| (rng.below(transfers), transfer)));
    }
    placed.sort_unstable();
    placed.into_iter().map(|(_, transfer)| transfer).collect()
}
