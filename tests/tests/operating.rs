//! A SQLite file in an operator's hands: opened without a change, its view of stuck keys, and the parameters of its URL.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use idem_runtime::admin::{self, Filter, Resolution};
use idem_runtime::store::{ClaimAnswer, SqliteMode, Standing};
use idem_runtime::{Error, IdempotencyStore, SqliteStore, tx};
use idem_tests::steps::{execute, key, record, replay, request};
use idem_tests::stuck;
use rusqlite::Connection;
use tempfile::TempDir;

struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn file(&self) -> PathBuf {
        self.0.path().join("idem.sqlite")
    }

    fn url(&self, parameters: &str) -> String {
        format!("sqlite:{}{parameters}", self.file().display())
    }

    /// The files in the folder, with their contents.
    fn content(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let entries = std::fs::read_dir(self.0.path()).unwrap().map(|entry| entry.unwrap().path());
        // SQLite can delete its log between the two calls.
        let mut content: Vec<_> = entries.filter_map(|path| Some((path.clone(), std::fs::read(path).ok()?))).collect();
        content.sort();
        content
    }
}

async fn open(path: &Path) -> SqliteStore {
    SqliteStore::open(path).await.unwrap()
}

fn config(opened: Result<(), Error>) -> String {
    match opened {
        Err(error @ Error::Config { .. }) => error.to_string(),
        other => panic!("a configuration error, not {other:?}"),
    }
}

async fn connect(url: &str) -> Result<(), Error> {
    idem_runtime::connect(url).await.map(drop)
}

async fn operate(url: &str) -> Result<(), Error> {
    admin::connect(url).await.map(drop)
}

#[tokio::test]
async fn the_view_shows_the_keys_that_nobody_is_working_on() {
    let folder = Folder::new();
    let expected = stuck::leave(&open(&folder.file()).await).await;
    let connection = Connection::open(folder.file()).unwrap();
    let mut query = connection.prepare(stuck::query()).unwrap();
    let shown = query.query_map([], |row| {
        assert_eq!(row.get::<_, String>(0)?, stuck::SCOPE);
        Ok((row.get(1)?, row.get(2)?))
    });
    let mut shown: Vec<(String, String)> = shown.unwrap().map(Result::unwrap).collect();
    shown.sort();
    assert_eq!(shown, expected);
    let wrong = "SELECT count(*) FROM idem_keys_stuck s WHERE NOT EXISTS (SELECT * FROM idem_keys i
        WHERE i.scope = s.scope AND abs(i.fence / 1e6 - (julianday(s.since) - 2440587.5) * 86400) < 0.002)";
    assert_eq!(connection.query_row(wrong, [], |row| row.get::<_, i64>(0)).unwrap(), 0);
}

/// The tables of tx mode, as an application has them among its migrations.
#[test]
fn the_schema_of_tx_mode_has_the_view_and_can_be_run_again() {
    let connection = Connection::open_in_memory().unwrap();
    for _ in 0..2 {
        connection.execute_batch(tx::schema(tx::Database::Sqlite)).unwrap();
    }
    assert!(!connection.prepare(stuck::query()).unwrap().exists([]).unwrap());
}

#[tokio::test]
async fn a_missing_file_is_made_only_where_that_was_asked_for() {
    let folder = Folder::new();
    for parameters in ["?mode=ro", "?mode=rw"] {
        let message = config(connect(&folder.url(parameters)).await);
        assert!(message.contains("it does not exist"), "{message}");
    }
    for parameters in ["", "?mode=ro", "?mode=rw", "?mode=rwc"] {
        let message = config(operate(&folder.url(parameters)).await);
        assert!(message.contains("it does not exist"), "{message}");
    }
    for mode in [SqliteMode::ReadOnly, SqliteMode::ReadWrite] {
        config(SqliteStore::options().mode(mode).open(folder.file()).await.map(drop));
    }
    assert_eq!(folder.content(), []);
    for parameters in ["?mode=rwc", "?mode=rw", "?mode=ro", ""] {
        connect(&folder.url(parameters)).await.unwrap();
    }
}

#[tokio::test]
async fn a_file_without_tables_gets_none_from_an_operator() {
    let folder = Folder::new();
    Connection::open(folder.file()).unwrap().execute_batch("CREATE TABLE orders (id)").unwrap();
    let before = folder.content();
    for parameters in ["", "?mode=ro"] {
        let message = config(operate(&folder.url(parameters)).await);
        assert!(message.contains("it has no tables of a store"), "{message}");
    }
    config(connect(&folder.url("?mode=ro")).await);
    assert_eq!(folder.content(), before);
    // `mode=rw` forbids to create the file, not to create tables in it.
    execute(&idem_runtime::connect(&folder.url("?mode=rw")).await.unwrap(), "s", &key("k"), &record("r")).await;
}

