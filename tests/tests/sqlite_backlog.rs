//! A SQLite file with a large backlog of expired rows: neither a sweep nor a visit of all rows holds up a call.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use idem_runtime::admin::Filter;
use idem_runtime::store::{CompleteRequest, Leave, ReleaseRequest, RenewRequest, Standing};
use idem_runtime::{IdempotencyAdmin, IdempotencyStore, SqliteStore};
use idem_tests::steps::{DAY, acquire, execute, key, record, request};
use rusqlite::Connection;
use tempfile::TempDir;

struct Backlog {
    _directory: TempDir,
    path: PathBuf,
    store: SqliteStore,
    admin: Arc<dyn IdempotencyAdmin>,
}

impl Backlog {
    /// A file with so many rows that a sweep deletes, without a sweep in the background.
    async fn of(rows: u32) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("idem.sqlite");
        let store = SqliteStore::options().sweep_interval(None).open(&path).await.unwrap();
        let admin = store.admin().unwrap();
        let backlog = Self { _directory: directory, path, store, admin };
        backlog.expire(rows);
        backlog
    }

    fn connection(&self) -> Connection {
        let connection = Connection::open(&self.path).unwrap();
        connection.busy_timeout(Duration::from_secs(10)).unwrap();
        connection
    }

    /// Inserts rows that a sweep deletes, in the scopes `0` to `9`.
    fn expire(&self, rows: u32) {
        let sql = "WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < ?1)
            INSERT INTO idem_keys (scope, key, state, owner, fence, until, previous, attempt, ended, purge_at, record)
            SELECT CAST(n % 10 AS TEXT), randomblob(20), 5, randomblob(16), 1, 1, 1, 1, x'', n, zeroblob(64) FROM n";
        self.connection().execute(sql, [rows]).unwrap();
    }

    async fn due(&self) -> u64 {
        self.admin.stats().await.unwrap().sweepable
    }
}

/// Sends a claim, a renewal, a completion and a release, and asserts that each gets its usual answer.
async fn calls(store: &SqliteStore, nth: usize) {
    let (completed, failed) = (key(format!("completed {nth}")), key(format!("failed {nth}")));
    let claim = request("calls", &completed);
    let fence = acquire(store, claim).await.fence;
    assert_eq!(store.renew(RenewRequest::new(&claim, fence)).await.unwrap(), Standing::Held);
    let result = record("r");
    let complete = CompleteRequest::new(&claim, fence, &result, DAY);
    assert_eq!(store.complete(complete).await.unwrap(), Standing::Held);
    let claim = request("calls", &failed);
    let fence = acquire(store, claim).await.fence;
    let release = ReleaseRequest::new(&claim, fence, Leave::Failed);
    assert_eq!(store.release(release).await.unwrap(), Standing::Held);
}

/// A sweep of everything takes many turns of the writer thread. Between two turns, the writer carries out the requests of calls.
#[tokio::test(flavor = "multi_thread")]
async fn calls_are_answered_while_an_operator_sweeps() {
    let backlog = Backlog::of(20_000).await;
    let admin = Arc::clone(&backlog.admin);
    let sweep = tokio::spawn(async move { admin.sweep(usize::MAX).await });
    for nth in 0..10 {
        calls(&backlog.store, nth).await;
    }
    let left = backlog.due().await;
    assert!(left > 0, "fifty requests were only answered when the sweep was over");
    assert_eq!(sweep.await.unwrap().unwrap(), 20_000);
}

#[tokio::test]
async fn a_sweep_that_nobody_waits_for_ends() {
    let backlog = Backlog::of(20_000).await;
    let sweep = tokio::time::timeout(Duration::from_millis(50), backlog.admin.sweep(usize::MAX));
    assert!(sweep.await.is_err(), "20,000 rows were swept in 50 ms");
    // When this second sweep is answered, the turn that the first one had begun is over.
    backlog.admin.sweep(1).await.unwrap();
    let left = backlog.due().await;
    assert!(left > 0, "the sweep went on, though nobody waits for it");
    calls(&backlog.store, 0).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(backlog.due().await, left);
}

