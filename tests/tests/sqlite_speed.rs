//! How fast the SQLite store is, beside the same two writes by hand through the same driver, in one run.
//!
//! `cargo test --release -p idem-tests --test sqlite_speed -- --ignored --nocapture`

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use idem_runtime::store::{ClaimAnswer, ClaimRequest, CompleteRequest, Durability, Key, Owner, Record, Standing};
use idem_runtime::{IdempotencyStore, SqliteStore};
use rusqlite::{Connection, params};
use tokio::sync::oneshot;

const LEASE: Duration = Duration::from_secs(60);
const TTL: Duration = Duration::from_secs(604_800);
const SCOPE: &str = "orders::charge";
const ROUNDS: usize = 5;

fn key(number: usize) -> Key {
    Key::from_bytes(format!("order-{number:018}").as_bytes()).unwrap()
}

fn median(mut rates: Vec<f64>) -> f64 {
    rates.sort_by(f64::total_cmp);
    rates[rates.len() / 2]
}

/// `count` operations by `callers` tasks, as operations a second.
async fn rate<F: Future<Output = ()> + Send + 'static>(
    callers: usize,
    count: usize,
    operation: impl Fn(usize) -> F + Clone + Send + 'static,
) -> f64 {
    let begun = Instant::now();
    let tasks: Vec<_> = (0..callers)
        .map(|caller| {
            let operation = operation.clone();
            tokio::spawn(async move {
                for nth in 0..count / callers {
                    operation(nth * callers + caller).await;
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    (count / callers * callers) as f64 / begun.elapsed().as_secs_f64()
}

async fn execute(store: SqliteStore, number: usize) {
    let key = key(number);
    let claim = ClaimRequest::new(SCOPE, &key, Owner::random(), LEASE);
    let ClaimAnswer::Acquired(grant) = store.claim(claim).await.unwrap() else { panic!("acquired") };
    let record = Record::from_bytes(&[b'r'; 64]);
    let standing = store.complete(CompleteRequest::new(&claim, grant.fence, &record, TTL)).await.unwrap();
    assert_eq!(standing, Standing::Held);
}

async fn replay(store: SqliteStore, number: usize) {
    let key = key(number);
    let answer = store.claim(ClaimRequest::new(SCOPE, &key, Owner::random(), LEASE)).await.unwrap();
    assert!(matches!(answer, ClaimAnswer::Completed(_)));
}

/// What one would write by hand: a thread with a connection, an insert and an update, a sync for each commit.
struct ByHand(mpsc::Sender<(Key, Option<[u8; 64]>, oneshot::Sender<()>)>);

impl ByHand {
    fn open(path: &Path, batch: usize) -> Self {
        let connection = Connection::open(path).unwrap();
        connection
            .execute_batch(
                "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
                 CREATE TABLE claims (scope TEXT, key BLOB, state INTEGER, owner BLOB, fence INTEGER, until INTEGER,
                 record BLOB, PRIMARY KEY (scope, key)) WITHOUT ROWID",
            )
            .unwrap();
        let (sender, receiver) = mpsc::channel::<(Key, Option<[u8; 64]>, oneshot::Sender<()>)>();
        std::thread::spawn(move || {
            while let Ok(first) = receiver.recv() {
                let mut answers = Vec::new();
                connection.prepare_cached("BEGIN IMMEDIATE").unwrap().execute([]).unwrap();
                for (key, record, answer) in std::iter::once(first).chain(receiver.try_iter()).take(batch) {
                    match record {
                        None => connection
                            .prepare_cached("INSERT INTO claims VALUES (?, ?, 1, ?, ?, ?, NULL) ON CONFLICT DO NOTHING")
                            .unwrap()
                            .execute(params![SCOPE, key.as_bytes(), &[1u8; 16][..], 1_i64 << 50, 1_i64 << 50])
                            .unwrap(),
                        Some(record) => connection
                            .prepare_cached(
                                "UPDATE claims SET state = 5, until = ?, record = ? WHERE scope = ? AND key = ?
                                 AND owner = ? AND fence = ?",
                            )
                            .unwrap()
                            .execute(params![
                                1_i64 << 50,
                                &record[..],
                                SCOPE,
                                key.as_bytes(),
                                &[1u8; 16][..],
                                1_i64 << 50
                            ])
                            .unwrap(),
                    };
                    answers.push(answer);
                }
                connection.prepare_cached("COMMIT").unwrap().execute([]).unwrap();
                for answer in answers {
                    let _ = answer.send(());
                }
            }
        });
        Self(sender)
    }

    async fn execute(sender: mpsc::Sender<(Key, Option<[u8; 64]>, oneshot::Sender<()>)>, number: usize) {
        for record in [None, Some([b'r'; 64])] {
            let (answer, answered) = oneshot::channel();
            sender.send((key(number), record, answer)).unwrap();
            answered.await.unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "measures; run it alone, and in release"]
async fn speed() {
    let directory = tempfile::tempdir().unwrap();
    let mut rates: Vec<(&str, Vec<f64>)> = Vec::new();
    let mut note = |name: &'static str, rate: f64| match rates.iter_mut().find(|(known, _)| *known == name) {
        Some((_, rates)) => rates.push(rate),
        None => rates.push((name, vec![rate])),
    };
    let count = |count: usize| if cfg!(debug_assertions) { count / 10 } else { count };
    for round in 0..ROUNDS {
        let path = |name: &str| directory.path().join(format!("{name}-{round}.sqlite"));
        for (name, durability) in [("FULL", Durability::PowerLoss), ("NORMAL", Durability::ProcessCrash)] {
            let store = SqliteStore::options().durability(durability).open(path(name)).await.unwrap();
            let full = durability == Durability::PowerLoss;
            let (one, many) = (count(3_000), count(40_000));
            let handle = store.clone();
            let by_one = rate(1, one, move |number| execute(handle.clone(), number)).await;
            note(if full { "store, 1 caller, FULL" } else { "store, 1 caller, NORMAL" }, by_one);
            let handle = store.clone();
            let by_many = rate(64, many, move |number| execute(handle.clone(), one + number)).await;
            note(if full { "store, 64 callers, FULL" } else { "store, 64 callers, NORMAL" }, by_many);
            if full {
                let handle = store.clone();
                note(
                    "replay, 1 caller",
                    rate(1, count(20_000), move |number| replay(handle.clone(), number % one)).await,
                );
                let handle = store.clone();
                let by_many = rate(64, count(100_000), move |number| replay(handle.clone(), number % many)).await;
                note("replay, 64 callers", by_many);
                // New keys and old ones at the same time: do the replays wait for the others' syncs?
                let (handle, writes) = (store.clone(), store.clone());
                let writing = tokio::spawn(rate(32, many, move |number| execute(writes.clone(), one + many + number)));
                let by_many = rate(32, count(20_000), move |number| replay(handle.clone(), number % many)).await;
                note("replay, 32 callers, beside 32 who execute", by_many);
                note("  those 32", writing.await.unwrap());
            }
        }
        let alone = ByHand::open(&path("alone"), 1);
        let sender = alone.0.clone();
        note(
            "by hand, 1 caller, two commits",
            rate(1, count(2_000), move |n| ByHand::execute(sender.clone(), n)).await,
        );
        let group = ByHand::open(&path("group"), 512);
        let sender = group.0.clone();
        note(
            "by hand, 64 callers, group commit",
            rate(64, count(40_000), move |n| ByHand::execute(sender.clone(), n)).await,
        );
    }
    for (name, rates) in rates {
        println!("{name:45} {:8.0} /s", median(rates));
    }
}