/// An operator who opens a file neither puts it into WAL mode nor adds the view.
#[tokio::test]
async fn a_file_is_left_as_it_is() {
    for journal in ["delete", "wal"] {
        let folder = Folder::new();
        let connection = Connection::open(folder.file()).unwrap();
        connection.execute_batch(include_str!("../../idem-runtime/src/store/sqlite/schema.sql")).unwrap();
        connection.pragma_update(None, "journal_mode", journal).unwrap();
        drop(connection);
        let before = folder.content();
        // With `mode=ro`, SQLite leaves the files of an empty log behind.
        for parameters in ["", "?mode=ro"] {
            let operator = admin::connect(&folder.url(parameters)).await.unwrap();
            assert_eq!(operator.stats().await.unwrap().completed, 0);
            assert_eq!(operator.sweep(100).await.unwrap(), 0);
            drop(operator);
            let same =
                || if parameters.is_empty() { folder.content() == before } else { folder.content()[0] == before[0] };
            // The store's threads close the file a moment later.
            let deadline = Instant::now() + Duration::from_secs(30);
            while !same() {
                assert!(Instant::now() < deadline, "{journal} {parameters}");
                tokio::task::yield_now().await;
            }
        }
    }
}

#[tokio::test]
async fn an_operator_looks_at_a_file_in_use_and_settles_its_keys() {
    let folder = Folder::new();
    let store = open(&folder.file()).await;
    let stuck = stuck::leave(&store).await;
    for (parameters, expected) in [("?mode=ro", None), ("", Some(Standing::Held))] {
        let operator = admin::connect(&folder.url(parameters)).await.unwrap();
        let orphans = operator.list(Filter::all().orphans()).await.unwrap();
        assert_eq!(orphans.len(), stuck.len());
        let (scope, key) = (&orphans[0].scope, &orphans[0].key);
        assert_eq!(operator.get(scope, key).await.unwrap().unwrap().0.row.fence, orphans[0].row.fence);
        assert_eq!(operator.stats().await.unwrap().orphaned, stuck.len() as u64);
        let resolved = operator.resolve(scope, key, Resolution::NotExecuted).await;
        assert_eq!(resolved.as_ref().ok(), expected.as_ref());
        if let Err(error) = resolved {
            assert!(error.to_string().contains("`mode=ro`"), "{error}");
            operator.forget(scope, key).await.unwrap_err();
        }
    }
}

#[tokio::test]
async fn a_store_that_only_reads_replays_and_claims_nothing() {
    let folder = Folder::new();
    execute(&open(&folder.file()).await, "s", &key("done"), &record("r")).await;
    let store = idem_runtime::connect(&folder.url("?mode=ro")).await.unwrap();
    for round in 0..20 {
        // Of many requests at once, the replays are answered and the claims of new keys are refused.
        let claims = (0..40).map(|nth| {
            let (store, is_done) = (store.clone(), nth >= 30);
            let id = key(if is_done { "done".to_owned() } else { format!("{round} {nth}") });
            tokio::spawn(async move { (is_done, store.claim(request("s", &id)).await) })
        });
        for claim in claims.collect::<Vec<_>>() {
            match claim.await.unwrap() {
                (true, answer) => assert!(matches!(answer.unwrap(), ClaimAnswer::Completed(_))),
                (false, answer) => {
                    let error = answer.unwrap_err();
                    assert!(!error.is_unanswered() && error.to_string().contains("`mode=ro`"), "{error}");
                }
            }
        }
    }
    drop(store);
    let store = open(&folder.file()).await;
    assert_eq!(replay(&store, "s", &key("done")).await, record("r"));
    assert_eq!(store.admin().unwrap().list(Filter::all()).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_url_with_an_unknown_or_repeated_parameter_is_refused() {
    let folder = Folder::new();
    for (parameters, told) in [
        ("?mode=memory", "the `mode` of a `sqlite:` URL is `ro`, `rw` or `rwc`"),
        ("?mode=", "is `ro`, `rw` or `rwc`"),
        ("?mode=ro&mode=ro", "the parameter `mode` more than once"),
        ("?cache=shared", "unknown parameter `cache`: it can have `mode`"),
        ("?mode=rw&moed=ro", "unknown parameter `moed`"),
    ] {
        let url = folder.url(parameters);
        for message in [config(connect(&url).await), config(operate(&url).await)] {
            assert!(message.contains(told), "{message}");
        }
    }
    assert_eq!(folder.content(), []);
}

#[tokio::test]
async fn what_is_no_store_for_an_operator_is_refused_with_the_reason() {
    for (url, told) in [
        ("memory:", "a new and empty store each time"),
        ("memory:x", "a new and empty store each time"),
        ("sqlite:", "name a file"),
        ("kafka://host", "no store has the URL scheme `kafka:`"),
        ("idem.sqlite", "`idem.sqlite` is no URL of a store"),
    ] {
        let message = config(operate(url).await);
        assert!(message.contains(told), "{message}");
    }
}