/// Each operator is told the number of rows that were deleted for it, at most as many as it asked for.
#[tokio::test]
async fn operators_who_sweep_together_delete_each_row_once() {
    let backlog = Backlog::of(2_500).await;
    let admin = &backlog.admin;
    let (few, none, rest) = tokio::join!(admin.sweep(700), admin.sweep(0), admin.sweep(usize::MAX));
    assert_eq!((few.unwrap(), none.unwrap(), rest.unwrap()), (700, 0, 1_800));
}

#[tokio::test]
async fn a_visit_shows_each_row_of_many_pages_once() {
    let backlog = Backlog::of(2_500).await;
    for (filter, rows) in [(Filter::all(), 2_500), (Filter::all().scope("7").limit(1), 250)] {
        let (mut seen, mut shown) = (BTreeSet::new(), 0);
        let mut see = |entry: idem_runtime::admin::Entry| {
            shown += 1;
            seen.insert((entry.scope, entry.key.as_bytes().to_owned()));
        };
        backlog.admin.visit(&filter, &mut see).await.unwrap();
        assert_eq!((shown, seen.len()), (rows, rows));
    }
    assert_eq!(backlog.admin.stats().await.unwrap().completed, 2_500);
}

/// Reads the file in a transaction that stays open, so that its log can't start over.
fn read_for_long(backlog: &Backlog) -> Connection {
    let reader = backlog.connection();
    reader.execute_batch("BEGIN; SELECT COUNT(*) FROM idem_keys").unwrap();
    reader
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_swept_while_a_long_reader_lets_the_log_grow() {
    let backlog = Backlog::of(200).await;
    let reader = read_for_long(&backlog);
    assert_eq!(backlog.admin.sweep(100).await.unwrap(), 100, "a short log with a long reader");
    let megabytes = record(&"r".repeat(1024 * 1024));
    for nth in 0..70 {
        execute(&backlog.store, "large", &key(nth.to_string()), &megabytes).await;
    }
    let refused = backlog.admin.sweep(100).await.unwrap_err();
    let told = std::error::Error::source(&refused).map_or_else(|| refused.to_string(), ToString::to_string);
    assert!(told.contains("over 64 MB") && told.contains("end that transaction"), "{told}");
    assert_eq!(backlog.due().await, 100);
    calls(&backlog.store, 0).await;

    // The background doesn't sweep either, until the reader has ended.
    let options = SqliteStore::options().sweep_interval(Some(Duration::from_millis(10)));
    let sweeping = options.open(&backlog.path).await.unwrap();
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(backlog.due().await, 100);
    drop(reader);
    let deadline = Instant::now() + Duration::from_secs(30);
    while backlog.due().await > 0 {
        assert!(Instant::now() < deadline, "nothing was swept once the reader had gone");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    drop(sweeping);
    backlog.expire(100);
    assert_eq!(backlog.admin.sweep(usize::MAX).await.unwrap(), 100);
    let log = std::fs::metadata(backlog.path.with_extension("sqlite-wal")).unwrap().len();
    assert!(log < 64 * 1024 * 1024, "the log still has {log} bytes");
}

/// Shows what the docs of `SqliteStore` say about the size of a file that was swept, and how to make it smaller.
#[tokio::test]
async fn a_swept_file_keeps_its_size_until_it_is_vacuumed() {
    for incremental in [false, true] {
        let backlog = Backlog::of(20_000).await;
        let connection = backlog.connection();
        if incremental {
            connection.execute_batch("PRAGMA auto_vacuum = INCREMENTAL; VACUUM").unwrap();
        }
        let pages = || -> i64 { connection.query_row("PRAGMA page_count", [], |row| row.get(0)).unwrap() };
        let before = pages();
        assert_eq!(backlog.admin.sweep(usize::MAX).await.unwrap(), 20_000);
        assert_eq!(pages(), before, "swept");
        if incremental {
            // Each step of this statement frees one page, and `execute_batch` would take a single step.
            let mut vacuum = connection.prepare("PRAGMA incremental_vacuum(100)").unwrap();
            let mut steps = vacuum.query([]).unwrap();
            while steps.next().unwrap().is_some() {}
            assert_eq!(before - pages(), 100);
        } else {
            connection.execute_batch("VACUUM").unwrap();
        }
        assert!(pages() < before, "vacuumed: {} pages of {before}", pages());
        calls(&backlog.store, 0).await;
    }
}
