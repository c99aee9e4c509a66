//! On SQLite: handlers through the attribute, beside the same two writes by hand through the same driver, in one run.
//!
//! `cargo bench --ignore-rust-version --bench sqlite`

use std::path::{Path, PathBuf};
use std::sync::mpsc;

use idem_benches::load::{ROUNDS, Rates, id, rate, target};
use idem_runtime::store::{Durability, Key};
use idem_runtime::{Error, Outcome, SqliteStore, idempotent};
use rusqlite::{Connection, params};
use tokio::sync::oneshot;

const SCOPE: &str = "orders::charge";

#[idempotent(key = "id", scope = "orders::charge", store = store)]
async fn charge(store: &SqliteStore, id: &str) -> Result<Outcome<String>, Error> {
    Ok("r".repeat(64).into())
}

async fn execute(store: SqliteStore, number: usize) {
    assert!(!charge(&store, &id(number)).await.unwrap().is_replayed());
}

async fn replay(store: SqliteStore, number: usize) {
    assert!(charge(&store, &id(number)).await.unwrap().is_replayed());
}

/// What one would write by hand: a thread with a connection, an insert and an update, a sync for each commit.
struct ByHand(mpsc::Sender<Write>);

type Write = (Key, Option<[u8; 64]>, oneshot::Sender<()>);

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
        let (sender, receiver) = mpsc::channel::<Write>();
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

    async fn execute(sender: mpsc::Sender<Write>, number: usize) {
        let key = Key::from_bytes(id(number).as_bytes()).unwrap();
        for record in [None, Some([b'r'; 64])] {
            let (answer, answered) = oneshot::channel();
            sender.send((key.clone(), record, answer)).unwrap();
            answered.await.unwrap();
        }
    }
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    // On this disk, as a folder in memory syncs nothing.
    let directory = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target").join("sqlite-bench");
    let _ = std::fs::remove_dir_all(&directory);
    std::fs::create_dir_all(&directory).unwrap();
    let mut rates = Rates::default();
    for round in 0..ROUNDS {
        let path = |name: &str| directory.join(format!("{name}-{round}.sqlite"));
        for (name, durability) in [("FULL", Durability::PowerLoss), ("NORMAL", Durability::ProcessCrash)] {
            let store = SqliteStore::options().durability(durability).open(path(name)).await.unwrap();
            let full = durability == Durability::PowerLoss;
            let (one, many) = (3_000, 40_000);
            let handle = store.clone();
            let by_one = rate(1, one, move |number| execute(handle.clone(), number)).await;
            rates.note(if full { ONE } else { "store, 1 caller, NORMAL" }, by_one);
            let handle = store.clone();
            let by_many = rate(64, many, move |number| execute(handle.clone(), one + number)).await;
            rates.note(if full { MANY } else { "store, 64 callers, NORMAL" }, by_many);
            if full {
                let handle = store.clone();
                rates.note(
                    "replay, 1 caller",
                    rate(1, 20_000, move |number| replay(handle.clone(), number % one)).await,
                );
                let handle = store.clone();
                let by_many = rate(64, 100_000, move |number| replay(handle.clone(), number % many)).await;
                rates.note("replay, 64 callers", by_many);
                // New keys and old ones at the same time: do the replays wait for the others' syncs?
                let (handle, writes) = (store.clone(), store.clone());
                let writing = tokio::spawn(rate(32, many, move |number| execute(writes.clone(), one + many + number)));
                let by_many = rate(32, 20_000, move |number| replay(handle.clone(), number % many)).await;
                rates.note("replay, 32 callers, beside 32 who execute", by_many);
                rates.note("  those 32", writing.await.unwrap());
            }
        }
        let alone = ByHand::open(&path("alone"), 1);
        let sender = alone.0.clone();
        rates.note("by hand, 1 caller, two commits", rate(1, 2_000, move |n| ByHand::execute(sender.clone(), n)).await);
        let group = ByHand::open(&path("group"), 512);
        let sender = group.0.clone();
        rates.note(
            "by hand, 64 callers, group commit",
            rate(64, 40_000, move |n| ByHand::execute(sender.clone(), n)).await,
        );
    }
    rates.print("SQLite");
    println!("\n| target | reach | measured |\n|---|---|---|");
    let of = |name| rates.of(name);
    let (group, two) = (of("by hand, 64 callers, group commit"), of("by hand, 1 caller, two commits"));
    target("64 handlers, in times of group commit by hand", "at least 0.8", of(MANY) / group);
    target("one handler, in times of two commits by hand", "at least 1.6", of(ONE) / two);
    let _ = std::fs::remove_dir_all(&directory);
}

const ONE: &str = "store, 1 caller, FULL";
const MANY: &str = "store, 64 callers, FULL";
