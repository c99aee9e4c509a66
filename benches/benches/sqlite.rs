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

/// The table and the two statements of a [`ByHand`].
#[derive(Clone, Copy)]
struct Layout {
    table: &'static str,
    claim: &'static str,
    complete: &'static str,
}

/// What a claim and a completion need at least.
const SEVEN_COLUMNS: Layout = Layout {
    table: "CREATE TABLE claims (scope TEXT, key BLOB, state INTEGER, owner BLOB, fence INTEGER, until INTEGER,
            record BLOB, PRIMARY KEY (scope, key)) WITHOUT ROWID",
    claim: "INSERT INTO claims VALUES (?1, ?2, 1, ?3, ?4, ?5, NULL) ON CONFLICT DO NOTHING",
    complete: "UPDATE claims SET state = 5, until = ?5, record = ?6 WHERE scope = ?1 AND key = ?2 AND owner = ?3
               AND fence = ?4",
};

/// The table of the store, with its index.
const SAME_COLUMNS: Layout = Layout {
    table: include_str!("../../idem-runtime/src/store/sqlite/schema.sql"),
    claim: "INSERT INTO idem_keys (scope, key, state, owner, fence, until, previous, attempt, ended, purge_at)
            VALUES (?1, ?2, 1, ?3, ?4, ?5, 1, 1, x'', ?5) ON CONFLICT DO NOTHING",
    complete: "UPDATE idem_keys SET state = 5, until = ?5, purge_at = ?5 + 1, record = ?6 WHERE scope = ?1 AND key = ?2
               AND owner = ?3 AND fence = ?4 AND state = 1",
};

impl ByHand {
    fn open(path: &Path, layout: Layout, batch: usize) -> Self {
        let connection = Connection::open(path).unwrap();
        connection.execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL").unwrap();
        connection.execute_batch(layout.table).unwrap();
        let (sender, receiver) = mpsc::channel::<Write>();
        std::thread::spawn(move || {
            let prepare = |sql| connection.prepare(sql).unwrap();
            let (mut begin, mut commit) = (prepare("BEGIN IMMEDIATE"), prepare("COMMIT"));
            let (mut claim, mut complete) = (prepare(layout.claim), prepare(layout.complete));
            while let Ok(first) = receiver.recv() {
                let mut answers = Vec::new();
                begin.execute([]).unwrap();
                for (key, record, answer) in std::iter::once(first).chain(receiver.try_iter()).take(batch) {
                    let (owner, now) = (&[1u8; 16][..], 1_i64 << 50);
                    let rows = match record {
                        None => claim.execute(params![SCOPE, key.as_bytes(), owner, now, now]),
                        Some(record) => {
                            complete.execute(params![SCOPE, key.as_bytes(), owner, now, now, &record[..]])
                        }
                    };
                    assert_eq!(rows.unwrap(), 1);
                    answers.push(answer);
                }
                commit.execute([]).unwrap();
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
        for (name, layout, callers, count, batch) in [
            (HAND_ONE, SAME_COLUMNS, 1, 2_000, 1),
            (HAND_MANY, SAME_COLUMNS, 64, 40_000, 512),
            (HAND_SEVEN_ONE, SEVEN_COLUMNS, 1, 2_000, 1),
            (HAND_SEVEN_MANY, SEVEN_COLUMNS, 64, 40_000, 512),
        ] {
            let sender = ByHand::open(&path(&name.replace(' ', "-")), layout, batch).0;
            rates.note(name, rate(callers, count, move |number| ByHand::execute(sender.clone(), number)).await);
        }
    }
    rates.print("SQLite");
    println!("\n| target | reach | measured |\n|---|---|---|");
    let of = |name| rates.of(name);
    target("64 handlers, in times of group commit by hand", "at least 1.0", of(MANY) / of(HAND_MANY));
    target("... of group commit by hand, seven columns", "at least 0.85", of(MANY) / of(HAND_SEVEN_MANY));
    target("one handler, in times of two commits by hand", "at least 1.7", of(ONE) / of(HAND_ONE));
    target("... of two commits by hand, seven columns", "", of(ONE) / of(HAND_SEVEN_ONE));
    let _ = std::fs::remove_dir_all(&directory);
}

const ONE: &str = "store, 1 caller, FULL";
const MANY: &str = "store, 64 callers, FULL";
const HAND_ONE: &str = "by hand, 1 caller, two commits";
const HAND_MANY: &str = "by hand, 64 callers, group commit";
const HAND_SEVEN_ONE: &str = "by hand, seven columns, 1 caller";
const HAND_SEVEN_MANY: &str = "by hand, seven columns, 64 callers";
